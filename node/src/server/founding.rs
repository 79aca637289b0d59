//! Founding a cluster at an empty node: what `atoll init` asks for, and how it is asked.

use super::{methods::Call, peers::Service};
use crate::{
    components::{Entropy, Network},
    peer::{AskError, CallError, Failure, Me, Membership, ask},
    settings::{
        ClusterSettings, Durability, Kafka, NodeSettings, Objects, RegionSettings, Role, Tls,
        Transport,
    },
};
use async_trait::async_trait;
use bytes::Bytes;
use proto::{
    id::{BootId, ClusterId, NodeId},
    shard::{ShardHash, Sharding},
};
use raft::registry::{Registry, Request, access::Security, region};
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, time::Duration};
use tokio::sync::{
    mpsc::{self, error::TrySendError},
    oneshot,
};

/// A cluster that was founded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Founded {
    /// The cluster.
    pub cluster: ClusterId,
    /// The node that founded it.
    pub node: NodeId,
    /// The file on that node with the first token, where the cluster is secured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_token: Option<PathBuf>,
}

/// A cluster was not founded.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The settings cannot hold.
    #[error("{0}")]
    Settings(String),
    /// Nobody answers there.
    #[error(
        "no node can be asked at {at}: {why}; start one with `atoll serve --config FILE` and name its listen.peer"
    )]
    Unreachable {
        /// The address.
        at: String,
        /// Why not.
        why: String,
    },
    /// The node refused.
    #[error("the node at {at} refused: {why}")]
    Refused {
        /// The address.
        at: String,
        /// Why.
        why: String,
    },
    /// It may have happened.
    #[error(
        "the node at {at} did not answer in time; look with `atoll status` whether it was founded"
    )]
    Unknown {
        /// The address.
        at: String,
    },
}

/// Founds a cluster at the empty node whose peer address is `at`.
pub async fn init(
    network: &dyn Network,
    entropy: &dyn Entropy,
    at: &str,
    founding: &ClusterSettings,
    within: Duration,
) -> Result<Founded, InitError> {
    founding.check().map_err(InitError::Settings)?;
    let me = Me {
        cluster: Membership::default(),
        node: NodeId(entropy.id()),
        boot: BootId(entropy.id()),
        security: crate::security::Security::default(),
    };
    let payload = serde_json::to_vec(founding).expect("settings are plain data");
    let asked = ask(network, &me, at, Call::Init as u8, payload.into(), within).await;
    let at = at.to_owned();
    match asked {
        Ok((_, answer)) => serde_json::from_slice(&answer).map_err(|error| InitError::Refused {
            at,
            why: format!("its answer cannot be read: {error}"),
        }),
        Err(AskError::Unreachable(error)) => Err(InitError::Unreachable {
            at,
            why: error.to_string(),
        }),
        Err(AskError::Call(CallError::Failed(why))) => Err(InitError::Refused { at, why: why.0 }),
        Err(AskError::Call(_)) => Err(InitError::Unknown { at }),
    }
}

/// Somebody asks this node to found a cluster.
pub struct Asked {
    /// With what.
    pub founding: ClusterSettings,
    /// Whom to tell what came of it.
    pub reply: oneshot::Sender<Result<Founded, String>>,
}

/// Takes the calls of `atoll init`. The node itself founds, or says why not.
pub struct InitDesk {
    /// Where the node takes them while it belongs to no cluster.
    pub asked: mpsc::Sender<Asked>,
    /// Who the node is.
    pub me: Me,
}

#[async_trait]
impl Service for InitDesk {
    async fn call(&self, _: NodeId, payload: Bytes) -> Result<Bytes, Failure> {
        let founding: ClusterSettings =
            serde_json::from_slice(&payload).map_err(|error| Failure(error.to_string()))?;
        let (reply, answer) = oneshot::channel();
        match self.asked.try_send(Asked { founding, reply }) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                let why = "another init is under way; look with `atoll status`";
                return Err(Failure(why.into()));
            }
            Err(TrySendError::Closed(_)) => return Err(self.takes_none()),
        }
        let founded = answer
            .await
            .map_err(|_| self.takes_none())?
            .map_err(Failure)?;
        let json = serde_json::to_vec(&founded).map_err(|error| Failure(error.to_string()))?;
        Ok(json.into())
    }
}

impl InitDesk {
    fn takes_none(&self) -> Failure {
        let why = match self.me.cluster.cluster() {
            Some(cluster) => format!(
                "it belongs to cluster {cluster} already; a cluster is founded once, at a node with an empty data directory"
            ),
            None => "the node stops".into(),
        };
        Failure(why)
    }
}

/// Whether this node can found that cluster; if not, what to change.
pub fn check(settings: &NodeSettings, founding: &ClusterSettings) -> Result<(), String> {
    founding.check()?;
    let region = &settings.node.region;
    if founding.regions.iter().all(|named| named.name != *region) {
        return Err(format!(
            "the node is in region {region}, which the cluster's settings do not name; add a [[region]], or ask a node of one of its regions"
        ));
    }
    let name = &settings.cluster.name;
    if !name.is_empty() && *name != founding.cluster.name {
        return Err(format!(
            "the node belongs to a cluster named {name:?} (cluster.name in its settings), not {:?}",
            founding.cluster.name
        ));
    }
    if founding.cluster.secure == Some(false) {
        check_closed(settings)?;
    }
    let has_no_files = |tls: &Tls| tls.certificate_file.is_none();
    if !is_secured(settings, founding) && settings.tls.as_ref().is_some_and(has_no_files) {
        return Err(
            "the node's [tls] names no files, and an open cluster has no authority that could sign a certificate; set tls.certificate_file and tls.key_file there, or found the cluster with cluster.secure = true".into(),
        );
    }
    if !settings.node.roles.contains(&Role::Voter) {
        return Err("the node does not have the role voter; ask one that has".into());
    }
    check_copies(settings, founding)?;
    Ok(())
}

/// What is in memory counts only where several hold it.
fn check_copies(settings: &NodeSettings, founding: &ClusterSettings) -> Result<(), String> {
    if settings.store.durability == Durability::Fsync {
        return Ok(());
    }
    if founding.regions.len() > 1 {
        return Err(
            "store.durability is \"replicated\", and the cluster has several regions: links between them may ship only \
             what is on every in-sync disk, which replicas do not tell each other yet; set store.durability to \"fsync\" \
             on all nodes".into(),
        );
    }
    let mut regions = founding.regions.iter();
    match regions.find(|region| region.copies < 2) {
        Some(region) => Err(format!(
            "store.durability is \"replicated\", which counts what several nodes hold in memory, and region {} has copies = {}; set copies to 2 or more, or store.durability to \"fsync\"",
            region.name, region.copies
        )),
        None => Ok(()),
    }
}

/// Whether the node may belong to an open cluster; if not, what to change.
pub fn check_closed(settings: &NodeSettings) -> Result<(), String> {
    match settings.listen.first_open() {
        Some((key, address)) if !settings.listen.insecure_open => Err(format!(
            "listen.{key} is {address}, which others can reach, and the cluster is open: it asks nodes for no \
             certificates and callers for no tokens; found one with cluster.secure = true, listen on loopback, or \
             set listen.insecure_open = true if the network around it is closed"
        )),
        Some(_) | None => Ok(()),
    }
}

/// Whether the node understands by "durable" what its region does; if not, what to change. Members are
/// named by what counts, so all of a region's nodes must mean the same.
pub fn check_durability(settings: &NodeSettings, registry: &Registry) -> Result<(), String> {
    let name = &settings.node.region;
    let mut regions = registry.regions.values();
    let region = regions.find(|region| region.settings.name == *name);
    let own = durability(settings);
    match region.map(|region| region.settings.durability) {
        Some(founded) if founded != own && settings.node.roles.contains(&Role::Node) => {
            let text = |durability| match durability {
                region::Durability::Fsync => "fsync",
                region::Durability::Replicated => "replicated",
            };
            Err(format!(
                "store.durability is \"{}\" here, and region {name} was founded with \"{}\", which stays; set it so in this node's settings",
                text(own),
                text(founded)
            ))
        }
        Some(_) | None => Ok(()),
    }
}

fn durability(settings: &NodeSettings) -> region::Durability {
    match settings.store.durability {
        Durability::Fsync => region::Durability::Fsync,
        Durability::Replicated => region::Durability::Replicated,
    }
}

/// Whether the node is as secured as its cluster; if not, what to change.
pub fn check_security(settings: &NodeSettings, registry: &Registry, me: &Me) -> Result<(), String> {
    match (
        registry.access.authority.is_some(),
        me.security.has_papers(),
    ) {
        (true, false) => Err(format!(
            "the cluster is secured, and secrets/ in {} has no certificate of this node; give it a token in \
             cluster.join_token_file",
            settings.node.data_dir.display()
        )),
        (false, _) => check_closed(settings),
        (true, true) => Ok(()),
    }
}

/// Whether the cluster is to be secured.
#[must_use]
pub fn is_secured(settings: &NodeSettings, founding: &ClusterSettings) -> bool {
    let is_reached = settings.listen.first_open().is_some() && !settings.listen.insecure_open;
    founding.cluster.secure.unwrap_or(is_reached)
}

/// Whether what the node holds is of the cluster that its settings name; if not, what to change.
pub fn check_name(settings: &NodeSettings, registry: &Registry) -> Result<(), String> {
    let name = &settings.cluster.name;
    match &registry.founding {
        Some(founding) if !name.is_empty() && *name != founding.name => Err(format!(
            "data directory {} belongs to a cluster named {:?}, not {name:?}; correct cluster.name, or choose another node.data_dir",
            settings.node.data_dir.display(),
            founding.name
        )),
        Some(_) | None => Ok(()),
    }
}

/// The command that founds the cluster.
#[must_use]
pub fn request(
    founding: &ClusterSettings,
    settings: &NodeSettings,
    (id, security): (ClusterId, Option<Security>),
    entropy: &dyn Entropy,
) -> Request {
    let cluster = &founding.cluster;
    let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    Request::Found {
        founding: region::Founding {
            cluster: id,
            name: cluster.name.clone(),
            sharding: Sharding {
                shards: cluster.shards,
                seed: entropy.id(),
                algorithm: ShardHash::Xxh3Multiply,
            },
            transport: match cluster.transport {
                Transport::Direct => region::Transport::Direct,
                Transport::Kafka => region::Transport::Kafka,
            },
            max_offset_millis: millis(cluster.max_offset.0),
            max_future_millis: millis(cluster.max_future.0),
        },
        regions: founding
            .regions
            .iter()
            .map(|region| region_settings(region, settings))
            .collect(),
        security,
    }
}

fn region_settings(region: &RegionSettings, settings: &NodeSettings) -> region::RegionSettings {
    region::RegionSettings {
        name: region.name.clone(),
        copies: region.copies,
        min_in_sync: region.min_in_sync,
        durability: durability(settings),
        kafka: region.kafka.as_ref().map(Kafka::registered),
        objects: region.objects.as_ref().map(Objects::registered),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_in_memory_alone_are_not_founded_in_several_regions() {
        let (mut node, mut founding) =
            crate::server::single::settings(std::path::Path::new("/tmp/x"), 6570);
        founding.regions[0].copies = 2;
        node.store.durability = Durability::Replicated;
        assert_eq!(check(&node, &founding), Ok(()));
        let mut other = founding.regions[0].clone();
        other.name = proto::name::Name::new("other").unwrap();
        founding.regions.push(other);
        let why = check(&node, &founding).unwrap_err();
        assert!(why.contains("set store.durability to \"fsync\""), "{why}");
        node.store.durability = Durability::Fsync;
        assert_eq!(check(&node, &founding), Ok(()));
    }

    #[tokio::test]
    async fn an_init_that_comes_second_is_told_so_at_any_moment() {
        let (asked, mut taken) = mpsc::channel(1);
        let me = Me {
            cluster: Membership::default(),
            node: NodeId(1),
            boot: BootId(1),
            security: crate::security::Security::default(),
        };
        let desk = InitDesk {
            asked,
            me: me.clone(),
        };
        let payload = || Bytes::from(serde_json::to_vec(&ClusterSettings::single()).unwrap());
        let call = async || desk.call(NodeId(2), payload()).await.unwrap_err().0;
        let founder = async {
            let first = taken.recv().await.unwrap();
            me.cluster.join(ClusterId(7));
            drop(first);
        };
        let (waiting, ()) = tokio::join!(call(), founder);
        assert!(waiting.contains("belongs to cluster"), "{waiting}");
        drop(taken);
        let late = call().await;
        assert!(late.contains("founded once"), "{late}");
    }
}
