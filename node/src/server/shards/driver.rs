//! The shards of one node: their replicas' cores, the store's writer and the node's clock, owned by
//! one thread. It takes inputs, steps cores, and carries out what they ask for in their order.
//!
//! Parts of writes are taken by `admit`, effects carried out by `effects`, turns made by `run`.

use super::{
    batches::Tickets,
    board::Board,
    holds::Holds,
    input::{Input, PartWrite},
    links::{LinkParts, Links},
    outbox::Outbox,
    pace::{DiskWork, Pace},
    pieces::Pieces,
    recovered::Found,
    room::Room,
    snapshots::{SnapshotOrder, Snapshots},
};
use crate::{components::Now, server::hlc_bound::HlcBound};
use proto::{
    hlc::Clock,
    id::{BootId, NodeId, RegionId, ShardId, StoreId},
};
use raft::registry::{Catalog, span::Span};
use replication::{
    Budget, Configuration, Context, Effect, Event, Message, Micros, Proposal, Replica,
    planted::Planted, replica::Identity, write::ReplyTo,
};
use std::{
    collections::{BTreeMap, VecDeque},
    ops::Range,
    sync::Arc,
    time::Duration,
};
use store::{Batch, Writer};
use tokio::sync::mpsc;

/// Ticks in about a second.
const TICKS_PER_SECOND: u64 = 40;

/// Who this node is to its shards.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Its region.
    pub region: RegionId,
    /// Its id.
    pub node: NodeId,
    /// Its disk.
    pub store: StoreId,
    /// Its run.
    pub boot: BootId,
}

/// A change that a primary proposes to the regional group.
#[derive(Debug)]
pub struct Proposed {
    /// The shard.
    pub shard: ShardId,
    /// The change.
    pub proposal: Proposal,
}

/// What a step asked for, or what carrying that out led to.
#[derive(Debug)]
pub(super) enum Work {
    Effect(Effect),
    Event(Event),
}

/// A part whose caller waits.
pub(super) struct Open {
    pub(super) write: PartWrite,
    pub(super) pieces: Pieces,
}

/// A piece of a part, given to its shard's core.
pub(super) struct Waiting {
    /// Of which part.
    pub(super) part: u64,
    pub(super) piece: u16,
    /// Which of the part's rows.
    pub(super) rows: Range<usize>,
    pub(super) tries: u8,
}

/// See the module.
pub struct Driver {
    pub(super) place: Place,
    pub(super) writer: Writer,
    pub(super) clock: Clock,
    pub(super) bound: HlcBound,
    pub(super) budget: Budget,
    pub(super) replicas: BTreeMap<ShardId, Replica>,
    pub(super) catalog: Arc<Catalog>,
    pub(super) outbox: Outbox,
    pub(super) proposals: mpsc::UnboundedSender<Proposed>,
    pub(super) now: Now,
    pub(super) board: Board,
    planted: Planted,
    pub(super) parts: BTreeMap<u64, Open>,
    pub(super) next_part: u64,
    pub(super) waiting: BTreeMap<ReplyTo, Waiting>,
    pub(super) next_reply: u64,
    pub(super) max_future: Duration,
    pub(super) room: Room,
    /// Tickets of groups that are not synced yet.
    pub(super) unsynced: Tickets,
    /// What is to be done next; an effect's own consequences come after all that was asked before.
    pub(super) work: VecDeque<(ShardId, Work)>,
    pub(super) snapshots: Snapshots,
    pub(super) holds: Holds,
    /// The same of groups that are not written yet, where that is told.
    pub(super) unwritten: Tickets,
    pub(super) disk: DiskWork,
    /// What is written and waits for its sync.
    pub(super) written: Option<Batch>,
    is_working: bool,
    ticks: u64,
    pub(super) links: Links,
    pub(super) broken: Option<String>,
}

/// What a driver is made of.
pub struct Parts {
    /// Who the node is.
    pub place: Place,
    /// The store's writer.
    pub writer: Writer,
    /// The clock, at its bound.
    pub clock: Clock,
    /// The bound's file.
    pub bound: HlcBound,
    /// What the store found of each shard.
    pub recovered: Found,
    /// The definitions.
    pub catalog: Arc<Catalog>,
    /// Where messages to peers go.
    pub outbox: Outbox,
    /// Where proposals go.
    pub proposals: mpsc::UnboundedSender<Proposed>,
    /// Where snapshots are ordered.
    pub snapshots: mpsc::UnboundedSender<SnapshotOrder>,
    /// The time.
    pub now: Now,
    /// Where readers see how the shards stand.
    pub board: Board,
    /// What streams to and from other regions are made of.
    pub links: LinkParts,
    /// When what is written is synced.
    pub pace: Pace,
    /// The rule that a test took out.
    pub planted: Planted,
}

impl Driver {
    /// A driver with a replica for each shard that the store holds.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts {
            place,
            writer,
            clock,
            bound,
            recovered,
            catalog,
            outbox,
            proposals,
            snapshots,
            now,
            board,
            links,
            pace,
            planted,
        } = parts;
        let max_future = catalog
            .founding()
            .map_or(proto::limits::MAX_FUTURE, |founding| {
                Duration::from_millis(founding.max_future_millis)
            });
        let mut driver = Self {
            place,
            writer,
            clock,
            bound,
            budget: Budget::default(),
            replicas: BTreeMap::new(),
            catalog: Arc::clone(&catalog),
            outbox,
            proposals,
            now,
            board,
            planted,
            parts: BTreeMap::new(),
            next_part: 0,
            waiting: BTreeMap::new(),
            next_reply: 0,
            max_future,
            room: Room::default(),
            unsynced: VecDeque::new(),
            work: VecDeque::new(),
            snapshots: Snapshots::new(snapshots),
            holds: Holds::default(),
            unwritten: VecDeque::new(),
            disk: DiskWork::new(pace),
            written: None,
            is_working: false,
            ticks: 0,
            links: Links::new(links, place.region, place.node, place.boot),
            broken: None,
        };
        driver.learn(catalog);
        for (shard, recovered) in recovered.shards {
            driver.open(shard, recovered);
        }
        for shard in recovered.damaged {
            driver.note_damaged(shard);
        }
        driver
    }

    fn open(&mut self, shard: ShardId, recovered: replication::Recovered) {
        let Place {
            region,
            node,
            store,
            boot,
        } = self.place;
        let me = Identity {
            shard,
            region,
            node,
            store,
            boot,
        };
        let now = replication_now(self.now);
        let mut context = Context {
            now,
            clock: &mut self.clock,
            budget: &mut self.budget,
        };
        let mut replica = Replica::open(me, recovered, &mut context);
        replica.plant(self.planted);
        self.replicas.insert(shard, replica);
    }

    /// Its core stays out of everything until a snapshot takes the place of what is left.
    fn note_damaged(&mut self, shard: ShardId) {
        tracing::error!(
            %shard,
            "the shard has lost on this disk what was durable, and waits for a copy from another replica; if \
             there is none, keep the directory, restore the disk's content, and start again"
        );
        self.step(shard, Event::StoreDamaged);
    }

    /// Takes one input.
    pub fn take(&mut self, input: Input, now: Now) {
        self.now = now;
        match input {
            Input::Write(write) => self.write(write),
            Input::Messages { from, messages } => self.messages(from, messages),
            Input::Configurations(configurations) => self.configure(configurations),
            Input::Catalog(catalog) => self.learn(catalog),
            Input::PeerUp(node) => self.tell_all(&Event::PeerUp(node)),
            Input::PeerDown(node) => self.tell_all(&Event::PeerDown(node)),
            Input::Written(Ok(batch)) => self.batch_written(batch),
            Input::Synced(Ok(synced)) => self.synced(synced),
            Input::Written(Err(fault)) | Input::Synced(Err(fault)) => {
                self.broken = Some(format!("the disk failed: {fault}"));
            }
            Input::NearlyFull(nodes) => self.room.nearly_full = nodes,
            Input::Link(input) => self.link(input),
            Input::Snapshot(input) => self.snapshot(input),
            Input::Tick => self.tick(),
            Input::Report(asker) => {
                // An asker that went away is no fault.
                let _ = asker.send(self.report());
            }
            Input::Stop(done) => {
                let _ = done.send(());
            }
        }
    }

    /// Why the process must stop, once it must.
    #[must_use]
    pub fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    /// Messages whose rows are of schemas not known here wait until their sender says them again:
    /// definitions are on their way.
    fn messages(&mut self, from: NodeId, messages: Vec<(ShardId, Message)>) {
        for (shard, message) in messages {
            if !self.replicas.contains_key(&shard) {
                self.open(shard, replication::Recovered::default());
            }
            if super::effects::is_understood(&message, &self.catalog) {
                self.step(shard, Event::Message { from, message });
            } else {
                tracing::info!(%shard, %from, "entries of a schema not known here yet wait");
            }
        }
    }

    fn configure(&mut self, configurations: Vec<(ShardId, Configuration)>) {
        let me = self.place.node;
        for (shard, configuration) in configurations {
            let names_me = configuration.members().any(|(member, _)| member.node == me);
            if !self.replicas.contains_key(&shard) {
                if !names_me {
                    continue;
                }
                self.open(shard, replication::Recovered::default());
            }
            tracing::info!(
                %shard,
                epoch = configuration.fence.epoch.0,
                primary = configuration.primary.node.0,
                boot = configuration.primary.boot.0,
                in_sync = configuration.in_sync.len(),
                "a shard is configured"
            );
            self.step(shard, Event::Configuration(configuration));
        }
    }

    fn tell_all(&mut self, event: &Event) {
        self.tell(|_| true, event);
    }

    fn tell(&mut self, whom: impl Fn(&Replica) -> bool, event: &Event) {
        let told = self.replicas.iter().filter(|(_, replica)| whom(replica));
        let shards: Vec<ShardId> = told.map(|(shard, _)| *shard).collect();
        for shard in shards {
            self.step(shard, event.clone());
        }
    }

    fn tick(&mut self) {
        self.raise_bound_early();
        self.tick_links();
        self.tell(Replica::minds_time, &Event::Tick);
        self.publish();
        self.ticks += 1;
        if self.ticks.is_multiple_of(TICKS_PER_SECOND) {
            self.each_second();
        }
    }

    /// Newer definitions: what tombstones and floors go by.
    pub(super) fn learn(&mut self, catalog: Arc<Catalog>) {
        for known in catalog.views() {
            let view = &known.view;
            self.writer
                .store()
                .set_max_late(view.id, view.collect_late.span().map(Span::duration));
            if view.floor > self.writer.store().floor(view.id)
                && let Err(error) = self.writer.set_floor(view.id, view.floor)
            {
                self.broken = Some(error.to_string());
            }
        }
        self.catalog = catalog;
        self.relearn_streams();
    }

    /// Steps one core, and carries out what it asks for and all that follows from that.
    pub(super) fn step(&mut self, shard: ShardId, event: Event) {
        self.work.push_back((shard, Work::Event(event)));
        if self.is_working {
            return;
        }
        self.is_working = true;
        while let Some((shard, work)) = self.work.pop_front().filter(|_| self.broken.is_none()) {
            match work {
                Work::Event(event) => self.step_core(shard, event),
                Work::Effect(effect) => {
                    if let Err(fault) = self.carry_out(shard, effect) {
                        self.broken = Some(fault);
                    }
                }
            }
        }
        self.is_working = false;
    }

    fn step_core(&mut self, shard: ShardId, event: Event) {
        let Some(replica) = self.replicas.get_mut(&shard) else {
            return;
        };
        let mut effects = Vec::new();
        let now = replication_now(self.now);
        let mut context = Context {
            now,
            clock: &mut self.clock,
            budget: &mut self.budget,
        };
        replica.step(&mut context, event, &mut effects);
        self.note_role(shard);
        // Before anything that other events led to: a core's effects are one step.
        for effect in effects.into_iter().rev() {
            self.work.push_front((shard, Work::Effect(effect)));
        }
    }
}

/// The time as replication counts it.
pub(super) fn replication_now(now: Now) -> replication::Now {
    replication::Now {
        monotonic: Micros(now.monotonic_micros()),
        wall_millis: now.wall_millis(),
    }
}
