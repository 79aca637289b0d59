//! How nodes of a secured cluster come by their papers: what those that may sign answer.
//!
//! A node that joins shows a token to a seed; whoever has the authority's key checks it, has the global
//! group give it to that node alone, and signs. Members ask for new papers in the name of their
//! certificate. Voters of the global group keep the authority's key, so that one of them can be lost.

mod joiner;
mod upkeep;

pub use joiner::{asks, enrol, take_up};

use super::{consensus::Consensus, methods::Call, peers::Service, rosters::Rosters};
use crate::{
    components::{Clock, Home},
    peer::{Class, Failure, Me, Mesh},
    security::{Asks, Authority, Earlier, Papers, kept_authority, public_key_bytes},
};
use async_trait::async_trait;
use bytes::Bytes;
use gateway::access::Secret;
use parking_lot::RwLock;
use proto::id::{ClusterId, NodeId};
use raft::{
    placement::Placement,
    registry::{
        Registry, RegistryCommand, RegistryOutcome, Request,
        access::{Gives, JoinedNode},
    },
};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};

/// A node that is asked first may have to ask others.
const FORWARD_WITHIN: Duration = Duration::from_secs(8);
const PROPOSE_WITHIN: Duration = Duration::from_secs(6);

/// What a node that joins shows.
#[derive(Debug, Serialize, Deserialize)]
struct Enrols {
    token: String,
    asks: Asks,
    /// The certificate of a member that comes back, and when it was signed.
    #[serde(default)]
    earlier: Option<(String, u64)>,
}

/// The key that this node signs with, once it has it. Clones are one.
#[derive(Clone, Default)]
pub struct Signing(Arc<RwLock<Option<Arc<Authority>>>>);

impl Signing {
    /// What `home` keeps of it.
    pub fn of(home: &dyn Home) -> Result<Self, String> {
        let kept = kept_authority(home).map_err(|error| error.to_string())?;
        let signing = Self::default();
        *signing.0.write() = kept.map(Arc::new);
        Ok(signing)
    }

    fn authority(&self) -> Option<Arc<Authority>> {
        self.0.read().clone()
    }
}

/// Signs, and has others sign.
#[derive(Clone)]
pub struct Enrolment {
    /// Who this node is.
    pub me: Me,
    /// The registry, which has the tokens.
    pub global: Consensus<Registry>,
    /// The members of the region.
    pub regional: Consensus<Placement>,
    /// Those of other regions.
    pub rosters: Rosters,
    /// The way to those that may sign.
    pub mesh: Arc<Mesh>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The key.
    pub signing: Signing,
}

/// Answers nodes that join.
pub struct EnrolDesk(pub Enrolment);
/// Answers members that want new papers.
pub struct RenewDesk(pub Enrolment);
/// Gives the authority's key to voters.
pub struct AuthorityDesk(pub Enrolment);

#[async_trait]
impl Service for EnrolDesk {
    async fn call(&self, from: NodeId, payload: Bytes) -> Result<Bytes, Failure> {
        let Some(authority) = self.0.signing.authority() else {
            return self.0.elsewhere(from, Call::Enrol, payload).await;
        };
        let enrols: Enrols = read(&payload)?;
        self.0.take_token(&enrols).await.map_err(Failure)?;
        self.0.sign(&authority, &enrols.asks)
    }
}

#[async_trait]
impl Service for RenewDesk {
    async fn call(&self, from: NodeId, payload: Bytes) -> Result<Bytes, Failure> {
        let Some(authority) = self.0.signing.authority() else {
            return Err(Failure("this node cannot sign; ask another voter".into()));
        };
        let asks: Asks = read(&payload)?;
        if asks.node != from {
            return Err(Failure(format!("node {from} asks for node {}", asks.node)));
        }
        if self.0.is_removed(from) {
            return Err(Failure(format!("node {from} is no member any more")));
        }
        self.0.sign(&authority, &asks)
    }
}

#[async_trait]
impl Service for AuthorityDesk {
    async fn call(&self, from: NodeId, _: Bytes) -> Result<Bytes, Failure> {
        if !self.0.me.security.has_papers() || !self.0.global.voters().contains_key(&from) {
            return Err(Failure(
                "only voters of the global group keep the authority's key".into(),
            ));
        }
        let authority = self.0.signing.authority();
        let authority = authority.ok_or_else(|| Failure("this node does not have it".into()))?;
        Ok(authority.key().into_bytes().into())
    }
}

fn read<T: for<'a> Deserialize<'a>>(payload: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(payload).map_err(|error| Failure(error.to_string()))
}

impl Enrolment {
    fn sign(&self, authority: &Authority, asks: &Asks) -> Result<Bytes, Failure> {
        let papers = self.papers(authority, asks).map_err(Failure)?;
        let json = serde_json::to_vec(&papers).map_err(|error| Failure(error.to_string()))?;
        tracing::info!(node = %asks.node, "signed a node's certificate");
        Ok(json.into())
    }

    fn papers(&self, authority: &Authority, asks: &Asks) -> Result<Papers, String> {
        let cluster = self
            .me
            .cluster
            .cluster()
            .ok_or("this node belongs to no cluster yet")?;
        let now = self.clock.now().wall_millis();
        let papers = authority.papers(cluster, asks, now);
        let papers = papers.map_err(|error| error.to_string())?;
        Ok(papers.with_authority(self.global.newest().access.authority.as_deref()))
    }

    /// Passes a question on to those that may sign. They are asked as a member asks, so a question that
    /// was passed on once is not passed on again.
    async fn elsewhere(&self, from: NodeId, call: Call, payload: Bytes) -> Result<Bytes, Failure> {
        let voters = self.global.voters();
        if voters.contains_key(&from) {
            return Err(Failure("this node cannot sign".into()));
        }
        let others = voters.iter().filter(|(node, _)| **node != self.me.node);
        let mut why = Failure("no node that may sign is known yet".into());
        for (node, peer) in others {
            self.mesh.hear(*node, &peer.address);
            let asked = self.mesh.call(
                *node,
                Class::Metadata,
                call as u8,
                payload.clone(),
                FORWARD_WITHIN,
            );
            match asked.await {
                Ok(answer) => return Ok(answer),
                Err(error) => why = Failure(error.to_string()),
            }
        }
        Err(why)
    }

    /// Whether one that joins may call itself by its node's id. A token lets in a new node: it does not make it
    /// another one, which may be a voter and be told more.
    fn may_have_name(&self, registry: &Registry, cluster: ClusterId, enrols: &Enrols) -> bool {
        let asks = &enrols.asks;
        let tokens = registry.access.tokens.values();
        let joined = tokens.filter_map(|token| token.joined());
        let mut same = joined.filter(|joined| joined.node == asks.node);
        if let Some(known) = same.next() {
            return known.public_key == asks.public_key;
        }
        let is_member = self.global.voters().contains_key(&asks.node)
            || self.regional.newest().members.contains_key(&asks.node)
            || self.rosters.elsewhere(asks.node).is_some()
            || asks.node == self.me.node;
        !is_member || has_been(registry, (cluster, asks), enrols.earlier.as_ref())
    }

    /// Whether a node was removed, as far as is known: where nothing is known of a region it may be there.
    fn is_removed(&self, node: NodeId) -> bool {
        let is_here = self.regional.newest().members.contains_key(&node);
        self.rosters.are_all_known() && !is_here && self.rosters.elsewhere(node).is_none()
    }

    /// Has the global group give the token to that node alone.
    async fn take_token(&self, enrols: &Enrols) -> Result<(), String> {
        let cluster = self
            .me
            .cluster
            .cluster()
            .ok_or("this node belongs to no cluster yet")?;
        let secret = Secret::read(&enrols.token).map_err(|error| error.to_string())?;
        let registry = self.global.newest();
        let token = registry.access.tokens.get(&secret.id());
        let token = token.filter(|token| secret.is_of(&token.hash, cluster));
        let token = token.filter(|token| matches!(token.gives, Gives::Join { .. }));
        let unknown = "the join token is unknown or revoked; create another one";
        let id = token.ok_or(unknown)?.id;
        if !self.may_have_name(&registry, cluster, enrols) {
            return Err(format!(
                "node {} is a member already, and this one has neither its key nor its last certificate; empty its \
                 data directory, so that it joins as a new node",
                enrols.asks.node
            ));
        }
        let by = JoinedNode {
            node: enrols.asks.node,
            public_key: enrols.asks.public_key.clone(),
        };
        let command = RegistryCommand {
            author: format!("node {}", enrols.asks.node),
            at_millis: self.clock.now().wall_millis(),
            request: Request::UseJoinToken { id, by },
        };
        let applied = self.global.propose(&command, PROPOSE_WITHIN).await;
        match applied.map_err(|error| error.to_string())?.outcome {
            RegistryOutcome::Done { .. } => Ok(()),
            RegistryOutcome::Refused { refusals, .. } => {
                let whys: Vec<_> = refusals
                    .iter()
                    .map(|refusal| refusal.message.as_str())
                    .collect();
                Err(whys.join("; "))
            }
        }
    }
}

/// Whether a certificate of the node and key that are asked for was signed earlier.
fn has_been(
    registry: &Registry,
    (cluster, asks): (ClusterId, &Asks),
    earlier: Option<&(String, u64)>,
) -> bool {
    let shown = || {
        let (certificate, at_millis) = earlier?;
        let key = public_key_bytes(&asks.public_key)?;
        let authority = registry.access.authority.as_deref()?;
        let earlier = Earlier {
            certificate,
            at_millis: *at_millis,
        };
        Some(earlier.is_of(authority, (cluster, asks.node), &key))
    };
    shown().unwrap_or(false)
}
