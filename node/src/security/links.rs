//! TLS of links between regions. QUIC has it inside, so what an open cluster shows there is nobody's.

use super::{
    authority::{AuthorityError, failed},
    channel::{Security, Shown, provider, resume_nothing},
};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, ServerConfig, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime},
    version::TLS13,
};
use std::sync::Arc;

/// What both ends must name, so that nothing else is taken for a link.
const PROTOCOL: &[u8] = b"atoll-link/1";
/// What nodes of open clusters are called.
const NOBODY: &str = "atoll";

/// How this node's links are secured now.
pub struct LinkConfigs {
    /// For those that it takes.
    pub server: ServerConfig,
    /// For those that it opens.
    pub client: ClientConfig,
    /// Whom it expects.
    pub name: String,
    secured: bool,
}

impl LinkConfigs {
    /// Whether the other end has to show a certificate.
    #[must_use]
    pub const fn is_secured(&self) -> bool {
        self.secured
    }
}

impl Security {
    /// How links are secured: as the connections within a region are.
    pub fn link_configs(&self) -> Result<LinkConfigs, AuthorityError> {
        let mut configs = match self.shown() {
            Shown::Nothing => open()?,
            Shown::Papers {
                server,
                client,
                name,
            } => LinkConfigs {
                server: ServerConfig::clone(&server),
                client: ClientConfig::clone(&client),
                name,
                secured: true,
            },
        };
        configs.server.alpn_protocols = vec![PROTOCOL.to_vec()];
        configs.client.alpn_protocols = vec![PROTOCOL.to_vec()];
        configs.client.resumption = Resumption::disabled();
        resume_nothing(&mut configs.server);
        Ok(configs)
    }
}

fn open() -> Result<LinkConfigs, AuthorityError> {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed([NOBODY.to_owned()]).map_err(failed("make a certificate"))?;
    let key = PrivateKeyDer::try_from(signing_key.serialize_der());
    let key = key.map_err(|error| failed("make a key")(std::io::Error::other(error)))?;
    let server = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(failed("set TLS up"))?
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .map_err(failed("use a certificate"))?;
    let client = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(failed("set TLS up"))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider())))
        .with_no_client_auth();
    Ok(LinkConfigs {
        server,
        client,
        name: NOBODY.into(),
        secured: false,
    })
}

/// Believes everybody, as an open cluster does.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("links speak TLS 1.3 alone".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
