//! What a snapshot brings along that is not the store's to understand: what replication knew of the
//! shard, such as the first answers of requests whose entries lie in other stores' logs.
//!
//! A file of its own, because it can be large and would else be written again at the head of each
//! segment: magic 4 | version 2 | zeros 2 | content. The shard's state names it with its checksum, so
//! it counts from the moment at which the snapshot does.

use crate::{segment::Directory, segment::SegmentId, state::Carried};
use bytes::Bytes;
use std::io;

/// Its extension.
pub(crate) const EXTENSION: &str = "carried";

const HEAD: [u8; 8] = *b"ATCR\x01\0\0\0";

impl Carried {
    /// Makes a durable file of `content`.
    pub(crate) fn write(directory: &Directory, content: &[u8]) -> io::Result<Self> {
        let id = directory.next_id();
        let file = directory.disk().create(&directory.path(id, EXTENSION), 0)?;
        let bytes = [&HEAD, content].concat();
        file.write_at(0, &bytes)?;
        file.sync()?;
        directory.sync()?;
        Ok(Self {
            file: id.0,
            crc: crc32c::crc32c(&bytes),
        })
    }

    /// Its content; none if it is lost or not what was written.
    pub(crate) fn read(self, directory: &Directory) -> io::Result<Option<Bytes>> {
        let path = directory.path(SegmentId(self.file), EXTENSION);
        let file = match directory.disk().open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let length = usize::try_from(file.size_bytes()?).map_err(io::Error::other)?;
        let mut bytes = vec![0; length];
        file.read_at(0, &mut bytes)?;
        let is_sound = crc32c::crc32c(&bytes) == self.crc && bytes.starts_with(&HEAD);
        Ok(is_sound.then(|| Bytes::from(bytes).slice(HEAD.len()..)))
    }

    /// Deletes the file: the shard began anew since.
    pub(crate) fn delete(self, directory: &Directory) -> io::Result<()> {
        let path = directory.path(SegmentId(self.file), EXTENSION);
        match directory.disk().delete(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}
