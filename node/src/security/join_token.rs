//! A join token: a secret, and the authority by which a node that joins knows the cluster, so that it
//! shows the secret to nobody else.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use gateway::access::Secret;
use proto::id::ClusterId;
use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use webpki::anchor_from_trusted_cert;

const PREFIX: &str = "atoll-join_";

/// See the module.
pub struct JoinToken {
    /// The secret.
    pub secret: Secret,
    /// The cluster.
    pub cluster: ClusterId,
    /// Its authority's certificate.
    pub authority: CertificateDer<'static>,
}

/// What the text is made of.
#[derive(Serialize, Deserialize)]
struct Parts {
    secret: String,
    cluster: String,
    authority: String,
}

/// A text that is no join token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no join token; `atoll token create --role join` gives one, for one node each")]
pub struct JoinTokenError;

impl JoinToken {
    /// The text that is shown once.
    #[must_use]
    pub fn text(&self) -> String {
        let parts = Parts {
            secret: self.secret.text(),
            cluster: self.cluster.to_string(),
            authority: URL_SAFE_NO_PAD.encode(&self.authority),
        };
        let json = serde_json::to_vec(&parts).expect("the parts are plain data");
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(json))
    }

    /// Reads what stands in a file.
    pub fn read(text: &str) -> Result<Self, JoinTokenError> {
        let parts = || {
            let json = URL_SAFE_NO_PAD
                .decode(text.trim().strip_prefix(PREFIX)?)
                .ok()?;
            let parts: Parts = serde_json::from_slice(&json).ok()?;
            Some(Self {
                secret: Secret::read(&parts.secret).ok()?,
                cluster: parts.cluster.parse().ok()?,
                authority: URL_SAFE_NO_PAD.decode(parts.authority).ok()?.into(),
            })
        };
        parts().ok_or(JoinTokenError)
    }

    /// Whether `papers` are of the authority that the token vouches for, and of its cluster.
    #[must_use]
    pub fn vouches_for(&self, papers: &super::Papers) -> bool {
        let Ok(shown) = super::channel::certificate(&papers.authority) else {
            return false;
        };
        // A name and a key; how often it signed for itself does not count.
        let (own, shown) = (
            anchor_from_trusted_cert(&self.authority),
            anchor_from_trusted_cert(&shown),
        );
        papers.cluster == self.cluster && own.is_ok_and(|own| shown.is_ok_and(|it| it == own))
    }

    /// The text of `secret`, to join `cluster`, whose authority has the certificate `pem`.
    pub fn of(
        secret: Secret,
        cluster: ClusterId,
        pem: &str,
    ) -> Result<Self, super::AuthorityError> {
        Ok(Self {
            secret,
            cluster,
            authority: super::channel::certificate(pem)?,
        })
    }
}
