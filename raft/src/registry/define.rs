//! Changes of definitions: what has to hold before one is carried out, and what is noted of it.
//!
//! The plan is made again on the present state, so that what was shown is what is done.

use super::{
    apply::Changed,
    command::Breaking,
    plan::{Action, LeftOut, Plan},
    state::{Registry, Since},
};
use proto::{
    id::Revision,
    reason::{Reason, Refusal},
};
use std::{collections::BTreeMap, sync::Arc};

/// Earlier changes that a refusal quotes, and changes of one of them: it is one line.
const QUOTED_REVISIONS: usize = 3;
const QUOTED_CHANGES: usize = 3;
/// Changes that break readers which one refusal names.
const QUOTED_BREAKS: usize = 20;

impl Registry {
    /// Refuses what was planned at another revision, and says what has changed meanwhile.
    pub fn expect(&self, expected: Option<Revision>) -> Result<(), Vec<Refusal>> {
        let Some(expected) = expected.filter(|expected| *expected != self.revision) else {
            return Ok(());
        };
        let message = format!(
            "the registry is at revision {} and {expected} was expected{}; plan again",
            self.revision,
            self.since(expected)
        );
        Err(vec![Refusal::new(Reason::RevisionChanged, message)])
    }

    /// What changed after a revision, in words, the newest first.
    fn since(&self, revision: Revision) -> String {
        let later: Vec<_> = self
            .history
            .iter()
            .rev()
            .take_while(|entry| entry.revision > revision)
            .collect();
        let quote = |changes: &[String]| {
            let more = changes.len().saturating_sub(QUOTED_CHANGES);
            let shown = changes.iter().take(QUOTED_CHANGES).cloned();
            let more = (more > 0).then(|| format!("and {more} more"));
            shown.chain(more).collect::<Vec<_>>().join(", ")
        };
        let entries = later.iter().take(QUOTED_REVISIONS);
        let mut texts: Vec<String> = entries
            .map(|entry| {
                let (revision, author) = (entry.revision, &entry.author);
                format!("revision {revision} by {author}: {}", quote(&entry.changes))
            })
            .collect();
        if later.len() > QUOTED_REVISIONS {
            texts.push(format!(
                "and {} earlier revisions",
                later.len() - QUOTED_REVISIONS
            ));
        }
        if texts.is_empty() {
            String::new()
        } else {
            format!(" ({})", texts.join("; "))
        }
    }

    /// What a return to an earlier revision would do now.
    pub fn plan_rollback(&self, to: Revision) -> Result<Plan, Refusal> {
        Ok(self.draft_rollback(to)?.0)
    }

    /// The plan of a return to an earlier revision, and the registry after it.
    pub(super) fn draft_rollback(&self, to: Revision) -> Result<(Plan, Self), Refusal> {
        let definitions = self.export_at(to).ok_or_else(|| self.not_kept(to))?;
        Ok(self.draft(&definitions, LeftOut::Recedes))
    }

    /// Why an earlier revision cannot be looked at.
    #[must_use]
    pub fn not_kept(&self, revision: Revision) -> Refusal {
        let oldest = self.history.front();
        let oldest = oldest.map_or(self.revision.0, |entry| entry.revision.0.saturating_sub(1));
        let message = format!(
            "revision {revision} is not kept; {oldest} to {} are",
            self.revision
        );
        Refusal::of_field(Reason::InvalidRequest, "revision", message)
    }

    /// Carries a plan out, if it is possible and breaks nobody who was not named.
    pub(super) fn define(
        &mut self,
        (plan, mut next): (Plan, Self),
        breaking: Breaking,
    ) -> Result<Changed, Vec<Refusal>> {
        if !plan.is_possible() {
            return Err(plan.refusals);
        }
        let broken = unsaid(&plan);
        if breaking == Breaking::Refused && !broken.is_empty() {
            return Err(broken);
        }
        next.note_since(self, Revision(self.revision.0 + 1));
        *self = next;
        let words = plan.changes.iter().map(ToString::to_string).collect();
        Ok((words, Some(plan)))
    }

    /// Notes in each object that differs from `before` the revision that made it so.
    fn note_since(&mut self, before: &Self, revision: Revision) {
        let since = |made: Option<Since>| Since {
            made: made.map_or(revision, |since| since.made),
            changed: revision,
        };
        for (id, entity) in changed(&mut self.entities, &before.entities) {
            let made = before.entities.get(&id).map(|old| old.since);
            Arc::make_mut(entity).since = since(made);
        }
        for (id, view) in changed(&mut self.views, &before.views) {
            let made = before.views.get(&id).map(|old| old.since);
            Arc::make_mut(view).since = since(made);
        }
        for (id, service) in changed(&mut self.services, &before.services) {
            let made = before.services.get(&id).map(|old| old.since);
            Arc::make_mut(service).since = since(made);
        }
    }
}

/// The objects of a map that an older one does not share.
fn changed<'a, K: Ord + Copy, V>(
    now: &'a mut BTreeMap<K, Arc<V>>,
    before: &'a BTreeMap<K, Arc<V>>,
) -> impl Iterator<Item = (K, &'a mut Arc<V>)> {
    now.iter_mut()
        .filter(|(id, object)| !before.get(id).is_some_and(|old| Arc::ptr_eq(old, object)))
        .map(|(id, object)| (*id, object))
}

/// A refusal for each change that breaks readers: they are named, and how to go on all the same.
fn unsaid(plan: &Plan) -> Vec<Refusal> {
    let broken = plan.changes.iter().filter(|change| change.breaks_readers);
    let refusal = |change: &super::plan::Change| {
        let readers = if !change.read_by.is_empty() {
            format!("services that read it: {}", change.read_by.join(", "))
        } else if change.object.starts_with("service ") {
            "models that ask for it".to_owned()
        } else {
            "lookups that name its features".to_owned()
        };
        let done = match change.action {
            Action::Remove => "removing",
            Action::Create | Action::Alter | Action::Deprecate => "changing",
        };
        let object = &change.object;
        let message = format!(
            "{done} {object} breaks {readers}; keep it in the files, or say --break-readers \
             (break_readers) if nobody reads it any more"
        );
        Refusal::of_field(Reason::IncompatibleChange, object.clone(), message)
    };
    broken.take(QUOTED_BREAKS).map(refusal).collect()
}
