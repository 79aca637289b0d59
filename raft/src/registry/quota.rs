//! What a project may ask for in a second. Whether it does is seen by the gateways, each for its share.

use super::state::Registry;
use proto::{
    id::ProjectId,
    name::Name,
    reason::{Reason, Refusal},
};
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};

/// What a project may ask for in a second, in its region; nothing named is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// Lookups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lookups: Option<u64>,
    /// Rows written or deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Bytes of requests to write and of answers to lookups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

impl Quota {
    fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }

    fn check(&self) -> Result<(), Refusal> {
        let fields = [
            ("lookups_per_second", self.lookups),
            ("rows_per_second", self.rows),
            ("bytes_per_second", self.bytes),
        ];
        match fields.into_iter().find(|(_, limit)| *limit == Some(0)) {
            None => Ok(()),
            Some((field, _)) => {
                let message = "a quota of 0 would refuse everything; leave it out for no limit, or revoke the tokens of who should not call";
                Err(Refusal::of_field(Reason::InvalidRequest, field, message))
            }
        }
    }
}

/// In the words of an operator.
impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_unlimited() {
            return f.write_str("no limit");
        }
        let limits = [
            (self.lookups, "lookups"),
            (self.rows, "rows"),
            (self.bytes, "bytes"),
        ];
        let mut is_first = true;
        for (limit, what) in limits {
            if let Some(limit) = limit {
                let between = if is_first { "" } else { ", " };
                write!(f, "{between}{limit} {what} a second")?;
                is_first = false;
            }
        }
        Ok(())
    }
}

impl Registry {
    pub(super) fn set_quota(
        &mut self,
        project: &Name,
        quota: Quota,
    ) -> Result<Vec<String>, Refusal> {
        quota.check()?;
        let known = self.projects.iter().find(|(_, name)| *name == project);
        let Some((id, _)) = known else {
            let message =
                format!("there is no project {project}; `atoll registry list` shows what there is");
            return Err(Refusal::of_field(
                Reason::UnknownProject,
                "project",
                message,
            ));
        };
        let (id, before) = (*id, self.quota(*id));
        if before == quota {
            return Ok(Vec::new());
        }
        if quota.is_unlimited() {
            self.quotas.remove(&id);
        } else {
            self.quotas.insert(id, Arc::new(quota));
        }
        Ok(vec![format!(
            "quota of project {project}: {quota}, before {before}"
        )])
    }

    /// What a project may ask for.
    #[must_use]
    pub fn quota(&self, project: ProjectId) -> Quota {
        self.quotas
            .get(&project)
            .map_or_else(Quota::default, |quota| **quota)
    }
}
