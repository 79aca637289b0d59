//! What changed, by whom and when, and how it was before: for people, and for rollbacks.
//!
//! The objects as they were are kept, not a way back: a rollback plans with them as with files.

use super::state::{Entity, Registry, Service, View};
use proto::id::{EntityId, Revision, ServiceId, ViewId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Revisions that can be looked at and returned to.
pub const HISTORY_REVISIONS: usize = 1_000;

/// One change, kept so that people can see it and return to before it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// The revision it made.
    pub revision: Revision,
    /// Who asked for it, as the gateway knew them.
    pub author: String,
    /// When, by the clock of the gateway that took it.
    pub at_millis: u64,
    /// What changed, in words.
    pub changes: Vec<String>,
    /// The objects it touched as they were before, for a rollback.
    pub before: Vec<Before>,
}

/// An object of the catalogue as it was before a change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Before {
    /// The entity did not exist.
    NoEntity(EntityId),
    /// The view did not exist.
    NoView(ViewId),
    /// The service did not exist.
    NoService(ServiceId),
    /// It was this entity.
    Entity(Arc<Entity>),
    /// It was this view.
    View(Arc<View>),
    /// It was this service.
    Service(Arc<Service>),
}

impl Registry {
    /// Keeps a change in the history.
    pub(super) fn record(&mut self, entry: HistoryEntry) {
        self.history.push_back(Arc::new(entry));
        while self.history.len() > HISTORY_REVISIONS {
            self.history.pop_front();
        }
    }
}
