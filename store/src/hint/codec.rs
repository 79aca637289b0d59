//! The bytes of hint files.

use super::{Content, HintCut, HintEntry, HintRow, HintSpan, ShardPart};
use crate::place::{Order, Place, Slot};
use proto::{
    codec::{Malformed, Reader},
    hlc::Hlc,
    id::{Epoch, Incarnation, PlacementId, Position, RegionId, Sequence, ShardId, ViewId},
    request::{RequestId, RequestPart},
};

pub(super) const HEADER_BYTES: usize = 88;
pub(super) const PART_BYTES: usize = 48;
pub(super) const CUT_BYTES: usize = 24;
pub(super) const ENTRY_BYTES: usize = 64;
pub(super) const ROW_BYTES: usize = 32;
const MAGIC: [u8; 4] = *b"ATHT";
pub(super) const FORMAT_VERSION: u16 = 1;
const CRC_AT: usize = 84;

/// A hint file's bytes.
#[derive(Debug)]
pub(crate) struct EncodedHint {
    pub(crate) bytes: Vec<u8>,
}

/// The fixed part, read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) span: HintSpan,
    pub(super) shards: usize,
    pub(super) views: usize,
    pub(super) cuts: usize,
    pub(super) total_bytes: usize,
    pub(super) crc: u32,
}

impl Head {
    pub(super) fn listing_bytes(&self) -> usize {
        self.shards * PART_BYTES + self.views * 4 + self.cuts * CUT_BYTES
    }
}

/// Lays out a hint file. `content` was settled; `views` are those that its rows' numbers mean.
pub(crate) fn encode(span: &HintSpan, content: &Content, views: &[ViewId]) -> EncodedHint {
    let mut parts = parts_of(content);
    let listing = parts.len() * PART_BYTES + views.len() * 4 + content.cuts.len() * CUT_BYTES;
    let mut out = vec![0; HEADER_BYTES + listing];
    let (mut entries, mut rows) = (content.entries.as_slice(), content.rows.as_slice());
    for part in &mut parts {
        let (own_entries, own_rows);
        (own_entries, entries) = entries.split_at(part.entries as usize);
        (own_rows, rows) = rows.split_at(part.rows as usize);
        part.offset = out.len() as u64;
        own_entries
            .iter()
            .for_each(|entry| encode_entry(entry, &mut out));
        let rows_at = out.len();
        own_rows.iter().for_each(|row| encode_row(row, &mut out));
        part.entries_crc = crc32c::crc32c(&out[part.offset as usize..rows_at]);
        part.rows_crc = crc32c::crc32c(&out[rows_at..]);
    }
    let mut head = Vec::with_capacity(HEADER_BYTES + listing);
    encode_head(
        span,
        [parts.len(), views.len(), content.cuts.len(), out.len()],
        &mut head,
    );
    parts.iter().for_each(|part| encode_part(part, &mut head));
    views
        .iter()
        .for_each(|view| head.extend(view.0.to_le_bytes()));
    content
        .cuts
        .iter()
        .for_each(|cut| encode_cut(cut, &mut head));
    let crc = head_crc(&head);
    head[CRC_AT..HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
    out[..head.len()].copy_from_slice(&head);
    EncodedHint { bytes: out }
}

/// Of header and listing, whose checksum field is left out.
pub(super) fn head_crc(head: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&head[..CRC_AT]), &head[HEADER_BYTES..])
}

/// Writes the checksum that fits a file whose head and listing are so long, whatever they say: what is wrong
/// with them is for the reader to find.
#[cfg(test)]
pub(super) fn seal_head(file: &mut [u8], listed: usize) {
    if let Some(head) = file.get_mut(..listed) {
        let crc = head_crc(head);
        head[CRC_AT..HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
    }
}

/// The shards of settled content with their counts; no places yet.
fn parts_of(content: &Content) -> Vec<ShardPart> {
    let mut parts = std::collections::BTreeMap::<ShardId, ShardPart>::new();
    let mut note = |shard, position: Position, entries, rows| {
        let part = parts.entry(shard).or_insert(ShardPart {
            shard,
            entries: 0,
            rows: 0,
            smallest: position,
            largest: position,
            offset: 0,
            entries_crc: 0,
            rows_crc: 0,
        });
        part.entries += entries;
        part.rows += rows;
        part.smallest = part.smallest.min(position);
        part.largest = part.largest.max(position);
    };
    content
        .entries
        .iter()
        .for_each(|entry| note(entry.shard, entry.position, 1, 0));
    content
        .rows
        .iter()
        .for_each(|row| note(row.shard, row.position, 0, 1));
    parts.into_values().collect()
}

fn encode_head(span: &HintSpan, counts: [usize; 4], out: &mut Vec<u8>) {
    let [shards, views, cuts, total] =
        counts.map(|count| u32::try_from(count).expect("hint files are bounded"));
    out.extend(MAGIC);
    out.extend(FORMAT_VERSION.to_le_bytes());
    out.extend([0; 2]);
    let numbers = [
        span.segment,
        span.end,
        span.first_group,
        span.last_group,
        span.born_after,
        span.largest_hlc.0,
    ];
    numbers
        .iter()
        .for_each(|number| out.extend(number.to_le_bytes()));
    [shards, views, cuts, 0]
        .iter()
        .for_each(|count| out.extend(count.to_le_bytes()));
    out.extend(span.row_bytes.to_le_bytes());
    out.extend(total.to_le_bytes());
    out.extend([0; 4]);
}

/// Reads the fixed part. `None` if it is not one; the checksum needs the listing too.
pub(super) fn decode_head(bytes: &[u8]) -> Result<Head, Malformed> {
    let mut reader = Reader::new(bytes, "hint file");
    if reader.array()? != MAGIC || reader.u16()? != FORMAT_VERSION {
        return Err(reader.malformed("it is of another format or version"));
    }
    reader.u16()?;
    let mut span = HintSpan {
        segment: reader.u64()?,
        end: reader.u64()?,
        first_group: reader.u64()?,
        last_group: reader.u64()?,
        born_after: reader.u64()?,
        largest_hlc: Hlc(reader.u64()?),
        row_bytes: 0,
    };
    let [shards, views, cuts, _] =
        [reader.u32()?, reader.u32()?, reader.u32()?, reader.u32()?].map(|n| n as usize);
    span.row_bytes = reader.u64()?;
    let total_bytes = reader.u32()? as usize;
    Ok(Head {
        span,
        shards,
        views,
        cuts,
        total_bytes,
        crc: reader.u32()?,
    })
}

pub(super) struct Listing {
    pub(super) parts: Vec<ShardPart>,
    pub(super) views: Vec<ViewId>,
    pub(super) cuts: Vec<HintCut>,
}

pub(super) fn decode_listing(head: &Head, bytes: &[u8]) -> Result<Listing, Malformed> {
    let mut reader = Reader::new(bytes, "hint listing");
    let parts = (0..head.shards)
        .map(|_| decode_part(&mut reader))
        .collect::<Result<_, _>>()?;
    let views = (0..head.views)
        .map(|_| reader.u32().map(ViewId))
        .collect::<Result<_, _>>()?;
    let cuts = (0..head.cuts)
        .map(|_| decode_cut(&mut reader))
        .collect::<Result<_, _>>()?;
    Ok(Listing { parts, views, cuts })
}

fn encode_part(part: &ShardPart, out: &mut Vec<u8>) {
    out.extend(part.shard.0.to_le_bytes());
    out.extend([0; 6]);
    out.extend(part.entries.to_le_bytes());
    out.extend(part.rows.to_le_bytes());
    out.extend(part.smallest.0.to_le_bytes());
    out.extend(part.largest.0.to_le_bytes());
    out.extend(part.offset.to_le_bytes());
    out.extend(part.entries_crc.to_le_bytes());
    out.extend(part.rows_crc.to_le_bytes());
}

fn decode_part(reader: &mut Reader<'_>) -> Result<ShardPart, Malformed> {
    let shard = ShardId(reader.u16()?);
    reader.take(6)?;
    Ok(ShardPart {
        shard,
        entries: reader.u32()?,
        rows: reader.u32()?,
        smallest: Position(reader.u64()?),
        largest: Position(reader.u64()?),
        offset: reader.u64()?,
        entries_crc: reader.u32()?,
        rows_crc: reader.u32()?,
    })
}

fn encode_cut(cut: &HintCut, out: &mut Vec<u8>) {
    out.extend(cut.shard.0.to_le_bytes());
    out.extend([0; 6]);
    out.extend(cut.after.0.to_le_bytes());
    out.extend(cut.at.to_le_bytes());
}

fn decode_cut(reader: &mut Reader<'_>) -> Result<HintCut, Malformed> {
    let shard = ShardId(reader.u16()?);
    reader.take(6)?;
    Ok(HintCut {
        shard,
        after: Position(reader.u64()?),
        at: reader.u64()?,
    })
}

fn encode_entry(entry: &HintEntry, out: &mut Vec<u8>) {
    out.extend(entry.position.0.to_le_bytes());
    out.extend(entry.offset.to_le_bytes());
    out.extend(entry.length.to_le_bytes());
    out.extend(entry.epoch.0.to_le_bytes());
    out.extend(entry.incarnation.0.to_le_bytes());
    out.extend(entry.origin.0.to_le_bytes());
    out.extend(entry.placement.0.to_le_bytes());
    out.extend(entry.part.0.to_le_bytes());
    out.extend([entry.kind, 0]);
    out.extend(entry.sequence.0.to_le_bytes());
    out.extend(entry.hlc.0.to_le_bytes());
    out.extend(entry.request.as_bytes());
}

pub(super) fn decode_entry(
    shard: ShardId,
    reader: &mut Reader<'_>,
) -> Result<HintEntry, Malformed> {
    let position = Position(reader.u64()?);
    let (offset, length) = (reader.u32()?, reader.u32()?);
    let (epoch, incarnation) = (Epoch(reader.u32()?), Incarnation(reader.u32()?));
    let (origin, placement) = (RegionId(reader.u16()?), PlacementId(reader.u16()?));
    let (part, kind) = (RequestPart(reader.u16()?), reader.u8()?);
    reader.u8()?;
    let (sequence, hlc) = (Sequence(reader.u64()?), Hlc(reader.u64()?));
    let request = RequestId::from_stored(reader.array()?);
    Ok(HintEntry {
        shard,
        position,
        offset,
        length,
        epoch,
        incarnation,
        origin,
        placement,
        part,
        kind,
        sequence,
        hlc,
        request,
    })
}

fn encode_row(row: &HintRow, out: &mut Vec<u8>) {
    out.extend(row.hash.to_le_bytes());
    out.extend(row.place.in_slot(Slot(0)).0.to_le_bytes());
    out.extend(row.order.0.to_le_bytes());
    out.extend(&row.position.0.to_le_bytes()[..6]);
    out.extend(row.check.to_le_bytes());
}

/// A row as stored: its slot is 0 and its view a number of the file's own table.
pub(super) fn decode_row(shard: ShardId, reader: &mut Reader<'_>) -> Result<HintRow, Malformed> {
    let (hash, place, order) = (reader.u64()?, Place(reader.u64()?), Order(reader.u64()?));
    let mut position = [0; 8];
    position[..6].copy_from_slice(reader.take(6)?);
    let position = Position(u64::from_le_bytes(position));
    Ok(HintRow {
        shard,
        hash,
        place,
        order,
        position,
        check: reader.u16()?,
    })
}
