//! Whether a certificate that a node shows was once signed for it and its key, whatever the time.

use super::{channel::certificate, names};
use proto::id::{ClusterId, NodeId};
use rustls::pki_types::{ServerName, UnixTime};
use std::time::Duration;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

/// A certificate that may have ended.
pub struct Earlier<'a> {
    /// It, as PEM.
    pub certificate: &'a str,
    /// A moment of its time.
    pub at_millis: u64,
}

impl Earlier<'_> {
    /// Whether `authority` (PEM) signed it for `node` of `cluster` and that public key (the point's bytes).
    /// Who asks in the node's name for the same key gets nothing that only another could use.
    #[must_use]
    pub fn is_of(
        &self,
        authority: &str,
        (cluster, node): (ClusterId, NodeId),
        public_key: &[u8],
    ) -> bool {
        let checked = || {
            let authority = certificate(authority).ok()?;
            let anchors = [anchor_from_trusted_cert(&authority).ok()?];
            let shown = certificate(self.certificate).ok()?;
            let shown = EndEntityCert::try_from(&shown).ok()?;
            let algorithms = rustls::crypto::ring::default_provider();
            let algorithms = algorithms.signature_verification_algorithms.all;
            let at = UnixTime::since_unix_epoch(Duration::from_millis(self.at_millis));
            let usage = KeyUsage::client_auth();
            let signed = shown.verify_for_usage(algorithms, &anchors, &[], at, usage, None, None);
            signed.ok()?;
            let name = ServerName::try_from(names::of(cluster, node)).ok()?;
            shown.verify_is_valid_for_subject_name(&name).ok()?;
            shown
                .subject_public_key_info()
                .ends_with(public_key)
                .then_some(())
        };
        checked().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Asks, Authority, identity::bytes_of, signing_key};
    use super::*;

    const LONG_AGO: u64 = 1_700_000_000_000;

    #[test]
    fn only_the_same_node_with_the_same_key_is_known_again() {
        let (authority, other) = (Authority::make().unwrap(), Authority::make().unwrap());
        let (_, public_key) = signing_key().unwrap();
        let asks = Asks {
            node: NodeId(7),
            public_key: public_key.clone(),
            names: Vec::new(),
        };
        let papers = authority.papers(ClusterId(1), &asks, LONG_AGO).unwrap();
        let key = bytes_of(&public_key).unwrap();
        let another_key = bytes_of(&signing_key().unwrap().1).unwrap();
        let own = authority.certificate().unwrap();
        let foreign = other.certificate().unwrap();
        let check = |authority: &str, cluster, node, at_millis, key: &[u8]| {
            let earlier = Earlier {
                certificate: &papers.certificate,
                at_millis,
            };
            earlier.is_of(authority, (ClusterId(cluster), NodeId(node)), key)
        };
        assert!(check(&own, 1, 7, LONG_AGO, &key));
        assert!(!check(&foreign, 1, 7, LONG_AGO, &key));
        assert!(!check(&own, 2, 7, LONG_AGO, &key));
        assert!(!check(&own, 1, 8, LONG_AGO, &key));
        assert!(!check(&own, 1, 7, LONG_AGO, &another_key));
        assert!(!check(&own, 1, 7, 0, &key));
    }
}
