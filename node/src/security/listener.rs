//! TLS for clients: a listener whose connections are handed on once their handshake is done, with
//! certificates that are read again when their files change.
//!
//! A node that waits for its certificate answers plainly meanwhile; it has nothing to say but that it waits.

use super::{
    authority::{AuthorityError, failed},
    channel::{Time, provider, resume_nothing},
};
use crate::components::{Clock, Connection, Listener};
use async_trait::async_trait;
use parking_lot::RwLock;
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    sync::{Semaphore, mpsc},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

/// A client that takes longer is not waited for.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// Handshakes at the same time; more wait in the kernel, so strangers cannot take all memory.
const HANDSHAKES: usize = 1_024;
const ACCEPTED_QUEUED: usize = 64;

/// TLS for clients could not be set up.
pub type TlsError = AuthorityError;

/// What is served with, as PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Shown {
    /// The certificate and those it rests on.
    pub certificate: String,
    /// Its key.
    pub key: String,
    /// Clients must show a certificate of one of these authorities, where it is given.
    pub client_authorities: Option<String>,
}

/// What a connection begins with; nothing while the node waits for its certificate. Clones are one.
#[derive(Clone, Default)]
pub struct Served(Arc<RwLock<Option<TlsAcceptor>>>);

impl Shown {
    /// What a server begins connections with; `protocols` are what it speaks, most wanted first.
    /// Clients' certificates are judged by `clock`.
    pub fn acceptor(
        &self,
        protocols: &[&[u8]],
        clock: &Arc<dyn Clock>,
    ) -> Result<TlsAcceptor, TlsError> {
        let chain = certificates(&self.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes());
        let key = key.map_err(failed("read the key of TLS for clients"))?;
        let time = Arc::new(Time(Arc::clone(clock)));
        let builder = ServerConfig::builder_with_details(provider(), time)
            .with_safe_default_protocol_versions()
            .map_err(failed("set TLS up"))?;
        let builder = match &self.client_authorities {
            None => builder.with_no_client_auth(),
            Some(pem) => builder.with_client_cert_verifier(client_verifier(pem)?),
        };
        let mut config = builder
            .with_single_cert(chain, key)
            .map_err(failed("use the certificate with its key"))?;
        resume_nothing(&mut config);
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

fn client_verifier(pem: &str) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(pem)? {
        roots
            .add(authority)
            .map_err(failed("use tls.client_ca_file"))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider());
    verifier.build().map_err(failed("use tls.client_ca_file"))
}

pub(super) fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let all = all.map_err(failed("read a certificate"))?;
    if all.is_empty() {
        return Err(failed("read a certificate")("the file holds none"));
    }
    Ok(all)
}

impl Served {
    /// New connections begin with this from now on.
    pub fn replace(&self, acceptor: TlsAcceptor) {
        *self.0.write() = Some(acceptor);
    }

    fn acceptor(&self) -> Option<TlsAcceptor> {
        self.0.read().clone()
    }
}

/// See the module.
pub struct TlsListener {
    address: SocketAddr,
    served: Served,
    accepted: mpsc::Receiver<io::Result<Accepted>>,
}

/// A connection, where it comes from, and whether it is secured.
struct Accepted {
    connection: Box<dyn Connection>,
    from: SocketAddr,
    has_tls: bool,
}

impl TlsListener {
    /// Puts TLS before the connections of `listener`.
    pub fn new(listener: Box<dyn Listener>, served: Served) -> io::Result<Self> {
        let address = listener.address()?;
        let (hand_on, accepted) = mpsc::channel(ACCEPTED_QUEUED);
        tokio::spawn(accept(listener, served.clone(), hand_on));
        Ok(Self {
            address,
            served,
            accepted,
        })
    }
}

type HandOn = mpsc::Sender<io::Result<Accepted>>;

/// One client that is slow or silent holds up no other.
async fn accept(mut listener: Box<dyn Listener>, served: Served, hand_on: HandOn) {
    let room = Arc::new(Semaphore::new(HANDSHAKES));
    loop {
        let permit = Arc::clone(&room).acquire_owned().await;
        let permit = permit.expect("the semaphore is never closed");
        let connection = tokio::select! {
            accepted = listener.accept() => accepted,
            () = hand_on.closed() => return,
        };
        let (connection, from) = match connection {
            Ok(accepted) => accepted,
            Err(error) => {
                if hand_on.send(Err(error)).await.is_err() {
                    return;
                }
                continue;
            }
        };
        let (acceptor, hand_on) = (served.acceptor(), hand_on.clone());
        tokio::spawn(async move {
            if let Some(accepted) = begin(acceptor, connection, from).await {
                let _ = hand_on.send(Ok(accepted)).await;
            }
            drop(permit);
        });
    }
}

async fn begin(
    acceptor: Option<TlsAcceptor>,
    connection: Box<dyn Connection>,
    from: SocketAddr,
) -> Option<Accepted> {
    let (connection, has_tls): (Box<dyn Connection>, bool) = match acceptor {
        None => (connection, false),
        Some(acceptor) => match timeout(HANDSHAKE_WITHIN, acceptor.accept(connection)).await {
            Ok(Ok(stream)) => (Box::new(stream), true),
            Ok(Err(error)) => {
                tracing::debug!(%from, %error, "a client's handshake failed");
                return None;
            }
            Err(_) => {
                tracing::debug!(%from, "a client's handshake took too long");
                return None;
            }
        },
    };
    Some(Accepted {
        connection,
        from,
        has_tls,
    })
}

#[async_trait]
impl Listener for TlsListener {
    async fn accept(&mut self) -> io::Result<(Box<dyn Connection>, SocketAddr)> {
        loop {
            let next = self.accepted.recv().await;
            let accepted = next.unwrap_or_else(|| Err(io::ErrorKind::ConnectionAborted.into()))?;
            // One that came plainly while the node waited is not let in once it does not.
            if accepted.has_tls || self.served.acceptor().is_none() {
                return Ok((accepted.connection, accepted.from));
            }
        }
    }

    fn address(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}
