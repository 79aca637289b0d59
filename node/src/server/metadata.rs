//! Metadata path, at the start of a node: the global group, then the region's, founded where this
//! node is to found them, and the node registered in them.

use super::{
    peers::{Groups, RaftOverMesh},
    start::io,
};
use crate::{
    components::{Components, Home},
    peer::Me,
    settings::{ClusterSettings, Durability, NodeSettings, RegionSettings, Role},
};
use proto::{
    id::{NodeId, RegionId, StoreId},
    limits::REFERENCE_SHARDS,
    shard::{ShardHash, Sharding},
};
use raft::{
    group::{Applied, Group, GroupError, GroupFiles, GroupId, GroupSettings, Peer, ProposeError},
    machine::StateMachine,
    placement::{
        Placement, PlacementCommand, PlacementOutcome,
        state::{Addresses, Member, Policy},
    },
    registry::{Registry, RegistryCommand, RegistryOutcome, Request, region},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use store::disk::Disk;

/// How long the first steps wait for a group to find its leader.
const PATIENCE: Duration = Duration::from_secs(30);

/// Metadata could not be started.
#[derive(Debug, thiserror::Error)]
pub enum MetadataError {
    /// A group.
    #[error("start a metadata group: {0}")]
    Group(#[from] GroupError),
    /// A command got no outcome.
    #[error("{doing}: {source}")]
    Propose {
        /// What was being done.
        doing: &'static str,
        /// Why not.
        source: ProposeError,
    },
    /// A command was refused.
    #[error("{doing}: {why}")]
    Refused {
        /// What was being done.
        doing: &'static str,
        /// Why.
        why: String,
    },
    /// The cluster has no such region.
    #[error("the cluster has no region {0}; set node.region to one of its regions")]
    NoRegion(String),
    /// The disk.
    #[error("{0}")]
    Disk(String),
}

/// The groups of a node.
pub struct Metadata {
    /// The registry's.
    pub global: Group<Registry>,
    /// The region's.
    pub regional: Group<Placement>,
    /// The region.
    pub region: RegionId,
}

/// What metadata starts with.
pub struct Start<'a> {
    /// The node's settings.
    pub settings: &'a NodeSettings,
    /// What the cluster is founded with, if it is not yet.
    pub founding: &'a ClusterSettings,
    /// Time and the like.
    pub components: &'a Components,
    /// Where logs and snapshots lie.
    pub disk: Arc<dyn Disk>,
    /// Where applied state lies.
    pub home: &'a dyn Home,
    /// How members reach each other.
    pub network: Arc<RaftOverMesh>,
    /// Who this node is.
    pub me: Me,
    /// Its disk.
    pub store: StoreId,
}

impl Start<'_> {
    /// Starts both groups; this node founds what is not founded.
    pub async fn run(&self, groups: &Groups) -> Result<Metadata, MetadataError> {
        let global: Group<Registry> = self.group(GroupId::Global).await?;
        groups.set_global(global.clone());
        if !global.is_founded().await? {
            global.found(self.alone()).await?;
        }
        let registry = self.found_cluster(&global).await?;
        let name = self.settings.node.region.as_str();
        let region = registry
            .region(name)
            .ok_or_else(|| MetadataError::NoRegion(name.to_owned()))?;
        let (id, settings) = (region.id, region.settings.clone());
        let number = self.found_group(&global, id, region.group).await?;
        let regional: Group<Placement> =
            self.group(GroupId::Regional { region: id, number }).await?;
        groups.set_regional(regional.clone());
        if !regional.is_founded().await? {
            regional.found(self.alone()).await?;
        }
        self.follow(&regional, &registry, (id, number), &settings)
            .await?;
        let member = PlacementCommand::Register(self.member());
        self.place(&regional, "register this node", &member).await?;
        Ok(Metadata {
            global,
            regional,
            region: id,
        })
    }

    async fn group<S: StateMachine>(&self, id: GroupId) -> Result<Group<S>, MetadataError> {
        let applied = self.home.applied(&id.to_string()).map_err(|error| {
            MetadataError::Disk(io("open the applied state of the metadata")(error).to_string())
        })?;
        let files = GroupFiles {
            disk: Arc::clone(&self.disk),
            directory: format!("raft/{id}"),
            applied,
            blocking: self.components.place,
        };
        let network = Arc::clone(&self.network);
        Ok(Group::start(id, self.me.node, files, GroupSettings::default(), network).await?)
    }

    fn peer_address(&self) -> String {
        let advertised = self.settings.advertise.peer.clone();
        advertised.unwrap_or_else(|| self.settings.listen.peer.to_string())
    }

    fn alone(&self) -> BTreeMap<NodeId, Peer> {
        let peer = Peer {
            address: self.peer_address(),
            place: self.settings.node.region.to_string(),
        };
        BTreeMap::from([(self.me.node, peer)])
    }

    async fn found_cluster(
        &self,
        global: &Group<Registry>,
    ) -> Result<Arc<Registry>, MetadataError> {
        let doing = "look at the cluster's metadata";
        let committed = global.linearizable(PATIENCE).await;
        let committed = committed.map_err(|source| MetadataError::Propose { doing, source })?;
        if committed.state.founding.is_some() {
            return Ok(committed.state);
        }
        let cluster = &self.founding.cluster;
        let founding = region::Founding {
            cluster: self.me.cluster,
            name: cluster.name.clone(),
            sharding: Sharding {
                shards: cluster.shards,
                seed: self.components.entropy.id(),
                algorithm: ShardHash::Xxh3Multiply,
            },
            transport: region::Transport::Direct,
            max_offset_millis: millis(cluster.max_offset.0),
            max_future_millis: millis(cluster.max_future.0),
        };
        let regions = self
            .founding
            .regions
            .iter()
            .map(|region| self.region_settings(region))
            .collect();
        self.change(
            global,
            "found the cluster",
            Request::Found { founding, regions },
        )
        .await
    }

    fn region_settings(&self, region: &RegionSettings) -> region::RegionSettings {
        let durability = match self.settings.store.durability {
            Durability::Fsync => region::Durability::Fsync,
            Durability::Replicated => region::Durability::Replicated,
        };
        region::RegionSettings {
            name: region.name.clone(),
            copies: region.copies,
            min_in_sync: region.min_in_sync,
            durability,
            kafka: None,
            objects: None,
        }
    }

    /// The number of the region's group; this node founds it where there is none.
    async fn found_group(
        &self,
        global: &Group<Registry>,
        region: RegionId,
        present: Option<region::RegionGroup>,
    ) -> Result<u32, MetadataError> {
        if let Some(group) = present {
            return Ok(group.number);
        }
        let request = Request::FoundGroup {
            region,
            expected: None,
            founder: self.me.node,
        };
        let registry = self
            .change(global, "found the region's group", request)
            .await?;
        let group = registry
            .regions
            .get(&region)
            .and_then(|region| region.group);
        Ok(group.map_or(1, |group| group.number))
    }

    async fn change(
        &self,
        global: &Group<Registry>,
        doing: &'static str,
        request: Request,
    ) -> Result<Arc<Registry>, MetadataError> {
        let at_millis = self.components.clock.now().wall_millis();
        let command = RegistryCommand {
            author: "atoll".into(),
            at_millis,
            request,
        };
        let applied = global.propose(&command, PATIENCE).await;
        let Applied { outcome, .. } =
            applied.map_err(|source| MetadataError::Propose { doing, source })?;
        if let RegistryOutcome::Refused { refusals, .. } = outcome {
            let why = refusals
                .iter()
                .map(|refusal| refusal.message.as_str())
                .collect::<Vec<_>>()
                .join("; ");
            return Err(MetadataError::Refused { doing, why });
        }
        let committed = global.linearizable(PATIENCE).await;
        Ok(committed
            .map_err(|source| MetadataError::Propose { doing, source })?
            .state)
    }

    async fn follow(
        &self,
        regional: &Group<Placement>,
        registry: &Registry,
        (region, group): (RegionId, u32),
        settings: &region::RegionSettings,
    ) -> Result<(), MetadataError> {
        let shards = registry
            .founding
            .as_ref()
            .map_or(0, |founding| founding.sharding.shards);
        let policy = Policy {
            region,
            group,
            shards: shards + REFERENCE_SHARDS,
            copies: settings.copies,
            min_in_sync: settings.min_in_sync,
            named_by_boot: settings.durability == region::Durability::Replicated,
        };
        self.place(
            regional,
            "found the region's placement",
            &PlacementCommand::Follow(policy),
        )
        .await
    }

    async fn place(
        &self,
        regional: &Group<Placement>,
        doing: &'static str,
        command: &PlacementCommand,
    ) -> Result<(), MetadataError> {
        let applied = regional.propose(command, PATIENCE).await;
        match applied
            .map_err(|source| MetadataError::Propose { doing, source })?
            .outcome
        {
            PlacementOutcome::Done { .. } => Ok(()),
            PlacementOutcome::Refused { refusal, .. } => Err(MetadataError::Refused {
                doing,
                why: refusal.to_string(),
            }),
        }
    }

    fn member(&self) -> Member {
        let (settings, listen) = (self.settings, &self.settings.listen);
        let advertise = settings.advertise.clone();
        let or = |advertised: Option<String>, listen: std::net::SocketAddr| {
            advertised.unwrap_or_else(|| listen.to_string())
        };
        let has = |role| settings.node.roles.contains(&role);
        Member {
            node: self.me.node,
            name: settings.node.name.clone(),
            boot: self.me.boot,
            store: has(Role::Node).then_some(self.store),
            zone: settings.node.zone.clone(),
            voter: has(Role::Voter),
            gateway: has(Role::Gateway),
            addresses: Addresses {
                grpc: or(advertise.grpc, listen.grpc),
                http: or(advertise.http, listen.http),
                peer: or(advertise.peer, listen.peer),
                link: or(advertise.link, listen.link),
                gossip: or(advertise.gossip, listen.gossip),
            },
            draining: false,
        }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
