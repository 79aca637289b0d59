//! The handle by which a node uses a group.
#![expect(
    clippy::disallowed_methods,
    reason = "a driver: deadlines of calls are on tokio's clock, which the simulator pauses"
)]

use super::{
    GroupFiles, GroupSettings,
    log::{RaftLog, SnapshotFloor},
    machine::{CommittedState, MachineStore, StateCloser},
    network::{CallError, Connector, Declined, PeerNetwork, RaftRequest, RaftResponse},
    outcome::{Applied, Committed, GroupError, GroupStatus, ProposeError},
    snapshot::SnapshotFiles,
    types::{GroupId, Payload, Peer, Types, node},
};
use crate::machine::{Command, StateMachine};
use openraft::{
    Raft, ServerState,
    error::{CheckIsLeaderError, ClientWriteError, Fatal, ForwardToLeader, RaftError},
};
use proto::id::NodeId;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use store::segment::LogSettings;
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

/// A group as one of its members has it. Clones are one group.
pub struct Group<S: StateMachine> {
    raft: Raft<Types>,
    id: GroupId,
    node: NodeId,
    connector: Connector,
    settings: Arc<GroupSettings>,
    committed: watch::Receiver<CommittedState<S>>,
    closer: StateCloser,
}

impl<S: StateMachine> Clone for Group<S> {
    fn clone(&self) -> Self {
        Self {
            raft: self.raft.clone(),
            id: self.id,
            node: self.node,
            connector: self.connector.clone(),
            settings: Arc::clone(&self.settings),
            committed: self.committed.clone(),
            closer: self.closer.clone(),
        }
    }
}

fn refused(doing: &'static str) -> impl Fn(&dyn std::fmt::Display) -> GroupError {
    move |fault| GroupError::Raft {
        doing,
        fault: fault.to_string(),
    }
}

impl<S: StateMachine> Group<S> {
    /// Starts a member with what it has on disk.
    pub async fn start(
        id: GroupId,
        node: NodeId,
        files: GroupFiles,
        settings: GroupSettings,
        network: Arc<dyn PeerNetwork>,
    ) -> Result<Self, GroupError> {
        let GroupFiles {
            disk,
            directory,
            applied,
            blocking,
        } = files;
        let (log, machine) = {
            let segment_bytes = settings.segment_bytes;
            let open = move || -> Result<_, GroupError> {
                disk.create_dir(&directory)?;
                let floor = SnapshotFloor::default();
                let log_files = format!("{directory}/log");
                let log_settings = LogSettings {
                    segment_bytes,
                    spares: 1,
                    ..LogSettings::new(log_files)
                };
                let log = RaftLog::open(Arc::clone(&disk), log_settings, floor.clone(), blocking)?;
                let snapshots = SnapshotFiles::open(disk, format!("{directory}/snapshot"), id)?;
                let machine =
                    MachineStore::<S>::open(snapshots, applied, floor, log.last(), blocking)?;
                Ok((log, machine))
            };
            blocking.run(open).await?
        };
        let config = settings.config(id.to_string());
        let config = Arc::new(
            config
                .validate()
                .map_err(|error| refused("check the settings")(&error))?,
        );
        let connector = Connector { network, group: id };
        let (committed, closer) = (machine.watch(), machine.closer());
        let raft = Raft::new(node.0, config, connector.clone(), log, machine).await;
        let raft = raft.map_err(|error| refused("start the group")(&error))?;
        Ok(Self {
            raft,
            id,
            node,
            connector,
            settings: Arc::new(settings),
            committed,
            closer,
        })
    }

    /// Founds the group with its first voters. Only on one node, and only once; a second time is
    /// refused and changes nothing.
    pub async fn found(&self, voters: BTreeMap<NodeId, Peer>) -> Result<(), GroupError> {
        let voters: BTreeMap<u64, Peer> = voters
            .into_iter()
            .map(|(node, peer)| (node.0, peer))
            .collect();
        self.raft
            .initialize(voters)
            .await
            .map_err(|error| refused("found the group")(&error))
    }

    /// Whether the group was founded, as far as this member knows.
    pub async fn is_founded(&self) -> Result<bool, GroupError> {
        self.raft
            .is_initialized()
            .await
            .map_err(|error| refused("look at the group")(&error))
    }

    /// The group.
    #[must_use]
    pub fn id(&self) -> GroupId {
        self.id
    }

    /// Follows the committed state.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<CommittedState<S>> {
        self.committed.clone()
    }

    /// The newest committed state that this node has seen. Never waits.
    #[must_use]
    pub fn committed(&self) -> Committed<S> {
        let committed = self.committed.borrow();
        Committed {
            revision: committed.state.revision(),
            index: committed.last_applied.map_or(0, |log_id| log_id.index),
            state: Arc::clone(&committed.state),
        }
    }

    /// Has a command carried out, by this member or the one that leads, within `patience`.
    pub async fn propose(
        &self,
        command: &S::Command,
        patience: Duration,
    ) -> Result<Applied<S::Outcome>, ProposeError> {
        let payload = Payload(command.encode());
        let (bytes, limit) = (payload.0.len(), self.settings.command_bytes());
        if bytes > limit {
            return Err(ProposeError::TooLarge { bytes, limit });
        }
        let deadline = Instant::now() + patience;
        let request = RaftRequest::Propose(payload);
        let RaftResponse::Propose(Ok((index, outcome))) =
            self.ask_leader(request, deadline).await?
        else {
            return Err(ProposeError::NoLeader);
        };
        Ok(Applied {
            index,
            outcome: serde_json::from_str(&outcome.0)?,
        })
    }

    /// The state after everything that was committed before this call.
    pub async fn linearizable(&self, patience: Duration) -> Result<Committed<S>, ProposeError> {
        let deadline = Instant::now() + patience;
        let index = match self.ask_leader(RaftRequest::ReadIndex, deadline).await {
            Ok(RaftResponse::ReadIndex(Ok(index))) => index,
            // A question that brought no answer left nothing behind.
            Ok(_) | Err(ProposeError::Unknown) => return Err(ProposeError::NoLeader),
            Err(error) => return Err(error),
        };
        let mut committed = self.committed.clone();
        let reached = |state: &CommittedState<S>| {
            state.last_applied.map_or(0, |log_id| log_id.index) >= index
        };
        match timeout_at(deadline, committed.wait_for(reached)).await {
            Ok(Ok(_)) => Ok(self.committed()),
            Ok(Err(_)) => Err(ProposeError::Stopped("its state is gone".into())),
            Err(_) => Err(ProposeError::NoLeader),
        }
    }

    /// Asks whoever leads, following changes of leader until the deadline. What was handed in and
    /// brought no answer is not handed in again.
    async fn ask_leader(
        &self,
        request: RaftRequest,
        deadline: Instant,
    ) -> Result<RaftResponse, ProposeError> {
        loop {
            let declined = match self.ask_once(&request, deadline).await? {
                RaftResponse::Propose(Err(declined)) | RaftResponse::ReadIndex(Err(declined)) => {
                    declined
                }
                answer => return Ok(answer),
            };
            match declined {
                Declined::TimedOut => return Err(ProposeError::Unknown),
                Declined::Stopped(fault) => return Err(ProposeError::Stopped(fault)),
                Declined::NotLeader { .. } => self.wait_for_change(deadline).await?,
            }
        }
    }

    async fn ask_once(
        &self,
        request: &RaftRequest,
        deadline: Instant,
    ) -> Result<RaftResponse, ProposeError> {
        let answer = self.answer_by(request.clone(), deadline).await;
        let leader = match &answer {
            RaftResponse::Propose(Err(Declined::NotLeader {
                leader: Some(leader),
            }))
            | RaftResponse::ReadIndex(Err(Declined::NotLeader {
                leader: Some(leader),
            })) if leader.0 != self.node => leader.clone(),
            _ => return Ok(answer),
        };
        let Connector { network, group } = &self.connector;
        let call = network.call(leader.0, &leader.1, *group, request.clone());
        match timeout_at(deadline, call).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(CallError::Unreachable(..))) => Ok(answer),
            Ok(Err(CallError::Failed(..))) | Err(_) => Err(ProposeError::Unknown),
        }
    }

    /// Waits until somebody else leads, or a heartbeat's time. Not for just any change: openraft tells of
    /// its state after each request, so the question itself would end the wait, over and over.
    async fn wait_for_change(&self, deadline: Instant) -> Result<(), ProposeError> {
        let mut metrics = self.raft.metrics();
        let known = metrics.borrow().current_leader;
        let until = deadline.min(Instant::now() + self.settings.timing.heartbeat);
        let changed = metrics.wait_for(|now| now.current_leader != known);
        if let Ok(Err(_)) = timeout_at(until, changed).await {
            return Err(ProposeError::Stopped("it was shut down".into()));
        }
        if Instant::now() >= deadline {
            Err(ProposeError::NoLeader)
        } else {
            Ok(())
        }
    }

    /// Answers another member.
    pub async fn serve(&self, request: RaftRequest) -> RaftResponse {
        self.answer_by(request, Instant::now() + self.settings.timing.election)
            .await
    }

    async fn answer_by(&self, request: RaftRequest, deadline: Instant) -> RaftResponse {
        match request {
            RaftRequest::Append(request) => {
                RaftResponse::Append(self.raft.append_entries(request).await)
            }
            RaftRequest::Vote(request) => RaftResponse::Vote(self.raft.vote(request).await),
            RaftRequest::Snapshot(request) => {
                RaftResponse::Snapshot(self.raft.install_snapshot(request).await)
            }
            RaftRequest::Propose(payload) => {
                RaftResponse::Propose(self.write(payload, deadline).await)
            }
            RaftRequest::ReadIndex => RaftResponse::ReadIndex(self.read_index(deadline).await),
        }
    }

    async fn write(&self, payload: Payload, deadline: Instant) -> Result<(u64, Payload), Declined> {
        match timeout_at(deadline, self.raft.client_write(payload)).await {
            Ok(Ok(written)) => Ok((written.log_id.index, written.data)),
            Ok(Err(RaftError::APIError(ClientWriteError::ForwardToLeader(to)))) => {
                Err(not_leader(to))
            }
            Ok(Err(error)) => Err(Declined::Stopped(error.to_string())),
            Err(_) => Err(Declined::TimedOut),
        }
    }

    async fn read_index(&self, deadline: Instant) -> Result<u64, Declined> {
        match timeout_at(deadline, self.raft.get_read_log_id()).await {
            Ok(Ok((read, _))) => Ok(read.map_or(0, |log_id| log_id.index)),
            Ok(Err(RaftError::APIError(CheckIsLeaderError::ForwardToLeader(to)))) => {
                Err(not_leader(to))
            }
            Ok(Err(RaftError::APIError(CheckIsLeaderError::QuorumNotEnough(_)))) => {
                Err(Declined::NotLeader { leader: None })
            }
            Ok(Err(error)) => Err(Declined::Stopped(error.to_string())),
            Err(_) => Err(Declined::TimedOut),
        }
    }

    /// Lets a node follow the group without a vote. On the leader.
    pub async fn add_learner(&self, node: NodeId, peer: Peer) -> Result<(), GroupError> {
        let added = self.raft.add_learner(node.0, peer, false).await;
        added
            .map(|_| ())
            .map_err(|error| refused("add a learner")(&error))
    }

    /// Makes these the voters: those that are new are brought up first, those that are left out
    /// leave the group. On the leader.
    pub async fn change_voters(&self, voters: BTreeMap<NodeId, Peer>) -> Result<(), GroupError> {
        let present = self.status().voters;
        for (node, peer) in &voters {
            if !present.contains(node) {
                let added = self.raft.add_learner(node.0, peer.clone(), true).await;
                added.map_err(|error| refused("bring up a voter")(&error))?;
            }
        }
        let ids: BTreeSet<u64> = voters.keys().map(|node| node.0).collect();
        let changed = self.raft.change_membership(ids, false).await;
        changed
            .map(|_| ())
            .map_err(|error| refused("change the voters")(&error))
    }

    /// Who votes, and where each is reached.
    #[must_use]
    pub fn voters(&self) -> BTreeMap<NodeId, Peer> {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow();
        let membership = metrics.membership_config.membership();
        let is_voter = |id: &u64| membership.voter_ids().any(|voter| voter == *id);
        membership
            .nodes()
            .filter(|(id, _)| is_voter(id))
            .map(|(id, peer)| (node(*id), peer.clone()))
            .collect()
    }

    /// How the group is.
    #[must_use]
    pub fn status(&self) -> GroupStatus {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow();
        let membership = metrics.membership_config.membership();
        let index = |log_id: Option<super::types::LogId>| log_id.map_or(0, |log_id| log_id.index);
        let leads = metrics.state == ServerState::Leader;
        // A leader stays one in its own eyes, whoever is gone.
        let heard_lately =
            |millis: u64| Duration::from_millis(millis) < self.settings.timing.election * 2;
        let has_quorum = match leads {
            true => metrics.millis_since_quorum_ack.is_none_or(heard_lately),
            false => metrics.current_leader.is_some(),
        };
        GroupStatus {
            node: self.node,
            term: metrics.current_term,
            leader: metrics.current_leader.map(node),
            leads,
            has_quorum,
            voters: membership.voter_ids().map(node).collect(),
            learners: membership.learner_ids().map(node).collect(),
            last_index: metrics.last_log_index.unwrap_or(0),
            applied_index: index(metrics.last_applied),
            snapshot_index: index(metrics.snapshot),
            purged_index: index(metrics.purged),
            stopped: metrics
                .running_state
                .as_ref()
                .err()
                .map(ToString::to_string),
        }
    }

    /// Waits until the status is as wanted.
    pub async fn wait(
        &self,
        patience: Duration,
        wanted: impl Fn(&GroupStatus) -> bool,
    ) -> Option<GroupStatus> {
        let mut metrics = self.raft.metrics();
        let deadline = Instant::now() + patience;
        loop {
            let status = self.status();
            if wanted(&status) {
                return Some(status);
            }
            // After the end nothing changes any more.
            timeout_at(deadline, metrics.changed()).await.ok()?.ok()?;
        }
    }

    /// Waits until the group stops by a fault, such as a command it does not know or a disk that
    /// failed. The node must then stop.
    pub async fn failed(&self) -> String {
        let mut metrics = self.raft.metrics();
        loop {
            let fatal = metrics.borrow_and_update().running_state.clone().err();
            match fatal {
                Some(Fatal::Stopped) => return std::future::pending().await,
                Some(fatal) => return fatal.to_string(),
                None if metrics.changed().await.is_err() => return "the group ended".into(),
                None => {}
            }
        }
    }

    /// Makes a snapshot now; it is done some time later.
    pub async fn snapshot(&self) -> Result<(), GroupError> {
        let asked = self.raft.trigger().snapshot().await;
        asked.map_err(|error| refused("make a snapshot")(&error))
    }

    /// Stops the member and closes its applied state.
    pub async fn stop(&self) {
        if let Err(error) = self.raft.shutdown().await {
            tracing::warn!(%error, group = %self.id, "the group did not stop as it should");
        }
        self.closer.close().await;
    }
}

fn not_leader(to: ForwardToLeader<u64, Peer>) -> Declined {
    Declined::NotLeader {
        leader: to.leader_id.map(node).zip(to.leader_node),
    }
}
