//! Secrets of a node, as files of its directory that nobody else reads; and bits for new ones.

use ring::rand::{SecureRandom, SystemRandom};

/// The first token of a cluster, at the node that founded it, until an administrator takes it away.
pub const FIRST_TOKEN: &str = "first-admin-token";

/// 256 bits that nobody can guess: the kernel's, by way of ring.
#[must_use]
pub fn random_bits() -> [u8; 32] {
    let mut bits = [0; 32];
    SystemRandom::new()
        .fill(&mut bits)
        .expect("a machine without randomness cannot run a node");
    bits
}
