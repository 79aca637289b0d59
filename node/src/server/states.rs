//! The newest committed state of a metadata group, given to nodes that have no vote in it.
//!
//! A question names the revision that is known; it is held for a while where there is nothing newer,
//! so a change travels at once and an idle group costs little.

use super::{
    consensus::{Consensus, Told},
    peers::Service,
};
use crate::peer::Failure;
use async_trait::async_trait;
use bytes::Bytes;
use proto::id::{NodeId, Revision};
use raft::{
    group::{GroupId, Peer},
    machine::{Parts, StateMachine},
    placement::Placement,
    registry::Registry,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::{collections::BTreeMap, time::Duration};
use tokio::time::timeout;

/// No question is held longer, whatever it asks.
const HELD_AT_MOST: Duration = Duration::from_secs(10);

/// A question for a state newer than a known one.
#[derive(Debug, Serialize, Deserialize)]
pub struct StateRequest {
    /// The group.
    pub group: GroupId,
    /// The revision that is known.
    pub known: Revision,
    /// How long to wait for a newer one.
    pub held_for: Duration,
}

/// The answer: who votes, and the state where there is a newer one.
#[derive(Debug, Serialize, Deserialize)]
pub struct StateAnswer {
    voters: BTreeMap<NodeId, Peer>,
    leader: Option<NodeId>,
    term: u64,
    parts: Option<BTreeMap<String, Box<RawValue>>>,
}

/// An answer that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BadAnswer {
    /// It is no answer.
    #[error("it cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// Its state is none.
    #[error(transparent)]
    State(#[from] raft::machine::BadPart),
}

impl StateRequest {
    /// The bytes of the question.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let json = serde_json::to_vec(self).expect("a question is plain data");
        json.into()
    }
}

impl StateAnswer {
    fn of<S: StateMachine>(told: Told, state: Option<&S>) -> Self {
        let raw = |json: Vec<u8>| {
            let text = String::from_utf8(json).expect("a part is JSON");
            RawValue::from_string(text).expect("a part is JSON")
        };
        let parts = state.map(StateMachine::parts);
        Self {
            voters: told.voters,
            leader: told.leader,
            term: told.term,
            parts: parts.map(|parts: Parts| {
                let parts = parts.into_iter();
                parts.map(|(key, json)| (key, raw(json))).collect()
            }),
        }
    }

    /// Reads an answer: what it tells of the group, and a newer state.
    pub fn decode<S: StateMachine>(bytes: &[u8]) -> Result<(Told, Option<S>), BadAnswer> {
        let answer: Self = serde_json::from_slice(bytes)?;
        let told = Told {
            voters: answer.voters,
            leader: answer.leader,
            term: answer.term,
        };
        let Some(parts) = answer.parts else {
            return Ok((told, None));
        };
        let parts: Parts = parts
            .into_iter()
            .map(|(key, json)| (key, json.get().as_bytes().to_vec()))
            .collect();
        Ok((told, Some(S::from_parts(&parts)?)))
    }
}

/// Answers such questions.
pub struct States {
    /// The registry.
    pub global: Consensus<Registry>,
    /// The region's placement.
    pub regional: Consensus<Placement>,
}

#[async_trait]
impl Service for States {
    async fn call(&self, _: NodeId, payload: Bytes) -> Result<Bytes, Failure> {
        let request: StateRequest =
            serde_json::from_slice(&payload).map_err(|error| Failure(error.to_string()))?;
        let answer = if request.group == self.global.id() {
            answer(&self.global, &request).await
        } else if request.group == self.regional.id() {
            answer(&self.regional, &request).await
        } else {
            let group = request.group;
            return Err(Failure(format!("this node has no part in group {group}")));
        };
        let json = serde_json::to_vec(&answer).map_err(|error| Failure(error.to_string()))?;
        Ok(json.into())
    }
}

async fn answer<S: StateMachine>(consensus: &Consensus<S>, request: &StateRequest) -> StateAnswer {
    let mut states = consensus.watch();
    let is_newer = |state: &std::sync::Arc<S>| state.revision() > request.known;
    let held_for = request.held_for.min(HELD_AT_MOST);
    let newer = match timeout(held_for, states.wait_for(is_newer)).await {
        Ok(Ok(state)) => Some(std::sync::Arc::clone(&state)),
        // Nothing newer, or the node ends.
        Ok(Err(_)) | Err(_) => None,
    };
    StateAnswer::of(consensus.told(), newer.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use raft::placement::{PlacementCommand, state::Policy};

    #[test]
    fn a_state_and_who_votes_read_back() {
        let mut state = Placement::default();
        state.apply(PlacementCommand::Follow(Policy {
            region: proto::id::RegionId(1),
            group: 1,
            shards: 8,
            copies: 2,
            min_in_sync: 1,
            named_by_boot: false,
        }));
        let peer = Peer {
            address: "127.0.0.1:1".into(),
            place: "a".into(),
        };
        let told = Told {
            voters: BTreeMap::from([(NodeId(7), peer)]),
            leader: Some(NodeId(7)),
            term: 3,
        };
        let bytes = serde_json::to_vec(&StateAnswer::of(told.clone(), Some(&state))).unwrap();
        let (heard, read) = StateAnswer::decode::<Placement>(&bytes).unwrap();
        assert_eq!(
            (heard.voters, heard.leader),
            (told.voters.clone(), told.leader)
        );
        assert_eq!(read, Some(state));
        let nothing = serde_json::to_vec(&StateAnswer::of::<Placement>(told, None)).unwrap();
        assert_eq!(StateAnswer::decode::<Placement>(&nothing).unwrap().1, None);
        assert!(StateAnswer::decode::<Placement>(&bytes[..bytes.len() - 2]).is_err());
    }
}
