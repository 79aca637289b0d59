//! This node in its region's placement: registered under its present run, and told to its peers.

use super::{consensus::Consensus, joining::ask_seeds};
use crate::{
    components::Components,
    peer::{Me, Mesh},
    settings::{NodeSettings, Role},
};
use proto::id::StoreId;
use raft::{
    placement::{
        Placement, PlacementCommand, PlacementOutcome,
        command::PlacementRefusal,
        state::{Addresses, Member},
    },
    registry::Registry,
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

/// How long one try to register waits for a quorum.
const PATIENCE: Duration = Duration::from_secs(2);
/// What is waited after a try that failed.
const PAUSE: Duration = Duration::from_millis(250);
/// How often it is looked whether the registration still stands, without a change.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// A group of which nothing is known is asked for at the seeds this often.
const SEEK_EVERY: Duration = Duration::from_secs(1);

/// The node as the region's placement names it.
#[must_use]
pub fn member(settings: &NodeSettings, me: &Me, store: StoreId) -> Member {
    let (listen, advertise) = (&settings.listen, settings.advertise.clone());
    let or = |advertised: Option<String>, listen: std::net::SocketAddr| {
        advertised.unwrap_or_else(|| listen.to_string())
    };
    let has = |role| settings.node.roles.contains(&role);
    Member {
        node: me.node,
        name: settings.node.name.clone(),
        boot: me.boot,
        store: has(Role::Node).then_some(store),
        zone: settings.node.zone.clone(),
        voter: has(Role::Voter),
        gateway: has(Role::Gateway),
        addresses: Addresses {
            grpc: or(advertise.grpc, listen.grpc),
            http: or(advertise.http, listen.http),
            peer: or(advertise.peer, listen.peer),
            link: or(advertise.link, listen.link),
            gossip: or(advertise.gossip, listen.gossip),
        },
        draining: false,
        fewer_copies: false,
    }
}

/// Keeps the node registered. A store that was retired ends the node: `fault` is told.
pub async fn keep(
    regional: Consensus<Placement>,
    own: Member,
    fault: watch::Sender<Option<String>>,
) {
    let mut states = regional.watch();
    let command = PlacementCommand::Register(own.clone());
    loop {
        let is_registered = stands(&states.borrow_and_update(), &own);
        if is_registered {
            // Either is a reason to look again.
            let _ = timeout(LOOK_EVERY, states.changed()).await;
            continue;
        }
        match regional.propose(&command, PATIENCE).await {
            Ok(applied) => match applied.outcome {
                PlacementOutcome::Done { .. } => {
                    let seen = states.wait_for(|placement| stands(placement, &own));
                    let _ = timeout(PATIENCE, seen).await;
                }
                PlacementOutcome::Refused {
                    refusal: refusal @ PlacementRefusal::StoreRetired(_),
                    ..
                } => {
                    fault.send_replace(Some(refusal.to_string()));
                    return;
                }
                PlacementOutcome::Refused { refusal, .. } => {
                    tracing::info!(%refusal, "this node is not registered yet");
                    sleep(PAUSE).await;
                }
            },
            Err(error) => {
                tracing::info!(%error, "this node is not registered yet");
                sleep(PAUSE).await;
            }
        }
    }
}

/// Whether the placement names the node as it is now. Who empties it is an operator's to say.
fn stands(placement: &Placement, own: &Member) -> bool {
    placement.members.get(&own.node).is_some_and(|known| {
        let own = Member {
            draining: known.draining,
            fewer_copies: known.fewer_copies,
            ..own.clone()
        };
        **known == own
    })
}

/// Tells the mesh where the region's nodes are.
pub async fn tell_mesh(regional: Consensus<Placement>, mesh: Arc<Mesh>) {
    let mut states = regional.watch();
    let me = mesh.me().node;
    loop {
        let placement = Arc::clone(&states.borrow_and_update());
        let others = placement
            .members
            .values()
            .filter(|member| member.node != me);
        mesh.know(
            others
                .map(|member| (member.node, member.addresses.peer.clone()))
                .collect(),
        );
        if states.changed().await.is_err() {
            return;
        }
    }
}

/// Asks the seeds for the groups while nobody is known who has part in them.
pub async fn seek(
    settings: NodeSettings,
    components: Components,
    me: Me,
    global: Consensus<Registry>,
    regional: Consensus<Placement>,
) {
    loop {
        sleep(SEEK_EVERY).await;
        if global.is_found() && regional.is_found() {
            continue;
        }
        match ask_seeds(&settings, &components, &me).await {
            Ok(directions) => {
                global.hear_of(directions.informed());
                global.hear(directions.global());
                regional.hear(directions.regional());
            }
            Err(why) => tracing::debug!(%why, "no seed knows the cluster's groups"),
        }
    }
}
