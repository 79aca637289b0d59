//! One segment file: its name, its header, reads from it. No groups here.

use super::OpenError;
use crate::disk::{Disk, File};
use proto::codec::Reader;
use std::{
    fmt, io,
    sync::{Arc, OnceLock},
};

/// Bytes of a file's header; the first group begins behind it.
pub const FILE_HEADER_BYTES: u64 = 64;
/// The format of files and groups that this program writes; it reads none above.
pub(super) const FORMAT_VERSION: u16 = 1;
const MAGIC: [u8; 4] = *b"ATSG";
const CRC_AT: usize = 60;

/// A segment's number; never used twice in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SegmentId(pub u64);

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// What a segment file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum FileKind {
    /// Part of the log.
    Log = 1,
    /// Written once, whole, and then only read.
    Sealed = 2,
}

/// The first bytes of a segment file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileHeader {
    /// What the file is.
    pub kind: FileKind,
    /// Its own id.
    pub id: SegmentId,
    /// The log segment before this one; 0 for the first.
    pub previous: SegmentId,
    /// Where the groups of that one end. What lies behind was never part of the log.
    pub previous_end: u64,
    /// The number of the first group, of a log segment.
    pub first_group: u64,
    /// The last group that was appended to the log when the file was begun.
    pub born_after: u64,
    /// Whose file it is, a number that the directory's user gave; 0 where none was given, and in files
    /// from before there were owners.
    pub owner: u64,
}

impl FileHeader {
    /// Of a base segment: it is no part of the log, so it follows nothing.
    #[must_use]
    pub const fn of_base(id: SegmentId, born_after: u64, owner: u64) -> Self {
        Self {
            kind: FileKind::Sealed,
            id,
            previous: SegmentId(0),
            previous_end: 0,
            first_group: 1,
            born_after,
            owner,
        }
    }

    /// The stored bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; FILE_HEADER_BYTES as usize] {
        let mut out = [0; FILE_HEADER_BYTES as usize];
        out[..4].copy_from_slice(&MAGIC);
        out[4..6].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        out[6..8].copy_from_slice(&(self.kind as u16).to_le_bytes());
        let numbers = [
            self.id.0,
            self.previous.0,
            self.previous_end,
            self.first_group,
            self.born_after,
            self.owner,
        ];
        for (at, number) in numbers.into_iter().enumerate() {
            out[8 + at * 8..16 + at * 8].copy_from_slice(&number.to_le_bytes());
        }
        let crc = crc32c::crc32c(&out[..CRC_AT]);
        out[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads stored bytes. `None` if they are no header; an error if a later version's.
    pub fn decode(bytes: &[u8], path: &str) -> Result<Option<Self>, OpenError> {
        let Some(bytes) = bytes.first_chunk::<{ FILE_HEADER_BYTES as usize }>() else {
            return Ok(None);
        };
        let crc = crc32c::crc32c(&bytes[..CRC_AT]);
        if bytes[..4] != MAGIC || bytes[CRC_AT..] != crc.to_le_bytes() {
            return Ok(None);
        }
        let found = u16::from_le_bytes([bytes[4], bytes[5]]);
        if found > FORMAT_VERSION {
            return Err(OpenError::NewerFormat {
                path: path.to_owned(),
                found,
                known: FORMAT_VERSION,
            });
        }
        Ok(Self::decode_fields(&bytes[6..]))
    }

    fn decode_fields(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes, "segment header");
        let kind = match reader.u16().ok()? {
            1 => FileKind::Log,
            2 => FileKind::Sealed,
            _ => return None,
        };
        Some(Self {
            kind,
            id: SegmentId(reader.u64().ok()?),
            previous: SegmentId(reader.u64().ok()?),
            previous_end: reader.u64().ok()?,
            first_group: reader.u64().ok()?,
            born_after: reader.u64().ok()?,
            owner: reader.u64().ok()?,
        })
    }
}

/// A segment file. Groups lie between its header and some end, which others know.
pub struct Segment {
    /// Its number.
    pub id: SegmentId,
    /// Its header.
    pub header: FileHeader,
    path: String,
    size_bytes: u64,
    file: OnceLock<Arc<dyn File>>,
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Segment({})", self.path)
    }
}

impl Segment {
    /// A segment whose file comes with [`Self::attach`].
    pub(super) fn planned(header: FileHeader, path: String, size_bytes: u64) -> Self {
        Self {
            id: header.id,
            header,
            path,
            size_bytes,
            file: OnceLock::new(),
        }
    }

    pub(crate) fn opened(
        header: FileHeader,
        path: String,
        size_bytes: u64,
        file: Arc<dyn File>,
    ) -> Self {
        Self {
            id: header.id,
            header,
            path,
            size_bytes,
            file: OnceLock::from(file),
        }
    }

    /// Opens a file that was finished under `path`. `None` if its header is none.
    pub fn open(disk: &dyn Disk, path: String) -> Result<Option<Self>, OpenError> {
        let while_doing = OpenError::while_doing;
        let file = disk.open(&path).map_err(while_doing("opening a segment"))?;
        let size_bytes = file
            .size_bytes()
            .map_err(while_doing("measuring a segment"))?;
        let mut bytes = [0; FILE_HEADER_BYTES as usize];
        if size_bytes < FILE_HEADER_BYTES {
            return Ok(None);
        }
        file.read_at(0, &mut bytes)
            .map_err(while_doing("reading a segment's header"))?;
        let header = FileHeader::decode(&bytes, &path)?;
        Ok(header.map(|header| Self::opened(header, path, size_bytes, file)))
    }

    pub(super) fn attach(&self, file: Arc<dyn File>) {
        self.file.set(file).ok().expect("a segment starts once");
    }

    /// Gives a file its header back that lost it to rot; durable on return.
    pub fn restore_header(&self) -> io::Result<()> {
        let file = self.file()?;
        file.write_at(0, &self.header.encode())?;
        file.sync()
    }

    /// Its path on the disk.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The size of its file.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Its file, once something was written to it.
    pub fn file(&self) -> io::Result<&Arc<dyn File>> {
        self.file
            .get()
            .ok_or_else(|| io::Error::other("the segment has not been written yet"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_reads_back_and_any_flipped_bit_is_seen() {
        let header = FileHeader {
            kind: FileKind::Log,
            id: SegmentId(7),
            previous: SegmentId(6),
            previous_end: 4096,
            first_group: 99,
            born_after: 98,
            owner: 5,
        };
        let bytes = header.encode();
        assert_eq!(FileHeader::decode(&bytes, "x").unwrap(), Some(header));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                FileHeader::decode(&flipped, "x").unwrap(),
                None,
                "bit {bit}"
            );
        }
    }

    #[test]
    fn a_newer_version_is_refused_and_named() {
        let header = FileHeader {
            kind: FileKind::Log,
            id: SegmentId(1),
            previous: SegmentId(0),
            previous_end: 0,
            first_group: 1,
            born_after: 0,
            owner: 0,
        };
        let mut bytes = header.encode();
        bytes[4] = 2;
        let crc = crc32c::crc32c(&bytes[..60]);
        bytes[60..].copy_from_slice(&crc.to_le_bytes());
        let error = FileHeader::decode(&bytes, "store/1.log")
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "store/1.log has format version 2, this program reads up to 1; start the newer version"
        );
    }
}
