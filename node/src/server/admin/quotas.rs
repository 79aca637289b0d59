//! What projects may ask for in a second.

use crate::server::global::Global;
use gateway::{
    access::{Caller, Note},
    failure::Failure,
};
use proto::{name::Name, reason::Reason};
use raft::registry::{Catalog, RegistryOutcome, Request, quota::Quota};
use wire::v1;

/// Changes the quota of a project.
pub async fn set(
    global: &Global,
    caller: &Caller,
    note: &Note,
    request: v1::SetQuotaRequest,
) -> Result<v1::SetQuotaResponse, Failure> {
    let bad = |message: String| Failure::of_field(Reason::InvalidRequest, "quota.project", message);
    let asked = request.quota.ok_or_else(|| bad("name a project".into()))?;
    let project = Name::new(&asked.project).map_err(|error| bad(error.to_string()))?;
    let quota = Quota {
        lookups: asked.lookups_per_second,
        rows: asked.rows_per_second,
        bytes: asked.bytes_per_second,
    };
    note.write(format!("project {project}: {quota}"));
    let request = Request::SetQuota { project, quota };
    match global.propose(&caller.author(), request).await? {
        RegistryOutcome::Done { revision, .. } => Ok(v1::SetQuotaResponse {
            revision: revision.0,
        }),
        RegistryOutcome::Refused { refusals, .. } => {
            let first = refusals.into_iter().next();
            Err(first.map_or_else(
                || Failure::internal("the registry refused without a reason"),
                Failure::from,
            ))
        }
    }
}

/// All projects that have one.
pub fn list(catalog: &Catalog) -> Vec<v1::Quota> {
    let registry = catalog.registry();
    let quotas = registry.quotas.iter().filter_map(|(project, quota)| {
        Some(v1::Quota {
            project: registry.projects.get(project)?.to_string(),
            lookups_per_second: quota.lookups,
            rows_per_second: quota.rows,
            bytes_per_second: quota.bytes,
        })
    });
    quotas.collect()
}
