//! What a gateway asks a node for, and the node's answer, as bytes.
//!
//! ```text
//! version and checksum, as `frames` says
//! request: project 4 | revision 8 | wait 8 (µs)
//!          | trace 1 (0 no, 1 yes, and then 25 bytes) | token: length 4, bytes | shards 2, each 2
//!          | groups 2, each: entity 4 | views 2 | keys 4
//!     view: view 4 | schema 2 | features 2, each 2, rising
//!     key:  place of its shard 2 | length 2 | canonical bytes
//! answer:  kind 1 (0 rows, 1 they are too large for a message)
//!   rows:  for each shard asked for: read 1 (0 no, 1 yes) | token 1 (0 reflected, 1 not yet, 2 lost)
//!          | age 8 (µs, all ones for unknown)
//!          | in version 5: other regions 2, each: region 2 | age 8 towards it (as before)
//!          | how far the shards are, as a token: length 4, bytes
//!          | for each view of each group: length 4 (all ones: its schema is not known here) | staged rows
//! ```
//!
//! Little endian. Nothing of it is stored. A request has the version of the answer that its sender reads;
//! otherwise requests of versions 2 and 5 are alike. Layouts travel by view, schema and features, so both ends
//! must know the schema: where the callee does not, the view's values are unavailable there. Staged
//! rows are those of the keys whose shards were read, in the order of the request. Hashes of keys do
//! not travel, they follow from the keys.

mod answer;
mod request;

pub use answer::{Decoded, decode_answer, encode_answer};
pub use request::{decode_request, encode_request};

use crate::server::frames::checked_of;
use proto::{
    codec::{Malformed, Reader},
    id::ClusterId,
    token::Token,
};

/// What two nodes say to each other. The older is that of a cluster with one region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum Version {
    /// Ages towards the own region alone.
    OwnAges = 2,
    /// Ages towards every region. Three bits from the other, which no checksum tells from it.
    AllAges = 5,
}

impl Version {
    const ALL: [Self; 2] = [Self::OwnAges, Self::AllAges];

    /// Which version a message has, and what follows its head.
    fn check<'a>(bytes: &'a [u8], format: &'static str) -> Result<(Self, Reader<'a>), Malformed> {
        let known = Self::ALL.map(|version| version as u16);
        let (number, reader) = checked_of(bytes, &known, format)?;
        let version = Self::ALL.into_iter().find(|own| *own as u16 == number);
        Ok((version.expect("only these are let through"), reader))
    }
}

fn put_length(length: usize, out: &mut Vec<u8>) {
    let length = u32::try_from(length).expect("messages are limited to 64 MiB");
    out.extend(length.to_le_bytes());
}

fn put_token(token: &Token, cluster: ClusterId, out: &mut Vec<u8>) {
    let bytes = if token.is_empty() {
        Vec::new()
    } else {
        token.encode_all(cluster)
    };
    put_length(bytes.len(), out);
    out.extend(bytes);
}

fn take_token(reader: &mut Reader<'_>, cluster: ClusterId) -> Result<Token, Malformed> {
    let length = reader.u32()? as usize;
    let bytes = reader.take(length)?;
    if bytes.is_empty() {
        return Ok(Token::default());
    }
    Token::decode_all(bytes, cluster).map_err(|_| reader.malformed("its token cannot be read"))
}

#[cfg(test)]
mod tests;
