//! The head of a message between nodes: a version and a checksum of all that follows.
//!
//! ```text
//! version 2 | crc 4
//! ```
//!
//! Little endian. What follows is each message's own; nothing of it is stored.

use bytes::Bytes;
use proto::codec::{Malformed, Reader};

/// Where what follows the head begins.
pub const HEAD_BYTES: usize = 6;

/// A head without its checksum, with room for what follows; [`sealed`] fills the checksum in.
pub fn opened(version: u16, capacity: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD_BYTES + capacity);
    out.extend(version.to_le_bytes());
    out.extend([0; 4]);
    out
}

/// A message that is done.
pub fn sealed(mut out: Vec<u8>) -> Bytes {
    let crc = crc32c::crc32c(&out[HEAD_BYTES..]);
    out[2..HEAD_BYTES].copy_from_slice(&crc.to_le_bytes());
    out.into()
}

/// The head of a message before other bytes, with a checksum that fits them: what is wrong with them is for
/// the reader to find.
#[cfg(test)]
pub fn resealed(message: &[u8], rest: &[u8]) -> Bytes {
    sealed([&message[..HEAD_BYTES], rest].concat())
}

/// What follows a head. A node that speaks another version says so instead of guessing.
pub fn checked<'a>(
    bytes: &'a [u8],
    version: u16,
    format: &'static str,
) -> Result<Reader<'a>, Malformed> {
    checked_of(bytes, &[version], format).map(|(_, reader)| reader)
}

/// The same of a message that may have one of several versions: which one it is, and what follows. The
/// checksum does not cover the version, so these must differ by more than a flipped bit.
pub fn checked_of<'a>(
    bytes: &'a [u8],
    versions: &[u16],
    format: &'static str,
) -> Result<(u16, Reader<'a>), Malformed> {
    let mut reader = Reader::new(bytes, format);
    let version = reader.u16()?;
    if !versions.contains(&version) {
        return Err(reader.malformed("its version is not known here; run one release on all nodes"));
    }
    if reader.u32()? != crc32c::crc32c(reader.rest()) {
        return Err(reader.malformed("its checksum does not fit"));
    }
    Ok((version, reader))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_and_any_damage_are_refused() {
        let mut out = opened(7, 3);
        out.extend(b"abc");
        let bytes = sealed(out);
        let rest = |version| checked(&bytes, version, "message").map(|reader| reader.rest());
        assert_eq!(rest(7), Ok(&b"abc"[..]));
        assert!(rest(8).unwrap_err().fault.contains("version"));
        let version = |versions: &[u16]| checked_of(&bytes, versions, "message").map(|read| read.0);
        assert_eq!(version(&[2, 7]), Ok(7));
        assert!(version(&[2, 8]).is_err());
        for at in 2..bytes.len() {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= 1;
            let fault = checked(&damaged, 7, "message").unwrap_err().fault;
            assert!(fault.contains("checksum"), "{fault}");
        }
    }
}
