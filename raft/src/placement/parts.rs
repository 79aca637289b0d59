//! Placement as a state machine, and the parts it is stored in.

use super::{
    command::{PlacementCommand, PlacementOutcome},
    state::{Member, Placement, Policy, ShardConfig},
};
use crate::machine::{
    BadPart, PartChanges, Parts, StateMachine, family, note_changes, part_of, read_part,
};
use proto::id::{NodeId, Revision, ShardId, StoreId};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, sync::Arc};

const HEAD: &str = "head";

/// What is no object of its own.
#[derive(Serialize, Deserialize)]
struct Head {
    revision: Revision,
    policy: Option<Policy>,
    retired: BTreeSet<StoreId>,
}

impl StateMachine for Placement {
    type Command = PlacementCommand;
    type Outcome = PlacementOutcome;

    fn apply(&mut self, command: PlacementCommand) -> PlacementOutcome {
        Placement::apply(self, command)
    }

    fn revision(&self) -> Revision {
        self.revision
    }

    fn changes_to(&self, next: &Self) -> PartChanges {
        let mut changes = Vec::new();
        if self.revision != next.revision || next.revision == Revision(0) {
            let head = Head {
                revision: next.revision,
                policy: next.policy,
                retired: next.retired.clone(),
            };
            changes.push((HEAD.to_owned(), Some(part_of(&head))));
        }
        note_changes(
            "member",
            |id: &NodeId| id.0,
            &self.members,
            &next.members,
            &mut changes,
        );
        note_changes(
            "shard",
            |id: &ShardId| id.0.into(),
            &self.shards,
            &next.shards,
            &mut changes,
        );
        changes
    }

    fn from_parts(parts: &Parts) -> Result<Self, BadPart> {
        let head: Head = match parts.get(HEAD) {
            Some(bytes) => read_part(HEAD, bytes)?,
            None => return Err(BadPart::new(HEAD, "it is missing")),
        };
        Ok(Self {
            revision: head.revision,
            policy: head.policy,
            retired: head.retired,
            members: family::<_, Arc<Member>>(parts, "member", |id| Some(NodeId(id)))?,
            shards: family::<_, Arc<ShardConfig>>(parts, "shard", |id| {
                u16::try_from(id).ok().map(ShardId)
            })?,
        })
    }
}
