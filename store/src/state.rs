//! What a store keeps of a shard besides its rows, and of itself: written at the head of each
//! segment and when it changes, as *State* entries. Nothing here is sent to other stores but in the
//! header of a snapshot.

mod shard;

use bytes::Bytes;
use proto::{
    codec::{Malformed, Reader},
    entry::{EntryBuilder, EntryHeader, EntryKind},
    hlc::Hlc,
    id::{Epoch, Incarnation, PlacementId, Position, RegionId, Sequence, ShardId, ViewId},
    request::{RequestId, RequestPart},
    time::EventTime,
};
use std::collections::BTreeMap;

/// A shard's state as the first version wrote it, without starts and what was carried.
const TAG_SHARD_1: u8 = 1;
const TAG_STORE: u8 = 2;
const TAG_SHARD: u8 = 3;
/// In a state that begins a shard anew: the group that holds the state itself.
const THIS_GROUP: u64 = u64::MAX;

/// The last entry of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct LogEnd {
    /// Its epoch.
    pub epoch: Epoch,
    /// Its position; 0 before the first.
    pub position: Position,
}

/// How far a stream was applied to a shard: its watermark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StreamMark {
    /// The stream's incarnation.
    pub incarnation: Incarnation,
    /// The last sequence of it.
    pub sequence: Sequence,
    /// The largest stamp of what was applied.
    pub hlc: Hlc,
    /// The closed HLC, as last told to the store.
    pub closed: Hlc,
    /// The position in the transport.
    pub link_position: u64,
}

/// Whether a shard's rows may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Condition {
    /// They are whole.
    #[default]
    Whole,
    /// A snapshot was being installed: what there is of it is void.
    Installing,
    /// Entries were lost to rot: a row not found may have existed.
    Quarantined,
}

/// A request of this store's log that was carried out lately. Its outcome stands in the entry's extras: see
/// [`crate::Store::read_log`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecentRequest {
    /// The position of its entry.
    pub position: Position,
    /// The stamp of its entry.
    pub hlc: Hlc,
    /// The request.
    pub request: RequestId,
    /// Which part of it.
    pub part: RequestPart,
}

/// A file beside the segments with what came with a snapshot and is not this store's to understand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Carried {
    /// The id in its name.
    pub(crate) file: u64,
    /// The checksum of its content.
    pub(crate) crc: u32,
}

/// A shard's state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ShardState {
    /// The last entry appended and not cut.
    pub last: LogEnd,
    /// The last entry committed.
    pub commit: LogEnd,
    /// What was applied of each stream, by origin and placement.
    pub streams: BTreeMap<(RegionId, PlacementId), StreamMark>,
    /// The collected mark.
    pub collected: Hlc,
    /// The largest stamp of a committed entry.
    pub largest_hlc: Hlc,
    /// Whether the rows may be used.
    pub condition: Condition,
    /// The extras of the last *start* entry of each stream: its lineage, which replication reads.
    pub starts: BTreeMap<(RegionId, PlacementId), Bytes>,
    /// What the snapshot brought along that this shard began from.
    pub carried: Option<Carried>,
    /// Rows that were appended before this group are void: the shard began anew there.
    pub(crate) begun_in_group: u64,
}

/// What a *State* entry holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum StateRecord {
    Shard(ShardId, ShardState),
    Floors(Vec<(ViewId, EventTime)>),
}

impl ShardState {
    /// The state of a shard that begins anew, with no rows, in the group that will hold it.
    pub(crate) fn begun_anew(condition: Condition) -> Self {
        Self {
            condition,
            begun_in_group: THIS_GROUP,
            ..Self::default()
        }
    }

    /// Takes note of a committed entry: its header, and its extras if it is a *start*.
    pub(crate) fn note_commit(&mut self, header: &EntryHeader, start: Option<Bytes>) {
        let stream = (header.origin, header.placement);
        if let Some(extras) = start {
            self.starts.insert(stream, extras);
        }
        self.commit = LogEnd {
            epoch: header.epoch,
            position: header.position,
        };
        self.largest_hlc = self.largest_hlc.max(header.hlc);
        if header.sequence == Sequence(0) && header.kind != EntryKind::LinkPosition {
            return;
        }
        let mark = self.streams.entry(stream).or_default();
        if header.sequence > Sequence(0) {
            mark.incarnation = header.incarnation;
            mark.sequence = header.sequence;
            mark.hlc = mark.hlc.max(header.hlc);
        }
        // Hint files do not keep it: the mark then stays at an earlier position, which is safe.
        if header.link_position > 0 {
            mark.link_position = header.link_position;
        }
    }
}

impl StateRecord {
    /// The entry that holds this.
    pub(crate) fn entry(&self) -> Bytes {
        let mut extras = Vec::new();
        let shard = match self {
            Self::Shard(shard, state) => {
                extras.push(TAG_SHARD);
                state.encode(&mut extras);
                *shard
            }
            Self::Floors(floors) => {
                extras.push(TAG_STORE);
                extras.extend((floors.len() as u32).to_le_bytes());
                for (view, floor) in floors {
                    extras.extend(view.0.to_le_bytes());
                    extras.extend(floor.micros().to_le_bytes());
                }
                ShardId(0)
            }
        };
        EntryBuilder::with_extras(internal_header(shard, EntryKind::State), &extras).finish()
    }

    /// Reads the extras of a *State* entry of `shard` that stood in `group`.
    pub(crate) fn decode(shard: ShardId, extras: &[u8], group: u64) -> Result<Self, Malformed> {
        let mut reader = Reader::new(extras, "state");
        let record = match reader.u8()? {
            tag @ (TAG_SHARD_1 | TAG_SHARD) => {
                let version = if tag == TAG_SHARD { 2 } else { 1 };
                let mut state = ShardState::decode(&mut reader, version)?;
                if state.begun_in_group == THIS_GROUP {
                    state.begun_in_group = group;
                }
                Self::Shard(shard, state)
            }
            TAG_STORE => {
                let count = reader.u32()?;
                let mut floor =
                    || Ok((ViewId(reader.u32()?), EventTime::saturating(reader.u64()?)));
                Self::Floors((0..count).map(|_| floor()).collect::<Result<_, _>>()?)
            }
            _ => return Err(reader.malformed("its tag is unknown")),
        };
        reader.finish()?;
        Ok(record)
    }
}

/// The entry that says: of `shard`, all entries before this one and past `after` are void.
pub(crate) fn cut_entry(shard: ShardId, after: Position) -> Bytes {
    EntryBuilder::with_extras(
        internal_header(shard, EntryKind::Cut),
        &after.0.to_le_bytes(),
    )
    .finish()
}

/// Reads the extras of a *Cut* entry.
pub(crate) fn decode_cut(extras: &[u8]) -> Result<Position, Malformed> {
    let mut reader = Reader::new(extras, "cut");
    let after = Position(reader.u64()?);
    reader.finish()?;
    Ok(after)
}

fn internal_header(shard: ShardId, kind: EntryKind) -> EntryHeader {
    EntryHeader {
        shard,
        origin: RegionId(0),
        kind,
        epoch: Epoch(0),
        previous_epoch: Epoch(0),
        position: Position(0),
        incarnation: Incarnation(0),
        placement: PlacementId(0),
        part: RequestPart(0),
        sequence: Sequence(0),
        hlc: Hlc(0),
        request: RequestId::NONE,
        link_position: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::entry::EntryView;

    #[test]
    fn states_read_back_from_their_entries() {
        let mark = StreamMark {
            incarnation: Incarnation(2),
            sequence: Sequence(9),
            hlc: Hlc(5),
            closed: Hlc(4),
            link_position: 88,
        };
        let state = ShardState {
            last: LogEnd {
                epoch: Epoch(3),
                position: Position(12),
            },
            commit: LogEnd {
                epoch: Epoch(2),
                position: Position(10),
            },
            streams: BTreeMap::from([((RegionId(1), PlacementId(2)), mark)]),
            collected: Hlc(1),
            largest_hlc: Hlc(6),
            condition: Condition::Quarantined,
            starts: BTreeMap::from([(
                (RegionId(1), PlacementId(2)),
                Bytes::from_static(b"lineage"),
            )]),
            carried: Some(Carried { file: 3, crc: 5 }),
            begun_in_group: 4,
        };
        for record in [
            StateRecord::Shard(ShardId(7), state),
            StateRecord::Floors(vec![(ViewId(1), EventTime::saturating(44))]),
        ] {
            let entry = record.entry();
            let view = EntryView::parse(&entry).unwrap();
            view.verify().unwrap();
            assert_eq!(
                StateRecord::decode(view.header().shard, view.extras(), 1).unwrap(),
                record
            );
        }
    }

    #[test]
    fn a_shard_that_begins_anew_names_the_group_that_says_so() {
        let entry =
            StateRecord::Shard(ShardId(7), ShardState::begun_anew(Condition::Installing)).entry();
        let extras = EntryView::parse(&entry).unwrap().extras().to_vec();
        let StateRecord::Shard(_, state) = StateRecord::decode(ShardId(7), &extras, 31).unwrap()
        else {
            panic!("a shard's state");
        };
        assert_eq!(
            (state.begun_in_group, state.condition),
            (31, Condition::Installing)
        );
    }
}
