//! The cluster's own certificate authority: it signs what nodes show each other.
//!
//! Its key stands in no log and no snapshot: the node that founds the cluster keeps it, and whoever
//! votes on the registry asks for a copy. Its certificate is public and stands in the registry.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};

/// How long an authority lasts: longer than a cluster.
const YEARS: i32 = 30;

/// See the module.
pub struct Authority {
    key: KeyPair,
}

/// A key or certificate could not be made or read.
#[derive(Debug, thiserror::Error)]
#[error("{doing}: {why}")]
pub struct AuthorityError {
    /// What was being done.
    pub doing: &'static str,
    /// Why it failed.
    pub why: String,
}

pub(super) fn failed<E: std::fmt::Display>(
    doing: &'static str,
) -> impl FnOnce(E) -> AuthorityError {
    move |error| AuthorityError {
        doing,
        why: error.to_string(),
    }
}

impl Authority {
    /// A new one.
    pub fn make() -> Result<Self, AuthorityError> {
        let key = KeyPair::generate().map_err(failed("make the authority's key"))?;
        Ok(Self { key })
    }

    /// The one of a key that was kept.
    pub fn of_key(pem: &str) -> Result<Self, AuthorityError> {
        let key = KeyPair::from_pem(pem).map_err(failed("read the authority's key"))?;
        Ok(Self { key })
    }

    /// The key, to be kept.
    #[must_use]
    pub fn key(&self) -> String {
        self.key.serialize_pem()
    }

    /// A certificate that others can check its signatures by, as PEM.
    pub fn certificate(&self) -> Result<String, AuthorityError> {
        let mut params = self.params();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2020 + 2 * YEARS, 1, 1);
        let certificate = params.self_signed(&self.key);
        let certificate = certificate.map_err(failed("sign the authority's certificate"))?;
        Ok(certificate.pem())
    }

    /// What the certificate says: its name is drawn from the key, so another cluster's is another.
    fn params(&self) -> CertificateParams {
        let digest = ring::digest::digest(&ring::digest::SHA256, self.key.public_key_raw());
        let digits: String = digest.as_ref()[..8]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let mut name = DistinguishedName::new();
        name.push(DnType::OrganizationName, "Atoll");
        name.push(DnType::CommonName, format!("authority {digits}"));
        let mut params = CertificateParams::default();
        params.distinguished_name = name;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
    }
}
