//! TLS of a client that speaks to gateways.

use super::{
    authority::{AuthorityError, failed},
    channel::provider,
    listener::certificates,
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{PrivateKeyDer, pem::PemObject},
};

/// What a client shows a gateway that asks for certificates, as PEM.
#[derive(Clone)]
pub struct ClientCertificate {
    /// The certificate and those it rests on.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

/// A client that only finds out whether somebody speaks TLS.
pub fn trusting_nobody() -> Result<ClientConfig, AuthorityError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(failed("set TLS up"))?;
    let nobody = RootCertStore::empty();
    Ok(builder.with_root_certificates(nobody).with_no_client_auth())
}

/// A client that trusts whoever these authorities (PEM) signed for, by the machine's clock.
pub fn client_of(
    authorities: &str,
    shown: Option<&ClientCertificate>,
) -> Result<ClientConfig, AuthorityError> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(authorities)? {
        let added = roots.add(authority);
        added.map_err(failed("use the authority's certificate"))?;
    }
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(failed("set TLS up"))?;
    let builder = builder.with_root_certificates(roots);
    let mut config = match shown {
        None => builder.with_no_client_auth(),
        Some(shown) => {
            let key = PrivateKeyDer::from_pem_slice(shown.key.as_bytes());
            let key = key.map_err(failed("read the client's key"))?;
            let chain = certificates(&shown.certificate)?;
            let config = builder.with_client_auth_cert(chain, key);
            config.map_err(failed("use the client's certificate with its key"))?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}
