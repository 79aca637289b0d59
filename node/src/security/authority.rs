//! The cluster's own certificate authority: it signs what nodes show each other.
//!
//! Its key stands in no log and no snapshot: the node that founds the cluster keeps it, and whoever
//! votes on the registry asks for a copy. Its certificate is public and stands in the registry.

use super::{
    identity::{Asks, hexadecimal, public_key_bytes},
    names,
};
use proto::id::ClusterId;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm,
    date_time_ymd,
};
use std::time::Duration;

/// How long an authority lasts: longer than a cluster.
const YEARS: i32 = 60;
/// How long a node's certificate lasts. It is renewed when a third of that is left, so a cluster whose
/// authority nobody reaches goes on for ten days at least; one that leaked is of use for thirty at most.
pub(super) const LIFETIME: Duration = Duration::from_hours(24 * 30);
/// Clocks that are a little behind take a new certificate as well.
const EARLIER: Duration = Duration::from_hours(1);
/// Names of its own that a node may have in its certificate.
const NAMES: usize = 32;

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
        params.not_after = date_time_ymd(2020 + YEARS, 1, 1);
        let certificate = params.self_signed(&self.key);
        let certificate = certificate.map_err(failed("sign the authority's certificate"))?;
        Ok(certificate.pem())
    }

    /// Signs what a node shows others.
    pub(super) fn sign(
        &self,
        cluster: ClusterId,
        asks: &Asks,
        at_millis: u64,
    ) -> Result<Signed, AuthorityError> {
        let public_key = PublicKey::read(&asks.public_key)?;
        let own = [names::of_all(cluster), names::of(cluster, asks.node)];
        // Nobody gets the name of another node.
        let asked = asks.names.iter().take(NAMES);
        let asked = asked.filter(|name| !names::is_ours(name));
        let all: Vec<String> = own.into_iter().chain(asked.cloned()).collect();
        let mut params = CertificateParams::new(all).map_err(failed("read the node's names"))?;
        let mut name = DistinguishedName::new();
        name.push(DnType::CommonName, format!("node {}", asks.node));
        params.distinguished_name = name;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let epoch = date_time_ymd(1970, 1, 1);
        let now = Duration::from_millis(at_millis);
        params.not_before = epoch + now.saturating_sub(EARLIER);
        params.not_after = epoch + (now + LIFETIME);
        let issuer = Issuer::new(self.params(), &self.key);
        let signed = params.signed_by(&public_key, &issuer);
        Ok(Signed {
            certificate: signed.map_err(failed("sign the node's certificate"))?.pem(),
            not_after_millis: (now + LIFETIME).as_millis() as u64,
        })
    }

    /// Whether papers are of this authority.
    #[must_use]
    pub fn has_signed(&self, papers: &super::Papers) -> bool {
        papers.gossip == hexadecimal(&self.gossip_key())
    }

    /// What gossip is authenticated with: drawn from the key, so whoever signs knows it too.
    pub(super) fn gossip_key(&self) -> [u8; 32] {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, self.key.serialized_der());
        let tag = ring::hmac::sign(&key, b"atoll gossip 1");
        tag.as_ref().try_into().expect("SHA-256 has 32 bytes")
    }

    /// What the certificate says: its name is drawn from the key, so another cluster's is another.
    fn params(&self) -> CertificateParams {
        let digest = ring::digest::digest(&ring::digest::SHA256, self.key.public_key_raw());
        let digits = hexadecimal(&digest.as_ref()[..8]);
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

/// A certificate of a node.
pub(super) struct Signed {
    pub(super) certificate: String,
    pub(super) not_after_millis: u64,
}

/// A public key as a node sent it.
struct PublicKey(Vec<u8>);

impl PublicKey {
    /// A point of the curve, uncompressed.
    fn read(digits: &str) -> Result<Self, AuthorityError> {
        let bytes = public_key_bytes(digits);
        let fault = || failed("read the node's public key")("it is none of P-256");
        bytes.map(Self).ok_or_else(fault)
    }
}

impl PublicKeyData for PublicKey {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}
