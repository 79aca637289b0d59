//! A plan in the making: a copy of the registry, what was done to it and what was refused.

use super::super::{check, definition::DefinitionFile, state::Registry};
use super::{Action, Change, LeftOut, Plan};
use proto::{
    id::ProjectId,
    name::Name,
    reason::{Reason, Refusal},
};
use std::collections::BTreeSet;

pub(super) struct Draft {
    pub(super) registry: Registry,
    pub(super) plan: Plan,
    pub(super) left_out: LeftOut,
    /// The projects that the files speak of.
    projects: BTreeSet<ProjectId>,
    /// The objects that the files speak of.
    named: BTreeSet<(ProjectId, String)>,
}

impl Draft {
    pub(super) fn of(registry: &Registry, left_out: LeftOut) -> Self {
        let plan = Plan {
            base_revision: registry.revision,
            changes: Vec::new(),
            kept: Vec::new(),
            refusals: Vec::new(),
        };
        Self {
            registry: registry.clone(),
            plan,
            left_out,
            projects: BTreeSet::new(),
            named: BTreeSet::new(),
        }
    }

    pub(super) fn finish(self) -> (Plan, Registry) {
        (self.plan, self.registry)
    }

    /// Judges a file by itself; it may come from a client that checked nothing.
    pub(super) fn check(&mut self, file: &DefinitionFile) {
        self.plan
            .refusals
            .extend(check::faults(file).into_iter().map(Refusal::from));
    }

    /// The id of a file's project, which is made when it is new.
    pub(super) fn project(&mut self, name: &Name) -> ProjectId {
        let id = self.registry.project(name.as_str()).unwrap_or_else(|| {
            let next = &mut self.registry.next.project;
            let id = *next;
            *next = ProjectId(id.0 + 1);
            self.registry.projects.insert(id, name.clone());
            self.change(id, Action::Create, format!("project {name}"));
            id
        });
        self.projects.insert(id);
        id
    }

    /// Notes that a file speaks of an object; false, with a refusal, when another one did too.
    pub(super) fn name(&mut self, project: ProjectId, object: &str) -> bool {
        let first = self.named.insert((project, object.to_owned()));
        if !first {
            self.refuse(
                Reason::InvalidDefinition,
                object,
                format!("{object} is defined twice; remove one"),
            );
        }
        first
    }

    pub(super) fn is_named(&self, project: ProjectId, object: &str) -> bool {
        self.named.contains(&(project, object.to_owned()))
    }

    pub(super) fn refuse(&mut self, reason: Reason, object: &str, message: String) {
        self.plan
            .refusals
            .push(Refusal::of_field(reason, object, message));
    }

    /// Notes a change of a whole object and gives it for more to be said.
    pub(super) fn change(
        &mut self,
        project: ProjectId,
        action: Action,
        object: String,
    ) -> &mut Change {
        self.plan.changes.push(Change {
            project: self.registry.projects[&project].clone(),
            action,
            object,
            field: String::new(),
            from: None,
            to: None,
            breaks_readers: false,
            read_by: Vec::new(),
        });
        self.plan.changes.last_mut().expect("one was just pushed")
    }

    /// Notes a change of one setting, if it is one.
    pub(super) fn alter(
        &mut self,
        project: ProjectId,
        object: &str,
        field: &str,
        from: String,
        to: String,
    ) {
        if from != to {
            let shown = |text: String| {
                if text.is_empty() {
                    "nothing".to_owned()
                } else {
                    text
                }
            };
            let change = self.change(project, Action::Alter, object.to_owned());
            field.clone_into(&mut change.field);
            change.from = Some(shown(from));
            change.to = Some(shown(to));
        }
    }

    /// What a setting will be: as given, else as it is, else (where what is left out goes) as if new.
    pub(super) fn settle<T: Clone>(&self, given: Option<&T>, present: &T, default: T) -> T {
        match (given, self.left_out) {
            (Some(given), _) => given.clone(),
            (None, LeftOut::Stays) => present.clone(),
            (None, LeftOut::Goes | LeftOut::Recedes) => default,
        }
    }

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
            .filter(|s| s.project == project)
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
            .filter(|v| v.project == project)
            .cloned()
            .collect();
        for view in views {
            let object = format!("view {}", view.label());
            if !self.goes(project, &object) {
                continue;
            }
            let readers = self.registry.readers(view.id);
            if readers.is_empty() {
                self.registry.views.remove(&view.id);
                self.change(project, Action::Remove, object).breaks_readers = true;
            } else {
                let message = format!(
                    "{object} is read by {}; remove or switch these first",
                    readers.join(", ")
                );
                self.refuse(Reason::IncompatibleChange, &object, message);
            }
        }
    }

    fn leave_out_entities(&mut self, project: ProjectId) {
        let entities: Vec<_> = self
            .registry
            .entities
            .values()
            .filter(|e| e.project == project)
            .cloned()
            .collect();
        for entity in entities {
            let object = format!("entity {}", entity.name);
            if !self.goes(project, &object) {
                continue;
            }
            let views = self
                .registry
                .views
                .values()
                .filter(|view| view.entity == entity.id);
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
