//! What the gateway needs of the registry at one revision, laid out for lookups by name.
//!
//! Built once per revision and then shared; it is not the registry and changes nothing.

mod registry;

use crate::{admission::quota::Limited, failure::Failure, nearby};
use proto::{
    id::{EntityId, FeatureId, PlacementId, ProjectId, RegionId, Revision, ViewId},
    name::Name,
    reason::Reason,
    schema::RowSchema,
    shard::{Copies, Sharding},
    time::EventTime,
    types::{Scalar, Type},
};
use raft::registry::quota::Quota;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// Where the newest catalog is found.
pub trait Catalogs: Send + Sync {
    /// The newest committed one this process has seen; [`Reason::NotReady`] before there is one.
    fn current(&self) -> Result<Arc<Catalog>, Failure>;
}

/// All definitions at one revision.
#[derive(Debug)]
pub struct Catalog {
    /// The revision.
    pub revision: Revision,
    /// How keys spread over shards.
    pub sharding: Sharding,
    /// Region names, for slots and answers.
    pub regions: BTreeMap<Name, RegionId>,
    /// The projects.
    pub projects: BTreeMap<Name, Project>,
}

/// One project.
#[derive(Debug)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// Its name.
    pub name: Name,
    /// What it may ask for in a second.
    pub quota: Quota,
    /// Entities by name.
    pub entities: BTreeMap<Name, Arc<Entity>>,
    /// Views by name, each with its versions, the newest last.
    pub views: BTreeMap<Name, Vec<Arc<View>>>,
    /// Services by name.
    pub services: BTreeMap<Name, Vec<ServiceColumn>>,
}

/// What features describe.
#[derive(Debug)]
pub struct Entity {
    /// Its id.
    pub id: EntityId,
    /// Its name.
    pub name: Name,
    /// Its join keys in order.
    pub keys: Vec<JoinKey>,
    /// Which of `keys` choose the shard.
    pub shard_by: Vec<usize>,
    /// Where its rows live.
    pub copies: Copies,
}

/// One join key.
#[derive(Debug)]
pub struct JoinKey {
    /// Its name.
    pub name: Name,
    /// Its type.
    pub ty: Scalar,
}

/// One version of a feature view.
#[derive(Debug)]
pub struct View {
    /// Its id.
    pub id: ViewId,
    /// Its name.
    pub name: Name,
    /// Its version number, from 1.
    pub version: u32,
    /// What it describes.
    pub entity: Arc<Entity>,
    /// How old a value may be.
    pub ttl: Option<Duration>,
    /// Below it, data no longer exists.
    pub floor: EventTime,
    /// The regions that hold it.
    pub placement: PlacementId,
    /// The newest schema of its rows.
    pub schema: Arc<RowSchema>,
    /// Its features; the feature of id *i* at place *i*.
    pub features: Vec<Feature>,
    /// Places in `features` by name.
    pub by_name: BTreeMap<Name, FeatureId>,
}

/// One feature.
#[derive(Debug)]
pub struct Feature {
    /// Its name.
    pub name: Name,
    /// Stored bytes of the default, where there is one.
    pub default: Option<Vec<u8>>,
    /// Left out of `*`.
    pub is_deprecated: bool,
}

/// One column of a service.
#[derive(Debug, Clone)]
pub struct ServiceColumn {
    /// The view's version.
    pub view: Arc<View>,
    /// The feature.
    pub feature: FeatureId,
    /// Its name in answers.
    pub label: Arc<str>,
}

impl Entity {
    /// Whether all join keys, in their order, choose the shard.
    #[must_use]
    pub fn is_sharded_by_whole_key(&self) -> bool {
        self.shard_by.iter().copied().eq(0..self.keys.len())
    }
}

impl View {
    /// The type of a feature.
    #[must_use]
    pub fn type_of(&self, feature: FeatureId) -> Type {
        self.schema.columns()[usize::from(feature.0)].ty
    }

    /// The feature of a name.
    pub fn feature(&self, name: &str) -> Result<FeatureId, Failure> {
        self.by_name.get(name).copied().ok_or_else(|| {
            let hint = nearby::hint(
                name,
                self.by_name.keys().map(Name::as_str),
                "features of the view",
            );
            Failure::of_field(
                Reason::UnknownFeature,
                format!("{}:{name}", self.name),
                format!("view {} has no feature {name:?}; {hint}", self.name),
            )
        })
    }
}

impl Catalog {
    /// The project of a name.
    pub fn project(&self, name: &str) -> Result<&Project, Failure> {
        self.projects.get(name).ok_or_else(|| {
            let hint = nearby::hint(name, self.projects.keys().map(Name::as_str), "projects");
            let message = format!("there is no project {name:?}; {hint}");
            Failure::of_field(Reason::UnknownProject, "project", message)
        })
    }

    /// The region of a name, as it stands in the field `field`.
    pub fn region(&self, name: &str, field: &str) -> Result<RegionId, Failure> {
        self.regions.get(name).copied().ok_or_else(|| {
            let hint = nearby::hint(name, self.regions.keys().map(Name::as_str), "regions");
            let message = format!("there is no region {name:?}; {hint}");
            Failure::of_field(Reason::InvalidRequest, field, message)
        })
    }
}

impl Catalog {
    /// A project that may not ask for as much as it likes.
    pub(crate) fn limited(&self, project: &str) -> Option<Limited<'_>> {
        let project = self.projects.get(project)?;
        (project.quota != Quota::default()).then(|| project.limited())
    }
}

impl Project {
    /// It and what it may ask for.
    pub(crate) fn limited(&self) -> Limited<'_> {
        Limited {
            id: self.id,
            name: &self.name,
            quota: &self.quota,
        }
    }

    /// The view of a reference `view` (its newest version) or `view@version`.
    pub fn view(&self, reference: &str) -> Result<&Arc<View>, Failure> {
        let (name, version) = match reference.split_once('@') {
            Some((name, version)) => (name, Some(version)),
            None => (reference, None),
        };
        let unknown = |message| Failure::of_field(Reason::UnknownView, reference, message);
        let versions = self
            .views
            .get(name)
            .filter(|versions| !versions.is_empty())
            .ok_or_else(|| {
                let hint = nearby::hint(name, self.views.keys().map(Name::as_str), "views");
                unknown(format!(
                    "project {} has no view {name:?}; {hint}",
                    self.name
                ))
            })?;
        let newest = versions
            .last()
            .expect("views without a version were left out");
        let Some(version) = version else {
            return Ok(newest);
        };
        let wanted = version.parse().ok();
        versions
            .iter()
            .find(|view| Some(view.version) == wanted)
            .ok_or_else(|| {
                let known: Vec<String> = versions
                    .iter()
                    .map(|view| view.version.to_string())
                    .collect();
                unknown(format!(
                    "view {name} has no version {version:?}; its versions are {}",
                    known.join(", ")
                ))
            })
    }

    /// The entity of a name.
    pub fn entity(&self, name: &str) -> Result<&Arc<Entity>, Failure> {
        self.entities.get(name).ok_or_else(|| {
            let hint = nearby::hint(name, self.entities.keys().map(Name::as_str), "entities");
            let message = format!("project {} has no entity {name:?}; {hint}", self.name);
            Failure::of_field(Reason::UnknownEntity, "entity", message)
        })
    }

    /// The columns of a service.
    pub fn service(&self, name: &str) -> Result<&[ServiceColumn], Failure> {
        self.services.get(name).map(Vec::as_slice).ok_or_else(|| {
            let hint = nearby::hint(name, self.services.keys().map(Name::as_str), "services");
            let message = format!(
                "project {} has no feature service {name:?}; {hint}",
                self.name
            );
            Failure::of_field(Reason::UnknownService, "service", message)
        })
    }

    /// The columns of feature references: `view:feature`, `view@version:feature`, or `*` for all
    /// features of a view that are not deprecated.
    pub fn features(&self, references: &[String]) -> Result<Vec<ServiceColumn>, Failure> {
        let mut columns = Vec::with_capacity(references.len());
        for reference in references {
            let Some((view_reference, feature)) = reference.split_once(':') else {
                let message = format!(
                    "{reference:?} is not a feature; write view:feature, or view:* for all of a view"
                );
                return Err(Failure::of_field(
                    Reason::InvalidRequest,
                    "features",
                    message,
                ));
            };
            let view = self.view(view_reference)?;
            let mut push = |feature: FeatureId| {
                let name = &view.features[usize::from(feature.0)].name;
                let label = format!("{view_reference}:{name}").into();
                columns.push(ServiceColumn {
                    view: Arc::clone(view),
                    feature,
                    label,
                });
            };
            if feature == "*" {
                let kept = view
                    .features
                    .iter()
                    .zip(0..)
                    .filter(|(feature, _)| !feature.is_deprecated);
                kept.for_each(|(_, place)| push(FeatureId(place)));
            } else {
                push(view.feature(feature)?);
            }
        }
        Ok(columns)
    }
}
