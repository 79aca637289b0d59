//! Joining by seeds: what an empty node, or one that lost sight of its groups, asks a node that has
//! part in them.

use super::{
    consensus::{Consensus, Told},
    methods::Call,
    peers::Service,
    rosters::Rosters,
};
use crate::{
    components::Components,
    peer::{Failure, Me, ask},
    settings::NodeSettings,
};
use async_trait::async_trait;
use bytes::Bytes;
use proto::id::{ClusterId, NodeId};
use raft::{group::Peer, placement::Placement, registry::Registry};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

/// A seed that does not answer for this long is passed over.
const SEED_WITHIN: Duration = Duration::from_secs(2);

/// Who asks.
#[derive(Debug, Serialize, Deserialize)]
struct JoinRequest {
    /// The cluster's name in its settings; empty where they name none.
    cluster_name: String,
    /// Its region.
    region: String,
}

/// Where the cluster's groups are found.
#[derive(Debug, Serialize, Deserialize)]
pub struct Directions {
    /// The cluster.
    pub cluster: ClusterId,
    /// How many regions it has.
    #[serde(default)]
    pub regions: usize,
    global: BTreeMap<NodeId, Peer>,
    /// Nodes of the seed's region, which have the newest registry that the seed has.
    #[serde(default)]
    informed: BTreeMap<NodeId, Peer>,
    /// Nodes that know the region's group; empty where the seed knows none.
    regional: BTreeMap<NodeId, Peer>,
}

impl Directions {
    /// The voters of the global group.
    #[must_use]
    pub fn global(&self) -> Told {
        told(&self.global)
    }

    /// Who can be asked for the registry where none of its voters answers.
    #[must_use]
    pub fn informed(&self) -> &BTreeMap<NodeId, Peer> {
        &self.informed
    }

    /// Whom to ask for the region's group: its voters, or some of its nodes.
    #[must_use]
    pub fn regional(&self) -> Told {
        told(&self.regional)
    }
}

fn told(voters: &BTreeMap<NodeId, Peer>) -> Told {
    Told {
        voters: voters.clone(),
        ..Told::default()
    }
}

/// Asks the seeds, one after the other, until one gives directions; else why none did.
pub async fn ask_seeds(
    settings: &NodeSettings,
    components: &Components,
    me: &Me,
) -> Result<Directions, String> {
    let request = JoinRequest {
        cluster_name: settings.cluster.name.clone(),
        region: settings.node.region.to_string(),
    };
    let payload: Bytes = serde_json::to_vec(&request)
        .expect("a question is plain data")
        .into();
    let mut whys = Vec::new();
    for seed in &settings.cluster.seeds {
        let network = &*components.network;
        let asked = ask(
            network,
            me,
            seed,
            Call::Join as u8,
            payload.clone(),
            SEED_WITHIN,
        );
        match asked.await {
            Ok((_, answer)) => match serde_json::from_slice(&answer) {
                Ok(directions) => return Ok(directions),
                Err(error) => whys.push(format!("{seed}: its answer cannot be read: {error}")),
            },
            Err(error) => whys.push(format!("{seed}: {error}")),
        }
    }
    Err(whys.join("; "))
}

/// Gives directions.
pub struct JoinDesk {
    /// Who this node is.
    pub me: Me,
    /// The registry.
    pub global: Consensus<Registry>,
    /// The placement of this node's region.
    pub regional: Consensus<Placement>,
    /// This node's region.
    pub region: String,
    /// The nodes of other regions.
    pub rosters: Rosters,
}

#[async_trait]
impl Service for JoinDesk {
    async fn call(&self, _: NodeId, payload: Bytes) -> Result<Bytes, Failure> {
        let request: JoinRequest =
            serde_json::from_slice(&payload).map_err(|error| Failure(error.to_string()))?;
        let directions = self.directions(&request).map_err(Failure)?;
        let json = serde_json::to_vec(&directions).map_err(|error| Failure(error.to_string()))?;
        Ok(json.into())
    }
}

impl JoinDesk {
    fn directions(&self, request: &JoinRequest) -> Result<Directions, String> {
        let registry = self.global.newest();
        let (Some(cluster), Some(founding)) = (self.me.cluster.cluster(), &registry.founding)
        else {
            return Err("this node belongs to no cluster yet".into());
        };
        if !request.cluster_name.is_empty() && request.cluster_name != founding.name {
            return Err(format!(
                "the cluster is named {:?}, not {:?}; correct cluster.name or cluster.seeds",
                founding.name, request.cluster_name
            ));
        }
        let Some(region) = registry.region(&request.region) else {
            let known = registry.regions.values();
            let known: Vec<_> = known
                .map(|region| region.settings.name.to_string())
                .collect();
            return Err(format!(
                "the cluster has no region {:?}, only {}; correct node.region",
                request.region,
                known.join(", ")
            ));
        };
        let regional = match request.region == self.region {
            true => self.regional.voters(),
            // Who is asked there knows who votes.
            false => {
                let roster = self.rosters.of(region.id);
                roster.map(|roster| roster.named()).unwrap_or_default()
            }
        };
        Ok(Directions {
            cluster,
            regions: registry.regions.len(),
            global: self.global.voters(),
            informed: self.rosters.neighbours(self.me.node),
            regional,
        })
    }
}
