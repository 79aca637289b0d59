//! The node among others: its lanes and its listener, and what it answers them.

use super::StartError;
use crate::{
    components::{Components, Home, Listener},
    peer::{self, Me, Membership, Mesh},
    security::Security,
    server::{
        admin::positions::Positions,
        clocks::{ClockDesk, Clocks},
        enrolment::{self, AuthorityDesk, EnrolDesk, Enrolment, RenewDesk, Signing},
        founding::{Asked, InitDesk},
        global::Global,
        gossip::liveness::Liveness,
        growth::Growth,
        joining::JoinDesk,
        metadata::Metadata,
        methods::Call,
        peers::{Groups, Peers},
        registration,
        remote_writes::TakenWrites,
        rosters::{RosterDesk, Rosters},
        running::Background,
        shards::{self, Input},
        snapshots::Progress,
        states::States,
    },
    settings::NodeSettings,
};
use proto::id::{BootId, ClusterId};
use raft::placement::Member;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

/// How the node speaks with others.
pub(super) struct Peering {
    pub(super) me: Me,
    pub(super) mesh: Arc<Mesh>,
    pub(super) peers: Arc<Peers>,
    pub(super) groups: Arc<Groups>,
    pub(super) inputs: mpsc::Sender<Input>,
    pub(super) queue: mpsc::Receiver<Input>,
    pub(super) progress: Progress,
    pub(super) clocks: Clocks,
    /// Whether this process is about to stop.
    pub(super) leaving: watch::Sender<bool>,
}

impl Peering {
    /// The cluster.
    ///
    /// # Panics
    /// If the node has no metadata yet.
    pub(super) fn cluster(&self) -> ClusterId {
        let cluster = self.me.cluster.cluster();
        cluster.expect("metadata comes with a cluster")
    }

    /// Takes calls of `atoll init`, until nobody receives them any more.
    pub(super) fn take_inits(&self) -> mpsc::Receiver<Asked> {
        let (asked, inits) = mpsc::channel(1);
        let me = self.me.clone();
        self.peers
            .offer(Call::Init, Arc::new(InitDesk { asked, me }));
        inits
    }

    /// Lets gateways of other nodes write to this node's shards.
    pub(super) fn offer_writes(&self, global: &Global, components: &Components) {
        let clock = Arc::clone(&components.clock);
        let taken = TakenWrites::new(self.inputs.clone(), global.catalogs(), clock);
        self.peers.offer(Call::Write, Arc::new(taken));
    }

    /// Lets other nodes ask how far this node's replicas are, and this one ask them.
    pub(super) fn offer_positions(&self) -> Positions {
        let (inputs, mesh) = (self.inputs.clone(), Arc::clone(&self.mesh));
        let positions = Positions::new(inputs, mesh, self.progress.clone());
        let answering = Arc::new(positions.clone());
        self.peers.offer(Call::Positions, answering);
        positions
    }
}

/// Listens for other nodes, as a member of the cluster that the directory belongs to, if any.
pub(super) fn connect(
    components: &Components,
    home: &dyn Home,
    listener: Box<dyn Listener>,
    background: &mut Background,
) -> Result<Peering, StartError> {
    let me = Me {
        cluster: Membership::default(),
        node: home.node(),
        boot: BootId(components.entropy.id()),
        security: Security::default(),
    };
    enrolment::take_up(&me.security, home, &components.clock)?;
    let (inputs, queue) = mpsc::channel(shards::run::QUEUE_INPUTS);
    let groups = Arc::new(Groups::default());
    let handler = Arc::new(Peers::new(Arc::clone(&groups), inputs.clone()));
    let mesh = Arc::new(Mesh::new(
        me.clone(),
        Arc::clone(&components.network),
        handler.clone(),
    ));
    let (peers, own) = (Arc::clone(&handler), me.clone());
    let answering = peers.answering();
    background.spawn(async move {
        drop(peer::serve(listener, own, handler).await);
        drop(answering);
    });
    Ok(Peering {
        me,
        mesh,
        peers,
        groups,
        inputs,
        queue,
        progress: Progress::default(),
        clocks: Clocks::default(),
        leaving: watch::Sender::new(false),
    })
}

/// Lets other nodes find the groups here, and join.
pub(super) fn take_part(
    (settings, components): (&NodeSettings, &Components),
    peering: &Peering,
    (groups, home): (&Metadata, &Arc<dyn Home>),
    background: &mut Background,
) -> Result<Rosters, StartError> {
    let (me, peers) = (&peering.me, &peering.peers);
    let (global, regional) = (groups.global.clone(), groups.regional.clone());
    let rosters = Rosters::new(groups.region, global.clone(), regional.clone());
    let states = States {
        global: global.clone(),
        regional: regional.clone(),
    };
    peers.offer(Call::State, Arc::new(states));
    let clock = &components.clock;
    peers.offer(Call::Clock, Arc::new(ClockDesk(Arc::clone(clock))));
    let (clocks, mesh) = (peering.clocks.clone(), Arc::clone(&peering.mesh));
    background.spawn(clocks.follow(regional.clone(), mesh, Arc::clone(clock)));
    let desk = JoinDesk {
        me: me.clone(),
        global: global.clone(),
        regional: regional.clone(),
        region: settings.node.region.to_string(),
        rosters: rosters.clone(),
    };
    peers.offer(Call::Join, Arc::new(desk));
    peers.offer(Call::Rosters, Arc::new(RosterDesk(rosters.clone())));
    background.spawn(rosters.clone().exchange(Arc::clone(&peering.mesh)));
    let mesh = Arc::clone(&peering.mesh);
    background.spawn(registration::tell_mesh(regional.clone(), mesh));
    background.spawn(registration::seek(
        settings.clone(),
        components.clone(),
        me.clone(),
        global,
        regional,
    ));
    let known = (groups, &rosters);
    enrol((settings, components), peering, (known, home), background)?;
    Ok(rosters)
}

/// Lets the global group grow, where this node leads it.
pub(super) fn grow(
    settings: &NodeSettings,
    (mesh, groups): (&Arc<Mesh>, &Metadata),
    (liveness, rosters): (Liveness, Rosters),
    background: &mut Background,
) {
    let growth = Growth {
        global: groups.global.clone(),
        regional: groups.regional.clone(),
        mesh: Arc::clone(mesh),
        region: settings.node.region.to_string(),
        liveness,
        rosters,
    };
    background.spawn(growth.keep());
}

/// Lets nodes join and renew their papers here, and looks after this node's own.
fn enrol(
    (settings, components): (&NodeSettings, &Components),
    peering: &Peering,
    ((groups, rosters), home): ((&Metadata, &Rosters), &Arc<dyn Home>),
    background: &mut Background,
) -> Result<(), StartError> {
    if !peering.me.security.has_papers() {
        return Ok(());
    }
    let enrolment = Enrolment {
        me: peering.me.clone(),
        global: groups.global.clone(),
        regional: groups.regional.clone(),
        rosters: rosters.clone(),
        mesh: Arc::clone(&peering.mesh),
        clock: Arc::clone(&components.clock),
        signing: Signing::of(&**home).map_err(StartError::Setting)?,
    };
    let peers = &peering.peers;
    peers.offer(Call::Enrol, Arc::new(EnrolDesk(enrolment.clone())));
    peers.offer(Call::Renew, Arc::new(RenewDesk(enrolment.clone())));
    peers.offer(Call::Authority, Arc::new(AuthorityDesk(enrolment.clone())));
    background.spawn(enrolment.keep(Arc::downgrade(home), settings.clone()));
    Ok(())
}

/// Keeps the node registered in its region; gives why it must stop, once it must.
pub(super) fn register(
    me: Member,
    groups: &Metadata,
    background: &mut Background,
) -> watch::Receiver<Option<String>> {
    let (fault, faults) = watch::channel(None);
    background.spawn(registration::keep(groups.regional.clone(), me, fault));
    faults
}
