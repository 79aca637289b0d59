//! The text of a token: `atoll_<id>_<secret>`, the id in hexadecimal digits, the secret 256 random bits.
//!
//! The hash is one SHA-256. Slow hashes are for what people think up: nobody finds 256 random bits by
//! trying, however fast they try, and every call pays for the hash. Cluster and id go into it, so that a
//! hash says nothing about another cluster's tokens.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use proto::id::{ClusterId, TokenId};
use raft::registry::access::TokenHash;
use std::fmt;

const PREFIX: &str = "atoll_";
const ID_DIGITS: usize = 16;
const SECRET_BYTES: usize = 32;
/// What is hashed before anything else: this use of the function and no other.
const PURPOSE: &[u8] = b"atoll access token 1";

/// A token as it is shown once. It is never printed by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    id: TokenId,
    bits: [u8; SECRET_BYTES],
}

/// A text that is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no token of Atoll; one begins with \"atoll_\" and has 66 characters")]
pub struct SecretError;

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({})", self.id)
    }
}

impl Secret {
    /// A token of these random bits.
    #[must_use]
    pub const fn new(id: TokenId, bits: [u8; SECRET_BYTES]) -> Self {
        Self { id, bits }
    }

    /// Reads what a caller showed.
    pub fn read(text: &str) -> Result<Self, SecretError> {
        let rest = text.strip_prefix(PREFIX).ok_or(SecretError)?;
        let (id, secret) = rest.split_at_checked(ID_DIGITS).ok_or(SecretError)?;
        let secret = secret.strip_prefix('_').ok_or(SecretError)?;
        let mut bits = [0; SECRET_BYTES];
        let read = URL_SAFE_NO_PAD.decode_slice(secret, &mut bits);
        if read != Ok(SECRET_BYTES) {
            return Err(SecretError);
        }
        let id = id.parse().map_err(|_| SecretError)?;
        Ok(Self { id, bits })
    }

    /// What it is named by.
    #[must_use]
    pub const fn id(&self) -> TokenId {
        self.id
    }

    /// What is kept of it.
    #[must_use]
    pub fn hash(&self, cluster: ClusterId) -> TokenHash {
        let mut context = ring::digest::Context::new(&ring::digest::SHA256);
        context.update(PURPOSE);
        context.update(&cluster.0.to_le_bytes());
        context.update(&self.id.0.to_le_bytes());
        context.update(&self.bits);
        let digest = context.finish();
        let bytes = digest.as_ref().try_into();
        TokenHash(bytes.expect("SHA-256 has 32 bytes"))
    }

    /// Whether `hash` is kept of it.
    #[must_use]
    pub fn is_of(&self, hash: &TokenHash, cluster: ClusterId) -> bool {
        are_equal(hash, &self.hash(cluster))
    }

    /// The text that is shown.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{PREFIX}{}_{}", self.id, URL_SAFE_NO_PAD.encode(self.bits))
    }
}

/// Whether two hashes are equal, in a time that does not tell where they differ.
fn are_equal(one: &TokenHash, other: &TokenHash) -> bool {
    let differing = one.0.iter().zip(&other.0);
    let bits = differing.fold(0, |bits, (one, other)| bits | (one ^ other));
    std::hint::black_box(bits) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_and_nothing_else_does() {
        let secret = Secret::new(TokenId(0xab), [7; 32]);
        let text = secret.text();
        assert!(text.starts_with("atoll_00000000000000ab_"), "{text}");
        assert_eq!(text.len(), 66);
        assert_eq!(Secret::read(&text), Ok(secret.clone()));
        assert_eq!(format!("{secret:?}"), "Secret(00000000000000ab)");
        for bad in [
            "",
            "atoll_",
            &text[..65],
            &format!("{text}A"),
            &text[1..],
            "atoll_ü",
        ] {
            assert_eq!(Secret::read(bad), Err(SecretError), "{bad}");
        }
    }

    #[test]
    fn a_hash_is_of_one_cluster_and_one_id() {
        let hash = |cluster, id, bits| Secret::new(TokenId(id), bits).hash(ClusterId(cluster));
        let own = hash(1, 1, [7; 32]);
        assert!(are_equal(&own, &hash(1, 1, [7; 32])));
        for other in [
            hash(2, 1, [7; 32]),
            hash(1, 2, [7; 32]),
            hash(1, 1, [8; 32]),
        ] {
            assert!(!are_equal(&own, &other));
        }
    }
}
