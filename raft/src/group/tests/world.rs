//! Members of a group in one process: a network of calls that can be cut, disks that lose power.

use crate::{
    group::{
        Blocking, CallError, Group, GroupFiles, GroupId, GroupSettings, GroupTiming, Peer,
        PeerNetwork, RaftRequest, RaftResponse, applied::MemoryState, network::CallFuture,
    },
    placement::{Placement, PlacementCommand, state::Policy},
};
use parking_lot::Mutex;
use proto::id::{NodeId, RegionId};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use store::disk::FaultDisk;

/// Long in simulated time, which costs nothing.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Default)]
struct Wires {
    members: BTreeMap<NodeId, Group<Placement>>,
    cut_off: BTreeSet<NodeId>,
}

pub(super) struct World {
    wires: Arc<Mutex<Wires>>,
    disks: BTreeMap<NodeId, FaultDisk>,
}

/// One member's way to the others.
struct Wire {
    from: NodeId,
    wires: Arc<Mutex<Wires>>,
}

impl PeerNetwork for Wire {
    fn call(&self, target: NodeId, _: &Peer, _: GroupId, request: RaftRequest) -> CallFuture {
        let (from, wires) = (self.from, Arc::clone(&self.wires));
        Box::pin(async move {
            let unreachable = || CallError::Unreachable(target, "it is cut off".into());
            tokio::time::sleep(Duration::from_millis(2)).await;
            let member = {
                let wires = wires.lock();
                let cut = wires.cut_off.contains(&from) || wires.cut_off.contains(&target);
                (!cut)
                    .then(|| wires.members.get(&target).cloned())
                    .flatten()
            };
            // Messages travel as bytes here too, so that their encoding is tried with all of them.
            let request =
                RaftRequest::decode(&request.encode()).expect("what was encoded reads back");
            let answer = member.ok_or_else(unreachable)?.serve(request).await;
            tokio::time::sleep(Duration::from_millis(2)).await;
            if wires.lock().cut_off.contains(&target) {
                return Err(CallError::Failed(target, "it was cut off".into()));
            }
            Ok(RaftResponse::decode(&answer.encode()).expect("what was encoded reads back"))
        })
    }
}

impl World {
    pub(super) fn new(nodes: u64) -> Self {
        let disks = (1..=nodes)
            .map(|node| (NodeId(node), FaultDisk::new(node)))
            .collect();
        Self {
            wires: Arc::default(),
            disks,
        }
    }

    /// A node's way to the others.
    pub(super) fn wire(&self, from: NodeId) -> Arc<dyn PeerNetwork> {
        Arc::new(Wire {
            from,
            wires: Arc::clone(&self.wires),
        })
    }

    pub(super) fn peers(&self, nodes: &[u64]) -> BTreeMap<NodeId, Peer> {
        let peer = |node: &u64| Peer {
            address: format!("node-{node}:1"),
            place: format!("z{node}"),
        };
        nodes
            .iter()
            .map(|node| (NodeId(*node), peer(node)))
            .collect()
    }

    pub(super) async fn start(&self, node: u64) -> Group<Placement> {
        let node = NodeId(node);
        let files = GroupFiles {
            disk: Arc::new(self.disks[&node].clone()),
            directory: "raft".into(),
            applied: Box::new(MemoryState),
            blocking: Blocking::Inline,
        };
        let settings = GroupSettings {
            timing: GroupTiming {
                heartbeat: Duration::from_millis(50),
                election: Duration::from_millis(500),
            },
            snapshot_every: 50,
            keep_behind_snapshot: 10,
            snapshot_piece_bytes: 100,
            segment_bytes: 32 << 10,
        };
        let wire = self.wire(node);
        let group = Group::start(GroupId::Global, node, files, settings, wire)
            .await
            .unwrap();
        self.wires.lock().members.insert(node, group.clone());
        group
    }

    pub(super) async fn found(&self, nodes: &[u64]) -> Vec<Group<Placement>> {
        let mut groups = Vec::new();
        for node in nodes {
            groups.push(self.start(*node).await);
        }
        groups[0].found(self.peers(nodes)).await.unwrap();
        groups
    }

    pub(super) fn cut_off(&self, node: NodeId) {
        self.wires.lock().cut_off.insert(node);
    }

    pub(super) fn heal(&self) {
        self.wires.lock().cut_off.clear();
    }

    /// Power is lost: the member ends as it is, and its disk forgets what was not synced.
    pub(super) async fn crash(&self, node: NodeId) {
        let group = self.wires.lock().members.remove(&node);
        self.disks[&node].crash();
        if let Some(group) = group {
            group.stop().await;
        }
    }
}

/// A command whose number can be read back from the state.
pub(super) fn command(number: u64) -> PlacementCommand {
    PlacementCommand::Follow(Policy {
        region: RegionId(1),
        group: 1,
        shards: 8,
        copies: u8::try_from(number % 200 + 1).unwrap(),
        min_in_sync: 1,
        named_by_boot: false,
    })
}

/// Waits until all have applied the same, and gives the index.
pub(super) async fn settle(groups: &[Group<Placement>]) -> u64 {
    let index = groups
        .iter()
        .map(|group| group.committed().index)
        .max()
        .unwrap();
    for group in groups {
        let caught_up = group
            .wait(PATIENCE, |status| status.applied_index >= index)
            .await;
        assert!(
            caught_up.is_some(),
            "{:?} stays behind {index}",
            group.status()
        );
    }
    let states: Vec<_> = groups.iter().map(|group| group.committed().state).collect();
    assert!(
        states.iter().all(|state| *state == states[0]),
        "states differ"
    );
    index
}

pub(super) async fn leader_of(groups: &[Group<Placement>]) -> Group<Placement> {
    let known = groups[0]
        .wait(PATIENCE, |status| status.leader.is_some())
        .await
        .expect("someone leads");
    groups
        .iter()
        .find(|group| Some(group.status().node) == known.leader)
        .expect("it is one of these")
        .clone()
}
