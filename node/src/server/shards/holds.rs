//! What peers still need of this node's log: held back from compaction while they read it or are being
//! brought up to where they will, so that no snapshot ends behind the log's begin.
//!
//! The store drops holds past a limit of bytes; such a peer gets another snapshot.

use proto::id::{PlacementId, Position, ShardId};
use replication::{Member, Micros};
use std::collections::BTreeMap;
use store::{HolderId, Store};

/// How long a hold outlives the last that was heard of its reader.
const HELD_FOR: Micros = Micros(60_000_000);

/// See the module.
#[derive(Default)]
pub(super) struct Holds {
    next: u64,
    held: BTreeMap<(ShardId, Member), Hold>,
    /// Own streams on their way to other regions.
    shipped: BTreeMap<(ShardId, PlacementId), HolderId>,
}

struct Hold {
    id: HolderId,
    /// When it ends; none while a snapshot is under way.
    until: Option<Micros>,
}

impl Holds {
    /// `peer` reads from `from` on, now.
    pub(super) fn reads(
        &mut self,
        store: &Store,
        (shard, peer): (ShardId, Member),
        from: Position,
        now: Micros,
    ) {
        let hold = self.hold(shard, peer);
        hold.until = hold.until.map(|_| now.plus(HELD_FOR));
        let id = hold.id;
        store.hold(id, shard, from);
    }

    /// `peer` will read from `from` on once its snapshot has arrived.
    pub(super) fn will_read(
        &mut self,
        store: &Store,
        (shard, peer): (ShardId, Member),
        from: Position,
    ) {
        let hold = self.hold(shard, peer);
        hold.until = None;
        let id = hold.id;
        store.hold(id, shard, from);
    }

    /// Its snapshot ended, well or not.
    pub(super) fn snapshot_ended(&mut self, shard: ShardId, peer: Member, now: Micros) {
        if let Some(hold) = self.held.get_mut(&(shard, peer)) {
            hold.until = Some(now.plus(HELD_FOR));
        }
    }

    /// An own stream is shipped to other regions from `from` on.
    pub(super) fn ships(
        &mut self,
        store: &Store,
        (shard, placement): (ShardId, PlacementId),
        from: Position,
    ) {
        let next = &mut self.next;
        let id = self.shipped.entry((shard, placement)).or_insert_with(|| {
            *next += 1;
            HolderId(*next)
        });
        store.hold(*id, shard, from);
    }

    /// This node ships it no more.
    pub(super) fn ends_shipping(&mut self, store: &Store, shard: ShardId, placement: PlacementId) {
        if let Some(id) = self.shipped.remove(&(shard, placement)) {
            store.unhold(id);
        }
    }

    /// Lets go of what nobody reads any more.
    pub(super) fn let_go(&mut self, store: &Store, now: Micros) {
        self.held.retain(|_, hold| {
            let goes_on = hold.until.is_none_or(|until| until > now);
            if !goes_on {
                store.unhold(hold.id);
            }
            goes_on
        });
        for dropped in store.take_dropped_holders() {
            tracing::warn!(
                holder = dropped.0,
                "a peer is too far behind to hold the log for it"
            );
        }
    }

    fn hold(&mut self, shard: ShardId, peer: Member) -> &mut Hold {
        self.held.entry((shard, peer)).or_insert_with(|| {
            self.next += 1;
            Hold {
                id: HolderId(self.next),
                until: Some(Micros(0)),
            }
        })
    }
}
