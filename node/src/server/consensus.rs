//! A metadata group as this node reaches it: as one that votes in it, or through those that do.
//!
//! The newest committed state counts wherever it comes from: a voter has it from Raft, everybody
//! else, and a voter that hears no leader, from a peer. Scaling nodes so changes no membership, and
//! no lookup waits for consensus.

use super::{
    methods::Call,
    peers::RaftOverMesh,
    running::Background,
    states::{StateAnswer, StateRequest},
};
use crate::peer::{Class, Mesh};
use futures::future::join_all;
use parking_lot::Mutex;
use proto::id::{NodeId, Revision};
use raft::{
    group::{Applied, Group, GroupId, GroupSettings, GroupStatus, Outside, Peer, ProposeError},
    machine::StateMachine,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

/// How long a peer holds a question for a newer state before it says that there is none.
const HELD_FOR: Duration = Duration::from_secs(2);
/// A question that brings no answer for this long is asked of another peer.
const ANSWER_WITHIN: Duration = Duration::from_secs(4);
/// Voters are asked for so long before it is looked who they are now.
const ASK_AGAIN: Duration = Duration::from_millis(250);
/// How often a voter looks whether it still hears a leader, and others look for somebody to ask.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// See the module. Clones are one.
pub struct Consensus<S: StateMachine>(Arc<Shared<S>>);

struct Shared<S: StateMachine> {
    id: GroupId,
    me: NodeId,
    member: Option<Group<S>>,
    newest: watch::Sender<Arc<S>>,
    told: Mutex<Told>,
    /// Who is asked where none of those that vote answers.
    informed: Mutex<BTreeMap<NodeId, Peer>>,
    mesh: Arc<Mesh>,
    outside: Outside,
}

/// What peers told of the group.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// Who votes.
    pub voters: BTreeMap<NodeId, Peer>,
    /// Who leads.
    pub leader: Option<NodeId>,
    /// In which term.
    pub term: u64,
}

impl<S: StateMachine> Clone for Consensus<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: StateMachine> Consensus<S> {
    /// Follows group `id`, as `member` where this node may vote in it.
    #[must_use]
    pub fn start(
        id: GroupId,
        member: Option<Group<S>>,
        mesh: &Arc<Mesh>,
        background: &mut Background,
    ) -> Self {
        let state = member.as_ref().map(|member| member.committed().state);
        let network = Arc::new(RaftOverMesh(Arc::clone(mesh)));
        let consensus = Self(Arc::new(Shared {
            id,
            me: mesh.me().node,
            member,
            newest: watch::Sender::new(state.unwrap_or_default()),
            told: Mutex::default(),
            informed: Mutex::default(),
            mesh: Arc::clone(mesh),
            outside: Outside::new(network, id, GroupSettings::default().command_bytes()),
        }));
        background.spawn(consensus.clone().follow_member());
        background.spawn(consensus.clone().follow_peers());
        consensus
    }

    /// The group.
    #[must_use]
    pub fn id(&self) -> GroupId {
        self.0.id
    }

    /// The part that Raft runs on this node, where it may vote.
    #[must_use]
    pub fn member(&self) -> Option<&Group<S>> {
        self.0.member.as_ref()
    }

    /// The newest committed state that this node has seen. Never waits.
    #[must_use]
    pub fn newest(&self) -> Arc<S> {
        Arc::clone(&self.0.newest.borrow())
    }

    /// Follows the newest committed state.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Arc<S>> {
        self.0.newest.subscribe()
    }

    /// Has a command carried out, wherever the group's leader is, within `patience`.
    pub async fn propose(
        &self,
        command: &S::Command,
        patience: Duration,
    ) -> Result<Applied<S::Outcome>, ProposeError> {
        let deadline = Instant::now() + patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if let Some(group) = self.voting() {
                return group.propose(command, left).await;
            }
            // Whom to ask may change meanwhile, and this node may come to vote itself.
            let voters = self.voters();
            let (outside, slice) = (&self.0.outside, left.min(ASK_AGAIN));
            match outside.propose::<S>(&voters, command, slice).await {
                Err(ProposeError::NoLeader) if left > slice => {}
                outcome => return outcome,
            }
        }
    }

    /// Waits until each of `nodes` has seen a revision, or `patience` is over: those that are away never
    /// see it.
    pub async fn seen_by(&self, nodes: BTreeSet<NodeId>, revision: Revision, patience: Duration) {
        let request = StateRequest {
            group: self.0.id,
            known: Revision(revision.0.saturating_sub(1)),
            held_for: patience,
        };
        let call = Call::State as u8;
        let questions = nodes.into_iter().map(|node| {
            let asked = self
                .0
                .mesh
                .call(node, Class::Metadata, call, request.encode(), patience);
            // Whatever it answers, or why it does not: there is nothing more to wait for.
            async move { drop(asked.await) }
        });
        join_all(questions).await;
    }

    /// Who votes, as far as is known here.
    #[must_use]
    pub fn voters(&self) -> BTreeMap<NodeId, Peer> {
        match self.voting() {
            Some(group) => group.voters(),
            None => self.0.told.lock().voters.clone(),
        }
    }

    /// How the group is, as far as is known here.
    #[must_use]
    pub fn status(&self) -> GroupStatus {
        if let Some(group) = self.voting() {
            return group.status();
        }
        let told = self.0.told.lock().clone();
        GroupStatus {
            node: self.0.me,
            term: told.term,
            leader: told.leader,
            leads: false,
            has_quorum: told.leader.is_some(),
            voters: told.voters.into_keys().collect(),
            learners: BTreeSet::new(),
            last_index: 0,
            applied_index: self.newest().revision().0,
            snapshot_index: 0,
            purged_index: 0,
            stopped: None,
        }
    }

    /// Takes what somebody said of the group: where to ask.
    pub fn hear(&self, told: Told) {
        if !told.voters.is_empty() {
            *self.0.told.lock() = told;
        }
    }

    /// Takes who has the newest state that somebody has, vote or not: a node can start by it where none of
    /// those that vote can be reached.
    pub fn hear_of(&self, informed: &BTreeMap<NodeId, Peer>) {
        let mut known = self.0.informed.lock();
        *known = informed.clone();
        known.remove(&self.0.me);
    }

    /// Whether somebody is known who can be asked, or this node hears a leader itself.
    #[must_use]
    pub fn is_found(&self) -> bool {
        self.hears_leader() || !self.0.told.lock().voters.is_empty()
    }

    /// Forgets whom to ask: nobody of them answered.
    fn lose(&self) {
        *self.0.told.lock() = Told::default();
    }

    /// What this node tells others of the group.
    #[must_use]
    pub fn told(&self) -> Told {
        let status = self.status();
        Told {
            voters: self.voters(),
            // One that has lost its majority leads nobody.
            leader: status.leader.filter(|_| status.has_quorum),
            term: status.term,
        }
    }

    /// Waits until Raft on this node stops by a fault; for ever where it does not run.
    pub async fn failed(&self) -> String {
        match &self.0.member {
            Some(group) => group.failed().await,
            None => std::future::pending().await,
        }
    }

    /// Ends this node's part in it.
    pub async fn stop(&self) {
        if let Some(group) = &self.0.member {
            group.stop().await;
        }
    }

    /// The member, where it has a vote: by its own word, unless it hears no leader and others say
    /// that it was voted out.
    fn voting(&self) -> Option<&Group<S>> {
        let group = self.0.member.as_ref()?;
        let status = group.status();
        if !status.voters.contains(&self.0.me) {
            return None;
        }
        let told = self.0.told.lock();
        let voted_out = !told.voters.is_empty() && !told.voters.contains_key(&self.0.me);
        (status.leader.is_some() || !voted_out).then_some(group)
    }

    fn hears_leader(&self) -> bool {
        let status = self.0.member.as_ref().map(Group::status);
        status.is_some_and(|own| own.voters.contains(&self.0.me) && own.leader.is_some())
    }

    fn offer(&self, state: Arc<S>) {
        self.0.newest.send_if_modified(|known| {
            let is_newer = state.revision() > known.revision();
            if is_newer {
                *known = state;
            }
            is_newer
        });
    }

    async fn follow_member(self) {
        let Some(member) = &self.0.member else {
            return;
        };
        let mut states = member.watch();
        loop {
            let state = Arc::clone(&states.borrow_and_update().state);
            self.offer(state);
            if states.changed().await.is_err() {
                return;
            }
        }
    }

    /// Asks peers for newer states, while Raft on this node brings none.
    async fn follow_peers(self) {
        let mut turn = 0;
        let mut failures = 0;
        loop {
            let voters = self.others();
            let asked = voters.iter().nth(turn % voters.len().max(1));
            let Some((node, peer)) = asked.filter(|_| !self.hears_leader()) else {
                if voters.is_empty() {
                    self.ask_informed().await;
                }
                sleep(LOOK_EVERY).await;
                continue;
            };
            self.0.mesh.hear(*node, &peer.address);
            if self.ask(*node).await {
                failures = 0;
                continue;
            }
            turn += 1;
            failures += 1;
            if failures > 2 * voters.len() {
                // They may all have been replaced meanwhile: seeds know others.
                self.lose();
                self.ask_informed().await;
                failures = 0;
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Takes the newest state that those have who were named for it, each once.
    async fn ask_informed(&self) {
        let informed = std::mem::take(&mut *self.0.informed.lock());
        for (node, peer) in informed {
            self.0.mesh.hear(node, &peer.address);
            self.ask(node).await;
        }
    }

    /// The voters besides this node.
    fn others(&self) -> BTreeMap<NodeId, Peer> {
        let mut others = self.0.told.lock().voters.clone();
        if others.is_empty()
            && let Some(member) = &self.0.member
        {
            others = member.voters();
        }
        others.remove(&self.0.me);
        others
    }

    /// Asks one peer; false where it does not answer, or hears no leader itself.
    async fn ask(&self, node: NodeId) -> bool {
        let request = StateRequest {
            group: self.0.id,
            known: self.newest().revision(),
            held_for: HELD_FOR,
        };
        let call = Call::State as u8;
        let payload = request.encode();
        let answer = self
            .0
            .mesh
            .call(node, Class::Metadata, call, payload, ANSWER_WITHIN);
        let answer = match answer.await {
            Ok(bytes) => StateAnswer::decode::<S>(&bytes),
            Err(_) => return false,
        };
        match answer {
            Ok((told, state)) => {
                let is_led = told.leader.is_some();
                self.hear(told);
                if let Some(state) = state {
                    self.offer(Arc::new(state));
                }
                is_led
            }
            Err(error) => {
                tracing::warn!(%node, %error, "a peer's metadata cannot be read");
                false
            }
        }
    }
}
