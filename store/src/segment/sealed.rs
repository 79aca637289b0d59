//! Writes a file of groups that is published whole or not at all.

use super::{Directory, FILE_HEADER_BYTES, FileHeader, Segment, SegmentId, group};
use crate::disk::File;
use std::{fmt, io, sync::Arc};

/// The extension of files that are not published yet; they are deleted when found at a start.
pub(crate) const UNFINISHED: &str = "new";

/// A file being written under a name that is not published yet.
pub struct SealedWriter {
    directory: Arc<Directory>,
    header: FileHeader,
    file: Arc<dyn File>,
    end: u64,
    next_group: u64,
}

impl fmt::Debug for SealedWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedWriter({})", self.header.id)
    }
}

impl SealedWriter {
    /// Begins a file; `born_after` is the log's last group at this moment.
    pub fn create(directory: Arc<Directory>, born_after: u64) -> io::Result<Self> {
        let id = directory.next_id();
        let header = FileHeader::of_base(id, born_after, directory.owner());
        let file = directory.disk.create(&directory.path(id, UNFINISHED), 0)?;
        file.write_at(0, &header.encode())?;
        Ok(Self {
            directory,
            header,
            file,
            end: FILE_HEADER_BYTES,
            next_group: 1,
        })
    }

    /// The file's id.
    #[must_use]
    pub fn id(&self) -> SegmentId {
        self.header.id
    }

    /// Bytes written so far.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.end
    }

    /// Writes a group; says where its payload begins in the file.
    pub fn append(&mut self, preface: &[u8], payload: &[&[u8]], entries: u32) -> io::Result<u64> {
        let with_crc = self.directory.settings.payload_crc;
        let bytes = group::encode(
            (self.header.id, self.next_group, 0),
            preface,
            payload,
            entries,
            with_crc,
        );
        self.file.write_at(self.end, &bytes)?;
        let payload_offset =
            self.end + (group::GROUP_HEADER_BYTES + proto::codec::align16(preface.len())) as u64;
        self.end += bytes.len() as u64;
        self.next_group += 1;
        Ok(payload_offset)
    }

    /// Makes the content durable and gives the file its name. The name is durable after
    /// [`Directory::sync`].
    pub fn publish(self, extension: &str) -> io::Result<Arc<Segment>> {
        self.file.sync()?;
        let id = self.header.id;
        let path = self.directory.path(id, extension);
        self.directory
            .disk
            .rename(&self.directory.path(id, UNFINISHED), &path)?;
        Ok(Arc::new(Segment::opened(
            self.header,
            path,
            self.end,
            self.file,
        )))
    }

    /// Gives up: the file goes.
    pub fn abandon(self) -> io::Result<()> {
        self.directory
            .disk
            .delete(&self.directory.path(self.header.id, UNFINISHED))
    }
}
