//! Ids for requests of this process: the clock and the randomness that [`RequestId`] takes as
//! arguments.

use bytes::Bytes;
use proto::request::RequestId;

/// A new id, issued now.
#[must_use]
pub fn draw() -> RequestId {
    RequestId::from_stored(*uuid::Uuid::now_v7().as_bytes())
}

/// As it travels.
#[must_use]
pub fn bytes(id: RequestId) -> Bytes {
    Bytes::copy_from_slice(id.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_ids_are_of_version_7_and_differ() {
        let (first, second) = (draw(), draw());
        assert_eq!(RequestId::from_bytes(first.as_bytes()), Ok(first));
        assert_ne!(first, second);
    }
}
