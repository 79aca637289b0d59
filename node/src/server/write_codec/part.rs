//! One part of a write on its way to the shard's primary.

use super::VERSION;
use crate::server::frames::{checked, opened, sealed};
use bytes::Bytes;
use gateway::write::writer::{Ack, Change, WriteBatch, WritePart, WriteRow};
use proto::{
    codec::{Malformed, Reader},
    hlc::Hlc,
    id::{
        Epoch, FeatureId, Incarnation, PlacementId, ProjectId, RegionId, Revision, SchemaVersion,
        ShardId, ViewId,
    },
    key::{Key, KeyHash},
    limits::{CELL_BYTES, ENTRY_BYTES, FEATURES_PER_VIEW, KEY_BYTES, ROWS_PER_ENTRY},
    reason::{Reason, Refusal},
    request::{RequestId, RequestPart},
    row::Content,
    time::EventTime,
};
use replication::Fence;
use std::time::Duration;

/// A part becomes one entry, and its rows take less room here than there.
const PART_BYTES: usize = 2 * ENTRY_BYTES;

const DELETES: u16 = u16::MAX;
const NULL: u32 = u32::MAX;
const FORMAT: &str = "part of a write";
const _: () = assert!(FEATURES_PER_VIEW < DELETES as usize && CELL_BYTES < NULL as usize);

/// A part as it travels.
#[derive(Debug, Clone, PartialEq)]
pub struct SentPart {
    /// How long its sender will wait.
    pub left: Duration,
    /// The fence that its sender acts on.
    pub fence: Fence,
    /// Its stamps will be larger.
    pub follows: Hlc,
    /// The project.
    pub project: ProjectId,
    /// The revision it was planned under.
    pub revision: Revision,
    /// The request.
    pub request: RequestId,
    /// When it is to be answered.
    pub ack: Ack,
    /// The slot that features with `combine` are written to.
    pub slot: RegionId,
    /// The rows, and where they go.
    pub part: WritePart,
}

/// The bytes of the part at `place`, or why it is none that an entry could hold.
pub fn encode_part(
    batch: &WriteBatch,
    place: usize,
    (fence, follows, left): (Fence, Hlc, Duration),
) -> Result<Bytes, Refusal> {
    let part = &batch.parts[place];
    let mut out = opened(VERSION, 1 << 12);
    out.extend(
        u64::try_from(left.as_micros())
            .unwrap_or(u64::MAX)
            .to_le_bytes(),
    );
    out.extend(fence.incarnation.0.to_le_bytes());
    out.extend(fence.epoch.0.to_le_bytes());
    out.extend(follows.0.to_le_bytes());
    out.extend(batch.project.0.to_le_bytes());
    out.extend(batch.revision.0.to_le_bytes());
    out.extend(batch.id.as_bytes());
    out.push(match batch.ack {
        Ack::Region => 0,
        Ack::OneOther => 1,
        Ack::All => 2,
    });
    out.extend(batch.slot.0.to_le_bytes());
    out.extend(part.shard.0.to_le_bytes());
    out.extend(part.placement.0.to_le_bytes());
    out.extend(part.part.0.to_le_bytes());
    out.extend((part.rows.len() as u32).to_le_bytes());
    for row in &part.rows {
        encode_row(row, &mut out);
        if out.len() > PART_BYTES {
            let message = "the rows take more bytes than an entry holds; split the request";
            return Err(Refusal::new(Reason::TooLarge, message));
        }
    }
    Ok(sealed(out))
}

fn encode_row(row: &WriteRow, out: &mut Vec<u8>) {
    out.extend(row.write.to_le_bytes());
    out.extend(row.row.to_le_bytes());
    out.extend(row.view.0.to_le_bytes());
    out.extend(row.schema.0.to_le_bytes());
    out.extend(row.hash.0.to_le_bytes());
    out.extend(row.event_time.micros().to_le_bytes());
    let key = row.key.as_bytes();
    out.extend((key.len() as u16).to_le_bytes());
    out.extend(key);
    let cells = match &row.change {
        Change::Delete => return out.extend(DELETES.to_le_bytes()),
        Change::Set(cells) => cells,
    };
    out.extend((cells.len() as u16).to_le_bytes());
    for (feature, content) in cells {
        out.extend(feature.0.to_le_bytes());
        match content {
            Content::Null => out.extend(NULL.to_le_bytes()),
            Content::Value(bytes) => {
                out.extend((bytes.len() as u32).to_le_bytes());
                out.extend_from_slice(bytes);
            }
        }
    }
}

/// Reads a part.
pub fn decode_part(bytes: &Bytes) -> Result<SentPart, Malformed> {
    if bytes.len() > PART_BYTES {
        return Err(Reader::new(bytes, FORMAT).malformed("it is larger than an entry can be"));
    }
    let mut reader = checked(bytes, VERSION, FORMAT)?;
    let left = Duration::from_micros(reader.u64()?);
    let fence = Fence {
        incarnation: Incarnation(reader.u32()?),
        epoch: Epoch(reader.u32()?),
    };
    Ok(SentPart {
        left,
        fence,
        follows: Hlc(reader.u64()?),
        project: ProjectId(reader.u32()?),
        revision: Revision(reader.u64()?),
        request: decode_request(&mut reader)?,
        ack: decode_ack(&mut reader)?,
        slot: RegionId(reader.u16()?),
        part: decode_rows(reader, bytes)?,
    })
}

fn decode_request(reader: &mut Reader<'_>) -> Result<RequestId, Malformed> {
    RequestId::from_bytes(&reader.array::<16>()?)
        .map_err(|_| reader.malformed("its request id is none"))
}

fn decode_ack(reader: &mut Reader<'_>) -> Result<Ack, Malformed> {
    match reader.u8()? {
        0 => Ok(Ack::Region),
        1 => Ok(Ack::OneOther),
        2 => Ok(Ack::All),
        _ => Err(reader.malformed("when it is answered is unknown")),
    }
}

fn decode_rows(mut reader: Reader<'_>, bytes: &Bytes) -> Result<WritePart, Malformed> {
    let (shard, placement) = (ShardId(reader.u16()?), PlacementId(reader.u16()?));
    let part = RequestPart(reader.u16()?);
    let count = reader.u32()? as usize;
    if !(1..=ROWS_PER_ENTRY).contains(&count) {
        return Err(reader.malformed("an entry cannot hold so many rows"));
    }
    let rows = (0..count)
        .map(|_| decode_row(&mut reader, bytes))
        .collect::<Result<_, _>>()?;
    reader.finish()?;
    Ok(WritePart {
        shard,
        placement,
        part,
        rows,
    })
}

fn decode_row(reader: &mut Reader<'_>, bytes: &Bytes) -> Result<WriteRow, Malformed> {
    let (write, row) = (reader.u32()?, reader.u32()?);
    let (view, schema) = (ViewId(reader.u32()?), SchemaVersion(reader.u16()?));
    let hash = KeyHash(reader.u64()?);
    let micros = reader.u64()?;
    let event_time = EventTime::saturating(micros);
    let length = usize::from(reader.u16()?);
    if event_time.micros() != micros || length > KEY_BYTES {
        return Err(reader.malformed("a row's time or key is beyond its limit"));
    }
    Ok(WriteRow {
        write,
        row,
        view,
        schema,
        key: Key::from_canonical(reader.take(length)?),
        hash,
        event_time,
        change: decode_change(reader, bytes)?,
    })
}

fn decode_change(reader: &mut Reader<'_>, bytes: &Bytes) -> Result<Change, Malformed> {
    let count = reader.u16()?;
    if count == DELETES {
        return Ok(Change::Delete);
    }
    if usize::from(count) > FEATURES_PER_VIEW {
        return Err(reader.malformed("a row has more cells than a view has features"));
    }
    let mut cells: Vec<(FeatureId, Content)> = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        let feature = FeatureId(reader.u16()?);
        if cells.last().is_some_and(|(last, _)| *last >= feature) {
            return Err(reader.malformed("a row's cells are not in their order"));
        }
        cells.push((feature, decode_content(reader, bytes)?));
    }
    Ok(Change::Set(cells))
}

fn decode_content(reader: &mut Reader<'_>, bytes: &Bytes) -> Result<Content, Malformed> {
    let length = reader.u32()?;
    if length == NULL {
        return Ok(Content::Null);
    }
    if length as usize > CELL_BYTES {
        return Err(reader.malformed("a cell is beyond its limit"));
    }
    let value = reader.take(length as usize)?;
    Ok(Content::Value(bytes.slice_ref(value)))
}
