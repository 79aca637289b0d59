//! Reading the unsettled end of the log again: which entries of which shard stand, up to where they
//! are committed, what is missing.

use super::files::Bases;
use crate::{
    body::Body,
    pending::PendingEntry,
    preface::LogPreface,
    segment::{Group, Opened, Segment, SegmentId},
    state::{LogEnd, RecentRequest, ShardState, StateRecord, decode_cut},
    store::Store,
    writer::WriterShard,
};
use proto::{
    entry::{EntryHeader, EntryKind, EntryView, length_of},
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
}

/// Replays the groups that were read, and the cuts of settled segments between them.
pub(super) fn replay(
    store: &Store,
    bodies: &[Arc<Body>],
    groups: &[(Arc<Segment>, Group, bool)],
) -> Found {
    let mut found = Found::default();
    let mut by_segment = BTreeMap::<SegmentId, Vec<&(Arc<Segment>, Group, bool)>>::new();
    for group in groups {
        by_segment.entry(group.0.id).or_default().push(group);
    }
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
        for (_, group, is_sound) in by_segment.get(&body.segment.id).into_iter().flatten() {
            if *is_sound {
                found.group(store, body, group);
            } else {
                found.hurts.push(Hurt {
                    shard: None,
                    through_group: group.header.number,
                });
            }
        }
    }
    found
}

impl Found {
    fn group(&mut self, store: &Store, body: &Arc<Body>, group: &Group) {
        let preface = LogPreface::decode(group.preface()).expect("the group's checksum holds");
        for (shard, position) in preface.commits {
            let work = self.shards.entry(shard).or_default();
            work.commit = work.commit.max(position);
        }
        let payload = group.payload_bytes();
        let mut hashes = preface.hashes.as_slice();
        let mut at = 0;
        while let Some(length) = length_of(&payload[at..]) {
            let bytes = payload.slice(at..at + length);
            let view = EntryView::parse(&bytes).expect("the group's entries were verified");
            let header = *view.header();
            let place = (
                body,
                group.payload_offset() + at as u64,
                group.header.number,
            );
            at += length;
            match header.kind {
                EntryKind::Cut => self.cut(&header, view.extras(), place),
                EntryKind::State => self.state(store, &header, view.extras(), place.2),
                _ => {
                    let rows = view
                        .records()
                        .filter(|(_, record)| record.kind().is_indexed())
                        .count();
                    let (own, rest) = hashes.split_at(rows.min(hashes.len()));
                    hashes = rest;
                    let rows = PendingEntry::rows_of(&view, own).unwrap_or_default();
                    self.entry(PendingEntry {
                        header,
                        bytes: bytes.clone(),
                        body: Arc::clone(body),
                        offset: place.1,
                        group: place.2,
                        rows,
                    });
                }
            }
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

    fn entry(&mut self, entry: PendingEntry) {
        let work = self.shards.entry(entry.header.shard).or_default();
        let last = LogEnd {
            epoch: entry.header.epoch,
            position: entry.header.position,
        };
        // Positions are dense: a step too wide means that entries between were lost.
        work.is_hurt |= last.position != work.state.last.position.next();
        work.state.last = last;
        work.entries.push_back(entry);
    }

    /// Marks the shards that lost something to rot: rows not found may have existed.
    pub(super) fn quarantine(&mut self, opened: &Opened, bases: &Bases) {
        let last_group = |segment| {
            opened
                .segments
                .iter()
                .find(|(own, _)| own.id == segment)
                .map(|(_, known)| known.last_group)
        };
        // A lost group may have held entries of any shard, their last ones too.
        let lost = opened
            .damage
            .iter()
            .filter_map(|damage| last_group(damage.segment));
        self.hurts.extend(lost.map(|through_group| Hurt {
            shard: None,
            through_group,
        }));
        self.hurts.extend(&bases.hurts);
        for (id, work) in &mut self.shards {
            let touches = |hurt: &Hurt| {
                hurt.shard.is_none_or(|shard| shard == *id)
                    && hurt.through_group >= work.state.begun_in_group
            };
            let is_hurt = work.is_hurt || self.hurts.iter().any(touches);
            if is_hurt {
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
        }
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
