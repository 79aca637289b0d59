//! What changed, by whom and when, and how it was before: for people, and for rollbacks.
//!
//! The objects as they were are kept, not a way back: a rollback plans with them as with files.

use super::state::{Entity, Registry, Service, View};
use proto::id::{EntityId, ProjectId, Revision, ServiceId, ViewId};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Revisions that can be looked at and returned to.
pub const HISTORY_REVISIONS: usize = 1_000;
/// Their size as they are stored. The registry travels whole to a node that joins, and each process
/// keeps it in memory.
pub const HISTORY_BYTES: u64 = 16 << 20;

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
    /// The size of all this as it is stored, noted when it was recorded; 0 where it was not.
    #[serde(default)]
    pub bytes: u64,
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
    /// Keeps a change in the history. The newest one stays, whatever its size.
    pub(super) fn record(&mut self, mut entry: HistoryEntry) {
        entry.bytes = crate::machine::part_of(&entry).len() as u64;
        self.history.push_back(Arc::new(entry));
        let mut bytes: u64 = self.history.iter().map(|entry| entry.bytes).sum();
        while self.history.len() > HISTORY_REVISIONS
            || bytes > HISTORY_BYTES && self.history.len() > 1
        {
            bytes -= self.history.pop_front().map_or(0, |oldest| oldest.bytes);
        }
    }

    /// The catalogue's objects that differ in `next`, as they are here.
    pub(super) fn before(&self, next: &Self) -> Vec<Before> {
        let mut before = Vec::new();
        differing(&self.entities, &next.entities, |id, old| {
            before.push(old.map_or(Before::NoEntity(id), Before::Entity));
        });
        differing(&self.views, &next.views, |id, old| {
            before.push(old.map_or(Before::NoView(id), Before::View));
        });
        differing(&self.services, &next.services, |id, old| {
            before.push(old.map_or(Before::NoService(id), Before::Service));
        });
        before
    }

    /// The projects with objects that differ in `next`.
    pub(super) fn differing_projects(&self, next: &Self) -> BTreeSet<ProjectId> {
        let mut projects = BTreeSet::new();
        differing(&self.entities, &next.entities, |id, old| {
            let either = old.as_ref().or(next.entities.get(&id));
            projects.extend(either.map(|entity| entity.project));
        });
        differing(&self.views, &next.views, |id, old| {
            let either = old.as_ref().or(next.views.get(&id));
            projects.extend(either.map(|view| view.project));
        });
        differing(&self.services, &next.services, |id, old| {
            let either = old.as_ref().or(next.services.get(&id));
            projects.extend(either.map(|service| service.project));
        });
        projects
    }

    /// The registry with the catalogue of an earlier revision; none if that is not kept. Regions
    /// and projects are as they are now: neither is ever removed.
    #[must_use]
    pub fn at(&self, revision: Revision) -> Option<Self> {
        if revision > self.revision || revision < self.oldest_kept()? {
            return None;
        }
        let mut past = self.clone();
        let later = self.history.iter().rev();
        for entry in later.take_while(|entry| entry.revision > revision) {
            entry.before.iter().for_each(|before| past.restore(before));
        }
        past.revision = revision;
        Some(past)
    }

    /// The oldest revision that can be looked at.
    fn oldest_kept(&self) -> Option<Revision> {
        let oldest = self.history.front()?.revision;
        Some(Revision(oldest.0.saturating_sub(1)))
    }

    /// Puts one object back.
    fn restore(&mut self, before: &Before) {
        match before {
            Before::NoEntity(id) => drop(self.entities.remove(id)),
            Before::NoView(id) => drop(self.views.remove(id)),
            Before::NoService(id) => drop(self.services.remove(id)),
            Before::Entity(entity) => drop(self.entities.insert(entity.id, Arc::clone(entity))),
            Before::View(view) => drop(self.views.insert(view.id, Arc::clone(view))),
            Before::Service(service) => {
                drop(self.services.insert(service.id, Arc::clone(service)));
            }
        }
    }
}

/// Visits what differs between two maps of shared objects, giving what the older one has.
fn differing<K: Ord + Copy, V>(
    old: &BTreeMap<K, Arc<V>>,
    new: &BTreeMap<K, Arc<V>>,
    mut visit: impl FnMut(K, Option<Arc<V>>),
) {
    for (id, object) in old {
        if !new.get(id).is_some_and(|other| Arc::ptr_eq(object, other)) {
            visit(*id, Some(object.clone()));
        }
    }
    for id in new.keys().filter(|id| !old.contains_key(id)) {
        visit(*id, None);
    }
}
