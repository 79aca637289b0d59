//! Placement on this node: the newest committed shard map goes to the shards, their primaries'
//! proposals go to the group, and on its leader the controller is driven.

use super::{
    region,
    shards::{Input, Proposed, ShardReport},
};
use crate::components::Clock;
use proto::id::{BootId, NodeId, ShardId};
use raft::{
    group::{Applied, Group, Peer, ProposeError},
    placement::{
        Controller, Effect, Event, Placement, PlacementCommand, PlacementOutcome, ShardChange,
        ShardConfig,
        controller::{ControllerSettings, Health, Leadership, LogEnd, Report},
        state::Replica,
    },
};
use replication::{Member, Proposal};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::interval,
};

/// How often a node tells how it is, and the controller looks.
const REPORT_EVERY: Duration = Duration::from_millis(200);
/// How long a proposal waits for a quorum.
const PATIENCE: Duration = Duration::from_secs(2);

/// The parts that placement works with.
#[derive(Clone)]
pub struct Regional {
    /// The group.
    pub group: Group<Placement>,
    /// This node and its run.
    pub node: NodeId,
    /// See [`BootId`].
    pub boot: BootId,
    /// The node's shards.
    pub shards: mpsc::Sender<Input>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

impl Regional {
    /// Starts the tasks; gives the shard map to follow.
    #[must_use]
    pub fn start(
        self,
        proposals: mpsc::UnboundedReceiver<Proposed>,
    ) -> watch::Receiver<Arc<Placement>> {
        let (sender, placements) = watch::channel(Arc::clone(&self.group.committed().state));
        tokio::spawn(self.clone().follow(sender));
        tokio::spawn(self.clone().propose_all(proposals));
        tokio::spawn(self.control());
        placements
    }

    /// Gives each newer shard map to the shards: only what changed in it.
    async fn follow(self, placements: watch::Sender<Arc<Placement>>) {
        let mut states = self.group.watch();
        let mut given: BTreeMap<ShardId, Arc<ShardConfig>> = BTreeMap::new();
        loop {
            let placement = Arc::clone(&states.borrow_and_update().state);
            let changed = placement.shards.iter().filter(|(shard, config)| {
                given
                    .get(shard)
                    .is_none_or(|known| !Arc::ptr_eq(known, config) && known != *config)
            });
            let configurations: Vec<_> = changed
                .map(|(shard, config)| (*shard, region::configuration(config, &placement)))
                .collect();
            given = placement.shards.clone();
            placements.send_replace(placement);
            if !configurations.is_empty()
                && self
                    .shards
                    .send(Input::Configurations(configurations))
                    .await
                    .is_err()
            {
                return;
            }
            if states.changed().await.is_err() {
                return;
            }
        }
    }

    /// Carries primaries' proposals to the group, each in a task of its own: one that waits for a
    /// quorum holds no other up. Cores make them again where nothing came of them.
    async fn propose_all(self, mut proposals: mpsc::UnboundedReceiver<Proposed>) {
        while let Some(Proposed { shard, proposal }) = proposals.recv().await {
            let placement = Arc::clone(&self.group.committed().state);
            let Some(config) = placement.shards.get(&shard) else {
                continue;
            };
            let change = change(config, &proposal);
            let expect = Some((proposal.expected.incarnation, proposal.expected.epoch));
            let command = PlacementCommand::Change {
                shard,
                expect,
                change,
            };
            let group = self.group.clone();
            tokio::spawn(async move { note(shard, &group.propose(&command, PATIENCE).await) });
        }
    }

    async fn control(self) {
        let mut controller = Controller::new(ControllerSettings::default());
        let (answered, mut answers) = mpsc::unbounded_channel();
        let mut states = self.group.watch();
        let mut ticks = interval(REPORT_EVERY);
        loop {
            let mut events = Vec::new();
            tokio::select! {
                _ = ticks.tick() => {
                    let status = self.group.status();
                    events.push(Event::Leading(if status.leads { Leadership::Leader } else { Leadership::Follower }));
                    events.push(Event::Voters(status.voters));
                    events.push(Event::Committed(Arc::clone(&states.borrow_and_update().state)));
                    match self.report().await {
                        Some(report) => events.push(Event::Report(report)),
                        None => return,
                    }
                    events.push(Event::Tick);
                }
                Some(event) = answers.recv() => events.push(event),
            }
            let now_millis = self.clock.now().monotonic_micros() / 1_000;
            let mut effects = Vec::new();
            for event in events {
                controller.step(now_millis, event, &mut effects);
            }
            effects
                .into_iter()
                .for_each(|effect| self.carry_out(effect, &answered));
        }
    }

    fn carry_out(&self, effect: Effect, answered: &mpsc::UnboundedSender<Event>) {
        let (group, answered) = (self.group.clone(), answered.clone());
        match effect {
            Effect::Propose(command) => {
                tokio::spawn(async move {
                    let outcome = group.propose(&command, PATIENCE).await;
                    if let PlacementCommand::Change { shard, .. } = command {
                        note(shard, &outcome);
                        // The controller ends with the process.
                        let _ = answered.send(Event::Answered(shard));
                    }
                });
            }
            Effect::SetVoters(voters) => {
                tokio::spawn(async move {
                    let members = Arc::clone(&group.committed().state);
                    if let Err(error) = group.change_voters(peers(&members, &voters)).await {
                        tracing::warn!(%error, "the voters of the regional group did not change");
                    }
                    let _ = answered.send(Event::Voters(group.status().voters));
                });
            }
        }
    }

    /// How this node is; none once its shards ended.
    async fn report(&self) -> Option<Report> {
        let (asker, report) = oneshot::channel();
        self.shards.send(Input::Report(asker)).await.ok()?;
        let shards = report.await.ok()?;
        let log = |report: &ShardReport| {
            let (incarnation, end) = (report.fence.incarnation, report.end);
            (
                report.shard,
                LogEnd {
                    incarnation,
                    epoch: end.epoch,
                    position: end.position,
                },
            )
        };
        let logs = shards.iter().map(log).collect();
        Some(Report {
            node: self.node,
            boot: self.boot,
            health: Health::Writable,
            logs,
        })
    }
}

fn note(shard: ShardId, outcome: &Result<Applied<PlacementOutcome>, ProposeError>) {
    match outcome {
        Ok(Applied {
            outcome: PlacementOutcome::Refused { refusal, .. },
            ..
        }) => {
            tracing::debug!(%shard, %refusal, "a change of a shard was refused");
        }
        Ok(_) => {}
        Err(error) => tracing::debug!(%shard, %error, "a change of a shard has no outcome"),
    }
}

fn peers(placement: &Placement, voters: &BTreeSet<NodeId>) -> BTreeMap<NodeId, Peer> {
    let peer = |node: &NodeId| {
        let member = placement.members.get(node)?;
        Some((
            *node,
            Peer {
                address: member.addresses.peer.clone(),
                place: member.zone.clone(),
            },
        ))
    };
    voters.iter().filter_map(peer).collect()
}

/// A core's proposal of a whole configuration as the one step that the group takes. Of several
/// leavers one goes first: the core proposes again under the epoch that this makes.
fn change(config: &ShardConfig, proposal: &Proposal) -> ShardChange {
    let boot = proposal.primary.boot;
    if config.primary.node == proposal.primary.node && config.boot != boot {
        return ShardChange::Restart { boot };
    }
    let proposed: BTreeSet<Replica> = proposal.in_sync.iter().map(placed).collect();
    if let Some(joiner) = proposed.difference(&config.in_sync).next() {
        return ShardChange::Grow { joiner: *joiner };
    }
    match config.in_sync.difference(&proposed).next() {
        Some(leaver) => ShardChange::Shrink { leaver: *leaver },
        None => ShardChange::Renew { boot },
    }
}

fn placed(member: &Member) -> Replica {
    Replica {
        node: member.node,
        store: member.store,
        boot: member.boot,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::id::{Epoch, Incarnation, StoreId};
    use replication::{Fence, Primary};

    fn replica(node: u64) -> Replica {
        Replica {
            node: NodeId(node),
            store: StoreId(node),
            boot: None,
        }
    }

    fn check(boot: u64, in_sync: &[u64], expected: &ShardChange) {
        let config = ShardConfig {
            incarnation: Incarnation(1),
            epoch: Epoch(4),
            primary: replica(1),
            boot: BootId(7),
            in_sync: [1, 2, 3].map(replica).into(),
            joining: BTreeSet::new(),
        };
        let member = |node: &u64| Member {
            node: NodeId(*node),
            store: StoreId(*node),
            boot: None,
        };
        let proposal = Proposal {
            expected: Fence {
                incarnation: Incarnation(1),
                epoch: Epoch(4),
            },
            primary: Primary {
                node: NodeId(1),
                boot: BootId(boot),
            },
            in_sync: in_sync.iter().map(member).collect(),
        };
        assert_eq!(change(&config, &proposal), *expected);
    }

    #[test]
    fn each_proposal_of_a_core_is_one_step_of_the_group() {
        check(8, &[1, 2, 3], &ShardChange::Restart { boot: BootId(8) });
        check(7, &[1, 2, 3, 4], &ShardChange::Grow { joiner: replica(4) });
        check(7, &[1, 3], &ShardChange::Shrink { leaver: replica(2) });
        check(7, &[1], &ShardChange::Shrink { leaver: replica(2) });
        check(7, &[1, 2, 3], &ShardChange::Renew { boot: BootId(7) });
    }
}
