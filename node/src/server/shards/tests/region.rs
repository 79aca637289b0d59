//! The regional group's part in these tests: one configuration, changed by compare-and-set, told to
//! all nodes.

use super::node::SHARD;
use crate::server::{
    repair::Members,
    shards::{Input, Proposed},
};
use parking_lot::Mutex;
use proto::id::{BootId, Epoch, Incarnation, NodeId, Revision};
use replication::{Configuration, Fence, Member, Primary, Proposal};
use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::mpsc;

struct State {
    configuration: Configuration,
    placed: Vec<Member>,
    followers: BTreeMap<NodeId, mpsc::Sender<Input>>,
}

/// See the module. Clones are one.
#[derive(Clone)]
pub struct Region(Arc<Mutex<State>>);

impl Region {
    /// A shard of `in_sync`, whose first member leads.
    pub fn new(in_sync: &[Member], boot: BootId) -> Self {
        let fence = Fence {
            incarnation: Incarnation(1),
            epoch: Epoch(1),
        };
        let configuration = Configuration {
            fence,
            revision: Revision(1),
            primary: Primary {
                node: in_sync[0].node,
                boot,
            },
            in_sync: in_sync.to_vec(),
            min_in_sync: 1,
            copies: 2,
            joining: Vec::new(),
            observing: Vec::new(),
        };
        Self(Arc::new(Mutex::new(State {
            configuration,
            placed: in_sync.to_vec(),
            followers: BTreeMap::new(),
        })))
    }

    pub fn configuration(&self) -> Configuration {
        self.0.lock().configuration.clone()
    }

    /// The nodes in sync besides `me`, whenever they are asked for.
    pub fn members_but(&self, me: NodeId) -> Members {
        let region = self.clone();
        Arc::new(move |_| {
            let in_sync = region.configuration().in_sync.into_iter();
            let nodes = in_sync.map(|member| member.node);
            nodes.filter(|node| *node != me).collect()
        })
    }

    /// `node` hears of the configuration from now on.
    pub async fn follow(&self, node: NodeId, inputs: mpsc::Sender<Input>) {
        let configuration = {
            let mut state = self.0.lock();
            state.followers.insert(node, inputs.clone());
            state.configuration.clone()
        };
        tell(&inputs, configuration).await;
    }

    /// Says which replicas there are to be; those not in sync are to join.
    pub async fn place(&self, placed: &[Member]) {
        self.change(|state| {
            state.placed = placed.to_vec();
            true
        })
        .await;
    }

    /// A member leaves, and is placed here no more.
    pub async fn remove(&self, leaver: Member) {
        self.change(|state| {
            state.placed.retain(|member| *member != leaver);
            state
                .configuration
                .in_sync
                .retain(|member| *member != leaver);
            state.configuration.fence.epoch.0 += 1;
            true
        })
        .await;
    }

    /// A person gives up what only lost replicas had: `survivor` goes on alone, in the next incarnation.
    pub async fn accept_loss(&self, survivor: Member, boot: BootId) {
        self.change(|state| {
            let configuration = &mut state.configuration;
            configuration.fence.incarnation.0 += 1;
            configuration.fence.epoch.0 += 1;
            configuration.primary = Primary {
                node: survivor.node,
                boot,
            };
            configuration.in_sync = vec![survivor];
            state.placed = vec![survivor];
            true
        })
        .await;
    }

    /// Makes an in-sync member the primary.
    pub async fn promote(&self, primary: Primary) {
        self.change(|state| {
            state.configuration.primary = primary;
            state.configuration.fence.epoch.0 += 1;
            true
        })
        .await;
    }

    /// Carries out what primaries propose.
    pub async fn propose_all(self, mut proposals: mpsc::UnboundedReceiver<Proposed>) {
        while let Some(Proposed { proposal, .. }) = proposals.recv().await {
            self.change(|state| accept(&mut state.configuration, proposal))
                .await;
        }
    }

    async fn change(&self, change: impl FnOnce(&mut State) -> bool) {
        let (configuration, followers) = {
            let mut state = self.0.lock();
            if !change(&mut state) {
                return;
            }
            let State {
                configuration,
                placed,
                followers,
            } = &mut *state;
            let joins = |member: &&Member| !configuration.in_sync.contains(member);
            configuration.joining = placed.iter().filter(joins).copied().collect();
            configuration.revision.0 += 1;
            (configuration.clone(), followers.clone())
        };
        for inputs in followers.values() {
            tell(inputs, configuration.clone()).await;
        }
    }
}

fn accept(configuration: &mut Configuration, proposal: Proposal) -> bool {
    let is_known = |member: &Member| configuration.standing(*member).is_some();
    if proposal.expected != configuration.fence || !proposal.in_sync.iter().all(is_known) {
        return false;
    }
    configuration.fence.epoch.0 += 1;
    configuration.primary = proposal.primary;
    configuration.in_sync = proposal.in_sync;
    true
}

async fn tell(inputs: &mpsc::Sender<Input>, configuration: Configuration) {
    // A node that is down hears of it when it starts.
    let _ = inputs
        .send(Input::Configurations(vec![(SHARD, configuration)]))
        .await;
}
