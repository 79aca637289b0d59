//! The registry as callers use it through the gateway. The gateway only passes these calls on: the
//! rules of definitions are the registry's, and where its leader is, somebody else knows. Whoever answers
//! asks the caller for its right to each project that a request names.

pub mod json;

use crate::{access::Caller, failure::Failure};
use async_trait::async_trait;
use futures::stream::BoxStream;
use wire::v1;

/// Answers calls about definitions.
#[async_trait]
pub trait Registry: Send + Sync {
    /// The difference between files and the registry. Changes nothing; what cannot be done is told
    /// in the plan.
    async fn plan(
        &self,
        caller: &Caller,
        request: v1::PlanRequest,
    ) -> Result<v1::PlanResponse, Failure>;
    /// Carries the difference out at one revision, or nothing of it.
    async fn apply(
        &self,
        caller: &Caller,
        request: v1::ApplyRequest,
    ) -> Result<v1::ApplyResponse, Failure>;
    /// One object.
    async fn get(
        &self,
        caller: &Caller,
        request: v1::GetRequest,
    ) -> Result<v1::RegistryObject, Failure>;
    /// All objects of a project, or the projects.
    async fn list(
        &self,
        caller: &Caller,
        request: v1::ListRequest,
    ) -> Result<v1::ListResponse, Failure>;
    /// What was changed, newest first.
    async fn history(&self, request: v1::HistoryRequest) -> Result<v1::HistoryResponse, Failure>;
    /// Makes the definitions of an earlier revision those of a new one.
    async fn rollback(
        &self,
        caller: &Caller,
        request: v1::RollbackRequest,
    ) -> Result<v1::ApplyResponse, Failure>;
    /// What that would do. Changes nothing.
    async fn plan_rollback(
        &self,
        request: v1::RollbackRequest,
    ) -> Result<v1::PlanResponse, Failure>;
    /// The present revision, where it is after the given one, and each later one as it comes.
    /// Revisions may be left out where several come at once; the newest never is.
    fn watch(&self, request: v1::WatchRequest) -> BoxStream<'static, v1::RevisionNotice>;
}

/// What an apply is called in the trail: the names of its files.
pub(crate) fn names_of(files: &[v1::DefinitionFile]) -> String {
    let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
    format!("{} definition files: {}", files.len(), names.join(", "))
}
