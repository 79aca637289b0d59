//! TLS on connections between nodes: both sides show certificates of the cluster's authority.
//!
//! What a connection is made of is not known here: TCP, or what the simulated world has. In an open
//! cluster connections stay as they are, and a peer is believed who it says it is.

use super::{
    authority::{AuthorityError, failed},
    explain::explain,
    identity::Identity,
    names,
    prefixed::Prefixed,
};
use crate::components::{Clock, Connection};
use parking_lot::RwLock;
use proto::id::{ClusterId, NodeId};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    client::Resumption,
    crypto::{CryptoProvider, ring::default_provider},
    pki_types::{
        CertificateDer, PrivateKeyDer, ServerName, UnixTime,
        pem::{Error as PemError, PemObject},
    },
    server::{NoServerSessionStorage, WebPkiClientVerifier},
    time_provider::TimeProvider,
    version::TLS13,
};
use std::{fmt, io, sync::Arc, time::Duration};
use tokio::{io::AsyncReadExt, time::timeout};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// A handshake that takes longer is given up.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(3);
/// The first byte of every TLS connection, and of no plain one between nodes.
const TLS_HANDSHAKE: u8 = 0x16;

/// How this node's connections are secured. Clones are one.
#[derive(Clone, Default)]
pub struct Security(Arc<RwLock<State>>);

impl fmt::Debug for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Security")
    }
}

#[derive(Clone, Default)]
enum State {
    /// Not at all.
    #[default]
    Open,
    /// The node has no certificate yet, and knows whose it trusts.
    Trusting(Outward),
    /// It has one.
    Member(Outward, TlsAcceptor),
}

#[derive(Clone)]
struct Outward {
    cluster: ClusterId,
    connector: TlsConnector,
    name: ServerName<'static>,
}

/// What the other side of a connection has shown.
#[derive(Debug)]
pub enum Proof {
    /// Nothing is asked for: its word counts.
    Word,
    /// No certificate.
    Nothing,
    /// One of the authority.
    Certificate(ClusterId, CertificateDer<'static>),
}

impl Proof {
    /// Whether the other side may be this node.
    #[must_use]
    pub fn is_of(&self, node: NodeId) -> bool {
        match self {
            Self::Word => true,
            Self::Nothing => false,
            Self::Certificate(cluster, certificate) => {
                let name = ServerName::try_from(names::of(*cluster, node));
                let shown = webpki::EndEntityCert::try_from(certificate);
                match (name, shown) {
                    (Ok(name), Ok(shown)) => shown.verify_is_valid_for_subject_name(&name).is_ok(),
                    _ => false,
                }
            }
        }
    }
}

/// What a node shows of itself on links between regions.
pub(super) enum Shown {
    /// Nothing: its cluster is open, or it does not belong to one yet.
    Nothing,
    /// Its certificate, both ways.
    Papers {
        /// For connections that it takes.
        server: Arc<ServerConfig>,
        /// For those that it makes.
        client: Arc<ClientConfig>,
        /// Whom it expects.
        name: String,
    },
}

/// A connection that was accepted.
pub enum Met {
    /// As the cluster wants it.
    Secured(Box<dyn Connection>, Proof),
    /// Plain, where the cluster wants TLS.
    Plain(Box<dyn Connection>),
}

/// The node's clock, by which certificates are judged.
pub(super) struct Time(pub(super) Arc<dyn Clock>);

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Time")
    }
}

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        let micros = self.0.now().wall_micros;
        Some(UnixTime::since_unix_epoch(Duration::from_micros(micros)))
    }
}

impl Security {
    /// Whether this node has a certificate to show.
    #[must_use]
    pub fn has_papers(&self) -> bool {
        matches!(&*self.0.read(), State::Member(..))
    }

    /// Whether it belongs to a secured cluster, or is about to, and has no certificate to show.
    #[must_use]
    pub fn lacks_papers(&self) -> bool {
        matches!(&*self.0.read(), State::Trusting(_))
    }

    /// Trusts whoever `authority` signed for `cluster`, without anything to show in return. Nobody is let
    /// in until there is.
    pub fn trust(
        &self,
        cluster: ClusterId,
        authority: &CertificateDer<'static>,
        clock: &Arc<dyn Clock>,
    ) -> Result<(), AuthorityError> {
        let config = client(authority, clock)?.with_no_client_auth();
        *self.0.write() = State::Trusting(Outward::new(cluster, config)?);
        Ok(())
    }

    /// The same, with the authority's certificate as PEM.
    pub fn trust_pem(
        &self,
        cluster: ClusterId,
        authority: &str,
        clock: &Arc<dyn Clock>,
    ) -> Result<(), AuthorityError> {
        self.trust(cluster, &certificate(authority)?, clock)
    }

    /// Shows `identity` from now on. Connections that are open stay.
    pub fn show(&self, identity: &Identity, clock: &Arc<dyn Clock>) -> Result<(), AuthorityError> {
        let papers = &identity.papers;
        let authority = certificate(&papers.authority)?;
        let chain = || Ok(vec![certificate(&papers.certificate)?]);
        let key = || PrivateKeyDer::from_pem_slice(identity.key.as_bytes());
        let key = || key().map_err(failed("read the node's key"));
        let outward = client(&authority, clock)?
            .with_client_auth_cert(chain()?, key()?)
            .map_err(failed("use the node's certificate"))?;
        let roots = Arc::new(roots(&authority)?);
        // Without one, a node may ask to join and nothing else.
        let asks = WebPkiClientVerifier::builder_with_provider(roots, provider())
            .allow_unauthenticated()
            .build()
            .map_err(failed("use the authority's certificate"))?;
        let time = Arc::new(Time(Arc::clone(clock)));
        let mut inward = ServerConfig::builder_with_details(provider(), time)
            .with_protocol_versions(&[&TLS13])
            .map_err(failed("set TLS up"))?
            .with_client_cert_verifier(asks)
            .with_single_cert(chain()?, key()?)
            .map_err(failed("use the node's certificate"))?;
        resume_nothing(&mut inward);
        let acceptor = TlsAcceptor::from(Arc::new(inward));
        *self.0.write() = State::Member(Outward::new(papers.cluster, outward)?, acceptor);
        Ok(())
    }

    pub(super) fn shown(&self) -> Shown {
        match &*self.0.read() {
            State::Open | State::Trusting(_) => Shown::Nothing,
            State::Member(outward, acceptor) => Shown::Papers {
                server: Arc::clone(acceptor.config()),
                client: Arc::clone(outward.connector.config()),
                name: names::of_all(outward.cluster),
            },
        }
    }

    /// Secures a connection that another node made.
    pub async fn accept(&self, mut connection: Box<dyn Connection>) -> io::Result<Met> {
        let state = self.0.read().clone();
        let (outward, acceptor) = match state {
            State::Open => return Ok(Met::Secured(connection, Proof::Word)),
            State::Trusting(_) => {
                let why = "this node has no certificate to show yet";
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
            }
            State::Member(outward, acceptor) => (outward, acceptor),
        };
        let first = timeout(HANDSHAKE_WITHIN, connection.read_u8()).await??;
        let connection = Prefixed::new(first, connection);
        if first != TLS_HANDSHAKE {
            return Ok(Met::Plain(Box::new(connection)));
        }
        let accepted = timeout(HANDSHAKE_WITHIN, acceptor.accept(connection)).await?;
        let stream = accepted.map_err(explain)?;
        let shown = first_certificate(stream.get_ref().1.peer_certificates());
        let proof = match shown {
            Some(shown) => Proof::Certificate(outward.cluster, shown),
            None => Proof::Nothing,
        };
        Ok(Met::Secured(Box::new(stream), proof))
    }

    /// Secures a connection that this node made.
    pub async fn connect(
        &self,
        connection: Box<dyn Connection>,
    ) -> io::Result<(Box<dyn Connection>, Proof)> {
        let state = self.0.read().clone();
        let outward = match state {
            State::Open => return Ok((connection, Proof::Word)),
            State::Trusting(outward) | State::Member(outward, _) => outward,
        };
        let connected = outward.connector.connect(outward.name.clone(), connection);
        let stream = timeout(HANDSHAKE_WITHIN, connected)
            .await?
            .map_err(explain)?;
        let shown = first_certificate(stream.get_ref().1.peer_certificates());
        let shown = shown.ok_or(io::ErrorKind::PermissionDenied)?;
        let proof = Proof::Certificate(outward.cluster, shown);
        Ok((Box::new(stream), proof))
    }
}

impl Outward {
    fn new(cluster: ClusterId, mut config: ClientConfig) -> Result<Self, AuthorityError> {
        config.resumption = Resumption::disabled();
        let name = ServerName::try_from(names::of_all(cluster));
        Ok(Self {
            cluster,
            connector: TlsConnector::from(Arc::new(config)),
            name: name.map_err(failed("name the cluster"))?,
        })
    }
}

/// A session that is resumed is not asked for its certificate again, which may have ended meanwhile.
pub(super) fn resume_nothing(config: &mut ServerConfig) {
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
}

fn first_certificate(shown: Option<&[CertificateDer<'_>]>) -> Option<CertificateDer<'static>> {
    shown?.first().map(|first| first.clone().into_owned())
}

pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(default_provider())
}

pub(super) fn certificate(pem: &str) -> Result<CertificateDer<'static>, AuthorityError> {
    let read: Result<_, PemError> = CertificateDer::from_pem_slice(pem.as_bytes());
    read.map_err(failed("read a certificate"))
}

fn roots(authority: &CertificateDer<'static>) -> Result<RootCertStore, AuthorityError> {
    let mut roots = RootCertStore::empty();
    let added = roots.add(authority.clone());
    added.map_err(failed("use the authority's certificate"))?;
    Ok(roots)
}

type ClientBuilder = rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>;

fn client(
    authority: &CertificateDer<'static>,
    clock: &Arc<dyn Clock>,
) -> Result<ClientBuilder, AuthorityError> {
    let time = Arc::new(Time(Arc::clone(clock)));
    let builder = ClientConfig::builder_with_details(provider(), time)
        .with_protocol_versions(&[&TLS13])
        .map_err(failed("set TLS up"))?;
    Ok(builder.with_root_certificates(roots(authority)?))
}
