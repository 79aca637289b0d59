//! Metadata path: calls about definitions, answered from the newest committed registry, and changes
//! proposed to the global group.

use super::{definitions::Published, global::Global};
use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};
use gateway::{failure::Failure, registry::Registry};
use proto::{
    id::{ProjectId, Revision},
    reason::{Reason, Refusal},
};
use raft::registry::{
    Catalog, Change, DefinitionFile, LeftOut, Plan, RegistryOutcome, Request,
    definition::{EntityDefinition, ServiceDefinition, ViewDefinition},
    parse_yaml,
    plan::Action,
};
use serde::Serialize;
use std::sync::Arc;
use wire::v1;

/// What a change without a name of its author is recorded under, until access control names them.
const AUTHOR: &str = "anonymous";
/// Entries of the history that one call gives at most.
const HISTORY_ENTRIES: usize = 1_000;

/// Answers registry calls.
pub struct Definitions {
    global: Arc<Global>,
    published: Arc<Published>,
}

impl Definitions {
    /// Definitions of the cluster that `global` keeps, as this process has `published` them.
    #[must_use]
    pub fn new(global: Arc<Global>, published: Arc<Published>) -> Self {
        Self { global, published }
    }

    fn catalog(&self) -> Arc<Catalog> {
        self.global.catalog()
    }

    async fn change(&self, request: Request) -> Result<v1::ApplyResponse, Failure> {
        match self.global.propose(AUTHOR, request).await? {
            RegistryOutcome::Done { revision, plan, .. } => {
                // Who made the change uses it with the next call.
                self.published.reaches(revision).await;
                let changes = plan.map(|plan| plan.changes.iter().map(change).collect());
                Ok(v1::ApplyResponse {
                    revision: revision.0,
                    changes: changes.unwrap_or_default(),
                })
            }
            RegistryOutcome::Refused { refusals, .. } => Err(all(refusals)),
        }
    }
}

#[async_trait]
impl Registry for Definitions {
    async fn plan(&self, request: v1::PlanRequest) -> Result<v1::PlanResponse, Failure> {
        let files = read(&request.files)?;
        let left_out = if request.prune {
            LeftOut::Goes
        } else {
            LeftOut::Stays
        };
        let Plan {
            base_revision,
            changes,
            kept,
            refusals,
        } = self.catalog().registry().plan(&files, left_out);
        let refused = |refusal: Refusal| v1::RefusedChange {
            reason: refusal.reason.to_string(),
            field: refusal.field,
            message: refusal.message,
        };
        Ok(v1::PlanResponse {
            base_revision: base_revision.0,
            changes: changes.iter().map(change).collect(),
            kept,
            refusals: refusals.into_iter().map(refused).collect(),
        })
    }

    async fn apply(&self, request: v1::ApplyRequest) -> Result<v1::ApplyResponse, Failure> {
        let definitions = read(&request.files)?;
        let expect_revision = request.expect_revision.map(Revision);
        self.change(Request::Apply {
            definitions,
            prune: request.prune,
            expect_revision,
        })
        .await
    }

    async fn get(&self, request: v1::GetRequest) -> Result<v1::RegistryObject, Failure> {
        let catalog = self.catalog();
        let project = project(&catalog, &request.project)?;
        let wanted = objects(&catalog, project, &request.object);
        let found = wanted
            .into_iter()
            .rev()
            .find(|object| names(object, &request.name));
        found.ok_or_else(|| unknown(&request))
    }

    async fn list(&self, request: v1::ListRequest) -> Result<v1::ListResponse, Failure> {
        let catalog = self.catalog();
        let objects = if request.project.is_empty() {
            projects(&catalog)
        } else {
            objects(
                &catalog,
                project(&catalog, &request.project)?,
                &request.object,
            )
        };
        Ok(v1::ListResponse {
            revision: catalog.revision().0,
            objects,
        })
    }

    async fn history(&self, request: v1::HistoryRequest) -> Result<v1::HistoryResponse, Failure> {
        let limit = match request.limit as usize {
            0 => HISTORY_ENTRIES,
            limit => limit.min(HISTORY_ENTRIES),
        };
        let catalog = self.catalog();
        let newest = catalog.registry().history.iter().rev().take(limit);
        let entries = newest.map(|entry| v1::HistoryEntry {
            revision: entry.revision.0,
            applied_at_us: i64::try_from(entry.at_millis.saturating_mul(1_000)).unwrap_or(i64::MAX),
            author: entry.author.clone(),
            changes: entry.changes.clone(),
        });
        Ok(v1::HistoryResponse {
            entries: entries.collect(),
        })
    }

    async fn rollback(&self, request: v1::RollbackRequest) -> Result<v1::ApplyResponse, Failure> {
        let (to, expect_revision) = (
            Revision(request.revision),
            request.expect_revision.map(Revision),
        );
        self.change(Request::Rollback {
            to,
            expect_revision,
        })
        .await
    }

    fn watch(&self, request: v1::WatchRequest) -> BoxStream<'static, v1::RevisionNotice> {
        let start = (self.global.catalogs(), request.after_revision);
        stream::unfold(start, |(mut catalogs, seen)| async move {
            loop {
                let revision = catalogs.borrow_and_update().revision().0;
                if revision > seen {
                    return Some((v1::RevisionNotice { revision }, (catalogs, revision)));
                }
                catalogs.changed().await.ok()?;
            }
        })
        .boxed()
    }
}

fn read(files: &[v1::DefinitionFile]) -> Result<Vec<DefinitionFile>, Failure> {
    let mut all = Vec::new();
    for file in files {
        all.extend(parse_yaml(&file.name, &file.text).map_err(Refusal::from)?);
    }
    Ok(all)
}

/// Several refusals as one failure: the first decides the reason, all are named.
fn all(refusals: Vec<Refusal>) -> Failure {
    let Some(first) = refusals.first() else {
        return Failure::internal("the registry refused without a reason");
    };
    let messages: Vec<&str> = refusals
        .iter()
        .map(|refusal| refusal.message.as_str())
        .collect();
    let mut failure = Failure::new(first.reason, messages.join("; "));
    failure.fields = refusals
        .into_iter()
        .filter(|refusal| !refusal.field.is_empty())
        .collect();
    failure
}

fn change(change: &Change) -> v1::Change {
    let action = match change.action {
        Action::Create => v1::ChangeAction::Create,
        Action::Alter => v1::ChangeAction::Alter,
        Action::Deprecate => v1::ChangeAction::Deprecate,
        Action::Remove => v1::ChangeAction::Remove,
    };
    v1::Change {
        action: action.into(),
        project: change.project.to_string(),
        object: change.object.clone(),
        field: change.field.clone(),
        from: change.from.clone(),
        to: change.to.clone(),
        breaks_readers: change.breaks_readers,
        read_by: change.read_by.clone(),
        summary: change.to_string(),
    }
}

fn project(catalog: &Catalog, name: &str) -> Result<ProjectId, Failure> {
    Ok(catalog.project(name)?.id)
}

fn unknown(request: &v1::GetRequest) -> Failure {
    let (reason, kind) = match request.object.as_str() {
        "entity" => (Reason::UnknownEntity, "entity"),
        "service" => (Reason::UnknownService, "feature service"),
        "view" => (Reason::UnknownView, "view"),
        _ => (Reason::UnknownView, "entity, view or feature service"),
    };
    let message = format!(
        "project {} has no {kind} {:?}; `registry list` shows what there is",
        request.project, request.name
    );
    Failure::of_field(reason, "name", message)
}

/// A view answers to its name and to `name@version`.
fn names(object: &v1::RegistryObject, name: &str) -> bool {
    object.name == name || object.object == "view" && object.name.split('@').next() == Some(name)
}

fn projects(catalog: &Catalog) -> Vec<v1::RegistryObject> {
    let names = catalog.registry().projects.iter();
    let object = |(id, name): (&ProjectId, &proto::name::Name)| {
        let count = catalog
            .registry()
            .views
            .values()
            .filter(|view| view.project == *id)
            .count();
        let summary = format!("{count} view versions");
        described(
            "project",
            name.as_str(),
            name.as_str(),
            catalog,
            &serde_json::json!({ "name": name }),
            summary,
        )
    };
    names.map(object).collect()
}

/// A project's entities, views and services, older view versions first.
fn objects(catalog: &Catalog, project: ProjectId, kind: &str) -> Vec<v1::RegistryObject> {
    let Some(file) = catalog.registry().export(project) else {
        return Vec::new();
    };
    let name = file.project.as_str();
    let wanted = |own: &str| kind.is_empty() || kind == own;
    let mut objects = Vec::new();
    if wanted("entity") {
        objects.extend(
            file.entities
                .iter()
                .map(|entity| entity_object(catalog, name, entity)),
        );
    }
    if wanted("view") {
        objects.extend(
            file.views
                .iter()
                .map(|view| view_object(catalog, name, view)),
        );
    }
    if wanted("service") {
        objects.extend(
            file.services
                .iter()
                .map(|service| service_object(catalog, name, service)),
        );
    }
    objects
}

fn entity_object(
    catalog: &Catalog,
    project: &str,
    entity: &EntityDefinition,
) -> v1::RegistryObject {
    let keys: Vec<String> = entity
        .keys
        .iter()
        .map(|key| format!("{} {}", key.name, key.ty.as_str()))
        .collect();
    described(
        "entity",
        project,
        entity.name.as_str(),
        catalog,
        entity,
        format!("keys {}", keys.join(", ")),
    )
}

fn view_object(catalog: &Catalog, project: &str, view: &ViewDefinition) -> v1::RegistryObject {
    let name = format!("{}@{}", view.name, view.version);
    let summary = format!("{} features of {}", view.features.len(), view.entity);
    described("view", project, &name, catalog, view, summary)
}

/// A service shows its columns as they were expanded when it was applied.
fn service_object(
    catalog: &Catalog,
    project: &str,
    service: &ServiceDefinition,
) -> v1::RegistryObject {
    let columns = catalog
        .project(project)
        .and_then(|known| known.service(service.name.as_str()));
    let columns: Vec<String> = columns
        .map(|service| {
            service
                .columns
                .iter()
                .map(|column| column.name.to_string())
                .collect()
        })
        .unwrap_or_default();
    let summary = format!("{} columns", columns.len());
    let definition = serde_json::json!({ "name": service.name, "features": columns });
    described(
        "service",
        project,
        service.name.as_str(),
        catalog,
        &definition,
        summary,
    )
}

fn described(
    object: &str,
    project: &str,
    name: &str,
    catalog: &Catalog,
    definition: &impl Serialize,
    summary: String,
) -> v1::RegistryObject {
    v1::RegistryObject {
        object: object.to_owned(),
        project: project.to_owned(),
        name: name.to_owned(),
        revision: catalog.revision().0,
        definition: serde_json::to_string(definition).expect("definitions are plain data"),
        summary,
    }
}
