//! Who a node is to others of a secured cluster: its key, and what the authority says of it.

use super::{
    authority::{Authority, AuthorityError, failed},
    founding::AUTHORITY,
};
use crate::components::Home;
use proto::id::{ClusterId, NodeId};
use rcgen::{KeyPair, PublicKeyData as _};
use serde::{Deserialize, Serialize};

/// The node's key.
const KEY: &str = "node.key";
/// What the authority says of it.
const IDENTITY: &str = "identity.json";

/// What the authority gives a node.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Papers {
    /// The cluster.
    pub cluster: ClusterId,
    /// The authority's certificate, as PEM.
    pub authority: String,
    /// The node's own, as PEM.
    pub certificate: String,
    /// When that ends.
    pub not_after_millis: u64,
    /// When it was signed.
    pub signed_at_millis: u64,
    /// What gossip is authenticated with, as hexadecimal digits.
    pub gossip: String,
}

/// A node's key and papers.
#[derive(Clone)]
pub struct Identity {
    /// The key, as PEM.
    pub key: String,
    /// The papers.
    pub papers: Papers,
}

impl Identity {
    /// The identity that is kept in `home`; none before the node has joined a secured cluster.
    pub fn kept(home: &dyn Home) -> Result<Option<Self>, AuthorityError> {
        let read = |name| home.secret(name).map_err(failed("read a secret"));
        let (Some(key), Some(papers)) = (read(KEY)?, read(IDENTITY)?) else {
            return Ok(None);
        };
        let papers = serde_json::from_str(&papers).map_err(failed("read the node's papers"))?;
        Ok(Some(Self { key, papers }))
    }

    /// Keeps new papers for the node's key.
    pub fn keep(home: &dyn Home, papers: Papers) -> Result<Self, AuthorityError> {
        let key = NodeKey::of(home)?;
        let json = serde_json::to_string(&papers).expect("papers are plain data");
        let keep = |name, text: &str| {
            home.keep_secret(name, text)
                .map_err(failed("keep a secret"))
        };
        keep(AUTHORITY, &papers.authority)?;
        keep(IDENTITY, &json)?;
        Ok(Self {
            key: key.0.serialize_pem(),
            papers,
        })
    }
}

/// The key of a node. It is kept before anybody hears of it, so that one who asks again after a crash
/// is known to be the same.
pub struct NodeKey(KeyPair);

impl NodeKey {
    /// The one in `home`, made there if there is none.
    pub fn of(home: &dyn Home) -> Result<Self, AuthorityError> {
        if let Some(pem) = home.secret(KEY).map_err(failed("read a secret"))? {
            let key = KeyPair::from_pem(&pem).map_err(failed("read the node's key"))?;
            return Ok(Self(key));
        }
        let key = KeyPair::generate().map_err(failed("make the node's key"))?;
        let kept = home.keep_secret(KEY, &key.serialize_pem());
        kept.map_err(failed("keep a secret"))?;
        Ok(Self(key))
    }

    /// What others may know of it, as hexadecimal digits.
    #[must_use]
    pub fn public(&self) -> String {
        hexadecimal(self.0.der_bytes())
    }
}

/// A new key as PEM, and its public part as hexadecimal digits.
#[cfg(test)]
pub(crate) fn signing_key() -> Result<(String, String), AuthorityError> {
    let key = KeyPair::generate().map_err(failed("make a key"))?;
    Ok((key.serialize_pem(), hexadecimal(key.der_bytes())))
}

impl Papers {
    /// The same with the authority's certificate as everybody has it: it signs another one each time.
    #[must_use]
    pub fn with_authority(mut self, certificate: Option<&str>) -> Self {
        if let Some(certificate) = certificate {
            certificate.clone_into(&mut self.authority);
        }
        self
    }

    /// Whether they are of use no more.
    #[must_use]
    pub fn have_ended(&self, now_millis: u64) -> bool {
        now_millis >= self.not_after_millis
    }

    /// Whether they are renewed: when a third of their time is left.
    #[must_use]
    pub fn are_due(&self, now_millis: u64) -> bool {
        let whole = self.not_after_millis.saturating_sub(self.signed_at_millis);
        now_millis + whole / 3 >= self.not_after_millis
    }
}

/// What a node asks the authority for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Asks {
    /// The node.
    pub node: NodeId,
    /// Its public key, as hexadecimal digits.
    pub public_key: String,
    /// The names and addresses under which clients reach it.
    pub names: Vec<String>,
}

impl Authority {
    /// The papers of a node.
    pub fn papers(
        &self,
        cluster: ClusterId,
        asks: &Asks,
        at_millis: u64,
    ) -> Result<Papers, AuthorityError> {
        let signed = self.sign(cluster, asks, at_millis)?;
        Ok(Papers {
            cluster,
            authority: self.certificate()?,
            certificate: signed.certificate,
            not_after_millis: signed.not_after_millis,
            signed_at_millis: at_millis,
            gossip: hexadecimal(&self.gossip_key()),
        })
    }
}

pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of a public key that came as hexadecimal digits.
#[must_use]
pub fn public_key_bytes(digits: &str) -> Option<Vec<u8>> {
    bytes_of(digits).filter(|bytes| bytes.len() == 65 && bytes[0] == 4)
}

pub(super) fn bytes_of(digits: &str) -> Option<Vec<u8>> {
    let is_whole = digits.len().is_multiple_of(2) && digits.is_ascii();
    let places = (0..digits.len()).step_by(2);
    let byte = |place: usize| u8::from_str_radix(&digits[place..place + 2], 16).ok();
    is_whole.then(|| places.map(byte).collect()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn papers_are_renewed_when_a_third_of_their_time_is_left() {
        let papers = Papers {
            cluster: ClusterId(1),
            authority: String::new(),
            certificate: String::new(),
            not_after_millis: 1_300,
            signed_at_millis: 1_000,
            gossip: String::new(),
        };
        for (now, due) in [(1_000, false), (1_199, false), (1_200, true), (2_000, true)] {
            assert_eq!(papers.are_due(now), due, "{now}");
        }
        assert!(!papers.have_ended(1_299) && papers.have_ended(1_300));
    }
}
