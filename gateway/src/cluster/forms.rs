//! What is told of the cluster, as JSON: the same documents over HTTP and from the command line.

use schemars::JsonSchema;
use serde::Serialize;
use wire::v1;

/// The cluster as the node that answers knows it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Status")]
pub struct Status {
    cluster_name: String,
    cluster_id: String,
    /// The region of the node that answers.
    region: String,
    global_revision: u64,
    regional_revision: u64,
    shards: u32,
    shards_without_primary: u32,
    /// Shards with fewer copies in sync than the region wants.
    shards_under_replicated: u32,
    nodes: Vec<Node>,
    groups: Vec<Group>,
    /// What could be lost now, and with what.
    safety: String,
    /// Copies that are being made.
    moves: Vec<Move>,
    /// What a person should know, the most urgent first.
    warnings: Vec<String>,
}

/// A node of the region.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Node {
    name: String,
    id: String,
    zone: String,
    roles: Vec<String>,
    /// Whether it gave signs of life lately.
    reachable: bool,
    primaries: u32,
    backups: u32,
    store_bytes: u64,
    index_bytes: u64,
    /// How old the oldest of its shards can be; null where that is unknown, or it holds none.
    age_seconds: Option<f64>,
    version: String,
    grpc_address: String,
    http_address: String,
    /// "serving", "draining", "drained" or "gone".
    state: String,
    /// Whether it votes in the region's group.
    votes: bool,
    /// Copies that it is given now.
    joining: u32,
    /// How long ago it gave its last sign of life; null where it gave none.
    heard_seconds: Option<f64>,
}

/// A copy of a shard that is being made.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Move {
    shard: u32,
    from: String,
    to: String,
    /// The node that is emptied by it; null where none is.
    off: Option<String>,
    /// "waiting", "rows" or "log".
    stage: String,
    rows_sent: u64,
    /// About how many there are.
    rows: u64,
    bytes_sent: u64,
    /// Where the copy's log ends; null while that is unknown.
    position: Option<u64>,
    /// Where the primary's log ends; null while it does not answer.
    end: Option<u64>,
}

/// A group that agrees on metadata by Raft.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Group {
    /// "global", or "region" and its name.
    group: String,
    /// Null while none is known.
    leader: Option<String>,
    voters: Vec<String>,
    term: u64,
    committed: u64,
}

impl Status {
    /// The document.
    #[must_use]
    pub fn of(status: &v1::StatusResponse) -> Self {
        Self {
            cluster_name: status.cluster_name.clone(),
            cluster_id: status.cluster_id.clone(),
            region: status.region.clone(),
            global_revision: status.global_revision,
            regional_revision: status.regional_revision,
            shards: status.shards,
            shards_without_primary: status.shards_without_primary,
            shards_under_replicated: status.shards_under_replicated,
            nodes: status.nodes.iter().map(Node::of).collect(),
            groups: status.groups.iter().map(Group::of).collect(),
            safety: status.safety.clone(),
            moves: status.moves.iter().map(Move::of).collect(),
            warnings: status.warnings.clone(),
        }
    }
}

impl Node {
    fn of(node: &v1::NodeStatus) -> Self {
        Self {
            name: node.name.clone(),
            id: node.id.clone(),
            zone: node.zone.clone(),
            roles: node.roles.clone(),
            reachable: node.reachable,
            primaries: node.primaries,
            backups: node.backups,
            store_bytes: node.store_bytes,
            index_bytes: node.index_bytes,
            age_seconds: node.age_seconds,
            version: node.version.clone(),
            grpc_address: node.grpc_address.clone(),
            http_address: node.http_address.clone(),
            state: node.state.clone(),
            votes: node.votes,
            joining: node.joining,
            heard_seconds: node.heard_seconds,
        }
    }
}

impl Move {
    fn of(copy: &v1::Move) -> Self {
        Self {
            shard: copy.shard,
            from: copy.source.clone(),
            to: copy.to.clone(),
            off: Some(copy.off.clone()).filter(|name| !name.is_empty()),
            stage: copy.stage.clone(),
            rows_sent: copy.rows_sent,
            rows: copy.rows,
            bytes_sent: copy.bytes_sent,
            position: copy.position,
            end: copy.end,
        }
    }
}

impl Group {
    fn of(group: &v1::GroupStatus) -> Self {
        Self {
            group: group.group.clone(),
            leader: Some(group.leader.clone()).filter(|name| !name.is_empty()),
            voters: group.voters.clone(),
            term: group.term,
            committed: group.committed,
        }
    }
}

/// The shard map of the region.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Shards {
    /// The regional revision of the map.
    revision: u64,
    shards: Vec<Shard>,
}

/// One shard.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Shard {
    shard: u32,
    incarnation: u32,
    epoch: u32,
    /// Null where it has none.
    primary: Option<String>,
    /// Up to where its log is committed, as the primary says; null while it does not answer.
    committed: Option<u64>,
    replicas: Vec<Replica>,
}

/// One replica of a shard.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Replica {
    node: String,
    /// "primary", "backup", "joining" or "observer".
    role: String,
    in_sync: bool,
    /// Where its log ends; null while its node does not answer.
    position: Option<u64>,
}

impl Shards {
    /// The document.
    #[must_use]
    pub fn of(answer: &v1::ShardsResponse) -> Self {
        Self {
            revision: answer.revision,
            shards: answer.shards.iter().map(Shard::of).collect(),
        }
    }
}

impl Shard {
    /// The document of one shard.
    #[must_use]
    pub fn of(shard: &v1::ShardStatus) -> Self {
        let replica = |replica: &v1::ReplicaStatus| Replica {
            node: replica.node.clone(),
            role: replica.role.clone(),
            in_sync: replica.in_sync,
            position: replica.position,
        };
        Self {
            shard: shard.shard,
            incarnation: shard.incarnation,
            epoch: shard.epoch,
            primary: Some(shard.primary.clone()).filter(|name| !name.is_empty()),
            committed: shard.committed,
            replicas: shard.replicas.iter().map(replica).collect(),
        }
    }
}

/// Where the cluster can be reached.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Topology {
    /// The registry's revision of the regions.
    revision: u64,
    /// The region of the node that answers.
    region: String,
    regions: Vec<RegionState>,
    /// The gateways that this node knows of.
    gateways: Vec<GatewayAddress>,
}

/// One region.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RegionState {
    name: String,
    /// "joining", "active", "draining", "evacuated", "lost", "recovering" or "decommissioned".
    state: String,
    copies: u32,
    min_in_sync: u32,
    /// Nodes of it that are known; 0 while nothing is known of it.
    nodes: u32,
    /// Shards that it has to have; 0 while nothing is known of it.
    shards: u32,
    /// Shards that have a primary.
    placed: u32,
    /// Nodes of it that vote in the global group.
    voters: Vec<String>,
}

/// One gateway.
#[derive(Debug, Serialize, JsonSchema)]
pub struct GatewayAddress {
    node: String,
    region: String,
    zone: String,
    grpc_address: String,
    http_address: String,
    /// Null for other regions, whose nodes are not heard here.
    reachable: Option<bool>,
}

impl Topology {
    /// The document.
    #[must_use]
    pub fn of(known: &v1::ListRegionsResponse) -> Self {
        let gateways = known.regions.iter().flat_map(GatewayAddress::of_region);
        Self {
            revision: known.revision,
            region: known.region.clone(),
            regions: known.regions.iter().map(RegionState::of).collect(),
            gateways: gateways.collect(),
        }
    }
}

impl RegionState {
    fn of(region: &v1::RegionStatus) -> Self {
        Self {
            name: region.name.clone(),
            state: region.state.clone(),
            copies: region.copies,
            min_in_sync: region.min_in_sync,
            nodes: region.nodes,
            shards: region.shards,
            placed: region.placed,
            voters: region.voters.clone(),
        }
    }
}

impl GatewayAddress {
    fn of_region(region: &v1::RegionStatus) -> impl Iterator<Item = Self> {
        region.gateways.iter().map(|gateway| Self {
            node: gateway.node.clone(),
            region: region.name.clone(),
            zone: gateway.zone.clone(),
            grpc_address: gateway.grpc_address.clone(),
            http_address: gateway.http_address.clone(),
            reachable: gateway.reachable,
        })
    }
}

/// A region with its gateways: what `atoll region list` tells of each.
#[derive(Debug, Serialize)]
pub struct RegionWithGateways {
    #[serde(flatten)]
    region: RegionState,
    gateways: Vec<GatewayAddress>,
}

impl RegionWithGateways {
    /// The document.
    #[must_use]
    pub fn of(region: &v1::RegionStatus) -> Self {
        Self {
            region: RegionState::of(region),
            gateways: GatewayAddress::of_region(region).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gateways_of_all_regions_are_named_with_their_region() {
        let gateway = |node: &str, reachable| v1::GatewayAddress {
            node: node.into(),
            reachable,
            ..Default::default()
        };
        let region = |name: &str, gateways| v1::RegionStatus {
            name: name.into(),
            gateways,
            ..Default::default()
        };
        let known = v1::ListRegionsResponse {
            regions: vec![
                region("eu", vec![gateway("eu-1", Some(true))]),
                region("us", vec![gateway("us-1", None)]),
            ],
            ..Default::default()
        };
        let topology = serde_json::to_value(Topology::of(&known)).unwrap();
        let told = |place: usize| {
            let gateway = &topology["gateways"][place];
            (gateway["region"].clone(), gateway["reachable"].clone())
        };
        assert_eq!(told(0), ("eu".into(), true.into()));
        assert_eq!(told(1), ("us".into(), serde_json::Value::Null));
        let listed = serde_json::to_value(RegionWithGateways::of(&known.regions[0])).unwrap();
        assert_eq!(listed["name"], "eu");
        assert_eq!(listed["gateways"][0]["node"], "eu-1");
    }
}
