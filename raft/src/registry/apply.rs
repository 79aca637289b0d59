//! The registry's only way to change: one command, one answer, the same on every node.

use super::{
    command::{RegistryCommand, RegistryOutcome, Request},
    history::HistoryEntry,
    plan::{LeftOut, Plan},
    region::{Founding, Region, RegionGroup, RegionSettings, RegionState},
    state::{Registry, View},
};
use proto::{
    id::{NodeId, RegionId, Revision, ViewId},
    limits::REGIONS,
    reason::{Reason, Refusal},
    time::EventTime,
};
use std::{sync::Arc, time::Duration};

/// The change in words, and the plan where definitions were applied.
pub(super) type Changed = (Vec<String>, Option<Plan>);

impl Registry {
    /// Carries a command out, or says why not.
    pub fn apply(&mut self, command: RegistryCommand) -> RegistryOutcome {
        let mut next = self.clone();
        // Floors rise by themselves, all day long: they would push what people did out of the history.
        let kept = !matches!(command.request, Request::RaiseFloors { .. });
        let result = next.carry_out(command.request, command.at_millis);
        match result {
            Err(refusals) => RegistryOutcome::Refused {
                revision: self.revision,
                refusals,
            },
            Ok((changes, plan)) if changes.is_empty() => RegistryOutcome::Done {
                revision: self.revision,
                changed: false,
                plan,
            },
            Ok((changes, plan)) => {
                next.revision = Revision(self.revision.0 + 1);
                if kept {
                    let (revision, before) = (next.revision, self.before(&next));
                    let RegistryCommand {
                        author, at_millis, ..
                    } = command;
                    next.record(HistoryEntry {
                        revision,
                        author,
                        at_millis,
                        changes,
                        before,
                        bytes: 0,
                    });
                }
                *self = next;
                RegistryOutcome::Done {
                    revision: self.revision,
                    changed: true,
                    plan,
                }
            }
        }
    }

    fn carry_out(&mut self, request: Request, at_millis: u64) -> Result<Changed, Vec<Refusal>> {
        if self.founding.is_none() && !matches!(request, Request::Found { .. }) {
            return Err(vec![Refusal::new(
                Reason::NotReady,
                "there is no cluster yet; found it with atoll init",
            )]);
        }
        let words = match request {
            Request::Apply {
                definitions,
                prune,
                expect_revision,
                breaking,
            } => {
                self.expect(expect_revision)?;
                let left_out = if prune { LeftOut::Goes } else { LeftOut::Stays };
                return self.define(self.draft(&definitions, left_out), breaking);
            }
            Request::Rollback {
                to,
                expect_revision,
                breaking,
            } => {
                self.expect(expect_revision)?;
                let draft = self.draft_rollback(to).map_err(|refusal| vec![refusal])?;
                return self.define(draft, breaking);
            }
            Request::Found {
                founding,
                regions,
                security,
            } => self.found(founding, regions).map(|mut words| {
                words.extend(
                    security
                        .map(|security| self.secure(security))
                        .unwrap_or_default(),
                );
                words
            }),
            Request::AddRegion { settings } => self.add_region(settings, RegionState::Joining),
            Request::ChangeRegion { region, settings } => self.change_region(region, settings),
            Request::SetRegionState { region, from, to } => self.set_region_state(region, from, to),
            Request::FoundGroup {
                region,
                expected,
                founder,
            } => self.found_group(region, expected, founder),
            Request::RaiseFloors { floors } => Ok(self.raise_floors(&floors, at_millis)),
            Request::CreateToken { token } => self.create_token(token, at_millis),
            Request::RevokeToken { id } => self.revoke_token(id),
            Request::SetQuota { project, quota } => self.set_quota(&project, quota),
            Request::UseJoinToken { id, by } => self.use_join_token(id, by, at_millis),
        };
        words
            .map(|words| (words, None))
            .map_err(|refusal| vec![refusal])
    }

    fn found(
        &mut self,
        founding: Founding,
        regions: Vec<RegionSettings>,
    ) -> Result<Vec<String>, Refusal> {
        if let Some(present) = &self.founding {
            let message = format!(
                "this is cluster {} ({}) already",
                present.name, present.cluster
            );
            return Err(Refusal::new(Reason::InvalidRequest, message));
        }
        founding.check()?;
        if regions.is_empty() {
            return Err(Refusal::of_field(
                Reason::InvalidDefinition,
                "region",
                "a cluster has at least one region",
            ));
        }
        let mut words = vec![format!(
            "found cluster {} with {} shards",
            founding.name, founding.sharding.shards
        )];
        self.founding = Some(Arc::new(founding));
        // The only region waits for nobody; of several each says when it can serve.
        let state = match regions.len() {
            1 => RegionState::Active,
            _ => RegionState::Joining,
        };
        for settings in regions {
            words.extend(self.add_region(settings, state)?);
        }
        Ok(words)
    }

    fn add_region(
        &mut self,
        settings: RegionSettings,
        state: RegionState,
    ) -> Result<Vec<String>, Refusal> {
        settings.check()?;
        let name = settings.name.clone();
        if self.region(name.as_str()).is_some() {
            let message = format!("region {name} exists; names of regions are never used twice");
            return Err(Refusal::of_field(
                Reason::InvalidDefinition,
                "region.name",
                message,
            ));
        }
        if self.regions.len() >= REGIONS {
            let message = format!("a cluster has at most {REGIONS} regions");
            return Err(Refusal::of_field(
                Reason::InvalidDefinition,
                "region",
                message,
            ));
        }
        let id = self.next.region;
        self.next.region = RegionId(id.0 + 1);
        self.regions.insert(
            id,
            Arc::new(Region {
                id,
                settings,
                state,
                group: None,
            }),
        );
        Ok(vec![format!("add region {name}")])
    }

    fn known_region(&mut self, id: RegionId) -> Result<&mut Region, Refusal> {
        let unknown = || {
            Refusal::of_field(
                Reason::InvalidRequest,
                "region",
                format!("there is no region {id}"),
            )
        };
        self.regions
            .get_mut(&id)
            .map(Arc::make_mut)
            .ok_or_else(unknown)
    }

    fn change_region(
        &mut self,
        id: RegionId,
        settings: RegionSettings,
    ) -> Result<Vec<String>, Refusal> {
        settings.check()?;
        let region = self.known_region(id)?;
        if region.settings.name != settings.name {
            return Err(Refusal::of_field(
                Reason::InvalidDefinition,
                "region.name",
                "a region keeps its name",
            ));
        }
        if region.settings == settings {
            return Ok(Vec::new());
        }
        let words = format!("change the settings of region {}", settings.name);
        region.settings = settings;
        Ok(vec![words])
    }

    fn set_region_state(
        &mut self,
        id: RegionId,
        from: RegionState,
        to: RegionState,
    ) -> Result<Vec<String>, Refusal> {
        let region = self.known_region(id)?;
        let name = region.settings.name.clone();
        if region.state == to {
            return Ok(Vec::new());
        }
        if region.state != from || !from.may_become(to) {
            let message = format!(
                "region {name} is {:?} and cannot go from {from:?} to {to:?}",
                region.state
            );
            return Err(Refusal::of_field(
                Reason::IncompatibleChange,
                "region",
                message.to_lowercase(),
            ));
        }
        region.state = to;
        Ok(vec![
            format!("region {name}: {from:?} → {to:?}").to_lowercase(),
        ])
    }

    fn found_group(
        &mut self,
        id: RegionId,
        expected: Option<u32>,
        founder: NodeId,
    ) -> Result<Vec<String>, Refusal> {
        let region = self.known_region(id)?;
        let present = region.group.map(|group| group.number);
        let number = expected.map_or(1, |number| number.saturating_add(1));
        if present == Some(number) && region.group.is_some_and(|group| group.founder == founder) {
            // The answer to an earlier try was lost.
            return Ok(Vec::new());
        }
        if present != expected {
            let message = format!(
                "the group of region {} was founded by another node; join it",
                region.settings.name
            );
            return Err(Refusal::of_field(
                Reason::RevisionChanged,
                "region",
                message,
            ));
        }
        region.group = Some(RegionGroup { number, founder });
        Ok(vec![format!(
            "group {number} of region {} founded by node {founder}",
            region.settings.name
        )])
    }

    /// A floor never passes what the view's present TTL, and the grace after it, still need.
    fn raise_floors(&mut self, floors: &[(ViewId, EventTime)], at_millis: u64) -> Vec<String> {
        let now = EventTime::saturating(at_millis.saturating_mul(1_000));
        let mut words = Vec::new();
        for (id, floor) in floors {
            let Some(view) = self.views.get_mut(id) else {
                continue;
            };
            let Some(ttl) = view.settings.ttl.span() else {
                continue;
            };
            let grace = Duration::from_millis(
                ttl.millis()
                    .saturating_add(view.settings.purge_after.millis()),
            );
            if *floor > view.floor && *floor <= now.minus(grace) {
                let view: &mut View = Arc::make_mut(view);
                view.floor = *floor;
                words.push(format!(
                    "floor of view {} → {} µs",
                    view.label(),
                    floor.micros()
                ));
            }
        }
        words
    }
}
