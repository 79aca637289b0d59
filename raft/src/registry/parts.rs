//! The registry as a state machine, and the parts it is stored in.

use super::{
    access::Access,
    command::{RegistryCommand, RegistryOutcome},
    history::HistoryEntry,
    region::Founding,
    state::{NextIds, Registry},
};
use crate::machine::{
    BadPart, PartChanges, Parts, StateMachine, family, note_changes, part_key, part_of, read_part,
};
use proto::id::{EntityId, PlacementId, ProjectId, RegionId, Revision, ServiceId, TokenId, ViewId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

const HEAD: &str = "head";

/// What is no object of its own.
#[derive(Serialize, Deserialize, Default)]
struct Head {
    revision: Revision,
    founding: Option<Arc<Founding>>,
    next: NextIds,
    /// The certificate of the authority of a secured cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    authority: Option<Arc<str>>,
}

impl StateMachine for Registry {
    type Command = RegistryCommand;
    type Outcome = RegistryOutcome;

    fn apply(&mut self, command: RegistryCommand) -> RegistryOutcome {
        Registry::apply(self, command)
    }

    fn revision(&self) -> Revision {
        self.revision
    }

    fn changes_to(&self, next: &Self) -> PartChanges {
        let mut changes = Vec::new();
        // The head is written even when all is empty: parts without it are no registry.
        if self.revision != next.revision || next.revision == Revision(0) {
            let head = Head {
                revision: next.revision,
                founding: next.founding.clone(),
                next: next.next.clone(),
                authority: next.access.authority.clone(),
            };
            changes.push((HEAD.to_owned(), Some(part_of(&head))));
        }
        note_changes(
            "region",
            |id: &RegionId| id.0.into(),
            &self.regions,
            &next.regions,
            &mut changes,
        );
        note_changes(
            "placement",
            |id: &PlacementId| id.0.into(),
            &self.placements,
            &next.placements,
            &mut changes,
        );
        note_changes(
            "project",
            |id: &ProjectId| id.0.into(),
            &self.projects,
            &next.projects,
            &mut changes,
        );
        note_changes(
            "entity",
            |id: &EntityId| id.0.into(),
            &self.entities,
            &next.entities,
            &mut changes,
        );
        note_changes(
            "view",
            |id: &ViewId| id.0.into(),
            &self.views,
            &next.views,
            &mut changes,
        );
        note_changes(
            "service",
            |id: &ServiceId| id.0.into(),
            &self.services,
            &next.services,
            &mut changes,
        );
        self.rights_changes_to(next, &mut changes);
        self.history_changes_to(next, &mut changes);
        changes
    }

    fn from_parts(parts: &Parts) -> Result<Self, BadPart> {
        let head: Head = match parts.get(HEAD) {
            Some(bytes) => read_part(HEAD, bytes)?,
            None => return Err(BadPart::new(HEAD, "it is missing")),
        };
        Ok(Self {
            revision: head.revision,
            founding: head.founding,
            next: head.next,
            regions: family(parts, "region", |id| narrow(id).map(RegionId))?,
            placements: family(parts, "placement", |id| narrow(id).map(PlacementId))?,
            projects: family(parts, "project", |id| narrow(id).map(ProjectId))?,
            entities: family(parts, "entity", |id| narrow(id).map(EntityId))?,
            views: family(parts, "view", |id| narrow(id).map(ViewId))?,
            services: family(parts, "service", |id| narrow(id).map(ServiceId))?,
            access: Access {
                authority: head.authority,
                tokens: family(parts, "token", |id| Some(TokenId(id)))?,
            },
            quotas: family(parts, "quota", |id| narrow(id).map(ProjectId))?,
            history: family::<u64, Arc<HistoryEntry>>(parts, "history", Some)?
                .into_values()
                .collect(),
        })
    }
}

impl Registry {
    /// Who may do what, and how much of it.
    fn rights_changes_to(&self, next: &Self, changes: &mut PartChanges) {
        note_changes(
            "token",
            |id: &TokenId| id.0,
            &self.access.tokens,
            &next.access.tokens,
            changes,
        );
        note_changes(
            "quota",
            |id: &ProjectId| id.0.into(),
            &self.quotas,
            &next.quotas,
            changes,
        );
    }

    fn history_changes_to(&self, next: &Self, changes: &mut PartChanges) {
        let oldest = next
            .history
            .front()
            .map_or(u64::MAX, |entry| entry.revision.0);
        let newest = self.history.back().map_or(0, |entry| entry.revision.0);
        for entry in self
            .history
            .iter()
            .take_while(|entry| entry.revision.0 < oldest)
        {
            changes.push((part_key("history", entry.revision.0), None));
        }
        for entry in next
            .history
            .iter()
            .filter(|entry| entry.revision.0 > newest)
        {
            changes.push((part_key("history", entry.revision.0), Some(part_of(entry))));
        }
    }
}

fn narrow<T: TryFrom<u64>>(id: u64) -> Option<T> {
    T::try_from(id).ok()
}
