//! What stands in the registry and in no file: it stays, goes, or recedes.
//!
//! A rollback takes no rows away: entities and views that were made since stay, their features
//! deprecated. Services hold no rows; those that were made since go.

use super::super::state::View;
use super::{Action, LeftOut, draft::Draft};
use proto::{id::ProjectId, reason::Reason};
use std::sync::Arc;

impl Draft {
    /// Takes away, or notes as kept, what the files' projects have and the files do not name:
    /// services before the views they read, views before their entities.
    pub(super) fn leave_out(&mut self) {
        for project in self.projects.clone() {
            self.leave_out_services(project);
            self.leave_out_views(project);
            self.leave_out_entities(project);
        }
    }

    fn leave_out_services(&mut self, project: ProjectId) {
        let services: Vec<_> = self
            .registry
            .services
            .values()
            .filter(|service| service.project == project)
            .cloned()
            .collect();
        for service in services {
            let object = format!("service {}", service.name);
            if self.goes(project, &object) {
                self.registry.services.remove(&service.id);
                self.change(project, Action::Remove, object).breaks_readers = true;
            }
        }
    }

    fn leave_out_views(&mut self, project: ProjectId) {
        let views: Vec<_> = self
            .registry
            .views
            .values()
            .filter(|view| view.project == project)
            .cloned()
            .collect();
        for view in views {
            let object = format!("view {}", view.label());
            if !self.goes(project, &object) {
                continue;
            }
            if self.left_out == LeftOut::Recedes {
                self.recede(view, object);
                continue;
            }
            let readers = self.registry.readers(view.id);
            if readers.is_empty() {
                self.registry.views.remove(&view.id);
                let read_by = self.before.readers(view.id);
                let change = self.change(project, Action::Remove, object);
                change.breaks_readers = true;
                change.read_by = read_by;
            } else {
                let message = format!(
                    "{object} is read by {}; remove or switch these first",
                    readers.join(", ")
                );
                self.refuse(Reason::IncompatibleChange, &object, message);
            }
        }
    }

    /// A view that was made since the revision to return to: its rows stay, and readers are told.
    fn recede(&mut self, view: Arc<View>, object: String) {
        let mut receded = View::clone(&view);
        let mut count = 0;
        for feature in receded.features.iter_mut().filter(|it| !it.deprecated) {
            feature.deprecated = true;
            count += 1;
        }
        if count > 0 {
            let change = self.change(view.project, Action::Deprecate, object);
            change.to = Some(format!("all {count} features; its rows stay"));
            self.registry.views.insert(view.id, Arc::new(receded));
        }
    }

    fn leave_out_entities(&mut self, project: ProjectId) {
        let entities: Vec<_> = self
            .registry
            .entities
            .values()
            .filter(|entity| entity.project == project)
            .cloned()
            .collect();
        for entity in entities {
            let object = format!("entity {}", entity.name);
            if !self.goes(project, &object) || self.left_out == LeftOut::Recedes {
                continue;
            }
            let views = self.registry.views.values();
            let views = views.filter(|view| view.entity == entity.id);
            let labels: Vec<_> = views.map(|view| view.label()).collect();
            if labels.is_empty() {
                self.registry.entities.remove(&entity.id);
                self.change(project, Action::Remove, object);
            } else {
                let message = format!(
                    "{object} is described by views {}; remove these first",
                    labels.join(", ")
                );
                self.refuse(Reason::IncompatibleChange, &object, message);
            }
        }
    }

    /// Whether an object of the registry is to go, because no file names it.
    fn goes(&mut self, project: ProjectId, object: &str) -> bool {
        if self.is_named(project, object) {
            return false;
        }
        if self.left_out == LeftOut::Stays {
            self.plan.kept.push(object.to_owned());
            return false;
        }
        true
    }
}
