//! Which features a lookup reads, resolved under one revision and kept for the next lookup.
//!
//! Nothing here depends on keys, so one selection serves every request that names the same service
//! or the same features, until the registry moves on.

use super::layout::Layout;
use crate::{
    catalog::{Catalog, Entity, Feature, Project, ServiceColumn, View},
    failure::Failure,
};
use parking_lot::Mutex;
use proto::{
    id::{ProjectId, Revision},
    limits::FEATURES_PER_LOOKUP,
    reason::Reason,
};
use std::{collections::HashMap, sync::Arc};
use wire::twin::lookup_request::Select;

/// The features of a lookup under one revision.
#[derive(Debug)]
pub struct Selection {
    /// The revision.
    pub revision: Revision,
    /// The project.
    pub project: ProjectId,
    /// The views it reads, each with its columns.
    pub views: Vec<SelectedView>,
    /// The entities of these views.
    pub groups: Vec<EntityGroup>,
    /// The answer's columns in order.
    pub columns: Vec<SelectedColumn>,
}

/// A view and what is read of it.
#[derive(Debug)]
pub struct SelectedView {
    /// The view.
    pub view: Arc<View>,
    /// Its columns that are read.
    pub layout: Arc<Layout>,
}

/// Views of one entity: they are read by the same keys.
#[derive(Debug)]
pub struct EntityGroup {
    /// The entity.
    pub entity: Arc<Entity>,
    /// Places in [`Selection::views`].
    pub views: Vec<usize>,
}

/// One column of the answer.
#[derive(Debug)]
pub struct SelectedColumn {
    /// Place in [`Selection::views`].
    pub view: usize,
    /// Place in that view's layout.
    pub column: usize,
    /// Its name in answers.
    pub label: Arc<str>,
}

impl SelectedView {
    /// The feature at a place of the layout.
    #[must_use]
    pub fn feature(&self, place: usize) -> &Feature {
        &self.view.features[usize::from(self.layout.columns()[place].feature.0)]
    }
}

impl Selection {
    pub(crate) fn new(
        catalog: &Catalog,
        project: &Project,
        columns: &[ServiceColumn],
    ) -> Result<Self, Failure> {
        if columns.len() > FEATURES_PER_LOOKUP {
            let message = format!(
                "a lookup has at most {FEATURES_PER_LOOKUP} features, and {} are asked for",
                columns.len()
            );
            return Err(Failure::of_field(Reason::TooLarge, "features", message));
        }
        if columns.is_empty() {
            return Err(Failure::of_field(
                Reason::InvalidRequest,
                "features",
                "no feature is asked for",
            ));
        }
        let mut selection = Self {
            revision: catalog.revision,
            project: project.id,
            views: vec![],
            groups: vec![],
            columns: vec![],
        };
        for column in columns {
            if !selection
                .views
                .iter()
                .any(|known| known.view.id == column.view.id)
            {
                selection.add_view(&column.view, columns);
            }
        }
        selection.columns = columns
            .iter()
            .map(|column| selection.place(column))
            .collect();
        Ok(selection)
    }

    fn add_view(&mut self, view: &Arc<View>, columns: &[ServiceColumn]) {
        let features = columns
            .iter()
            .filter(|column| column.view.id == view.id)
            .map(|column| column.feature);
        let layout = Arc::new(Layout::new(Arc::clone(&view.schema), features));
        let place = self.views.len();
        self.views.push(SelectedView {
            view: Arc::clone(view),
            layout,
        });
        match self
            .groups
            .iter_mut()
            .find(|group| group.entity.id == view.entity.id)
        {
            Some(group) => group.views.push(place),
            None => self.groups.push(EntityGroup {
                entity: Arc::clone(&view.entity),
                views: vec![place],
            }),
        }
    }

    fn place(&self, column: &ServiceColumn) -> SelectedColumn {
        let of_view = |known: &SelectedView| known.view.id == column.view.id;
        let view = self
            .views
            .iter()
            .position(of_view)
            .expect("the views of all columns were added");
        let place = self.views[view].layout.place_of(column.feature);
        let column_place = place.expect("a view's layout has all its columns");
        SelectedColumn {
            view,
            column: column_place,
            label: Arc::clone(&column.label),
        }
    }
}

/// Selections of recent lookups. Two generations: when the young one is full, the old one goes, so
/// what is asked for often stays and what callers make up does not grow.
#[derive(Debug)]
pub struct Selections {
    generations: Mutex<[HashMap<String, Arc<Selection>>; 2]>,
    per_generation: usize,
}

impl Default for Selections {
    fn default() -> Self {
        Self {
            generations: Mutex::default(),
            per_generation: 512,
        }
    }
}

impl Selections {
    /// The selection for a request's project and service or features.
    pub fn select(
        &self,
        catalog: &Catalog,
        project: &str,
        select: Option<&Select>,
    ) -> Result<Arc<Selection>, Failure> {
        let Some(select) = select else {
            return Err(Failure::new(
                Reason::InvalidRequest,
                "name a service or features",
            ));
        };
        let key = cache_key(project, select);
        if let Some(found) = self.get(&key, catalog.revision) {
            return Ok(found);
        }
        let known = catalog.project(project)?;
        let selection = Arc::new(match select {
            Select::Service(name) => Selection::new(catalog, known, known.service(name)?)?,
            Select::Features(features) => {
                Selection::new(catalog, known, &known.features(&features.names)?)?
            }
        });
        self.put(key, Arc::clone(&selection));
        Ok(selection)
    }

    fn get(&self, key: &str, revision: Revision) -> Option<Arc<Selection>> {
        let mut generations = self.generations.lock();
        let [young, old] = &mut *generations;
        if let Some(found) = young.get(key) {
            return (found.revision == revision).then(|| Arc::clone(found));
        }
        let (key, found) = old.remove_entry(key)?;
        if found.revision != revision {
            return None;
        }
        let kept = Arc::clone(&found);
        drop(generations);
        self.put(key, found);
        Some(kept)
    }

    fn put(&self, key: String, selection: Arc<Selection>) {
        let mut generations = self.generations.lock();
        if generations[0].len() >= self.per_generation {
            generations[1] = std::mem::take(&mut generations[0]);
        }
        generations[0].insert(key, selection);
    }
}

/// Names hold no control characters, so these cannot be confused.
fn cache_key(project: &str, select: &Select) -> String {
    let mut key = String::with_capacity(64);
    key.push_str(project);
    match select {
        Select::Service(name) => {
            key.push('\u{1}');
            key.push_str(name);
        }
        Select::Features(features) => features.names.iter().for_each(|name| {
            key.push('\u{2}');
            key.push_str(name);
        }),
    }
    key
}
