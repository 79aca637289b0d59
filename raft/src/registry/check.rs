//! Whether one definition file agrees with itself: names, types, sizes, duplicates.
//!
//! Knows nothing of the registry; what depends on what exists already is judged in `plan`.

use super::{
    definition::{
        DefinitionFile, EntityDefinition, FeatureDefinition, Regions, ServiceDefinition,
        ViewDefinition,
    },
    reference::FeatureReference,
};
use proto::{
    limits::{FEATURES_PER_LOOKUP, FEATURES_PER_VIEW, KEYS_PER_ENTITY, REGIONS, ROW_BYTES},
    name::Name,
    reason::{Reason, Refusal},
    schema::{Column, Combine},
    types::{Scalar, Type},
};
use std::{collections::BTreeSet, fmt};

/// Entities, views or services of one file: a file that a person can still review.
pub const OBJECTS_PER_FILE: usize = 2_000;
const DESCRIPTION_BYTES: usize = 4 << 10;
pub(super) const WORD_BYTES: usize = 256;
pub(super) const TAGS: usize = 32;
/// The stored text of a default: it travels to every gateway.
const DEFAULT_BYTES: usize = 64 << 10;
/// What a row needs beside its columns' fixed parts: header, key, versions.
const ROW_OVERHEAD_BYTES: usize = 4 << 10;

/// One step of the way to a fault in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Into a field.
    Field(&'static str),
    /// Into an element of a list.
    Index(usize),
}

/// What is wrong with a file, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The way to it from the top of the file.
    pub path: Vec<Step>,
    /// What is wrong and what to change.
    pub message: String,
}

/// The fault as a refusal that names its place.
impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::of_field(
            Reason::InvalidDefinition,
            Path(&fault.path).to_string(),
            fault.message,
        )
    }
}

/// Shows a way through a file as `views[2].features[0]`.
pub struct Path<'a>(pub &'a [Step]);

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, step) in self.0.iter().enumerate() {
            match step {
                Step::Field(name) if place == 0 => f.write_str(name)?,
                Step::Field(name) => write!(f, ".{name}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// All faults of a file, in its order.
#[must_use]
pub fn faults(file: &DefinitionFile) -> Vec<Fault> {
    let mut judge = Judge {
        path: Vec::new(),
        faults: Vec::new(),
    };
    judge.list("entities", &file.entities, OBJECTS_PER_FILE, Judge::entity);
    judge.list("views", &file.views, OBJECTS_PER_FILE, Judge::view);
    judge.list("services", &file.services, OBJECTS_PER_FILE, Judge::service);
    judge.unique(
        "entities",
        "entity",
        file.entities.iter().map(|entity| entity.name.to_string()),
    );
    judge.unique(
        "views",
        "view",
        file.views
            .iter()
            .map(|view| format!("{}@{}", view.name, view.version)),
    );
    judge.unique(
        "services",
        "service",
        file.services.iter().map(|service| service.name.to_string()),
    );
    judge.faults
}

struct Judge {
    path: Vec<Step>,
    faults: Vec<Fault>,
}

impl Judge {
    fn fault(&mut self, message: impl Into<String>) {
        self.faults.push(Fault {
            path: self.path.clone(),
            message: message.into(),
        });
    }

    fn fault_at(&mut self, field: &'static str, message: impl Into<String>) {
        self.path.push(Step::Field(field));
        self.fault(message);
        self.path.pop();
    }

    fn list<T>(
        &mut self,
        field: &'static str,
        items: &[T],
        limit: usize,
        judge: fn(&mut Self, &T),
    ) {
        if items.len() > limit {
            self.fault_at(
                field,
                format!("{} {field} are given and {limit} are allowed", items.len()),
            );
            return;
        }
        for (index, item) in items.iter().enumerate() {
            self.path.extend([Step::Field(field), Step::Index(index)]);
            judge(self, item);
            self.path.truncate(self.path.len() - 2);
        }
    }

    fn unique(&mut self, field: &'static str, what: &str, names: impl Iterator<Item = String>) {
        let mut seen = BTreeSet::new();
        for (index, name) in names.enumerate() {
            if !seen.insert(name.clone()) {
                self.path.extend([Step::Field(field), Step::Index(index)]);
                self.fault(format!(
                    "{what} {name} is defined twice; remove or rename one"
                ));
                self.path.truncate(self.path.len() - 2);
            }
        }
    }

    fn entity(&mut self, entity: &EntityDefinition) {
        if entity.keys.is_empty() || entity.keys.len() > KEYS_PER_ENTITY {
            self.fault_at(
                "keys",
                format!("an entity has 1 to {KEYS_PER_ENTITY} join keys"),
            );
        }
        self.unique(
            "keys",
            "join key",
            entity.keys.iter().map(|key| key.name.to_string()),
        );
        self.list("keys", &entity.keys, KEYS_PER_ENTITY, |judge, key| {
            if matches!(key.ty, Scalar::Float32 | Scalar::Float64) {
                judge.fault("a join key cannot be a float, since equal floats have several forms; use int64 or string");
            }
        });
        self.about(&entity.owner, &entity.description, &entity.tags);
        let Some(shard_by) = &entity.shard_by else {
            return;
        };
        if shard_by.is_empty() {
            self.fault_at(
                "shard_by",
                "shard_by names at least one join key; leave it out to shard by all",
            );
        }
        self.unique(
            "shard_by",
            "shard_by key",
            shard_by.iter().map(Name::to_string),
        );
        for name in shard_by {
            if !entity.keys.iter().any(|key| key.name == *name) {
                self.fault_at(
                    "shard_by",
                    format!("{name} is no join key of entity {}", entity.name),
                );
            }
        }
    }

    fn view(&mut self, view: &ViewDefinition) {
        if view.version == 0 {
            self.fault_at("version", "versions count from 1");
        }
        if view.features.is_empty() {
            self.fault_at("features", "a view has at least one feature");
        }
        self.about(&view.owner, &view.description, &view.tags);
        if let Some(Regions::Only(names)) = &view.regions {
            if names.is_empty() || names.len() > REGIONS {
                self.fault_at(
                    "regions",
                    format!("a view is held by all or by 1 to {REGIONS} named regions"),
                );
            }
            self.unique("regions", "region", names.iter().map(Name::to_string));
        }
        self.list("features", &view.features, FEATURES_PER_VIEW, Self::feature);
        self.unique(
            "features",
            "feature",
            view.features.iter().map(|feature| feature.name.to_string()),
        );
        let fixed = fixed_bytes(
            view.features
                .iter()
                .map(|feature| (feature.ty, feature.combine)),
        );
        if !fits_a_row(fixed) {
            self.fault_at("features", too_wide(fixed));
        }
    }

    fn about(
        &mut self,
        owner: &Option<String>,
        description: &Option<String>,
        tags: &Option<Vec<String>>,
    ) {
        self.description(description);
        if owner.as_ref().is_some_and(|text| text.len() > WORD_BYTES) {
            self.fault_at("owner", format!("an owner has at most {WORD_BYTES} bytes"));
        }
        let tags = tags.as_deref().unwrap_or_default();
        let is_tag = |tag: &String| (1..=WORD_BYTES).contains(&tag.len());
        if tags.len() > TAGS || !tags.iter().all(is_tag) {
            self.fault_at(
                "tags",
                format!("there are at most {TAGS} tags of 1 to {WORD_BYTES} bytes"),
            );
        }
        self.unique("tags", "tag", tags.iter().cloned());
    }

    fn description(&mut self, description: &Option<String>) {
        if description
            .as_ref()
            .is_some_and(|text| text.len() > DESCRIPTION_BYTES)
        {
            self.fault_at(
                "description",
                format!("a description has at most {DESCRIPTION_BYTES} bytes"),
            );
        }
    }

    fn feature(&mut self, feature: &FeatureDefinition) {
        let combine = feature.combine.unwrap_or_default();
        if !combines(combine, feature.ty) {
            self.fault_at(
                "combine",
                format!(
                    "values of type {} cannot be combined by {combine:?}",
                    feature.ty
                )
                .to_lowercase(),
            );
        }
        self.description(&feature.description);
        let Some(default) = &feature.default else {
            return;
        };
        match default
            .value(feature.ty)
            .map(|value| value.encode(feature.ty))
        {
            Err(message) => self.fault_at("default", message),
            Ok(Ok(bytes)) if bytes.len() > DEFAULT_BYTES => {
                self.fault_at(
                    "default",
                    format!("a default has at most {DEFAULT_BYTES} bytes"),
                );
            }
            // Null encodes to nothing, and everything else was just given its type.
            Ok(_) => {}
        }
    }

    fn service(&mut self, service: &ServiceDefinition) {
        if service.features.is_empty() {
            self.fault_at("features", "a service reads at least one feature");
        }
        if service.features.len() > FEATURES_PER_LOOKUP {
            self.fault_at(
                "features",
                format!("a lookup returns at most {FEATURES_PER_LOOKUP} features"),
            );
        }
        self.unique(
            "features",
            "feature",
            service.features.iter().map(ToString::to_string),
        );
        self.about(&service.owner, &service.description, &service.tags);
        let columns = service.columns.as_deref().unwrap_or_default();
        self.list("columns", columns, FEATURES_PER_LOOKUP, |judge, column| {
            if column.view.version.is_none() || column.feature.is_none() {
                judge.fault(format!(
                    "{column} is no column; write view@version:feature, or leave columns out"
                ));
            }
        });
        if columns.iter().any(|column| !reads(service, column)) {
            let message = "columns are what features meant: each is one that a reference reads";
            self.fault_at("columns", message);
        }
    }
}

/// Whether one of a service's references can have meant a column.
fn reads(service: &ServiceDefinition, column: &FeatureReference) -> bool {
    service.features.iter().any(|reference| {
        let (view, wanted) = (&reference.view, &column.view);
        view.name == wanted.name
            && (view.version.is_none() || view.version == wanted.version)
            && (reference.feature.is_none() || reference.feature == column.feature)
    })
}

fn combines(combine: Combine, ty: Type) -> bool {
    let number = matches!(
        ty,
        Type::Scalar(Scalar::Int32 | Scalar::Int64 | Scalar::Float32 | Scalar::Float64)
    );
    match combine {
        Combine::Latest => true,
        Combine::Sum => number,
        Combine::Min | Combine::Max => number || ty == Type::Scalar(Scalar::Timestamp),
    }
}

/// Bytes of the fixed parts of a row with these columns.
pub fn fixed_bytes(columns: impl Iterator<Item = (Type, Option<Combine>)>) -> usize {
    columns
        .map(|(ty, combine)| {
            Column {
                ty,
                combine: combine.unwrap_or_default(),
            }
            .fixed_width()
        })
        .sum()
}

/// Whether rows whose columns have that many fixed bytes can be stored.
pub fn fits_a_row(fixed_bytes: usize) -> bool {
    fixed_bytes <= ROW_BYTES - ROW_OVERHEAD_BYTES
}

/// What to say of a view that does not fit.
pub fn too_wide(fixed_bytes: usize) -> String {
    format!(
        "a row of these features has {fixed_bytes} bytes and {ROW_BYTES} is the limit; split the view"
    )
}
