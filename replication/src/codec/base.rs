//! The state of a shard at its commit point, as snapshots and segments carry it.
//!
//! Version 2 says of each request what it was made of; version 1, which is read too, does not.

use super::{mark, put_mark};
use crate::{
    base::Base,
    requests::{RequestTable, Written},
    streams::{Head, Heads, decode_lineage, encode_lineage},
};
use proto::{
    codec::{Malformed, Reader},
    hlc::Hlc,
    id::{Incarnation, PlacementId, Position, Sequence},
    request::{RequestId, RequestPart, Sent, WriteOutcome},
};

/// The version that is written, and the newest that is read.
const VERSION: u8 = 2;

/// The bytes of a shard's state.
#[must_use]
pub fn encode_base(base: &Base) -> Vec<u8> {
    let mut out = vec![VERSION];
    put_mark(&mut out, base.committed);
    out.extend(base.incarnation.0.to_le_bytes());
    out.extend(base.hlc.0.to_le_bytes());
    out.extend(base.serves_from.0.to_le_bytes());
    out.extend((base.heads.iter().count() as u32).to_le_bytes());
    for (placement, head) in base.heads.iter() {
        put_head(&mut out, placement, head);
    }
    out.extend((base.requests.len() as u32).to_le_bytes());
    for ((request, part), written) in base.requests.iter() {
        out.extend(request.as_bytes());
        out.extend(part.0.to_le_bytes());
        put_written(&mut out, written);
    }
    out
}

fn put_head(out: &mut Vec<u8>, placement: PlacementId, head: &Head) {
    out.extend(placement.0.to_le_bytes());
    out.extend(head.incarnation.0.to_le_bytes());
    out.extend(head.sequence.0.to_le_bytes());
    let lineage = encode_lineage(&head.lineage);
    out.extend((lineage.len() as u32).to_le_bytes());
    out.extend(lineage);
}

fn put_written(out: &mut Vec<u8>, written: &Written) {
    out.extend(written.position.0.to_le_bytes());
    out.extend(written.placement.0.to_le_bytes());
    out.extend(written.incarnation.0.to_le_bytes());
    out.extend(written.sequence.0.to_le_bytes());
    out.extend(written.hlc.0.to_le_bytes());
    written.outcome.encode(out);
    out.push(u8::from(written.sent.is_some()));
    if let Some(sent) = written.sent {
        sent.encode(out);
    }
}

/// Reads a shard's state.
pub fn decode_base(bytes: &[u8]) -> Result<Base, Malformed> {
    let reader = &mut Reader::new(bytes, "shard state");
    let version = reader.u8()?;
    if !(1..=VERSION).contains(&version) {
        return Err(reader.malformed("its version is not known here; update this node"));
    }
    let base = Base {
        committed: mark(reader)?,
        incarnation: Incarnation(reader.u32()?),
        hlc: Hlc(reader.u64()?),
        serves_from: Position(reader.u64()?),
        heads: heads(reader)?,
        requests: requests(reader, version)?,
    };
    reader.finish()?;
    Ok(base)
}

fn heads(reader: &mut Reader<'_>) -> Result<Heads, Malformed> {
    let mut heads = Heads::default();
    for _ in 0..reader.u32()? {
        let placement = PlacementId(reader.u16()?);
        let incarnation = Incarnation(reader.u32()?);
        let sequence = Sequence(reader.u64()?);
        let length = reader.u32()? as usize;
        let lineage = decode_lineage(reader.take(length)?)?;
        let head = Head {
            incarnation,
            sequence,
            lineage,
        };
        heads.restore(placement, head);
    }
    Ok(heads)
}

fn requests(reader: &mut Reader<'_>, version: u8) -> Result<RequestTable, Malformed> {
    let mut requests = RequestTable::default();
    for _ in 0..reader.u32()? {
        let request = RequestId::from_stored(reader.array()?);
        let part = RequestPart(reader.u16()?);
        let written = Written {
            position: Position(reader.u64()?),
            placement: PlacementId(reader.u16()?),
            incarnation: Incarnation(reader.u32()?),
            sequence: Sequence(reader.u64()?),
            hlc: Hlc(reader.u64()?),
            outcome: WriteOutcome::decode(reader)?,
            sent: if version > 1 && reader.u8()? > 0 {
                Some(Sent::decode(reader)?)
            } else {
                None
            },
        };
        requests.restore((request, part), written);
    }
    Ok(requests)
}
