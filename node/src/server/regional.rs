//! Placement on this node: the newest committed shard map goes to the shards, their primaries'
//! proposals go to the group, its reports to those that may lead, and on the leader the controller
//! is driven.

use super::{
    consensus::Consensus,
    metadata, methods, region,
    running::Background,
    shards::{Input, NodeReport, Proposed, ShardReport},
    streams::Streams,
};
use crate::{
    components::Clock,
    peer::{Class, Mesh},
};
use bytes::Bytes;
use proto::id::{BootId, NodeId, ShardId};
use raft::{
    group::{Applied, Peer, ProposeError},
    machine::StateMachine,
    placement::{
        Controller, Effect, Event, Placement, PlacementCommand, PlacementOutcome, ShardChange,
        ShardConfig,
        controller::{ControllerSettings, Health, Leadership, LogEnd, Report},
        state::Replica,
    },
    registry::Registry,
};
use replication::{Configuration, Member, Proposal};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{MissedTickBehavior, interval, timeout},
};

/// How often a node tells how it is, and the controller looks.
const REPORT_EVERY: Duration = Duration::from_millis(200);
/// A disk that does not finish one sync within this takes no writes: others should lead.
const SYNC_WITHIN: Duration = Duration::from_secs(1);
/// How long a proposal waits for a quorum.
const PATIENCE: Duration = Duration::from_secs(2);
/// A change of voters that is not done by then is given up; the controller asks again.
const VOTERS_WITHIN: Duration = Duration::from_secs(30);
/// Reports of other nodes that wait for the controller.
pub const REPORTS_QUEUED: usize = 256;

/// The parts that placement works with.
#[derive(Clone)]
pub struct Regional {
    /// The group.
    pub group: Consensus<Placement>,
    /// What the region's placement follows.
    pub global: Consensus<Registry>,
    /// This node and its run.
    pub node: NodeId,
    /// See [`BootId`].
    pub boot: BootId,
    /// The node's shards.
    pub shards: mpsc::Sender<Input>,
    /// The other nodes.
    pub mesh: Arc<Mesh>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Whether this process is about to stop.
    pub leaving: watch::Receiver<bool>,
    /// Where it is kept what the shards say of streams between regions.
    pub streams: Streams,
}

impl Regional {
    /// Starts the tasks; gives the shard map to follow.
    #[must_use]
    pub fn start(
        self,
        proposals: mpsc::UnboundedReceiver<Proposed>,
        reports: mpsc::Receiver<Report>,
        background: &mut Background,
    ) -> watch::Receiver<Arc<Placement>> {
        let (sender, placements) = watch::channel(self.group.newest());
        background.spawn(self.clone().follow(sender));
        background.spawn(self.clone().propose_all(proposals));
        background.spawn(self.control(reports));
        placements
    }

    /// Gives each newer shard map to the shards: only what changed in it.
    async fn follow(self, placements: watch::Sender<Arc<Placement>>) {
        let mut states = self.group.watch();
        let mut given: Arc<Placement> = Arc::default();
        loop {
            let placement = Arc::clone(&states.borrow_and_update());
            let configurations = changed(&given, &placement);
            given = Arc::clone(&placement);
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
            let placement = self.group.newest();
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

    async fn control(self, mut reports: mpsc::Receiver<Report>) {
        let mut controller = Controller::new(ControllerSettings::default());
        let (answered, mut answers) = mpsc::unbounded_channel();
        let mut ticks = interval(REPORT_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut leaving = self.leaving.clone();
        loop {
            let mut events = Vec::new();
            tokio::select! {
                // Said at once: every tick that passes is one in which others count on this node.
                Ok(()) = leaving.changed() => ticks.reset_immediately(),
                _ = ticks.tick() => match self.report().await {
                    Some(report) => events.extend(self.look(report)),
                    None => return,
                },
                Some(report) = reports.recv() => events.push(Event::Report(report)),
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

    /// How things stand, for the controller of this node; and this node's report to the others.
    fn look(&self, report: Report) -> [Event; 5] {
        self.tell(&report);
        let status = self.group.status();
        if status.leads {
            self.follow_registry();
        }
        let leads = if status.leads {
            Leadership::Leader
        } else {
            Leadership::Follower
        };
        [
            Event::Leading(leads),
            Event::Voters(status.voters),
            Event::Committed(self.group.newest()),
            Event::Report(report),
            Event::Tick,
        ]
    }

    /// Tells all who may lead: a new leader then knows how the nodes are.
    fn tell(&self, report: &Report) {
        let json = serde_json::to_vec(report).expect("a report is plain data");
        let payload = Bytes::from(json);
        let voters = self.group.voters();
        for (voter, peer) in voters.iter().filter(|(voter, _)| **voter != self.node) {
            self.mesh.hear(*voter, &peer.address);
            let method = methods::Message::Report as u8;
            // One that is lost is old news: the next is near.
            self.mesh
                .send(*voter, Class::Metadata, method, payload.clone());
        }
    }

    /// On the leader: the region's copies and minimum are what the registry says.
    fn follow_registry(&self) {
        let placement = self.group.newest();
        let Some(present) = placement.policy else {
            return;
        };
        let wanted = metadata::policy(&self.global.newest(), present.region);
        let Some(wanted) =
            wanted.filter(|wanted| *wanted != present && wanted.group == present.group)
        else {
            return;
        };
        let group = self.group.clone();
        tokio::spawn(async move {
            let followed = group
                .propose(&PlacementCommand::Follow(wanted), PATIENCE)
                .await;
            if let Err(error) = followed {
                tracing::debug!(%error, "the region's placement does not follow the registry yet");
            }
        });
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
                    let peers = peers(&group.newest(), &voters);
                    change_voters(&group, peers).await;
                    let _ = answered.send(Event::Voters(group.status().voters));
                });
            }
        }
    }

    /// How this node is; none once its shards ended. Shards that do not even answer are as stuck as a
    /// disk can make them, and must not hold up the controller, which may be this node's.
    async fn report(&self) -> Option<Report> {
        let (asker, report) = oneshot::channel();
        let ask = async {
            self.shards.send(Input::Report(asker)).await.ok()?;
            report.await.ok()
        };
        match timeout(SYNC_WITHIN, ask).await {
            Ok(report) => {
                let report = report?;
                self.streams.note(&report);
                Some(self.tell_of(&report))
            }
            Err(_) => {
                self.streams.forget();
                Some(self.stuck())
            }
        }
    }

    fn stuck(&self) -> Report {
        Report {
            node: self.node,
            boot: self.boot,
            health: Health::Stuck,
            logs: BTreeMap::new(),
            damaged: BTreeSet::new(),
            is_nearly_full: false,
        }
    }

    fn tell_of(&self, report: &NodeReport) -> Report {
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
        let damaged = report.shards.iter().filter(|shard| shard.is_damaged);
        Report {
            node: self.node,
            boot: self.boot,
            health: match report.disk_busy_for > SYNC_WITHIN {
                true => Health::Stuck,
                false if *self.leaving.borrow() => Health::Leaving,
                false => Health::Writable,
            },
            logs: report.shards.iter().map(log).collect(),
            damaged: damaged.map(|report| report.shard).collect(),
            is_nearly_full: report.is_nearly_full,
        }
    }
}

/// The configurations that differ from those of an earlier placement; who observes may change by members
/// alone.
fn changed(given: &Placement, placement: &Placement) -> Vec<(ShardId, Configuration)> {
    let differs = |(shard, config): &(&ShardId, &Arc<ShardConfig>)| {
        let known = given.shards.get(shard);
        known.is_none_or(|known| {
            let is_same = Arc::ptr_eq(known, config) || known == *config;
            !is_same
                || region::observing(**shard, known, given)
                    != region::observing(**shard, config, placement)
        })
    };
    let changed = placement.shards.iter().filter(differs);
    changed
        .map(|(shard, config)| (*shard, region::configuration(*shard, config, placement)))
        .collect()
}

/// Changes a group's voters, on its leader.
pub async fn change_voters<S: StateMachine>(group: &Consensus<S>, voters: BTreeMap<NodeId, Peer>) {
    let Some(member) = group.member() else {
        return;
    };
    let names = voters
        .keys()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ");
    match timeout(VOTERS_WITHIN, member.change_voters(voters)).await {
        Ok(Ok(())) => tracing::info!(group = %group.id(), %names, "the group has other voters"),
        Ok(Err(error)) => tracing::warn!(group = %group.id(), %error, "the voters did not change"),
        Err(_) => tracing::warn!(group = %group.id(), "the voters did not change in time"),
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

/// A core's proposal of a whole configuration as the one step that the group takes.
fn change(config: &ShardConfig, proposal: &Proposal) -> ShardChange {
    let boot = proposal.primary.boot;
    if config.primary.node == proposal.primary.node && config.boot != boot {
        return ShardChange::Restart { boot };
    }
    let proposed: BTreeSet<Replica> = proposal.in_sync.iter().map(placed).collect();
    if let Some(joiner) = proposed.difference(&config.in_sync).next() {
        return ShardChange::Grow { joiner: *joiner };
    }
    let leavers: BTreeSet<Replica> = config.in_sync.difference(&proposed).copied().collect();
    match (leavers.first(), leavers.len()) {
        (None, _) => ShardChange::Renew { boot },
        (Some(leaver), 1) => ShardChange::Shrink { leaver: *leaver },
        (Some(_), _) => ShardChange::Leave { leavers },
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
        let leavers = [2, 3].map(replica).into();
        check(7, &[1], &ShardChange::Leave { leavers });
        check(7, &[1, 2, 3], &ShardChange::Renew { boot: BootId(7) });
    }
}
