//! A region: its shard's log, which survives its primaries, and what is committed of it.

use super::{
    primary::Primary,
    rows::{Rows, Written, merge, reached},
    topic::Topic,
};
use proto::{
    entry::EntryKind,
    hlc::Hlc,
    id::{Incarnation, RegionId},
    token::Reached,
};
use replication::{
    Entry,
    link::StreamMark,
    streams::{Head, Heads},
};
use std::collections::BTreeMap;

pub type Marks = BTreeMap<RegionId, StreamMark>;

#[derive(Clone)]
pub enum Logged {
    Own {
        entry: Entry,
        row: Written,
    },
    Remote {
        origin: RegionId,
        mark: StreamMark,
        row: Written,
    },
    Merged {
        rows: Rows,
        marks: Marks,
    },
    Position {
        origin: RegionId,
        position: u64,
    },
}

/// What a prefix of the log comes to.
#[derive(Clone, Default)]
pub struct Folded {
    pub rows: Rows,
    pub marks: Marks,
    pub heads: Heads,
}

impl Folded {
    pub fn follow(&mut self, logged: &Logged) {
        match logged {
            Logged::Own { entry, row } => {
                self.heads.advance(entry);
                if let Some((key, version)) = row {
                    merge(&mut self.rows, *key, *version);
                }
            }
            Logged::Remote { origin, mark, row } => {
                raise(&mut self.marks, *origin, *mark);
                if let Some((key, version)) = row {
                    merge(&mut self.rows, *key, *version);
                }
            }
            Logged::Merged { rows, marks } => {
                rows.iter()
                    .for_each(|(key, version)| merge(&mut self.rows, *key, *version));
                marks
                    .iter()
                    .for_each(|(origin, mark)| raise(&mut self.marks, *origin, *mark));
            }
            Logged::Position { origin, position } => {
                self.marks.entry(*origin).or_default().position = *position;
            }
        }
    }

    pub fn of(log: &[Logged]) -> Self {
        let mut folded = Self::default();
        log.iter().for_each(|logged| folded.follow(logged));
        folded
    }

    /// How far the own stream goes.
    pub fn head(&self) -> Reached {
        self.heads
            .get(super::rows::PLACEMENT)
            .map_or_else(Reached::default, |head| Reached {
                incarnation: head.incarnation,
                sequence: head.sequence,
            })
    }
}

fn raise(marks: &mut Marks, origin: RegionId, mark: StreamMark) {
    let known = marks.entry(origin).or_default();
    if mark.reached > known.reached {
        let hlc = known.hlc.max(mark.hlc);
        *known = StreamMark { hlc, ..mark };
    }
}

pub struct Region {
    pub id: RegionId,
    pub log: Vec<Logged>,
    pub committed: usize,
    /// The whole log.
    pub end: Folded,
    /// The committed part: what lookups see.
    pub seen: Folded,
    pub epoch: u32,
    pub incarnation: Incarnation,
    /// The new incarnation has not merged from all others yet.
    pub is_reborn: bool,
    /// All stamps of the region rise: what its replicas promise one another is modelled elsewhere.
    pub stamp: Hlc,
    pub wall_offset_millis: i64,
    pub topic: Topic,
    pub topic_down_until: u64,
    pub shared_mark: Reached,
    pub primary: Option<Primary>,
    pub replaced: Option<Primary>,
    pub boots: u64,
}

impl Region {
    pub fn new(id: RegionId, wall_offset_millis: i64) -> Self {
        Self {
            id,
            log: Vec::new(),
            committed: 0,
            end: Folded::default(),
            seen: Folded::default(),
            epoch: 0,
            incarnation: Incarnation(1),
            is_reborn: false,
            stamp: Hlc::ZERO,
            wall_offset_millis,
            topic: Topic::default(),
            topic_down_until: 0,
            shared_mark: Reached::default(),
            primary: None,
            replaced: None,
            boots: 0,
        }
    }

    pub fn wall_millis(&self, now: u64) -> u64 {
        let true_millis = (1_795_000_000_000 + now / 1_000) as i64;
        (true_millis + self.wall_offset_millis) as u64
    }

    pub fn stamp(&mut self, now: u64) -> Hlc {
        let wall = Hlc::from_millis(self.wall_millis(now));
        self.stamp = wall.max(Hlc(self.stamp.0 + 1));
        self.stamp
    }

    /// One of its primaries, by boot.
    pub fn primary_of(&mut self, boot: u64) -> Option<&mut Primary> {
        let both = self.primary.iter_mut().chain(self.replaced.iter_mut());
        both.into_iter().find(|primary| primary.boot.0 == boot)
    }

    pub fn push(&mut self, logged: Logged) {
        self.end.follow(&logged);
        self.log.push(logged);
    }

    /// What stands after `length` entries is void.
    pub fn cut(&mut self, length: usize) {
        self.log.truncate(length);
        self.end = Folded::of(&self.log);
        if self.committed > length {
            self.committed = length;
            self.seen = self.end.clone();
        }
    }

    /// Own committed entries after `after`, or none where the log kept only its last `kept`.
    pub fn own_after(&self, after: Reached, kept: usize) -> Option<Vec<Entry>> {
        let gone = self.log.len().saturating_sub(kept);
        let mut entries = Vec::new();
        for (place, logged) in self.log[..self.committed].iter().enumerate() {
            if let Logged::Own { entry, .. } = logged
                && reached(entry) > after
            {
                if place < gone {
                    return None;
                }
                entries.push(entry.clone());
            }
        }
        Some(entries)
    }

    pub fn lineage(&self) -> Vec<replication::streams::Cut> {
        let head = self.end.heads.get(super::rows::PLACEMENT);
        head.map_or_else(Vec::new, Head::lineage_with_own)
    }
}

/// Whether it was written by a client, and not made by the region itself.
pub fn is_write(entry: &Entry) -> bool {
    entry.header().kind == EntryKind::Rows
}
