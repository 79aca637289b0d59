//! Metadata path, at the start of a node: it comes to belong to a cluster, finds the global group and
//! its region's, and founds what is its to found.
//!
//! A node that was here before starts from what its disk has and waits for no quorum.

mod belonging;
mod timing;

use super::{
    consensus::Consensus,
    founding::Asked,
    joining::ask_seeds,
    peers::{Groups, RaftOverMesh},
    running::Background,
    start::io,
};
use crate::{
    components::{Components, Home},
    peer::{Me, Mesh},
    security::AuthorityError,
    server::data_dir::DataDirError,
    settings::{ClusterSettings, NodeSettings, Role},
};
use gateway::Readiness;
use proto::{
    id::{NodeId, RegionId},
    limits::REFERENCE_SHARDS,
};
use raft::{
    group::{
        Group, GroupError, GroupFiles, GroupId, GroupSettings, GroupTiming, Peer, ProposeError,
    },
    machine::StateMachine,
    placement::{Placement, PlacementCommand, PlacementOutcome, state::Policy},
    registry::{Registry, RegistryCommand, RegistryOutcome, Request, region},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use store::disk::Disk;
use tokio::{
    sync::{mpsc, watch},
    time::{sleep, timeout},
};

/// How long the steps of a founding wait for the groups, which have one voter then.
const PATIENCE: Duration = Duration::from_secs(30);
/// What an empty node waits for.
const NO_CLUSTER: &str = "no cluster yet: atoll init …, or set cluster.seeds";
/// How often seeds are asked, and what others found is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How often seeds are asked again for a registry that nobody gives.
const SEEK_EVERY: Duration = Duration::from_secs(1);

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
    /// It can find nobody.
    #[error(
        "the data directory belongs to a cluster, and this node votes in none of its groups; set cluster.seeds so that it finds the others"
    )]
    NoSeeds,
    /// The disk.
    #[error("{0}")]
    Disk(String),
    /// The directory.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// A key or a certificate.
    #[error(transparent)]
    Security(#[from] AuthorityError),
    /// The node stops.
    #[error("the node stopped before it belonged to a cluster")]
    Stopped,
}

/// The groups of a node.
pub struct Metadata {
    /// The registry's.
    pub global: Consensus<Registry>,
    /// The region's.
    pub regional: Consensus<Placement>,
    /// The region.
    pub region: RegionId,
}

/// What metadata starts with.
pub struct Start<'a> {
    /// The node's settings.
    pub settings: &'a NodeSettings,
    /// What the cluster is founded with, where this node is to found it without being asked.
    pub founding: Option<&'a ClusterSettings>,
    /// Time and the like.
    pub components: &'a Components,
    /// Where logs and snapshots lie.
    pub disk: Arc<dyn Disk>,
    /// Where applied state lies.
    pub home: &'a dyn Home,
    /// How members reach each other.
    pub mesh: &'a Arc<Mesh>,
    /// Who this node is.
    pub me: &'a Me,
    /// What the node says while it does not belong anywhere yet.
    pub waiting: &'a watch::Sender<Readiness>,
}

impl Start<'_> {
    /// Starts both groups, once the node belongs to a cluster.
    pub async fn run(
        &self,
        groups: &Groups,
        asked: &mut mpsc::Receiver<Asked>,
        background: &mut Background,
    ) -> Result<Metadata, MetadataError> {
        let global = self.belong((groups, background), asked).await?;
        self.find(&global).await?;
        let registry = self.registry(&global).await;
        let (id, number) = self.region(&global, &registry).await?;
        let regional = self
            .group(
                GroupId::Regional { region: id, number },
                GroupTiming::within_a_region(),
                background,
            )
            .await?;
        groups.set_regional(regional.member().cloned());
        self.found_region(&global, &regional, id).await?;
        self.find_regional(&global, &regional).await?;
        Ok(Metadata {
            global,
            regional,
            region: id,
        })
    }

    fn votes(&self) -> bool {
        self.settings.node.roles.contains(&Role::Voter)
    }

    fn wait_for(&self, what: String) {
        self.waiting.send_replace(Readiness::NotReady(what));
    }

    /// The global group, in which members of other regions have part where there are several.
    async fn global(
        &self,
        regions: Option<usize>,
        (groups, background): &mut belonging::Beginning<'_>,
    ) -> Result<Consensus<Registry>, MetadataError> {
        let timing = timing::of_cluster(&*self.disk, regions).map_err(|error| {
            MetadataError::Disk(io("note how far members are")(error).to_string())
        })?;
        let global = self.group(GroupId::Global, timing, background).await?;
        groups.set_global(global.member().cloned());
        Ok(global)
    }

    /// A group, in which this node has a part of its own where it may vote.
    async fn group<S: StateMachine>(
        &self,
        id: GroupId,
        timing: GroupTiming,
        background: &mut Background,
    ) -> Result<Consensus<S>, MetadataError> {
        let member = if self.votes() {
            Some(self.member(id, timing).await?)
        } else {
            None
        };
        Ok(Consensus::start(id, member, self.mesh, background))
    }

    async fn member<S: StateMachine>(
        &self,
        id: GroupId,
        timing: GroupTiming,
    ) -> Result<Group<S>, MetadataError> {
        let applied = self.home.applied(&id.to_string()).map_err(|error| {
            MetadataError::Disk(io("open the applied state of the metadata")(error).to_string())
        })?;
        let files = GroupFiles {
            disk: Arc::clone(&self.disk),
            directory: format!("raft/{id}"),
            applied,
            blocking: self.components.place,
        };
        let settings = GroupSettings {
            timing,
            ..GroupSettings::default()
        };
        let network = Arc::new(RaftOverMesh(Arc::clone(self.mesh)));
        Ok(Group::start(id, self.me.node, files, settings, network).await?)
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

    /// Finds somebody who has part in the global group, where this node votes in none.
    async fn find(&self, global: &Consensus<Registry>) -> Result<(), MetadataError> {
        if knows_members(global).await? || global.is_found() {
            return Ok(());
        }
        if self.settings.cluster.seeds.is_empty() {
            return Err(MetadataError::NoSeeds);
        }
        let directions = self.ask_until_told().await;
        global.hear_of(directions.informed());
        global.hear(directions.global());
        Ok(())
    }

    /// The registry, once there is one to go by.
    async fn registry(&self, global: &Consensus<Registry>) -> Arc<Registry> {
        let mut states = global.watch();
        if states.borrow().founding.is_none() {
            self.wait_for("the cluster's metadata has not reached this node yet".into());
        }
        loop {
            let founded = states.wait_for(|registry| registry.founding.is_some());
            if let Ok(founded) = timeout(SEEK_EVERY, founded).await {
                return Arc::clone(&founded.expect("its sender lives in the group at hand"));
            }
            // Those that were named may be gone by now.
            if !global.is_found()
                && let Ok(directions) = ask_seeds(self.settings, self.components, self.me).await
            {
                global.hear_of(directions.informed());
                global.hear(directions.global());
            }
        }
    }

    /// The region of this node and the number of its group, which this node founds where it is the
    /// first that can.
    async fn region(
        &self,
        global: &Consensus<Registry>,
        registry: &Registry,
    ) -> Result<(RegionId, u32), MetadataError> {
        let name = self.settings.node.region.as_str();
        let no_region = || MetadataError::NoRegion(name.to_owned());
        let id = registry.region(name).ok_or_else(no_region)?.id;
        loop {
            let registry = global.newest();
            let region = registry.regions.get(&id).ok_or_else(no_region)?;
            if let Some(group) = region.group {
                return Ok((id, group.number));
            }
            self.wait_for(format!("region {name} has no group yet"));
            if self.votes() {
                let request = Request::FoundGroup {
                    region: id,
                    expected: None,
                    founder: self.me.node,
                };
                match self
                    .change(global, "found the region's group", request)
                    .await
                {
                    // Another node may have been first: its group is seen in a moment.
                    Ok(()) | Err(MetadataError::Refused { .. }) => {}
                    Err(error) => tracing::info!(%error, "the region's group is not founded yet"),
                }
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Founds the region's group where the registry names this node as its founder.
    async fn found_region(
        &self,
        global: &Consensus<Registry>,
        regional: &Consensus<Placement>,
        id: RegionId,
    ) -> Result<(), MetadataError> {
        let registry = global.newest();
        let region = registry.regions.get(&id);
        let group = region.and_then(|region| region.group);
        let Some(member) = regional
            .member()
            .filter(|_| group.is_some_and(|group| group.founder == self.me.node))
        else {
            return Ok(());
        };
        if !member.is_founded().await? {
            member.found(self.alone()).await?;
        }
        if regional.newest().policy.is_some() {
            return Ok(());
        }
        let Some(policy) = policy(&registry, id) else {
            return Ok(());
        };
        let doing = "found the region's placement";
        let command = PlacementCommand::Follow(policy);
        let applied = regional.propose(&command, PATIENCE).await;
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

    /// Finds somebody who has part in the region's group, where this node votes in none.
    async fn find_regional(
        &self,
        global: &Consensus<Registry>,
        regional: &Consensus<Placement>,
    ) -> Result<(), MetadataError> {
        while !knows_members(regional).await? && !regional.is_found() {
            self.wait_for("no seed knows the region's group yet".into());
            if let Ok(directions) = ask_seeds(self.settings, self.components, self.me).await {
                global.hear(directions.global());
                regional.hear(directions.regional());
            }
            sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    async fn change(
        &self,
        global: &Consensus<Registry>,
        doing: &'static str,
        request: Request,
    ) -> Result<(), MetadataError> {
        let at_millis = self.components.clock.now().wall_millis();
        let command = RegistryCommand {
            author: "atoll".into(),
            at_millis,
            request,
        };
        let applied = global.propose(&command, PATIENCE).await;
        let outcome = applied
            .map_err(|source| MetadataError::Propose { doing, source })?
            .outcome;
        let RegistryOutcome::Refused { refusals, .. } = outcome else {
            return Ok(());
        };
        let whys: Vec<_> = refusals
            .iter()
            .map(|refusal| refusal.message.as_str())
            .collect();
        let why = whys.join("; ");
        Err(MetadataError::Refused { doing, why })
    }
}

/// Whether Raft on this node has been part of the group, and so knows its members.
async fn knows_members<S: StateMachine>(consensus: &Consensus<S>) -> Result<bool, MetadataError> {
    match consensus.member() {
        Some(member) => Ok(member.is_founded().await?),
        None => Ok(false),
    }
}

/// What a region's group follows, by the registry; none before the region has a group.
#[must_use]
pub fn policy(registry: &Registry, id: RegionId) -> Option<Policy> {
    let founding = registry.founding.as_ref()?;
    let region = registry.regions.get(&id)?;
    let settings = &region.settings;
    Some(Policy {
        region: id,
        group: region.group?.number,
        shards: founding.sharding.shards + REFERENCE_SHARDS,
        copies: settings.copies,
        min_in_sync: settings.min_in_sync,
        named_by_boot: settings.durability == region::Durability::Replicated,
    })
}
