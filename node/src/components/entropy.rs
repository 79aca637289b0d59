//! Randomness.

use std::io::Read;

/// Where random bits come from.
pub trait Entropy: Send + Sync {
    /// 128 fresh bits.
    fn bits(&self) -> u128;

    /// 64 fresh bits.
    fn id(&self) -> u64 {
        self.bits() as u64
    }
}

/// The kernel's.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn bits(&self) -> u128 {
        let mut bytes = [0; 16];
        std::fs::File::open("/dev/urandom")
            .and_then(|mut source| source.read_exact(&mut bytes))
            .expect("a machine without /dev/urandom cannot run a node");
        u128::from_le_bytes(bytes)
    }
}
