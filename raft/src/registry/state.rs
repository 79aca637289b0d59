//! What the global group agrees on: projects, entities, feature views, services, regions.
//!
//! Data and look-ups only. It changes through `apply`, and gateways read it as a `catalog`.
//! Objects are shared (`Arc`), so a copy of the registry is cheap and two copies show by pointer
//! what differs between them.

use super::{
    access::Access,
    definition::{Elsewhere, OrderBy},
    history::HistoryEntry,
    literal::Literal,
    quota::Quota,
    reference::FeatureReference,
    region::{Founding, Region},
    span::{Horizon, Span},
};
use proto::{
    id::{
        EntityId, FeatureId, PlacementId, ProjectId, RegionId, Revision, SchemaVersion, ServiceId,
        ViewId,
    },
    name::Name,
    schema::{Column, Combine, RowSchema},
    shard::Copies,
    time::EventTime,
    types::{Scalar, Type},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

/// The placement of views with `regions: all`.
pub const EVERYWHERE: PlacementId = PlacementId(0);

/// The state of the global group.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Registry {
    /// Rises by one with each change.
    pub revision: Revision,
    /// What was fixed when the cluster was founded; nothing exists before.
    pub founding: Option<Arc<Founding>>,
    /// The next ids to give. Ids are never reused.
    pub next: NextIds,
    /// Regions.
    pub regions: BTreeMap<RegionId, Arc<Region>>,
    /// Sets of regions that hold views, besides [`EVERYWHERE`].
    pub placements: BTreeMap<PlacementId, BTreeSet<RegionId>>,
    /// Projects.
    pub projects: BTreeMap<ProjectId, Name>,
    /// Entities.
    pub entities: BTreeMap<EntityId, Arc<Entity>>,
    /// Every version of every view.
    pub views: BTreeMap<ViewId, Arc<View>>,
    /// Services.
    pub services: BTreeMap<ServiceId, Arc<Service>>,
    /// Who may do what.
    pub access: Access,
    /// How much of it in a second; projects without a quota have no limit.
    #[serde(default)]
    pub quotas: BTreeMap<ProjectId, Arc<Quota>>,
    /// The newest changes, oldest first.
    pub history: VecDeque<Arc<HistoryEntry>>,
}

/// The ids that come next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextIds {
    /// See [`ProjectId`].
    pub project: ProjectId,
    /// See [`EntityId`].
    pub entity: EntityId,
    /// See [`ViewId`].
    pub view: ViewId,
    /// See [`ServiceId`].
    pub service: ServiceId,
    /// See [`PlacementId`].
    pub placement: PlacementId,
    /// See [`RegionId`].
    pub region: RegionId,
}

impl Default for NextIds {
    fn default() -> Self {
        Self {
            project: ProjectId(1),
            entity: EntityId(1),
            view: ViewId(1),
            service: ServiceId(1),
            placement: PlacementId(1),
            region: RegionId(1),
        }
    }
}

/// What features describe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entity {
    /// Its id.
    pub id: EntityId,
    /// The project it belongs to.
    pub project: ProjectId,
    /// Its name in the project.
    pub name: Name,
    /// Its join keys, in the order of the canonical key.
    pub keys: Vec<JoinKey>,
    /// The join keys that choose the shard, as places in `keys`, in the order they were named.
    pub shard_by: Vec<u8>,
    /// Where its rows live.
    pub copies: Copies,
    /// What people are told of it.
    #[serde(default)]
    pub about: About,
    /// Since when it is there, and as it is.
    #[serde(default)]
    pub since: Since,
}

/// What people are told of an object.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct About {
    /// Whom to ask.
    #[serde(default)]
    pub owner: String,
    /// What it is.
    #[serde(default)]
    pub description: String,
    /// To find it by.
    #[serde(default)]
    pub tags: Vec<String>,
}

/// The revisions of one object; 0 where it is older than this was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Since {
    /// The one that made it.
    pub made: Revision,
    /// The one that last changed its definition.
    pub changed: Revision,
}

/// One join key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinKey {
    /// Its name.
    pub name: Name,
    /// Its type.
    pub ty: Scalar,
}

/// One version of a feature view.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct View {
    /// Its id, which names this version.
    pub id: ViewId,
    /// The project it belongs to.
    pub project: ProjectId,
    /// Its name in the project.
    pub name: Name,
    /// Its version.
    pub version: u16,
    /// The entity its rows describe.
    pub entity: EntityId,
    /// The newest schema version.
    pub schema: SchemaVersion,
    /// Its features, a feature's place being its id.
    pub features: Vec<Feature>,
    /// Which of two writes wins.
    pub order_by: OrderBy,
    /// The regions that hold it.
    pub placement: PlacementId,
    /// The oldest event time its writes may have, counted back from the stamp.
    pub max_late: Horizon,
    /// The longest `max_late` it ever had: what tombstones are collected by. A primary at an older
    /// revision may still admit by the longer one.
    pub collect_late: Horizon,
    /// The event time below which its data no longer exists. Only rises.
    pub floor: EventTime,
    /// What may change at any time.
    pub settings: ViewSettings,
    /// Since when it is there, and as it is.
    #[serde(default)]
    pub since: Since,
}

/// The part of a view that changes without touching rows or readers' columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewSettings {
    /// The age past which values are no longer served.
    pub ttl: Horizon,
    /// How long expired rows can still come back by a longer ttl.
    pub purge_after: Span,
    /// What other regions do with lookups.
    pub elsewhere: Elsewhere,
    /// Whom to ask.
    pub owner: String,
    /// For people.
    pub description: String,
    /// For people.
    pub tags: Vec<String>,
    /// Alert when served values are older.
    pub freshness: Horizon,
}

impl Default for ViewSettings {
    fn default() -> Self {
        Self {
            ttl: Horizon::Unlimited,
            purge_after: Span::days(7),
            elsewhere: Elsewhere::Refuse,
            owner: String::new(),
            description: String::new(),
            tags: Vec::new(),
            freshness: Horizon::Unlimited,
        }
    }
}

/// One feature of a view.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Feature {
    /// Its name.
    pub name: Name,
    /// Its types: from which schema version, and which. The first entry is when it was added.
    pub types: Vec<(SchemaVersion, Type)>,
    /// How values of several regions become one.
    pub combine: Combine,
    /// What is served where nothing is stored.
    pub default: Option<Literal>,
    /// Whether readers should stop using it.
    pub deprecated: bool,
    /// For people.
    pub description: String,
}

/// What one model version reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Its id.
    pub id: ServiceId,
    /// The project it belongs to.
    pub project: ProjectId,
    /// Its name in the project.
    pub name: Name,
    /// What the file said.
    pub references: Vec<FeatureReference>,
    /// What that meant when it was applied, in order.
    pub columns: Vec<ServiceColumn>,
    /// What people are told of it.
    #[serde(default)]
    pub about: About,
    /// Since when it is there, and as it is.
    #[serde(default)]
    pub since: Since,
}

/// One column of a service's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceColumn {
    /// The view version it is read from.
    pub view: ViewId,
    /// The feature.
    pub feature: FeatureId,
}

impl Feature {
    /// Its type now.
    #[must_use]
    pub fn ty(&self) -> Type {
        self.types
            .last()
            .expect("a feature is made with a type, and types are only added")
            .1
    }

    /// Its type under a schema version; none where it did not exist yet.
    #[must_use]
    pub fn type_at(&self, version: SchemaVersion) -> Option<Type> {
        self.types
            .iter()
            .rev()
            .find(|(since, _)| *since <= version)
            .map(|(_, ty)| *ty)
    }
}

impl View {
    /// `name@version`.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }

    /// The feature of a name.
    #[must_use]
    pub fn feature(&self, name: &str) -> Option<(FeatureId, &Feature)> {
        let place = self
            .features
            .iter()
            .position(|feature| feature.name.as_str() == name)?;
        Some((feature_id(place), &self.features[place]))
    }

    /// The columns of a schema version: features are only added, so they are the first ones.
    #[must_use]
    pub fn row_schema(&self, version: SchemaVersion) -> RowSchema {
        let columns = self.features.iter().map_while(|feature| {
            feature.type_at(version).map(|ty| Column {
                ty,
                combine: feature.combine,
            })
        });
        RowSchema::new(self.id, version, columns.collect())
    }

    /// The schemas of all versions, from 1.
    pub fn row_schemas(&self) -> impl Iterator<Item = RowSchema> + '_ {
        (1..=self.schema.0).map(|version| self.row_schema(SchemaVersion(version)))
    }
}

/// The id of the feature at a place.
#[must_use]
pub fn feature_id(place: usize) -> FeatureId {
    FeatureId(u16::try_from(place).expect("views are limited to 2,048 features"))
}

impl Registry {
    /// The project of a name.
    #[must_use]
    pub fn project(&self, name: &str) -> Option<ProjectId> {
        self.projects
            .iter()
            .find(|(_, project)| project.as_str() == name)
            .map(|(id, _)| *id)
    }

    /// The entity of a name.
    #[must_use]
    pub fn entity(&self, project: ProjectId, name: &str) -> Option<&Arc<Entity>> {
        self.entities
            .values()
            .find(|entity| entity.project == project && entity.name.as_str() == name)
    }

    /// The view of a name, at a version or the newest.
    #[must_use]
    pub fn view(&self, project: ProjectId, name: &str, version: Option<u16>) -> Option<&Arc<View>> {
        let named = self
            .views
            .values()
            .filter(|view| view.project == project && view.name.as_str() == name);
        match version {
            Some(version) => { named }.find(|view| view.version == version),
            None => named.max_by_key(|view| view.version),
        }
    }

    /// The service of a name.
    #[must_use]
    pub fn service(&self, project: ProjectId, name: &str) -> Option<&Arc<Service>> {
        self.services
            .values()
            .find(|service| service.project == project && service.name.as_str() == name)
    }

    /// The region of a name.
    #[must_use]
    pub fn region(&self, name: &str) -> Option<&Arc<Region>> {
        self.regions
            .values()
            .find(|region| region.settings.name.as_str() == name)
    }

    /// The regions that hold views of a placement. Decommissioned regions hold nothing.
    #[must_use]
    pub fn holders(&self, placement: PlacementId) -> BTreeSet<RegionId> {
        let standing = self
            .regions
            .values()
            .filter(|region| region.state.holds_data())
            .map(|region| region.id);
        match self.placements.get(&placement) {
            Some(set) => standing.filter(|id| set.contains(id)).collect(),
            None => standing.collect(),
        }
    }
}
