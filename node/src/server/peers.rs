//! What this node does with what other nodes say, and how it says things to them.

use super::{
    methods::{Call, Message},
    shards::{Input, message_codec},
};
use crate::peer::{CallError as MeshError, Class, Failure, Handler, Mesh, Stranger};
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::RwLock;
use proto::id::NodeId;
use raft::group::{
    CallError, Group, GroupId, Peer, PeerNetwork, RaftRequest, RaftResponse, network::CallFuture,
};
use raft::{
    placement::{Placement, controller::Report},
    registry::Registry,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::sync::mpsc;

/// A Raft message that brings no answer for this long is given up; openraft says it again.
const RAFT_WITHIN: Duration = Duration::from_secs(2);

/// The groups that this node is a member of; each comes once it has started.
#[derive(Default)]
pub struct Groups {
    global: OnceLock<Option<Group<Registry>>>,
    regional: RwLock<Option<Group<Placement>>>,
}

impl Groups {
    /// The global group has started; `None` where this node has no part in it.
    pub fn set_global(&self, group: Option<Group<Registry>>) {
        // It starts once in a process.
        let _ = self.global.set(group);
    }

    /// The regional group has started; `None` where this node has no part in it.
    pub fn set_regional(&self, group: Option<Group<Placement>>) {
        *self.regional.write() = group;
    }

    async fn serve(&self, id: GroupId, request: RaftRequest) -> Option<RaftResponse> {
        let global = self.global.get().and_then(Option::as_ref);
        if let Some(group) = global.filter(|group| group.id() == id) {
            return Some(group.serve(request).await);
        }
        let regional = self
            .regional
            .read()
            .clone()
            .filter(|group| group.id() == id);
        Some(regional?.serve(request).await)
    }
}

/// A part of this node that answers one kind of call.
#[async_trait]
pub trait Service: Send + Sync {
    /// Answers a node.
    async fn call(&self, from: NodeId, payload: Bytes) -> Result<Bytes, Failure>;
}

/// Answers other nodes.
pub struct Peers {
    groups: Arc<Groups>,
    shards: mpsc::Sender<Input>,
    services: RwLock<BTreeMap<Call, Arc<dyn Service>>>,
    reports: OnceLock<mpsc::Sender<Report>>,
}

impl Peers {
    /// Answers with these groups and shards.
    #[must_use]
    pub fn new(groups: Arc<Groups>, shards: mpsc::Sender<Input>) -> Self {
        Self {
            groups,
            shards,
            services: RwLock::default(),
            reports: OnceLock::new(),
        }
    }

    /// Reports of other nodes go to `reports` from now on.
    pub fn send_reports_to(&self, reports: mpsc::Sender<Report>) {
        // The region's driver starts once in a process.
        let _ = self.reports.set(reports);
    }

    /// A report that nobody waits for, or for which there is no room, is old news: the next is near.
    fn report(&self, from: NodeId, payload: &Bytes) {
        match serde_json::from_slice::<Report>(payload) {
            Ok(report) if report.node == from => {
                if let Some(reports) = self.reports.get() {
                    let _ = reports.try_send(report);
                }
            }
            Ok(report) => tracing::warn!(%from, of = %report.node, "a report of another node"),
            Err(error) => tracing::warn!(%from, %error, "a report cannot be read"),
        }
    }

    /// Calls of this kind are answered by `service` from now on.
    pub fn offer(&self, call: Call, service: Arc<dyn Service>) {
        self.services.write().insert(call, service);
    }

    /// Others are answered until this is dropped.
    pub fn answering(self: &Arc<Self>) -> Answering {
        Answering(Arc::clone(self))
    }

    async fn replication(&self, from: NodeId, payload: &Bytes) {
        match message_codec::read(payload) {
            // The log's thread ends only with the process.
            Ok(messages) => drop(self.shards.send(Input::Messages { from, messages }).await),
            Err(error) => {
                tracing::warn!(%from, %error, "a replication frame was dropped; it will be said again");
            }
        }
    }

    async fn raft(&self, payload: &Bytes) -> Result<Bytes, Failure> {
        let bad = |error: String| Failure(error);
        let (length, rest) = payload
            .split_first_chunk::<4>()
            .ok_or_else(|| bad("it is cut".into()))?;
        let (id, request) = rest
            .split_at_checked(u32::from_le_bytes(*length) as usize)
            .ok_or_else(|| bad("it is cut".into()))?;
        let id: GroupId = serde_json::from_slice(id).map_err(|error| bad(error.to_string()))?;
        let request = RaftRequest::decode(request).map_err(|error| bad(error.to_string()))?;
        let answer = self.groups.serve(id, request).await;
        answer
            .map(|answer| answer.encode().into())
            .ok_or_else(|| bad(format!("this node has no part in group {id}")))
    }
}

/// What answers others holds connections to them, and those hold what answers: the end of a node breaks
/// this circle, or its store would stay in memory for as long as the process.
pub struct Answering(Arc<Peers>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.services.write().clear();
        self.0.groups.set_regional(None);
    }
}

#[async_trait]
impl Handler for Peers {
    async fn message(&self, from: NodeId, method: u8, payload: Bytes) {
        match Message::from_number(method) {
            Some(Message::Replication) => self.replication(from, &payload).await,
            Some(Message::Report) => self.report(from, &payload),
            None => tracing::warn!(%from, method, "a message of an unknown kind"),
        }
    }

    async fn call(&self, from: NodeId, method: u8, payload: Bytes) -> Result<Bytes, Failure> {
        let Some(call) = Call::from_number(method) else {
            return Err(Failure(format!(
                "node {from} called method {method}, which is not known here"
            )));
        };
        if call == Call::Raft {
            return self.raft(&payload).await;
        }
        let service = self.services.read().get(&call).cloned();
        match service {
            Some(service) => service.call(from, payload).await,
            None => Err(Failure("this node does not answer that call yet".into())),
        }
    }

    fn is_open_to(&self, stranger: Stranger, method: u8) -> bool {
        Call::from_number(method).is_some_and(|call| call.is_open_to(stranger))
    }

    fn up(&self, node: NodeId, class: Class) {
        if class == Class::Replication {
            // A full queue means that much is going on already; ticks notice silence and return.
            let _ = self.shards.try_send(Input::PeerUp(node));
        }
    }

    fn down(&self, node: NodeId, class: Class) {
        if class == Class::Replication {
            let _ = self.shards.try_send(Input::PeerDown(node));
        }
    }
}

/// Carries Raft's messages over the mesh.
pub struct RaftOverMesh(pub Arc<Mesh>);

impl PeerNetwork for RaftOverMesh {
    fn call(
        &self,
        target: NodeId,
        peer: &Peer,
        group: GroupId,
        request: RaftRequest,
    ) -> CallFuture {
        let mesh = Arc::clone(&self.0);
        mesh.hear(target, &peer.address);
        Box::pin(async move {
            let id = serde_json::to_vec(&group).expect("a group's id is plain data");
            let mut payload = Vec::with_capacity(4 + id.len() + 64);
            payload.extend((id.len() as u32).to_le_bytes());
            payload.extend(id);
            payload.extend(request.encode());
            let answer = mesh
                .call(
                    target,
                    Class::Metadata,
                    Call::Raft as u8,
                    payload.into(),
                    RAFT_WITHIN,
                )
                .await;
            match answer {
                Ok(bytes) => RaftResponse::decode(&bytes)
                    .map_err(|error| CallError::Failed(target, error.to_string())),
                // A node that has no part in the group did nothing either.
                Err(
                    error @ (MeshError::Unknown
                    | MeshError::Busy
                    | MeshError::NotSent
                    | MeshError::Failed(_)),
                ) => Err(CallError::Unreachable(target, error.to_string())),
                Err(error) => Err(CallError::Failed(target, error.to_string())),
            }
        })
    }
}
