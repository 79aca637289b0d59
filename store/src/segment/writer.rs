//! The log's one writer. Appending encodes groups in memory; a batch of them is written and synced
//! apart from it, by the same thread or by another one.

use super::{
    AppendError, Directory, FILE_HEADER_BYTES, FileHeader, FileKind, Segment, SegmentId,
    WriteError, group,
};
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// The writer.
#[derive(Debug)]
pub struct LogWriter {
    directory: Arc<Directory>,
    current: Option<Arc<Segment>>,
    /// Where the next group goes, or where the last segment of an earlier run ends.
    end: u64,
    previous: SegmentId,
    next_group: u64,
    synced_through: u64,
    queue: Vec<Op>,
    poisoned: Arc<AtomicBool>,
}

/// Groups on their way to the disk. Batches must be written, and synced, in the order in which they
/// were taken, and each is written before it is synced; one that is dropped half-way poisons the log.
#[derive(Debug)]
pub struct Batch {
    directory: Arc<Directory>,
    ops: Vec<Op>,
    last: Option<Arc<Segment>>,
    bytes: u64,
    through: u64,
    poisoned: Arc<AtomicBool>,
    finished: bool,
}

/// Where a group was put.
#[derive(Debug, Clone)]
pub struct GroupPlace {
    /// In which segment.
    pub segment: Arc<Segment>,
    /// At which byte of its file.
    pub offset: u64,
    /// Where its payload begins in the file.
    pub payload_offset: u64,
    /// Its number.
    pub number: u64,
}

/// Proof that the log is durable through a group; for [`LogWriter::note_synced`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Synced {
    /// That group's number.
    pub through: u64,
}

#[derive(Debug)]
enum Op {
    Start {
        segment: Arc<Segment>,
        spare: String,
        after: Option<Arc<Segment>>,
    },
    Write {
        segment: Arc<Segment>,
        offset: u64,
        bytes: Vec<u8>,
    },
}

impl LogWriter {
    /// A writer behind a segment `previous` that ends at `end`.
    pub(super) fn new(
        directory: Arc<Directory>,
        previous: SegmentId,
        end: u64,
        next_group: u64,
    ) -> Self {
        Self {
            directory,
            current: None,
            end,
            previous,
            next_group,
            synced_through: next_group - 1,
            queue: Vec::new(),
            poisoned: Arc::default(),
        }
    }

    /// The directory, for spares and retirement.
    #[must_use]
    pub fn directory(&self) -> &Arc<Directory> {
        &self.directory
    }

    /// The number of the last group appended; 0 before the first.
    #[must_use]
    pub fn last_group(&self) -> u64 {
        self.next_group - 1
    }

    /// The last group known to be durable.
    #[must_use]
    pub fn synced_through(&self) -> u64 {
        self.synced_through
    }

    /// Whether a write or sync failed.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.poisoned.load(Ordering::Acquire)
    }

    /// The segment that groups go to now, and where it ends so far.
    #[must_use]
    pub fn current(&self) -> Option<(&Arc<Segment>, u64)> {
        self.current.as_ref().map(|segment| (segment, self.end))
    }

    /// Whether a group with such parts would begin a new segment.
    #[must_use]
    pub fn would_start_segment(&self, preface_bytes: usize, payload_bytes: usize) -> bool {
        let bytes = group::encoded_bytes(preface_bytes, payload_bytes);
        self.current
            .as_ref()
            .is_none_or(|segment| self.end + bytes > segment.size_bytes())
    }

    /// Puts a group into the queue. Its payload is the parts end to end.
    pub fn append(
        &mut self,
        preface: &[u8],
        payload: &[&[u8]],
        entries: u32,
    ) -> Result<GroupPlace, AppendError> {
        if self.is_poisoned() {
            return Err(AppendError::Poisoned);
        }
        let payload_bytes = payload.iter().map(|part| part.len()).sum();
        let bytes = group::encoded_bytes(preface.len(), payload_bytes);
        let segment_bytes = self.directory.settings.segment_bytes;
        if bytes + FILE_HEADER_BYTES > segment_bytes {
            return Err(AppendError::TooLarge {
                bytes,
                segment_bytes,
            });
        }
        if self.would_start_segment(preface.len(), payload_bytes) {
            self.start_segment()?;
        }
        let segment = Arc::clone(self.current.as_ref().expect("one was just started"));
        let (offset, number) = (self.end, self.next_group);
        let with_crc = self.directory.settings.payload_crc;
        let encoded = group::encode(
            (segment.id, number, self.synced_through),
            preface,
            payload,
            entries,
            with_crc,
        );
        self.end += encoded.len() as u64;
        self.next_group += 1;
        let payload_offset = offset + bytes - proto::codec::align16(payload_bytes) as u64;
        self.queue.push(Op::Write {
            segment: Arc::clone(&segment),
            offset,
            bytes: encoded,
        });
        Ok(GroupPlace {
            segment,
            offset,
            payload_offset,
            number,
        })
    }

    /// Lets the next group begin a new segment, whatever room the current one has. Its file is a
    /// spare, so nothing after this needs space.
    pub fn start_segment(&mut self) -> Result<(), AppendError> {
        if self.is_poisoned() {
            return Err(AppendError::Poisoned);
        }
        let spare = self.directory.take_spare().map_err(AppendError::NoFile)?;
        let id = self.directory.next_id();
        let header = FileHeader {
            kind: FileKind::Log,
            id,
            previous: self.previous,
            previous_end: self.end,
            first_group: self.next_group,
            born_after: self.next_group - 1,
            owner: self.directory.owner(),
        };
        let path = self.directory.path(id, "log");
        let segment = Arc::new(Segment::planned(
            header,
            path,
            self.directory.settings.segment_bytes,
        ));
        let after = self.current.replace(Arc::clone(&segment));
        self.queue.push(Op::Start {
            segment,
            spare,
            after,
        });
        self.previous = id;
        self.end = FILE_HEADER_BYTES;
        Ok(())
    }

    /// Takes what was appended since the last batch, for another thread to write.
    pub fn take_batch(&mut self) -> Batch {
        let ops = std::mem::take(&mut self.queue);
        let bytes = ops.iter().map(|op| match op {
            Op::Start { .. } => 0,
            Op::Write { bytes, .. } => bytes.len() as u64,
        });
        Batch {
            bytes: bytes.sum(),
            finished: ops.is_empty(),
            directory: Arc::clone(&self.directory),
            ops,
            last: self.current.clone(),
            through: self.last_group(),
            poisoned: Arc::clone(&self.poisoned),
        }
    }

    /// Takes note of a batch that was synced.
    pub fn note_synced(&mut self, synced: Synced) {
        self.synced_through = self.synced_through.max(synced.through);
    }

    /// Writes and syncs all that was appended.
    pub fn write_and_sync(&mut self) -> Result<Synced, WriteError> {
        let mut batch = self.take_batch();
        batch.write()?;
        let synced = batch.sync()?;
        self.note_synced(synced);
        Ok(synced)
    }
}

impl Batch {
    /// Whether there is nothing to write and sync.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.finished
    }

    /// The last group in it.
    #[must_use]
    pub fn through(&self) -> u64 {
        self.through
    }

    /// Writes all groups. They can be read then, but a power loss may take them.
    pub fn write(&mut self) -> Result<(), WriteError> {
        self.check()?;
        for op in std::mem::take(&mut self.ops) {
            self.carry_out(op)?;
        }
        Ok(())
    }

    /// The bytes of its groups, and of those it covers.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes the place of an earlier batch; both are written. Syncing this one makes that one durable
    /// too: a segment is synced before the next one begins, and the last one as a whole.
    pub fn cover(&mut self, mut earlier: Self) {
        debug_assert!(
            self.ops.is_empty() && earlier.ops.is_empty() && earlier.through <= self.through,
            "batches are written in their order before one covers the other"
        );
        self.bytes += earlier.bytes;
        earlier.finished = true;
    }

    /// Makes what was written durable.
    pub fn sync(mut self) -> Result<Synced, WriteError> {
        self.check()?;
        debug_assert!(
            self.ops.is_empty(),
            "a batch is written before it is synced"
        );
        if let Some(last) = self.last.clone() {
            self.final_unless("syncing a segment", sync(&last))?;
        }
        self.finished = true;
        Ok(Synced {
            through: self.through,
        })
    }

    fn carry_out(&self, op: Op) -> Result<(), WriteError> {
        match op {
            Op::Start {
                segment,
                spare,
                after,
            } => {
                // The new header says where the old segment ends, so that must be true first.
                if let Some(after) = after {
                    self.final_unless("syncing a segment", sync(&after))?;
                }
                self.final_unless("starting a segment", self.start(&segment, &spare))
            }
            Op::Write {
                segment,
                offset,
                bytes,
            } => {
                let written = segment
                    .file()
                    .and_then(|file| file.write_at(offset, &bytes));
                self.final_unless("writing a group", written)
            }
        }
    }

    fn start(&self, segment: &Segment, spare: &str) -> io::Result<()> {
        let disk = &self.directory.disk;
        disk.rename(spare, segment.path())?;
        self.directory.sync()?;
        let file = disk.open(segment.path())?;
        file.write_at(0, &segment.header.encode())?;
        segment.attach(file);
        Ok(())
    }

    fn check(&self) -> Result<(), WriteError> {
        if self.poisoned.load(Ordering::Acquire) {
            Err(WriteError::Poisoned)
        } else {
            Ok(())
        }
    }

    fn final_unless(&self, doing: &'static str, done: io::Result<()>) -> Result<(), WriteError> {
        done.map_err(|error| {
            self.poisoned.store(true, Ordering::Release);
            WriteError::Disk { doing, error }
        })
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        if !self.finished {
            self.poisoned.store(true, Ordering::Release);
        }
    }
}

fn sync(segment: &Segment) -> io::Result<()> {
    segment.file()?.sync()
}
