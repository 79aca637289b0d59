//! Reading groups back, and telling a torn tail from rot.

use super::{
    FILE_HEADER_BYTES, GROUP_HEADER_BYTES, Group, Segment,
    group::{GroupHeader, MAGIC},
};
use bytes::Bytes;
use std::{io, sync::Arc};

/// What a scan comes upon, in the order of the file.
#[derive(Debug)]
pub enum Scanned<'a> {
    /// A whole group.
    Group(&'a Arc<Segment>, Group),
    /// A group whose header is sound and whose payload is not, in the middle of the log.
    Damaged(&'a Arc<Segment>, Group),
}

/// What a scan of one segment found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct SegmentScan {
    /// Where its groups end.
    pub(super) end: u64,
    /// The last whole group.
    pub(super) last_group: Option<u64>,
    /// Byte ranges in which groups were lost.
    pub(super) rotten: Vec<(u64, u64)>,
    /// Something lies behind the end: it was torn by a power loss.
    pub(super) torn: bool,
}

/// Reads the group at `offset`. `None` if none begins there.
pub fn read_group(segment: &Segment, offset: u64) -> io::Result<Option<Group>> {
    let file = segment.file()?;
    if offset + GROUP_HEADER_BYTES as u64 > segment.size_bytes() {
        return Ok(None);
    }
    let mut bytes = vec![0; GROUP_HEADER_BYTES];
    file.read_at(offset, &mut bytes)?;
    let Some(header) = GroupHeader::decode_unchecked(&bytes) else {
        return Ok(None);
    };
    let length = header.group_bytes();
    if header.segment != segment.id || offset + length as u64 > segment.size_bytes() {
        return Ok(None);
    }
    bytes.resize(length, 0);
    file.read_at(
        offset + GROUP_HEADER_BYTES as u64,
        &mut bytes[GROUP_HEADER_BYTES..],
    )?;
    let header = GroupHeader::decode(&bytes, segment.id);
    Ok(header.map(|header| Group {
        header,
        offset,
        bytes: Bytes::from(bytes),
    }))
}

/// Reads all groups of a file that was finished and synced: none of them can be torn.
pub fn scan_all(
    segment: &Arc<Segment>,
    is_sound: &dyn Fn(&Group) -> bool,
    visit: &mut dyn FnMut(Scanned<'_>),
) -> io::Result<Vec<(u64, u64)>> {
    let end = segment.size_bytes();
    Ok(scan(segment, End::At(end), is_sound, visit)?.rotten)
}

/// What is known of where a segment's groups end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// There: a later header says so. Whatever is not sound before it is rot.
    At(u64),
    /// It is the last segment: what is not sound may be a torn tail.
    Last,
    /// Another segment followed, but its header is gone: traces of a group are taken for rot.
    Unknown,
}

/// Reads the groups of `segment`, oldest first.
pub(super) fn scan(
    segment: &Arc<Segment>,
    end: End,
    is_sound: &dyn Fn(&Group) -> bool,
    visit: &mut dyn FnMut(Scanned<'_>),
) -> io::Result<SegmentScan> {
    let mut found = SegmentScan {
        end: FILE_HEADER_BYTES,
        ..SegmentScan::default()
    };
    let mut next_group = segment.header.first_group;
    let limit = if let End::At(limit) = end {
        limit
    } else {
        segment.size_bytes()
    };
    while found.end < limit {
        let group =
            read_group(segment, found.end)?.filter(|group| group.header.number >= next_group);
        match group {
            Some(group) if group.payload_crc_holds() && is_sound(&group) => {
                next_group = group.header.number + 1;
                found.last_group = Some(group.header.number);
                found.end = group.end();
                visit(Scanned::Group(segment, group));
            }
            bad => {
                let later = later_headers(segment, found.end, limit)?;
                let traces =
                    bad.is_some() || !later.is_empty() || begins_group(segment, found.end)?;
                let is_rot = match end {
                    End::At(_) => true,
                    End::Last => later.iter().any(|later| later.synced_through >= next_group),
                    End::Unknown => traces,
                };
                if !is_rot {
                    found.torn = traces;
                    break;
                }
                skip_rot(segment, bad, later.first(), limit, &mut found, visit);
                next_group = next_group.max(found.last_group.map_or(0, |last| last + 1));
            }
        }
    }
    Ok(found)
}

/// Goes on behind a rotten group: behind it if its header is sound, else at the next one that is.
fn skip_rot(
    segment: &Arc<Segment>,
    bad: Option<Group>,
    later: Option<&LaterHeader>,
    limit: u64,
    found: &mut SegmentScan,
    visit: &mut dyn FnMut(Scanned<'_>),
) {
    let resume = match (bad, later) {
        (Some(group), _) => {
            let end = group.end();
            found.last_group = Some(group.header.number);
            visit(Scanned::Damaged(segment, group));
            end
        }
        (None, Some(later)) => later.offset,
        (None, None) => limit,
    };
    found.rotten.push((found.end, resume));
    found.end = resume;
}

pub(super) struct LaterHeader {
    pub(super) offset: u64,
    pub(super) number: u64,
    pub(super) synced_through: u64,
}

/// All sound group headers of the segment behind `from`, wherever they lie.
pub(super) fn later_headers(
    segment: &Segment,
    from: u64,
    limit: u64,
) -> io::Result<Vec<LaterHeader>> {
    let start = from + 16;
    if start >= limit {
        return Ok(Vec::new());
    }
    let mut bytes = vec![0; usize::try_from(limit - start).expect("a segment fits memory")];
    segment.file()?.read_at(start, &mut bytes)?;
    let mut later = Vec::new();
    for at in (0..bytes.len()).step_by(16) {
        if !bytes[at..].starts_with(&MAGIC) {
            continue;
        }
        if let Some(header) = GroupHeader::decode(&bytes[at..], segment.id) {
            let (number, synced_through) = (header.number, header.synced_through);
            later.push(LaterHeader {
                offset: start + at as u64,
                number,
                synced_through,
            });
        }
    }
    Ok(later)
}

/// Whether the bytes at `offset` were meant to be a group of this segment. Else they are zeros, or
/// what a recycled file held before.
fn begins_group(segment: &Segment, offset: u64) -> io::Result<bool> {
    if offset + GROUP_HEADER_BYTES as u64 > segment.size_bytes() {
        return Ok(false);
    }
    let mut bytes = [0; GROUP_HEADER_BYTES];
    segment.file()?.read_at(offset, &mut bytes)?;
    Ok(GroupHeader::decode_unchecked(&bytes).is_some_and(|header| header.segment == segment.id))
}
