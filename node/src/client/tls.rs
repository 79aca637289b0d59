//! TLS to a gateway: its certificate must be of an authority that the caller names, and have the name or
//! address by which the caller names the gateway.

use super::{gateway::GatewayAddress, gateways::SetupError};
use crate::security::{ClientCertificate, client_of, trusting_nobody};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::{fmt, future::Future, io, pin::Pin, sync::Arc, time::Duration};
use tokio::{io::AsyncReadExt, net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::transport::Uri;
use tower::{Service, service_fn};

/// What a gateway gets to say why it closed a connection.
const SAID_WITHIN: Duration = Duration::from_millis(500);

type Opening = Pin<Box<dyn Future<Output = io::Result<Stream>> + Send>>;
type Stream = TokioIo<TlsStream<TcpStream>>;

/// What gateways with `https://` are trusted by, and shown.
#[derive(Clone, Default)]
pub struct Trust {
    /// The authorities of their certificates, as PEM.
    pub authorities: Option<String>,
    /// What is shown to one that asks for a certificate.
    pub shown: Option<ClientCertificate>,
}

/// Opens connections to one gateway.
#[derive(Clone)]
pub(super) struct Opener {
    connector: TlsConnector,
    name: ServerName<'static>,
    authority: String,
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Opener").field(&self.authority).finish()
    }
}

impl Opener {
    /// To `address`.
    pub(super) fn new(address: &GatewayAddress, trust: &Trust) -> Result<Self, SetupError> {
        let authorities = trust.authorities.as_deref();
        let authorities = authorities.ok_or_else(|| SetupError::NoAuthorities(address.clone()))?;
        let config = client_of(authorities, trust.shown.as_ref())?;
        let name = ServerName::try_from(address.host().to_owned());
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
            name: name.map_err(|error| SetupError::Address {
                address: address.clone(),
                cause: error.to_string(),
            })?,
            authority: address.authority().to_owned(),
        })
    }

    async fn open(self) -> io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.authority).await?;
        stream.set_nodelay(true)?;
        self.connector.connect(self.name, stream).await
    }

    /// As the channel takes it.
    pub(super) fn connector(
        &self,
    ) -> impl Service<Uri, Response = Stream, Error = io::Error, Future = Opening>
    + Send
    + Clone
    + 'static
    + use<> {
        let opener = self.clone();
        service_fn(move |_: Uri| -> Opening {
            let opener = opener.clone();
            Box::pin(async move { Ok(TokioIo::new(opener.open().await?)) })
        })
    }

    /// What a gateway says that closes connections: with TLS 1.3 it says after the handshake that it does not take a
    /// certificate, where the channel tells its callers only that it was closed.
    pub(super) async fn why_closed(&self) -> Option<String> {
        let heard = async {
            let mut stream = self.clone().open().await?;
            stream.read_u8().await
        };
        let heard = timeout(SAID_WITHIN, heard).await.ok()?;
        heard.err().map(|error| error.to_string())
    }
}

/// Whether `address` answers with TLS. Nobody is trusted and nothing is said there.
pub(super) async fn is_spoken_at(address: &GatewayAddress) -> bool {
    let name = ServerName::try_from(address.host().to_owned());
    let (Ok(name), Ok(config)) = (name, trusting_nobody()) else {
        return false;
    };
    let opener = Opener {
        connector: TlsConnector::from(Arc::new(config)),
        name,
        authority: address.authority().to_owned(),
    };
    match timeout(SAID_WITHIN, opener.open()).await {
        Ok(Ok(_)) => true,
        Ok(Err(error)) => {
            let fault = error.get_ref().and_then(|inner| inner.downcast_ref());
            matches!(
                fault,
                Some(rustls::Error::InvalidCertificate(_) | rustls::Error::AlertReceived(_))
            )
        }
        Err(_) => false,
    }
}
