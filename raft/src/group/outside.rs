//! A group as a node reaches it that has no vote in it: through those that have.
#![expect(
    clippy::disallowed_methods,
    reason = "a driver: deadlines of calls are on tokio's clock, which the simulator pauses"
)]

use super::{
    network::{CallError, Declined, PeerNetwork, RaftRequest, RaftResponse},
    outcome::{Applied, ProposeError},
    types::{GroupId, Payload, Peer},
};
use crate::machine::{Command, StateMachine};
use proto::id::NodeId;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::time::{Instant, sleep, timeout_at};

/// What is waited between two rounds through the members, while none leads.
const PAUSE: Duration = Duration::from_millis(50);

/// See the module.
#[derive(Clone)]
pub struct Outside {
    network: Arc<dyn PeerNetwork>,
    group: GroupId,
    limit_bytes: usize,
}

impl Outside {
    /// Reaches `group` over `network`; a command may have at most `limit_bytes`.
    #[must_use]
    pub fn new(network: Arc<dyn PeerNetwork>, group: GroupId, limit_bytes: usize) -> Self {
        Self {
            network,
            group,
            limit_bytes,
        }
    }

    /// Has one of `members` carry a command out, within `patience`.
    pub async fn propose<S: StateMachine>(
        &self,
        members: &BTreeMap<NodeId, Peer>,
        command: &S::Command,
        patience: Duration,
    ) -> Result<Applied<S::Outcome>, ProposeError> {
        let payload = Payload(command.encode());
        let (bytes, limit) = (payload.0.len(), self.limit_bytes);
        if bytes > limit {
            return Err(ProposeError::TooLarge { bytes, limit });
        }
        let deadline = Instant::now() + patience;
        let request = RaftRequest::Propose(payload);
        match self.ask(members, &request, deadline).await? {
            RaftResponse::Propose(Ok((index, outcome))) => Ok(Applied {
                index,
                outcome: serde_json::from_str(&outcome.0)?,
            }),
            _ => Err(ProposeError::NoLeader),
        }
    }

    /// Asks the members, one after the other and whom they name, until one that leads has answered.
    async fn ask(
        &self,
        members: &BTreeMap<NodeId, Peer>,
        request: &RaftRequest,
        deadline: Instant,
    ) -> Result<RaftResponse, ProposeError> {
        let mut next: Option<(NodeId, Peer)> = None;
        loop {
            let round = next.take().into_iter();
            let known = members.iter().map(|(node, peer)| (*node, peer.clone()));
            for (node, peer) in round.chain(known) {
                match self.ask_one(node, &peer, request, deadline).await? {
                    Asked::Answer(answer) => return Ok(answer),
                    Asked::Other(leader) if leader.0 != node => {
                        next = Some(leader);
                        break;
                    }
                    Asked::Other(_) | Asked::Nothing => {}
                }
            }
            if Instant::now() + PAUSE > deadline {
                return Err(ProposeError::NoLeader);
            }
            sleep(PAUSE).await;
        }
    }

    async fn ask_one(
        &self,
        node: NodeId,
        peer: &Peer,
        request: &RaftRequest,
        deadline: Instant,
    ) -> Result<Asked, ProposeError> {
        let call = self.network.call(node, peer, self.group, request.clone());
        let answer = match timeout_at(deadline, call).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(CallError::Unreachable(..))) => return Ok(Asked::Nothing),
            Ok(Err(CallError::Failed(..))) | Err(_) => return Err(ProposeError::Unknown),
        };
        match answer {
            RaftResponse::Propose(Err(declined)) | RaftResponse::ReadIndex(Err(declined)) => {
                match declined {
                    Declined::TimedOut => Err(ProposeError::Unknown),
                    Declined::NotLeader { leader } => {
                        Ok(leader.map_or(Asked::Nothing, Asked::Other))
                    }
                    Declined::Stopped(_) => Ok(Asked::Nothing),
                }
            }
            answer => Ok(Asked::Answer(answer)),
        }
    }
}

enum Asked {
    Answer(RaftResponse),
    Other((NodeId, Peer)),
    Nothing,
}
