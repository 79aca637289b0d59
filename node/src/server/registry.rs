//! Metadata path: calls about definitions, answered from the newest committed registry, and changes
//! proposed to the global group.

mod answers;
mod objects;

use super::{definitions::Published, global::Global};
use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};
use gateway::{
    access::{Caller, Right},
    failure::Failure,
    registry::Registry,
};
use proto::{
    id::{ProjectId, Revision},
    name::Name,
    nearby,
    reason::Reason,
};
use raft::registry::{self, Breaking, Catalog, LeftOut, RegistryOutcome, Request};
use std::sync::Arc;
use wire::v1;

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

    /// Has a change carried out that was made of `files`.
    async fn change(
        &self,
        caller: &Caller,
        request: Request,
        files: &[v1::DefinitionFile],
    ) -> Result<v1::ApplyResponse, Failure> {
        match self.global.propose(&caller.author(), request).await? {
            RegistryOutcome::Done { revision, plan, .. } => {
                // Who made the change uses it with the next call.
                self.published.reaches(revision).await;
                let changes = plan.map(|plan| plan.changes.iter().map(answers::change).collect());
                Ok(v1::ApplyResponse {
                    revision: revision.0,
                    changes: changes.unwrap_or_default(),
                })
            }
            RegistryOutcome::Refused { refusals, .. } => Err(answers::failure(refusals, files)),
        }
    }
}

#[async_trait]
impl Registry for Definitions {
    async fn plan(
        &self,
        caller: &Caller,
        request: v1::PlanRequest,
    ) -> Result<v1::PlanResponse, Failure> {
        let definitions = answers::read(&request.files)?;
        may(caller, Right::See, &definitions)?;
        let catalog = self.catalog();
        expect(&catalog, request.expect_revision)?;
        let left_out = if request.prune {
            LeftOut::Goes
        } else {
            LeftOut::Stays
        };
        let plan = catalog.registry().plan(&definitions, left_out);
        Ok(answers::plan(plan, &request.files))
    }

    async fn apply(
        &self,
        caller: &Caller,
        request: v1::ApplyRequest,
    ) -> Result<v1::ApplyResponse, Failure> {
        let definitions = answers::read(&request.files)?;
        may(caller, Right::Define, &definitions)?;
        let command = Request::Apply {
            definitions,
            prune: request.prune,
            expect_revision: request.expect_revision.map(Revision),
            breaking: breaking(request.break_readers),
        };
        self.change(caller, command, &request.files).await
    }

    async fn get(
        &self,
        caller: &Caller,
        request: v1::GetRequest,
    ) -> Result<v1::RegistryObject, Failure> {
        let is_project = request.object == "project";
        caller.may(
            Right::See,
            if is_project {
                &request.name
            } else {
                &request.project
            },
        )?;
        let catalog = self.catalog();
        let registry = catalog.registry();
        if is_project {
            let found = objects::projects(registry).into_iter();
            let found = { found }.find(|object| object.name == request.name);
            return found.ok_or_else(|| unknown_project(registry, &request.name));
        }
        let project = project(registry, &request.project)?;
        let there = objects::objects(registry, project, &request.object);
        // The newest version of a view stands last.
        let found = there.iter().rfind(|object| names(object, &request.name));
        found.cloned().ok_or_else(|| unknown(&request, &there))
    }

    async fn list(
        &self,
        caller: &Caller,
        request: v1::ListRequest,
    ) -> Result<v1::ListResponse, Failure> {
        let catalog = self.catalog();
        let registry = match request.at_revision.map(Revision) {
            None => catalog.registry().clone(),
            Some(revision) => {
                let past = catalog.registry().at(revision);
                past.ok_or_else(|| catalog.registry().not_kept(revision))?
            }
        };
        let objects = if request.project.is_empty() {
            let mut seen = objects::projects(&registry);
            seen.retain(|project| caller.sees(&project.name));
            seen
        } else {
            caller.may(Right::See, &request.project)?;
            let project = project(&registry, &request.project)?;
            objects::objects(&registry, project, &request.object)
        };
        Ok(v1::ListResponse {
            revision: registry.revision.0,
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

    async fn rollback(
        &self,
        caller: &Caller,
        request: v1::RollbackRequest,
    ) -> Result<v1::ApplyResponse, Failure> {
        // It may touch any project.
        caller.may_everywhere(Right::Define)?;
        let command = Request::Rollback {
            to: Revision(request.revision),
            expect_revision: request.expect_revision.map(Revision),
            breaking: breaking(request.break_readers),
        };
        self.change(caller, command, &[]).await
    }

    async fn plan_rollback(
        &self,
        request: v1::RollbackRequest,
    ) -> Result<v1::PlanResponse, Failure> {
        let catalog = self.catalog();
        expect(&catalog, request.expect_revision)?;
        let plan = catalog
            .registry()
            .plan_rollback(Revision(request.revision))?;
        Ok(answers::plan(plan, &[]))
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

/// Files speak of projects, each for itself.
fn may(caller: &Caller, right: Right, files: &[registry::DefinitionFile]) -> Result<(), Failure> {
    let mut projects = files.iter().map(|file| file.project.as_str());
    projects.try_for_each(|project| caller.may(right, project))
}

const fn breaking(is_allowed: bool) -> Breaking {
    if is_allowed {
        Breaking::Allowed
    } else {
        Breaking::Refused
    }
}

fn expect(catalog: &Catalog, revision: Option<u64>) -> Result<(), Failure> {
    let expected = catalog.registry().expect(revision.map(Revision));
    expected.map_err(|refusals| answers::failure(refusals, &[]))
}

fn project(registry: &registry::Registry, name: &str) -> Result<ProjectId, Failure> {
    registry
        .project(name)
        .ok_or_else(|| unknown_project(registry, name))
}

fn unknown_project(registry: &registry::Registry, name: &str) -> Failure {
    let names = registry.projects.values().map(Name::as_str);
    let hint = nearby::hint(name, names, "projects");
    let message = format!("there is no project {name:?}; {hint}");
    Failure::of_field(Reason::UnknownProject, "project", message)
}

fn unknown(request: &v1::GetRequest, there: &[v1::RegistryObject]) -> Failure {
    let (reason, kind, several) = match request.object.as_str() {
        "entity" => (Reason::UnknownEntity, "entity", "entities"),
        "service" => (
            Reason::UnknownService,
            "feature service",
            "feature services",
        ),
        "view" => (Reason::UnknownView, "view", "views"),
        _ => (
            Reason::UnknownView,
            "entity, view or feature service",
            "objects",
        ),
    };
    let names = there.iter().map(|object| object.name.as_str());
    let message = format!(
        "project {} has no {kind} {:?}; {}",
        request.project,
        request.name,
        nearby::hint(&request.name, names, several)
    );
    Failure::of_field(reason, "name", message)
}

/// A view answers to its name and to `name@version`.
fn names(object: &v1::RegistryObject, name: &str) -> bool {
    object.name == name || object.object == "view" && object.name.split('@').next() == Some(name)
}
