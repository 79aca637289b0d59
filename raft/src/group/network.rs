//! What members of a group say to each other, and the trait by which a driver carries it.
//!
//! The transport itself (tonic in production, channels in tests, turmoil in the simulator) is the
//! driver's. It may encode messages with [`RaftRequest::encode`] and [`RaftResponse::encode`].

use super::types::{GroupId, Payload, Peer, Types, node};
use openraft::{
    error::{InstallSnapshotError, NetworkError, RPCError, RaftError, RemoteError, Unreachable},
    network::{RPCOption, RaftNetwork, RaftNetworkFactory},
    raft::{
        AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest,
        InstallSnapshotResponse, VoteRequest, VoteResponse,
    },
};
use proto::id::NodeId;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{future::Future, pin::Pin, sync::Arc};

const VERSION: u8 = 1;

/// A request to a member of a group.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RaftRequest {
    /// Entries, or a heartbeat.
    Append(AppendEntriesRequest<Types>),
    /// A candidate asks for a vote.
    Vote(VoteRequest<u64>),
    /// A piece of a snapshot.
    Snapshot(InstallSnapshotRequest<Types>),
    /// A command for the leader.
    Propose(Payload),
    /// How far a linearizable read must have applied.
    ReadIndex,
}

/// The answer to a [`RaftRequest`] of the same name.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RaftResponse {
    /// To entries.
    Append(Result<AppendEntriesResponse<u64>, RaftError<u64>>),
    /// To a candidate.
    Vote(Result<VoteResponse<u64>, RaftError<u64>>),
    /// To a piece of a snapshot.
    Snapshot(Result<InstallSnapshotResponse<u64>, RaftError<u64, InstallSnapshotError>>),
    /// To a command: the entry's index and the outcome.
    Propose(Result<(u64, Payload), Declined>),
    /// The index, 0 before anything was written.
    ReadIndex(Result<u64, Declined>),
}

/// Why a member did not do what only a leader with a quorum can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Declined {
    /// It does not lead, so nothing happened.
    #[error("this node does not lead")]
    NotLeader {
        /// Who leads, as far as it knows.
        leader: Option<(NodeId, Peer)>,
    },
    /// No quorum answered in time; a command may yet be carried out.
    #[error("no quorum answered in time")]
    TimedOut,
    /// The member stopped.
    #[error("the group stopped on that node: {0}")]
    Stopped(String),
}

/// A call that brought no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The node cannot be reached: not sent.
    #[error("node {0} cannot be reached: {1}")]
    Unreachable(NodeId, String),
    /// Sent, and no answer came, or one that cannot be read.
    #[error("the call of node {0} failed: {1}")]
    Failed(NodeId, String),
}

/// The future of a call.
pub type CallFuture = Pin<Box<dyn Future<Output = Result<RaftResponse, CallError>> + Send>>;

/// Carries requests to members and brings their answers.
pub trait PeerNetwork: Send + Sync + 'static {
    /// Calls a member. The callee gives the request to its group's `Group::serve`.
    fn call(&self, target: NodeId, peer: &Peer, group: GroupId, request: RaftRequest)
    -> CallFuture;
}

/// A message that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a raft message cannot be read: {0}")]
pub struct BadMessage(String);

impl RaftRequest {
    /// The message's bytes. A snapshot's bytes stand behind the rest, as they are.
    #[must_use]
    pub fn encode(mut self) -> Vec<u8> {
        let data = if let Self::Snapshot(piece) = &mut self {
            std::mem::take(&mut piece.data)
        } else {
            Vec::new()
        };
        encode(&self, &data)
    }

    /// Reads a message's bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadMessage> {
        let (mut request, data) = decode::<Self>(bytes)?;
        if let Self::Snapshot(piece) = &mut request {
            piece.data = data.to_vec();
        }
        Ok(request)
    }
}

impl RaftResponse {
    /// The message's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode(self, &[])
    }

    /// Reads a message's bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadMessage> {
        decode(bytes).map(|(response, _)| response)
    }
}

fn encode<T: Serialize>(message: &T, data: &[u8]) -> Vec<u8> {
    let json = serde_json::to_vec(message).expect("messages are plain data, which JSON can hold");
    let length = u32::try_from(json.len()).expect("a message is far below 4 GiB");
    let mut bytes = vec![VERSION];
    bytes.extend(length.to_le_bytes());
    bytes.extend(json);
    bytes.extend(data);
    bytes
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, &[u8]), BadMessage> {
    let bad = |fault: &str| BadMessage(fault.to_owned());
    let (version, rest) = bytes.split_first().ok_or_else(|| bad("it is empty"))?;
    if *version != VERSION {
        return Err(BadMessage(format!(
            "its version is {version}, this program knows {VERSION}"
        )));
    }
    let (length, rest) = rest
        .split_first_chunk::<4>()
        .ok_or_else(|| bad("it is cut"))?;
    let (json, data) = rest
        .split_at_checked(u32::from_le_bytes(*length) as usize)
        .ok_or_else(|| bad("it is cut"))?;
    let message = serde_json::from_slice(json).map_err(|error| BadMessage(error.to_string()))?;
    Ok((message, data))
}

/// Gives openraft a way to each member.
#[derive(Clone)]
pub(super) struct Connector {
    pub(super) network: Arc<dyn PeerNetwork>,
    pub(super) group: GroupId,
}

/// openraft's way to one member.
pub(super) struct Connection {
    connector: Connector,
    target: u64,
    peer: Peer,
}

impl RaftNetworkFactory<Types> for Connector {
    type Network = Connection;

    async fn new_client(&mut self, target: u64, peer: &Peer) -> Connection {
        Connection {
            connector: self.clone(),
            target,
            peer: peer.clone(),
        }
    }
}

type Rpc<E> = RPCError<u64, Peer, E>;

impl Connection {
    async fn call<E: std::error::Error>(
        &self,
        request: RaftRequest,
    ) -> Result<RaftResponse, Rpc<E>> {
        let Connector { network, group } = &self.connector;
        let answer = network
            .call(node(self.target), &self.peer, *group, request)
            .await;
        answer.map_err(|error| match error {
            CallError::Unreachable(..) => Unreachable::new(&error).into(),
            CallError::Failed(..) => NetworkError::new(&error).into(),
        })
    }

    fn refused<E: std::error::Error>(&self, error: E) -> Rpc<E> {
        RemoteError::new(self.target, error).into()
    }

    fn confused<E: std::error::Error>(&self) -> Rpc<E> {
        let error = CallError::Failed(node(self.target), "it answered another question".into());
        NetworkError::new(&error).into()
    }
}

impl RaftNetwork<Types> for Connection {
    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, Rpc<RaftError<u64>>> {
        match self.call(RaftRequest::Append(request)).await? {
            RaftResponse::Append(answer) => answer.map_err(|error| self.refused(error)),
            _ => Err(self.confused()),
        }
    }

    async fn install_snapshot(
        &mut self,
        request: InstallSnapshotRequest<Types>,
        _: RPCOption,
    ) -> Result<InstallSnapshotResponse<u64>, Rpc<RaftError<u64, InstallSnapshotError>>> {
        match self.call(RaftRequest::Snapshot(request)).await? {
            RaftResponse::Snapshot(answer) => answer.map_err(|error| self.refused(error)),
            _ => Err(self.confused()),
        }
    }

    async fn vote(
        &mut self,
        request: VoteRequest<u64>,
        _: RPCOption,
    ) -> Result<VoteResponse<u64>, Rpc<RaftError<u64>>> {
        match self.call(RaftRequest::Vote(request)).await? {
            RaftResponse::Vote(answer) => answer.map_err(|error| self.refused(error)),
            _ => Err(self.confused()),
        }
    }
}
