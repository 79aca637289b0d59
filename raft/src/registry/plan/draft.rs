//! A plan in the making: a copy of the registry, what was done to it and what was refused.

use super::super::{
    check,
    definition::DefinitionFile,
    state::{About, Registry},
};
use super::{Action, Change, LeftOut, Plan};
use proto::{
    id::ProjectId,
    name::Name,
    reason::{Reason, Refusal},
};
use std::collections::BTreeSet;

pub(super) struct Draft {
    pub(super) registry: Registry,
    /// How it was: what reads a thing is told from this, since readers may go in the same plan.
    pub(super) before: Registry,
    pub(super) plan: Plan,
    pub(super) left_out: LeftOut,
    /// The projects that the files speak of.
    pub(super) projects: BTreeSet<ProjectId>,
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
            before: registry.clone(),
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

    /// What people will be told of an entity or service; a change of it is noted.
    pub(super) fn about(
        &mut self,
        project: ProjectId,
        object: &str,
        present: &About,
        given: Told<'_>,
    ) -> About {
        let (owner, description, tags) = given;
        let about = About {
            owner: self.settle(owner.as_ref(), &present.owner, String::new()),
            description: self.settle(description.as_ref(), &present.description, String::new()),
            tags: self.settle(tags.as_ref(), &present.tags, Vec::new()),
        };
        let fields = [
            ("owner", present.owner.clone(), about.owner.clone()),
            (
                "description",
                present.description.clone(),
                about.description.clone(),
            ),
            ("tags", present.tags.join(", "), about.tags.join(", ")),
        ];
        for (field, from, to) in fields {
            self.alter(project, object, field, from, to);
        }
        about
    }
}

/// An owner, a description and tags as a file gives them.
pub(super) type Told<'a> = (
    &'a Option<String>,
    &'a Option<String>,
    &'a Option<Vec<String>>,
);

/// The same for an object that is new.
pub(super) fn told_first((owner, description, tags): Told<'_>) -> About {
    About {
        owner: owner.clone().unwrap_or_default(),
        description: description.clone().unwrap_or_default(),
        tags: tags.clone().unwrap_or_default(),
    }
}
