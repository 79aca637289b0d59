//! The node's shards, put to work on what the store holds of them.

use super::{StartError, files::Files, links::Wires, peering::Peering};
use crate::{
    components::Components,
    peer::{Me, Mesh},
    server::{
        admin::lags::Lags,
        audits::Audits,
        confirmations::{ConfirmationDesk, Confirmations},
        fetch::{OwnShards, TakenFetches},
        global::Global,
        metadata::Metadata,
        methods::Call,
        peers::Peers,
        reads::Reader,
        region::RegionView,
        regional::{REPORTS_QUEUED, Regional},
        repair::{Repairs, TakenRepairs},
        rosters::Rosters,
        running::Background,
        scans::TakenScans,
        shards::{
            self, Board, Driver, Input, LinkParts, Outbox, Pace, Parts, Place, Proposed,
            SnapshotOrder,
        },
        snapshots::{self, Progress},
        streams::Streams,
    },
    settings::NodeSettings,
};
use proto::id::RegionId;
use raft::{group::Blocking, placement::Placement};
use std::sync::Arc;
use store::Store;
use tokio::sync::{mpsc, watch};

/// See the module.
pub(super) struct Held {
    pub(super) inputs: mpsc::Sender<Input>,
    pub(super) mesh: Arc<Mesh>,
    peers: Arc<Peers>,
    pub(super) store: Arc<Store>,
    pub(super) board: Board,
    pub(super) own: OwnShards,
    pub(super) region: RegionView,
    pub(super) end: watch::Receiver<Option<Option<String>>>,
    pub(super) progress: Progress,
    pub(super) streams: Streams,
    /// What other regions hold of what this node's shards shipped.
    pub(super) confirmations: Confirmations,
}

/// Puts the shards to work on what the store holds of them.
pub(super) async fn hold_shards(
    own @ (settings, components): (&NodeSettings, &Components),
    files: Files,
    peering: Peering,
    (groups, global, rosters): (&Metadata, &Global, &Rosters),
    background: &mut Background,
) -> Result<Held, StartError> {
    let Peering {
        me,
        mesh,
        peers,
        inputs,
        queue,
        progress,
        leaving,
        ..
    } = peering;
    let (store, writer, recovered) = files.store;
    let (proposals, proposed) = mpsc::unbounded_channel();
    let way = (&mesh, &peers, &inputs);
    let orders = send_snapshots(components.place, way, &progress, background);
    let around = (global, rosters, &inputs);
    let (wires, links, confirmations) = wire(own, (&me, &peers), groups.region, around).await?;
    let board = Board::default();
    let driver = Driver::new(Parts {
        place: Place {
            region: groups.region,
            node: me.node,
            store: files.store_id,
            boot: me.boot,
        },
        writer,
        clock: files.clock,
        bound: files.bound,
        recovered: shards::of_store(&store, recovered.shards, groups.region)
            .map_err(StartError::Recover)?,
        catalog: global.catalog(),
        outbox: Outbox::new(Arc::clone(&mesh)),
        proposals,
        snapshots: orders,
        now: components.clock.now(),
        board: board.clone(),
        links,
        pace: Pace::of(&settings.store),
        planted: components.planted,
    });
    let end = run(driver, (inputs.clone(), queue), components, background);
    background.keep_store(Arc::clone(&store), board.clone(), components.place);
    let regional = place(components, groups, (&me, &mesh, &inputs), &leaving);
    let (streams, placements) = follow_region(regional, &peers, proposed, background);
    let own = offer_reads(own, (&me, &peers), (&store, &board), global);
    let name = settings.node.region.to_string();
    let region = RegionView::new(me.node, groups.region, name, placements);
    repair_rows(components, (&mesh, &peers), (&store, &region), background);
    let way = (&mesh, global, &inputs);
    wires.serve(way, (&store, &region), components.place, background);
    Ok(Held {
        inputs,
        mesh,
        peers,
        store,
        board,
        own,
        region,
        end,
        progress,
        streams,
        confirmations,
    })
}

/// This node's way to other regions, what the shards' links are made of, and what others confirm of them.
async fn wire(
    own: (&NodeSettings, &Components),
    (me, peers): (&Me, &Peers),
    region: RegionId,
    (global, rosters, inputs): (&Global, &Rosters, &mpsc::Sender<Input>),
) -> Result<(Wires, LinkParts, Confirmations), StartError> {
    let confirmations = confirmations(peers);
    let wires = Wires::open(own, me, (global, rosters)).await?;
    let links = wires.parts(own, (me, region), (global, inputs), &confirmations);
    Ok((wires, links, confirmations))
}

/// What other regions confirm; gateways of other nodes may ask for it.
fn confirmations(peers: &Peers) -> Confirmations {
    let confirmations = Confirmations::default();
    let desk = ConfirmationDesk(confirmations.clone());
    peers.offer(Call::Confirmations, Arc::new(desk));
    confirmations
}

/// Sends what primaries order to be sent; gives where they order it.
fn send_snapshots(
    place: Blocking,
    (mesh, peers, inputs): (&Arc<Mesh>, &Arc<Peers>, &mpsc::Sender<Input>),
    progress: &Progress,
    background: &mut Background,
) -> mpsc::UnboundedSender<SnapshotOrder> {
    let (orders, ordered) = mpsc::unbounded_channel();
    let (mesh, inputs) = (Arc::clone(mesh), inputs.clone());
    let sent = (ordered, progress.clone());
    background.spawn(snapshots::start(mesh, peers, inputs, sent, place));
    orders
}

impl Held {
    /// Lets other nodes compare their rows with this node's, and this one theirs.
    pub(super) fn offer_audits(&self, rosters: &Rosters, place: Blocking) -> Audits {
        let rows = (Arc::clone(&self.store), self.own.clone());
        let around = (self.region.clone(), rosters.clone());
        let audits = Audits::new(rows, around, Arc::clone(&self.mesh), place);
        self.peers.offer(Call::Digest, Arc::new(audits.clone()));
        audits
    }

    /// Lets other nodes ask how far this node can be behind each region, and this one ask them.
    pub(super) fn offer_lag(&self, global: &Global, components: &Components) -> Lags {
        let regions = (self.region.id(), global.catalogs());
        let own = (self.board.clone(), self.streams.clone());
        let (mesh, clock) = (Arc::clone(&self.mesh), Arc::clone(&components.clock));
        let lags = Lags::new(regions, own, mesh, clock);
        self.peers.offer(Call::Lag, Arc::new(lags.clone()));
        lags
    }
}

/// Starts the driver and what wakes it; says when it ends and why.
fn run(
    driver: Driver,
    (inputs, queue): (mpsc::Sender<Input>, mpsc::Receiver<Input>),
    components: &Components,
    background: &mut Background,
) -> watch::Receiver<Option<Option<String>>> {
    let (ended, end) = watch::channel(None);
    let tell = move |fault: Option<String>| drop(ended.send(Some(fault)));
    background.spawn(shards::run::tick(inputs.clone()));
    shards::run::start(
        driver,
        (inputs, queue),
        Arc::clone(&components.clock),
        components.place,
        tell,
    );
    end
}

/// Lets gateways of other nodes read this node's shards, as its own does, and whole views of them.
fn offer_reads(
    (settings, components): (&NodeSettings, &Components),
    (me, peers): (&Me, &Peers),
    (store, board): (&Arc<Store>, &Board),
    global: &Global,
) -> OwnShards {
    let reader = (Reader::new(Arc::clone(store)), board.clone());
    let Components { clock, place, .. } = components;
    let own = OwnShards::new(reader, global.catalogs(), Arc::clone(clock), *place);
    let cluster = me.cluster.cluster();
    let cluster = cluster.expect("metadata comes with a cluster");
    let slow = settings.log.slow_lookup();
    let taken = TakenFetches::new(cluster, own.clone(), slow, clock);
    peers.offer(Call::Fetch, Arc::new(taken));
    let scans = TakenScans::new(Arc::clone(store), own.clone(), Arc::clone(clock), *place);
    peers.offer(Call::Scan, Arc::new(scans));
    own
}

/// Asks other nodes for rows that this one cannot read, and gives them those that they cannot.
fn repair_rows(
    components: &Components,
    (mesh, peers): (&Arc<Mesh>, &Peers),
    (store, region): (&Arc<Store>, &RegionView),
    background: &mut Background,
) {
    let place = components.place;
    let taken = TakenRepairs::new(Arc::clone(store), place);
    peers.offer(Call::Repair, Arc::new(taken));
    let region = region.clone();
    let members = Arc::new(move |shard| region.others_in_sync(shard));
    let repairs = Repairs::new(Arc::clone(store), Arc::clone(mesh), members, place);
    background.spawn(repairs.run());
}

/// What drives the region's placement: what is in it goes to the shards, and what they want to it.
fn place(
    components: &Components,
    groups: &Metadata,
    (me, mesh, shards): (&Me, &Arc<Mesh>, &mpsc::Sender<Input>),
    leaving: &watch::Sender<bool>,
) -> Regional {
    Regional {
        group: groups.regional.clone(),
        global: groups.global.clone(),
        node: me.node,
        boot: me.boot,
        shards: shards.clone(),
        mesh: Arc::clone(mesh),
        clock: Arc::clone(&components.clock),
        leaving: leaving.subscribe(),
        streams: Streams::default(),
    }
}

/// Starts it; gives the shard map to follow.
fn follow_region(
    regional: Regional,
    peers: &Peers,
    proposed: mpsc::UnboundedReceiver<Proposed>,
    background: &mut Background,
) -> (Streams, watch::Receiver<Arc<Placement>>) {
    let (reporters, reports) = mpsc::channel(REPORTS_QUEUED);
    peers.send_reports_to(reporters);
    let streams = regional.streams.clone();
    (streams, regional.start(proposed, reports, background))
}
