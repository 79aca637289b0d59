//! Hint files on disk: written whole under another name, read by parts.

use super::{
    HintCut, HintEntry, HintRow, HintSpan, ShardPart,
    codec::{self, ENTRY_BYTES, EncodedHint, HEADER_BYTES, ROW_BYTES},
};
use crate::{
    disk::{Disk, File},
    place::{Order, Slot},
    segment::{Directory, SegmentId},
    views::{ViewNumber, Views},
};
use proto::{
    codec::{Malformed, Reader},
    id::{ShardId, ViewId},
};
use std::{io, sync::Arc};

/// A hint file's listing, and the file for the rest.
pub(crate) struct HintFile {
    pub(crate) span: HintSpan,
    pub(crate) parts: Vec<ShardPart>,
    pub(crate) cuts: Vec<HintCut>,
    views: Vec<ViewId>,
    file: Arc<dyn File>,
    bytes: u64,
}

/// Where the hint file of a segment lies.
pub(crate) fn hint_path(directory: &Directory, segment: SegmentId) -> String {
    directory.path(segment, "hint")
}

impl EncodedHint {
    /// Writes the file. Its name is durable after the directory was synced.
    pub(crate) fn write(&self, directory: &Directory, segment: SegmentId) -> io::Result<()> {
        let unfinished = directory.path(segment, "hint-new");
        let disk = directory.disk();
        if let Err(error) = disk.delete(&unfinished)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        let file = disk.create(&unfinished, 0)?;
        file.write_at(0, &self.bytes)?;
        file.sync()?;
        disk.rename(&unfinished, &hint_path(directory, segment))
    }
}

impl HintFile {
    /// Opens the hint file at `path`. `None` if it is not sound: it is then made anew.
    pub(crate) fn open(disk: &dyn Disk, path: &str) -> io::Result<Option<Self>> {
        let file = disk.open(path)?;
        let size = file.size_bytes()?;
        let mut bytes = vec![0; HEADER_BYTES];
        if size < HEADER_BYTES as u64 {
            return Ok(None);
        }
        file.read_at(0, &mut bytes)?;
        let Ok(head) = codec::decode_head(&bytes) else {
            return Ok(None);
        };
        let end = HEADER_BYTES + head.listing_bytes();
        if head.total_bytes as u64 != size || end as u64 > size {
            return Ok(None);
        }
        bytes.resize(end, 0);
        file.read_at(HEADER_BYTES as u64, &mut bytes[HEADER_BYTES..])?;
        if codec::head_crc(&bytes) != head.crc {
            return Ok(None);
        }
        let listing = codec::decode_listing(&head, &bytes[HEADER_BYTES..]);
        Ok(listing.ok().map(|listing| Self {
            span: head.span,
            parts: listing.parts,
            cuts: listing.cuts,
            views: listing.views,
            file,
            bytes: size,
        }))
    }

    /// The part of `shard`, if the segment holds anything of it.
    pub(crate) fn part(&self, shard: ShardId) -> Option<&ShardPart> {
        self.parts.iter().find(|part| part.shard == shard)
    }

    /// The committed entries of one shard, by position.
    pub(crate) fn entries(&self, part: &ShardPart) -> io::Result<Vec<HintEntry>> {
        let bytes = self.read(
            part.offset,
            part.entries as usize * ENTRY_BYTES,
            part.entries_crc,
        )?;
        let mut reader = Reader::new(&bytes, "hint entries");
        let entries = (0..part.entries).map(|_| codec::decode_entry(part.shard, &mut reader));
        entries.collect::<Result<_, _>>().map_err(damaged)
    }

    /// The rows of one shard, by hash, as the segment in `slot` and with the numbers of `views`.
    pub(crate) fn rows(
        &self,
        part: &ShardPart,
        slot: Slot,
        views: &mut Views,
    ) -> io::Result<Vec<HintRow>> {
        let at = rows_at(part);
        let bytes = self.read(at, part.rows as usize * ROW_BYTES, part.rows_crc)?;
        let mut reader = Reader::new(&bytes, "hint rows");
        let rows = (0..part.rows).map(|_| {
            let row = codec::decode_row(part.shard, &mut reader)?;
            let view = self.number(row.order.view(), views)?;
            let order = Order::new(row.order.event_time(), view);
            Ok(HintRow {
                place: row.place.in_slot(slot),
                order,
                ..row
            })
        });
        rows.collect::<Result<_, _>>().map_err(damaged)
    }

    /// Whether all parts have their checksums.
    pub(crate) fn is_sound(&self) -> io::Result<bool> {
        for part in &self.parts {
            let rows_at = rows_at(part);
            let entries = self.read(
                part.offset,
                part.entries as usize * ENTRY_BYTES,
                part.entries_crc,
            );
            let rows = entries
                .and_then(|_| self.read(rows_at, part.rows as usize * ROW_BYTES, part.rows_crc));
            match rows {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::InvalidData => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn number(&self, own: ViewNumber, views: &mut Views) -> Result<ViewNumber, Malformed> {
        if own == ViewNumber::SHARED {
            return Ok(own);
        }
        let view = self.views.get(usize::from(own.0));
        let view = view.ok_or(Malformed {
            format: "hint rows",
            fault: "a row names a view that is not listed",
        })?;
        Ok(views.number(*view))
    }

    fn read(&self, offset: u64, length: usize, crc: u32) -> io::Result<Vec<u8>> {
        // Before room is made for it: what a damaged listing says may be any number.
        let end = offset.checked_add(length as u64);
        if end.is_none_or(|end| end > self.bytes) {
            return Err(damaged(Malformed {
                format: "hint file",
                fault: "a part of it is to lie beyond its end",
            }));
        }
        let mut bytes = vec![0; length];
        self.file.read_at(offset, &mut bytes)?;
        if crc32c::crc32c(&bytes) == crc {
            return Ok(bytes);
        }
        Err(damaged(Malformed {
            format: "hint file",
            fault: "a checksum differs",
        }))
    }
}

/// Where the rows of a part begin: after its entries.
fn rows_at(part: &ShardPart) -> u64 {
    let entries = part.entries as u64 * ENTRY_BYTES as u64;
    part.offset.saturating_add(entries)
}

fn damaged(error: Malformed) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
