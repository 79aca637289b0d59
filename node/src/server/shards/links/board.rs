//! What a node says of the streams that it leads, for those who read its log over links of their own.
//!
//! The log's thread writes it, sessions read it. Nothing in it is newer than what the log has.

use parking_lot::RwLock;
use proto::{
    hlc::Hlc,
    id::{PlacementId, Position, ShardId},
    link::{Heartbeat, HeldClose},
};
use replication::{Micros, closes::Round};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};
use tokio::sync::watch;

/// Rounds kept for sessions that are behind.
const ROUNDS: usize = 16;

/// See the module. Clones are one.
#[derive(Clone)]
pub struct LinkBoard(Arc<Shared>);

struct Shared {
    shown: RwLock<Shown>,
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct Shown {
    heartbeat: Option<Heartbeat>,
    shards: BTreeMap<ShardId, Led>,
    /// How far other regions were sent the log, by shard and placement.
    sent: BTreeMap<(ShardId, PlacementId), BTreeMap<u16, Position>>,
}

/// A shard that this node leads.
#[derive(Default)]
struct Led {
    rounds: VecDeque<(Round, Micros)>,
    is_reborn: bool,
}

impl Default for LinkBoard {
    fn default() -> Self {
        Self(Arc::new(Shared {
            shown: RwLock::default(),
            changes: watch::Sender::new(0),
        }))
    }
}

impl LinkBoard {
    /// Told whenever there is something new to send.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    pub(super) fn note_change(&self) {
        self.0.changes.send_modify(|change| *change += 1);
    }

    /// Whether this node leads a shard, and so can say how far its streams are.
    #[must_use]
    pub fn leads(&self, shard: ShardId) -> bool {
        self.0.shown.read().shards.contains_key(&shard)
    }

    pub(super) fn begin(&self, shard: ShardId, is_reborn: bool) {
        let rounds = VecDeque::new();
        let led = Led { rounds, is_reborn };
        self.0.shown.write().shards.insert(shard, led);
    }

    pub(super) fn end(&self, shard: ShardId) {
        self.0.shown.write().shards.remove(&shard);
    }

    pub(super) fn close(&self, shard: ShardId, round: &Round, sent_at: Micros) {
        let mut shown = self.0.shown.write();
        let Some(led) = shown.shards.get_mut(&shard) else {
            return;
        };
        if led.rounds.len() == ROUNDS {
            led.rounds.pop_front();
        }
        led.rounds.push_back((round.clone(), sent_at));
    }

    /// What this node says now, but for closes, which depend on what was sent.
    pub(super) fn beat(&self, heartbeat: Heartbeat) {
        self.0.shown.write().heartbeat = Some(heartbeat);
    }

    /// The newest heartbeat; none before the first.
    #[must_use]
    pub fn heartbeat(&self) -> Option<Heartbeat> {
        self.0.shown.read().heartbeat.clone()
    }

    /// The newest close of a stream for who was sent the log through `sent`, as of a heartbeat's clock.
    #[must_use]
    pub fn close_through(
        &self,
        (shard, placement): (ShardId, PlacementId),
        sent: Position,
        clock: u64,
    ) -> Option<HeldClose> {
        let shown = self.0.shown.read();
        let led = shown.shards.get(&shard)?;
        let mut rounds = led.rounds.iter().rev();
        let (round, sent_at) = rounds.find(|(round, _)| round.position <= sent)?;
        let reached = round.reached(placement);
        let behind = u32::try_from(clock.saturating_sub(sent_at.0)).ok();
        // What a lost incarnation had acknowledged may come back from others: nothing is over yet.
        let (hlc, behind) = if led.is_reborn {
            (Hlc::ZERO, None)
        } else {
            (round.hlc, behind)
        };
        Some(HeldClose {
            shard,
            placement,
            reached,
            hlc,
            behind,
        })
    }

    /// Another region was sent the log through there.
    pub fn note_sent(&self, stream: (ShardId, PlacementId), region: u16, through: Position) {
        let mut shown = self.0.shown.write();
        shown
            .sent
            .entry(stream)
            .or_default()
            .insert(region, through);
    }

    /// Through where all of so many other regions were sent the log since this node began; none while one
    /// of them was sent nothing.
    pub(super) fn sent_to(
        &self,
        stream: (ShardId, PlacementId),
        regions: usize,
    ) -> Option<Position> {
        let shown = self.0.shown.read();
        let sent = shown.sent.get(&stream)?;
        if sent.len() < regions {
            return None;
        }
        sent.values().min().copied()
    }
}
