//! Canonical keys end to end.

use proto::key::Key;

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyBatch {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl KeyBatch {
    /// Adds a key.
    pub fn push(&mut self, key: &Key) {
        self.push_canonical(key.as_bytes());
    }

    /// Adds a key that is in canonical bytes already.
    pub fn push_canonical(&mut self, key: &[u8]) {
        self.bytes.extend_from_slice(key);
        self.ends
            .push(u32::try_from(self.bytes.len()).expect("10,000 keys of 1 KiB fit"));
    }

    /// Takes keys that lie end to end in `bytes`, each up to its end.
    #[must_use]
    pub fn from_joined(bytes: Vec<u8>, ends: Vec<u32>) -> Option<Self> {
        let fits = ends.is_sorted() && ends.last().copied().unwrap_or(0) as usize == bytes.len();
        fits.then_some(Self { bytes, ends })
    }

    /// The keys end to end, and where each ends.
    #[must_use]
    pub fn joined(&self) -> (&[u8], &[u32]) {
        (&self.bytes, &self.ends)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The canonical bytes of the key at a place.
    ///
    /// # Panics
    /// If there are fewer keys.
    #[must_use]
    pub fn get(&self, at: usize) -> &[u8] {
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start as usize..self.ends[at] as usize]
    }

    /// The canonical bytes of each, in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).map(|at| self.get(at))
    }
}
