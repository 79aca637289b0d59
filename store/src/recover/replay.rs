//! Reading the unsettled end of the log again: which entries of which shard stand, up to where they
//! are committed, what is missing.

use super::files::Bases;
use crate::{
    body::Body,
    pending::PendingEntry,
    preface::LogPreface,
    segment::{Damage, Group, Segment, SegmentId},
    state::{LogEnd, RecentRequest, ShardState, StateRecord, decode_cut},
    store::Store,
    writer::WriterShard,
};
use proto::{
    entry::{EntryHeader, EntryKind, EntryView},
    id::{Position, ShardId},
    request::RequestId,
};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

/// What the log says of all shards.
#[derive(Default)]
pub(super) struct Found {
    pub(super) shards: BTreeMap<ShardId, Work>,
    /// What rot took.
    hurts: Vec<Hurt>,
}

/// Something that rot took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hurt {
    /// Whose it was; `None`: any shard's.
    pub(super) shard: Option<ShardId>,
    /// It was appended no later than in this group: shards that began anew later never had it.
    pub(super) through_group: u64,
}

/// What the log says of one shard.
#[derive(Default)]
pub(super) struct Work {
    pub(super) state: ShardState,
    pub(super) commit: Position,
    /// Entries that stand, by position, as far as they were read.
    pub(super) entries: VecDeque<PendingEntry>,
    is_hurt: bool,
    doubt: Doubt,
}

/// Whether something of a shard may have lain in a part of the log that rot took.
///
/// Nothing did if what follows says so: the next entry names its predecessor by epoch and position, and
/// a pair of those never changes its content; and a state that was written later says the same end of
/// the log, the same beginning of the shard, and all that lost entries could have moved besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Doubt {
    #[default]
    None,
    /// Nothing of the shard was read since.
    Fresh,
    /// Entries that follow its log were read since, and no state.
    Followed,
}

/// Something that lies in a log segment.
enum Piece<'a> {
    Group(&'a Group),
    /// A group with a sound header, whose payload is not.
    Unsound(&'a Group),
    /// Bytes of which nothing is known.
    Lost,
}

/// Replays the groups that were read, and the cuts of settled segments between them.
pub(super) fn replay(
    store: &Store,
    bodies: &[Arc<Body>],
    groups: &[(Arc<Segment>, Group, bool)],
    damage: &[Damage],
) -> Found {
    let mut found = Found::default();
    let mut by_segment = pieces(groups, damage);
    for body in bodies {
        if let Some(hint) = body.facts.lock().hint.clone() {
            for part in &hint.parts {
                found.shards.entry(part.shard).or_default();
            }
            for cut in &hint.cuts {
                found.shards.entry(cut.shard).or_default().cut(cut.after);
            }
            continue;
        }
        for piece in by_segment
            .remove(&body.segment.id)
            .unwrap_or_default()
            .values()
        {
            match piece {
                Piece::Group(group) | Piece::Unsound(group) => found.group(store, body, group),
                Piece::Lost => found.lose(),
            }
        }
    }
    found
}

/// What was found of each segment, by where it begins.
fn pieces<'a>(
    groups: &'a [(Arc<Segment>, Group, bool)],
    damage: &[Damage],
) -> BTreeMap<SegmentId, BTreeMap<u64, Piece<'a>>> {
    let mut pieces = BTreeMap::<SegmentId, BTreeMap<u64, Piece<'a>>>::new();
    for damage in damage {
        let of_segment = pieces.entry(damage.segment).or_default();
        of_segment.insert(damage.from, Piece::Lost);
    }
    for (segment, group, is_sound) in groups {
        let piece = if *is_sound {
            Piece::Group(group)
        } else {
            Piece::Unsound(group)
        };
        // An unsound group's bytes are in the damage too; more is known of them here.
        let of_segment = pieces.entry(segment.id).or_default();
        of_segment.insert(group.offset, piece);
    }
    pieces
}

impl Found {
    /// Replays a group. Of one that is not sound, the entries that are; from the first on of which
    /// nothing is known all that follows is lost.
    fn group(&mut self, store: &Store, body: &Arc<Body>, group: &Group) {
        let preface = LogPreface::decode(group.preface()).expect("the group's checksum holds");
        for (shard, position) in preface.commits {
            let work = self.shards.entry(shard).or_default();
            work.commit = work.commit.max(position);
        }
        let payload = group.payload_bytes();
        let mut hashes = preface.hashes.as_slice();
        let mut at = 0;
        while at < payload.len() {
            let view = EntryView::parse(&payload[at..]);
            let Ok(view) = view.and_then(|view| view.verify_head().map(|()| view)) else {
                self.lose();
                return;
            };
            let bytes = payload.slice(at..at + view.bytes().len());
            let header = *view.header();
            let place = (
                body,
                group.payload_offset() + at as u64,
                group.header.number,
            );
            at += bytes.len();
            match header.kind {
                EntryKind::Cut => self.cut(&header, view.extras(), place),
                EntryKind::State => self.state(store, &header, view.extras(), place.2),
                _ => {
                    let indexed = view
                        .records()
                        .filter(|(_, record)| record.kind().is_indexed());
                    let (own, rest) = hashes.split_at(indexed.count().min(hashes.len()));
                    hashes = rest;
                    let rows = PendingEntry::rows_of(&view, own);
                    let is_sound = view.verify().is_ok();
                    let entry = PendingEntry {
                        header,
                        bytes: bytes.clone(),
                        body: Arc::clone(body),
                        offset: place.1,
                        group: place.2,
                        rows: rows.unwrap_or_default(),
                    };
                    self.entry(entry, is_sound);
                }
            }
        }
    }

    /// A part of the log is gone of which nothing is known.
    fn lose(&mut self) {
        for work in self.shards.values_mut() {
            work.doubt = Doubt::Fresh;
        }
    }

    fn cut(
        &mut self,
        header: &EntryHeader,
        extras: &[u8],
        (body, offset, _): (&Arc<Body>, u64, u64),
    ) {
        let Ok(after) = decode_cut(extras) else {
            return;
        };
        self.shards.entry(header.shard).or_default().cut(after);
        let mut facts = body.facts.lock();
        facts.has_cuts = true;
        facts.content.cuts.push(crate::hint::HintCut {
            shard: header.shard,
            after,
            at: offset,
        });
    }

    fn state(&mut self, store: &Store, header: &EntryHeader, extras: &[u8], group: u64) {
        match StateRecord::decode(header.shard, extras, group) {
            Ok(StateRecord::Shard(shard, state)) => {
                self.shards.entry(shard).or_default().take_state(state);
            }
            Ok(StateRecord::Floors(floors)) => {
                let mut views = store.views.write();
                for (view, floor) in floors {
                    views.raise_floor(view, floor);
                }
            }
            Err(_) => self.hurts.push(Hurt {
                shard: Some(header.shard),
                through_group: group,
            }),
        }
    }

    fn entry(&mut self, entry: PendingEntry, is_sound: bool) {
        let header = entry.header;
        let work = self.shards.entry(header.shard).or_default();
        if !is_sound {
            // Its place in the log is known, what it says is not.
            work.is_hurt = true;
            return;
        }
        // Positions are dense: a step too wide means that entries between were lost.
        let follows = header.position == work.state.last.position.next();
        let matches = work.doubt != Doubt::Fresh || header.previous_epoch == work.state.last.epoch;
        work.is_hurt |= !follows || !matches;
        if work.doubt == Doubt::Fresh {
            work.doubt = Doubt::Followed;
        }
        work.state.last = LogEnd {
            epoch: header.epoch,
            position: header.position,
        };
        work.entries.push_back(entry);
    }

    /// Marks the shards that lost something to rot: rows not found may have existed.
    pub(super) fn quarantine(&mut self, bases: &Bases) {
        self.hurts.extend(&bases.hurts);
        for (id, work) in &mut self.shards {
            let touches = |hurt: &Hurt| {
                hurt.shard.is_none_or(|shard| shard == *id)
                    && hurt.through_group >= work.state.begun_in_group
            };
            let is_doubtful = work.doubt != Doubt::None;
            if work.is_hurt || is_doubtful || self.hurts.iter().any(touches) {
                work.quarantine();
            }
        }
    }

    /// Makes the shards pending again and tells what was found.
    pub(super) fn hand_over(
        self,
        store: &Store,
    ) -> (
        BTreeMap<ShardId, WriterShard>,
        BTreeMap<ShardId, super::RecoveredShard>,
    ) {
        let mut writers = BTreeMap::new();
        let mut recovered = BTreeMap::<ShardId, super::RecoveredShard>::new();
        for (id, work) in self.shards {
            let report = recovered.entry(id).or_default();
            let mut writer = WriterShard {
                last: work.state.commit,
                ..WriterShard::default()
            };
            for entry in work.entries {
                entry.body.facts.lock().unsettled += 1;
                writer.last = LogEnd {
                    epoch: entry.header.epoch,
                    position: entry.header.position,
                };
                store
                    .tail
                    .lock()
                    .push(id, entry.header.position, entry.bytes.clone());
                report.tail.push(entry.bytes.clone());
                let (position, hlc) = (entry.header.position, entry.header.hlc);
                let (request, part) = (entry.header.request, entry.header.part);
                if request != RequestId::NONE {
                    report.requests.push(RecentRequest {
                        position,
                        hlc,
                        request,
                        part,
                    });
                }
                writer.pending.push(entry);
            }
            report.state = ShardState {
                last: writer.last,
                ..work.state
            };
            writers.insert(id, writer);
        }
        (writers, recovered)
    }
}

impl Work {
    fn cut(&mut self, after: Position) {
        while self
            .entries
            .back()
            .is_some_and(|entry| entry.header.position > after)
        {
            self.entries.pop_back();
        }
        if self.state.last.position > after {
            // The entry there may lie in a settled segment, which is not read: its epoch does not
            // matter, since what follows is judged by positions, and the end by commits and tail.
            self.state.last.position = after;
        }
    }

    fn take_state(&mut self, state: ShardState) {
        let begun = state.begun_in_group;
        if begun > self.state.begun_in_group {
            self.commit = Position(0);
            self.is_hurt = false;
        } else if self.doubt != Doubt::None {
            self.is_hurt |= begun < self.state.begun_in_group || state.last != self.state.last;
        }
        self.doubt = Doubt::None;
        self.entries.retain(|entry| entry.group > begun);
        self.commit = self.commit.max(state.commit.position);
        self.state = state;
    }

    /// Takes the entries up to the commit point.
    pub(super) fn take_committed(&mut self) -> Vec<PendingEntry> {
        let mut committed = Vec::new();
        while self
            .entries
            .front()
            .is_some_and(|entry| entry.header.position <= self.state.commit.position)
        {
            committed.extend(self.entries.pop_front());
        }
        self.drop_undense();
        committed
    }

    /// A tail counts only as far as it follows the commit point without a hole.
    fn drop_undense(&mut self) {
        let mut next = self.state.commit.position.next();
        let dense = self.entries.iter().take_while(|entry| {
            let follows = entry.header.position == next;
            next = next.next();
            follows
        });
        let dense = dense.count();
        self.entries.truncate(dense);
    }
}
