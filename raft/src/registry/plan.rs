//! The difference between definition files and the registry: what would change, whom it breaks,
//! what is refused and how to get there all the same.
//!
//! Planning carries the change out on a copy. Applying takes that copy, so that what was shown is
//! what is done; nothing here writes to the registry itself.

mod draft;
mod entity;
mod feature;
mod left_out;
mod service;
mod view;

use super::{definition::DefinitionFile, state::Registry};
use draft::Draft;
use proto::{id::Revision, name::Name, reason::Refusal};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What happens to what the files leave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeftOut {
    /// It stays as it is.
    Stays,
    /// Objects go and settings fall back to their defaults, as far as nothing reads them.
    Goes,
    /// A return to an earlier revision: settings fall back and services go, but what holds rows
    /// stays, its features deprecated.
    Recedes,
}

/// What an application of the files would do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The revision that was compared with.
    pub base_revision: Revision,
    /// The changes, in the order in which they are carried out.
    pub changes: Vec<Change>,
    /// What stands in the registry, not in the files, and stays: it goes only with prune.
    pub kept: Vec<String>,
    /// Why none of it can be done; empty when it can.
    pub refusals: Vec<Refusal>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The project.
    pub project: Name,
    /// What is done.
    pub action: Action,
    /// To what: `view customer_activity@1`, `feature customer_activity@1:orders_30d`.
    pub object: String,
    /// Which setting of it; empty where it is the whole object.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub field: String,
    /// What it was, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What it will be, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Whether requests that work now will fail.
    pub breaks_readers: bool,
    /// The services that read it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub read_by: Vec<String>,
}

/// What is done to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is made.
    Create,
    /// A setting changes.
    Alter,
    /// Readers are told to stop using it.
    Deprecate,
    /// It is taken away.
    Remove,
}

impl Plan {
    /// Whether it can be carried out.
    #[must_use]
    pub fn is_possible(&self) -> bool {
        self.refusals.is_empty()
    }

    /// Whether any request that works now would fail.
    #[must_use]
    pub fn breaks_readers(&self) -> bool {
        self.changes.iter().any(|change| change.breaks_readers)
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let action = match self.action {
            Action::Create => "create",
            Action::Alter => "alter",
            Action::Deprecate => "deprecate",
            Action::Remove => "remove",
        };
        write!(f, "{action} {}", self.object)?;
        if !self.field.is_empty() {
            write!(f, ": {}", self.field)?;
        }
        match (&self.from, &self.to) {
            (Some(from), Some(to)) => write!(f, " {from} → {to}")?,
            (None, Some(to)) => write!(f, " ({to})")?,
            (Some(from), None) => write!(f, " (was {from})")?,
            (None, None) => {}
        }
        match (self.read_by.is_empty(), self.breaks_readers) {
            (true, true) => write!(f, "; breaks readers"),
            (false, true) => write!(
                f,
                "; breaks readers, of services {}",
                self.read_by.join(", ")
            ),
            (false, false) => write!(f, "; read by {}", self.read_by.join(", ")),
            (true, false) => Ok(()),
        }
    }
}

impl Registry {
    /// What applying `files` would do now.
    #[must_use]
    pub fn plan(&self, files: &[DefinitionFile], left_out: LeftOut) -> Plan {
        self.draft(files, left_out).0
    }

    /// The plan, and the registry after it; that one counts only where the plan is possible.
    pub(super) fn draft(&self, files: &[DefinitionFile], left_out: LeftOut) -> (Plan, Self) {
        let mut draft = Draft::of(self, left_out);
        for file in files {
            draft.check(file);
        }
        if draft.plan.is_possible() {
            files.iter().for_each(|file| draft.entities(file));
            files.iter().for_each(|file| draft.views(file));
            files.iter().for_each(|file| draft.services(file));
            draft.leave_out();
        }
        draft.finish()
    }
}
