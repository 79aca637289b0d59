//! Who still needs old entries: backups that are behind, links, the outbox. They hold log segments
//! back, within a limit; beyond it they are dropped and go on by snapshot.

use crate::{hint::HintFile, store::Store};
use proto::id::{Position, ShardId};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Somebody who reads the log; numbers are given by the driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HolderId(pub u64);

/// All of them, with the first position of each shard that they still need.
#[derive(Debug, Default)]
pub(crate) struct Holders {
    needs: BTreeMap<HolderId, BTreeMap<ShardId, Position>>,
    dropped: BTreeSet<HolderId>,
}

impl Holders {
    /// Whether anybody needs an entry of that segment.
    pub(crate) fn hold(&self, hint: &HintFile) -> bool {
        self.needs.values().any(|needs| needs_any(needs, hint))
    }

    fn drop_those_of(&mut self, hint: &HintFile) {
        let of_segment = self
            .needs
            .iter()
            .filter(|(_, needs)| needs_any(needs, hint));
        let ids: Vec<HolderId> = of_segment.map(|(id, _)| *id).collect();
        for id in ids {
            self.needs.remove(&id);
            self.dropped.insert(id);
        }
    }
}

fn needs_any(needs: &BTreeMap<ShardId, Position>, hint: &HintFile) -> bool {
    let needed = |(shard, from): (&ShardId, &Position)| {
        hint.part(*shard)
            .is_some_and(|part| part.entries > 0 && part.largest >= *from)
    };
    needs.iter().any(needed)
}

impl Store {
    /// `holder` needs the entries of `shard` from `from` on. Told again as it moves on.
    pub fn hold(&self, holder: HolderId, shard: ShardId, from: Position) {
        self.holders
            .lock()
            .needs
            .entry(holder)
            .or_default()
            .insert(shard, from);
    }

    /// `holder` needs nothing any more.
    pub fn unhold(&self, holder: HolderId) {
        let mut holders = self.holders.lock();
        holders.needs.remove(&holder);
        holders.dropped.remove(&holder);
    }

    /// The holders that were dropped because they held too much: they must go on by snapshot.
    #[must_use]
    pub fn take_dropped_holders(&self) -> Vec<HolderId> {
        std::mem::take(&mut self.holders.lock().dropped)
            .into_iter()
            .collect()
    }

    /// Bytes of segments that are kept for holders.
    #[must_use]
    pub fn held_bytes(&self) -> u64 {
        self.held_segments().iter().map(|(bytes, _)| bytes).sum()
    }

    pub(crate) fn enforce_hold_limit(&self) {
        let held = self.held_segments();
        let mut bytes: u64 = held.iter().map(|(bytes, _)| bytes).sum();
        for (own, hint) in held {
            if bytes <= self.settings.held_bytes {
                return;
            }
            self.holders.lock().drop_those_of(&hint);
            bytes -= own;
        }
    }

    /// Log segments that somebody holds, oldest first.
    fn held_segments(&self) -> Vec<(u64, Arc<HintFile>)> {
        let bodies = self.bodies.all();
        let logs = bodies.iter().filter(|body| !body.is_base);
        let hinted = logs
            .filter_map(|body| Some((body.segment.size_bytes(), body.facts.lock().hint.clone()?)));
        let holders = self.holders.lock();
        hinted.filter(|(_, hint)| holders.hold(hint)).collect()
    }
}
