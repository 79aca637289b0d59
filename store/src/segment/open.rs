//! Opening a log: find its segments, read what is not known yet, end the torn tail, go on behind it.

use super::{
    Directory, FileHeader, FileKind, Group, LogSettings, LogWriter, OpenError, Scanned, Segment,
    SegmentId,
    scan::{self, End},
};
use crate::disk::Disk;
use std::sync::Arc;

/// A log that was opened.
#[derive(Debug)]
pub struct Opened {
    /// Appends go on here.
    pub writer: LogWriter,
    /// The segments of the log, oldest first, with what is known of each.
    pub segments: Vec<(Arc<Segment>, Known)>,
    /// Where groups were lost that had been durable.
    pub damage: Vec<Damage>,
    /// The last segment ended in a group that a power loss tore; it was never acknowledged.
    pub torn: bool,
}

/// What is known of a segment without, or after, reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Where its groups end.
    pub end: u64,
    /// Its last group; the number before its first one if it has none.
    pub last_group: u64,
}

/// A range of a file that should hold groups and does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damage {
    /// The segment.
    pub segment: SegmentId,
    /// The first lost byte.
    pub from: u64,
    /// The byte after the last lost one.
    pub to: u64,
}

/// The id in a file's name, and its extension.
pub(crate) fn parse_name(name: &str) -> Option<(SegmentId, &str)> {
    let (id, extension) = name.split_once('.')?;
    let id = (id.len() == 16).then(|| u64::from_str_radix(id, 16).ok())??;
    Some((SegmentId(id), extension))
}

impl LogWriter {
    /// Opens a log and reads all of it. `is_sound` judges the payloads of groups without a payload
    /// checksum; `visit` is given what is found, oldest first.
    pub fn open(
        disk: Arc<dyn Disk>,
        settings: LogSettings,
        is_sound: &dyn Fn(&Group) -> bool,
        visit: &mut dyn FnMut(Scanned<'_>),
    ) -> Result<Opened, OpenError> {
        Self::open_known(disk, settings, &|_| None, is_sound, visit)
    }

    /// As [`Self::open`], leaving out the segments that `known` knows already.
    pub fn open_known(
        disk: Arc<dyn Disk>,
        settings: LogSettings,
        known: &dyn Fn(&Segment) -> Option<Known>,
        is_sound: &dyn Fn(&Group) -> bool,
        visit: &mut dyn FnMut(Scanned<'_>),
    ) -> Result<Opened, OpenError> {
        let while_doing = OpenError::while_doing;
        disk.create_dir(&settings.directory)
            .map_err(while_doing("making the log's directory"))?;
        let names = disk
            .list(&settings.directory)
            .map_err(while_doing("listing segments"))?;
        let next_id = names
            .iter()
            .filter_map(|name| parse_name(name))
            .map(|(id, _)| id.0 + 1)
            .max();
        let spares = take_over_spares(disk.as_ref(), &settings, &names)?;
        let directory = Arc::new(Directory::new(disk, settings, next_id.unwrap_or(1), spares));
        let mut damage = Vec::new();
        let files = open_files(&directory, &names, &mut damage)?;

        let mut segments = Vec::new();
        let mut torn = false;
        for (at, segment) in files.iter().enumerate() {
            let state = match known(segment) {
                Some(known) => known,
                None => {
                    let end = end_of(segment, files.get(at + 1));
                    let found = scan::scan(segment, end, is_sound, visit)
                        .map_err(while_doing("reading a segment"))?;
                    // What was read may stand in the cache alone, left by a process that died.
                    let synced = segment.file().and_then(|file| file.sync());
                    synced.map_err(while_doing("syncing a segment"))?;
                    let lost = |&(from, to)| Damage {
                        segment: segment.id,
                        from,
                        to,
                    };
                    damage.extend(found.rotten.iter().map(lost));
                    torn |= found.torn;
                    let last_group = found.last_group.unwrap_or(segment.header.first_group - 1);
                    Known {
                        end: found.end,
                        last_group,
                    }
                }
            };
            segments.push((Arc::clone(segment), state));
        }
        let last = segments.last().map(|(segment, known)| (segment.id, *known));
        let (previous, last) = last.unwrap_or((
            SegmentId(0),
            Known {
                end: 0,
                last_group: 0,
            },
        ));
        let writer = LogWriter::new(directory, previous, last.end, last.last_group + 1);
        Ok(Opened {
            writer,
            segments,
            damage,
            torn,
        })
    }
}

/// Spare files of the right size stay spares; others go.
fn take_over_spares(
    disk: &dyn Disk,
    settings: &LogSettings,
    names: &[String],
) -> Result<Vec<String>, OpenError> {
    let mut spares = Vec::new();
    for name in names.iter().filter(|name| name.ends_with(".spare")) {
        let path = format!("{}/{name}", settings.directory);
        let size = disk.open(&path).and_then(|file| file.size_bytes());
        let size = size.map_err(OpenError::while_doing("measuring a spare file"))?;
        if size == settings.segment_bytes && spares.len() < settings.spares {
            spares.push(path);
        } else {
            disk.delete(&path)
                .map_err(OpenError::while_doing("deleting a spare file"))?;
        }
    }
    Ok(spares)
}

/// The log's segments in order. A file that was being begun when the machine stopped goes.
fn open_files(
    directory: &Directory,
    names: &[String],
    damage: &mut Vec<Damage>,
) -> Result<Vec<Arc<Segment>>, OpenError> {
    let logs = names
        .iter()
        .filter_map(|name| parse_name(name))
        .filter(|(_, extension)| *extension == "log");
    let mut files = Vec::new();
    for (id, extension) in logs {
        let path = directory.path(id, extension);
        let segment = Segment::open(directory.disk.as_ref(), path.clone())?;
        files.push((id, path, segment.filter(|segment| segment.id == id)));
    }
    let last_sound = files.iter().rposition(|(.., segment)| segment.is_some());
    let mut segments = Vec::new();
    for (at, (id, path, segment)) in files.into_iter().enumerate() {
        if let Some(segment) = segment {
            segments.push(Arc::new(segment));
            continue;
        }
        let followed = last_sound.is_some_and(|last| at < last);
        match without_header(directory, id, path.clone(), followed)? {
            Some(segment) => {
                damage.push(Damage {
                    segment: id,
                    from: 0,
                    to: super::FILE_HEADER_BYTES,
                });
                segments.push(Arc::new(segment));
            }
            None => directory
                .disk
                .delete(&path)
                .map_err(OpenError::while_doing("deleting a file"))?,
        }
    }
    Ok(segments)
}

/// A file whose header is not sound: rot if it holds groups that were synced, else a beginning that
/// never became part of the log.
fn without_header(
    directory: &Directory,
    id: SegmentId,
    path: String,
    followed: bool,
) -> Result<Option<Segment>, OpenError> {
    let while_doing = OpenError::while_doing;
    let file = directory
        .disk
        .open(&path)
        .map_err(while_doing("opening a segment"))?;
    let size_bytes = file
        .size_bytes()
        .map_err(while_doing("measuring a segment"))?;
    let header = FileHeader {
        kind: FileKind::Log,
        id,
        previous: SegmentId(0),
        previous_end: 0,
        first_group: 1,
        born_after: 0,
        owner: 0,
    };
    let segment = Segment::opened(header, path.clone(), size_bytes, Arc::clone(&file));
    let groups =
        scan::later_headers(&segment, 0, size_bytes).map_err(while_doing("reading a segment"))?;
    let Some(first_group) = groups.iter().map(|group| group.number).min() else {
        return Ok(None);
    };
    let was_synced = followed
        || groups
            .iter()
            .any(|group| group.synced_through >= first_group);
    let header = FileHeader {
        first_group,
        born_after: first_group - 1,
        ..header
    };
    Ok(was_synced.then(|| Segment::opened(header, path, size_bytes, file)))
}

fn end_of(segment: &Segment, next: Option<&Arc<Segment>>) -> End {
    match next {
        None => End::Last,
        Some(next) if next.header.previous == segment.id => End::At(next.header.previous_end),
        Some(_) => End::Unknown,
    }
}
