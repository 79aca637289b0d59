//! Views: what may change in place, and what needs a new version.
//!
//! In place: a feature more, a wider type, a default, a deprecation, TTL and what is only for
//! people. Everything else (entity, order, placement, order or loss of features, another type)
//! would change what stored rows or running readers mean.

use super::super::{
    definition::{DefinitionFile, Regions, ViewDefinition},
    span::Horizon,
    state::{EVERYWHERE, Entity, View, ViewSettings},
};
use super::{Action, LeftOut, draft::Draft, feature::feature_of};
use proto::{
    id::{PlacementId, ProjectId, RegionId, SchemaVersion, ViewId},
    name::Name,
    nearby,
    reason::{Reason, Refusal},
    time::EventTime,
};
use std::{collections::BTreeSet, sync::Arc};

impl Draft {
    pub(super) fn views(&mut self, file: &DefinitionFile) {
        let project = self.project(&file.project);
        for definition in &file.views {
            let object = format!("view {}@{}", definition.name, definition.version);
            if !self.name(project, &object) {
                continue;
            }
            let Some(entity) = self
                .registry
                .entity(project, definition.entity.as_str())
                .cloned()
            else {
                self.refuse_entity(project, &definition.entity, &object);
                continue;
            };
            if let Some(taken) = definition
                .features
                .iter()
                .find(|f| entity.keys.iter().any(|k| k.name == f.name))
            {
                let message = format!(
                    "feature {} has the name of a join key of {}; rename it",
                    taken.name, entity.name
                );
                self.refuse(Reason::InvalidDefinition, &object, message);
                continue;
            }
            let placement = match self.placement(definition, &object) {
                Ok(placement) => placement,
                Err(refusal) => {
                    self.plan.refusals.push(refusal);
                    continue;
                }
            };
            match self
                .registry
                .view(project, definition.name.as_str(), Some(definition.version))
                .cloned()
            {
                None => {
                    self.create_view(definition, &entity, placement.unwrap_or(EVERYWHERE), object);
                }
                Some(present) => self.alter_view(&present, definition, &entity, placement, &object),
            }
        }
    }

    fn refuse_entity(&mut self, project: ProjectId, entity: &Name, object: &str) {
        let entities = self.registry.entities.values();
        let names = entities.filter(|other| other.project == project);
        let names = names.map(|other| other.name.as_str());
        let hint = nearby::hint(entity.as_str(), names, "entities");
        let message =
            format!("{object} names entity {entity}, which does not exist; define it ({hint})");
        self.refuse(Reason::UnknownEntity, object, message);
    }

    fn create_view(
        &mut self,
        definition: &ViewDefinition,
        entity: &Entity,
        placement: PlacementId,
        object: String,
    ) {
        let id = self.registry.next.view;
        self.registry.next.view = ViewId(id.0 + 1);
        let schema = SchemaVersion(1);
        let max_late = definition.max_late.unwrap_or(Horizon::Unlimited);
        let view = View {
            id,
            project: entity.project,
            name: definition.name.clone(),
            version: definition.version,
            entity: entity.id,
            schema,
            features: definition
                .features
                .iter()
                .map(|feature| feature_of(feature, schema))
                .collect(),
            order_by: definition.order_by.unwrap_or_default(),
            placement,
            max_late,
            collect_late: max_late,
            floor: EventTime::default(),
            settings: self.settings(definition, &ViewSettings::default()),
            since: Default::default(),
        };
        // A view comes back under a new id: its rows went with the old one.
        let rows = match self.left_out {
            LeftOut::Recedes => "; without the rows that it had",
            LeftOut::Stays | LeftOut::Goes => "",
        };
        let words = format!(
            "{} features of {}, ttl {}{rows}",
            view.features.len(),
            entity.name,
            view.settings.ttl
        );
        self.change(entity.project, Action::Create, object).to = Some(words);
        self.registry.views.insert(id, Arc::new(view));
    }

    fn alter_view(
        &mut self,
        present: &Arc<View>,
        definition: &ViewDefinition,
        entity: &Entity,
        placement: Option<PlacementId>,
        object: &str,
    ) {
        let mut view = View::clone(present);
        self.compare_fixed(present, definition, entity, placement, object);
        let settings = self.settings(definition, &present.settings);
        self.alter_settings(present.project, object, &present.settings, &settings);
        view.settings = settings;
        let max_late = self.settle(
            definition.max_late.as_ref(),
            &present.max_late,
            Horizon::Unlimited,
        );
        self.alter(
            present.project,
            object,
            "max_late",
            present.max_late.to_string(),
            max_late.to_string(),
        );
        view.max_late = max_late;
        self.alter_features(&mut view, definition, object);
        if view != **present {
            self.registry.views.insert(view.id, Arc::new(view));
        }
    }

    /// Refuses what a version of a view keeps for ever.
    fn compare_fixed(
        &mut self,
        present: &View,
        definition: &ViewDefinition,
        entity: &Entity,
        placement: Option<PlacementId>,
        object: &str,
    ) {
        if present.entity != entity.id {
            let from = self.registry.entities[&present.entity].name.clone();
            self.needs_version(
                present,
                object,
                format!("its entity is {from} and the file asks for {}", entity.name),
            );
        }
        let order_by = self.settle(
            definition.order_by.as_ref(),
            &present.order_by,
            Default::default(),
        );
        if order_by != present.order_by {
            self.needs_version(
                present,
                object,
                "order_by cannot change, since stored versions follow it".into(),
            );
        }
        if self.settle(placement.as_ref(), &present.placement, EVERYWHERE) != present.placement {
            self.needs_version(
                present,
                object,
                "the regions that hold it cannot change".into(),
            );
        }
        let max_late = self.settle(
            definition.max_late.as_ref(),
            &present.max_late,
            Horizon::Unlimited,
        );
        if max_late > present.max_late {
            let why = format!(
                "max_late cannot grow from {} to {max_late}: deletions that were collected by the shorter one \
                 would let older events bring rows back",
                present.max_late
            );
            self.needs_version(present, object, why);
        }
    }

    pub(super) fn needs_version(&mut self, view: &View, object: &str, why: String) {
        let message = if self.left_out == LeftOut::Recedes {
            format!(
                "{object}: {why}; a rollback cannot undo that: take the definitions of then \
                 (atoll registry export --revision), keep this as it is now, and apply them"
            )
        } else {
            let newest = self
                .registry
                .view(view.project, view.name.as_str(), None)
                .map_or(view.version, |v| v.version);
            let next = newest.saturating_add(1);
            format!(
                "{object}: {why}; make it version {next} of the view, fill it, and switch services to it"
            )
        };
        self.refuse(Reason::IncompatibleChange, object, message);
    }

    fn settings(&self, definition: &ViewDefinition, present: &ViewSettings) -> ViewSettings {
        let new = ViewSettings::default();
        ViewSettings {
            ttl: self.settle(definition.ttl.as_ref(), &present.ttl, new.ttl),
            purge_after: self.settle(
                definition.purge_after.as_ref(),
                &present.purge_after,
                new.purge_after,
            ),
            elsewhere: self.settle(
                definition.elsewhere.as_ref(),
                &present.elsewhere,
                new.elsewhere,
            ),
            owner: self.settle(definition.owner.as_ref(), &present.owner, new.owner),
            description: self.settle(
                definition.description.as_ref(),
                &present.description,
                new.description,
            ),
            tags: self.settle(definition.tags.as_ref(), &present.tags, new.tags),
            freshness: self.settle(
                definition.freshness.as_ref(),
                &present.freshness,
                new.freshness,
            ),
        }
    }

    fn alter_settings(
        &mut self,
        project: ProjectId,
        object: &str,
        from: &ViewSettings,
        to: &ViewSettings,
    ) {
        let elsewhere =
            |settings: &ViewSettings| format!("{:?}", settings.elsewhere).to_lowercase();
        let fields = [
            ("ttl", from.ttl.to_string(), to.ttl.to_string()),
            (
                "purge_after",
                from.purge_after.to_string(),
                to.purge_after.to_string(),
            ),
            ("elsewhere", elsewhere(from), elsewhere(to)),
            ("owner", from.owner.clone(), to.owner.clone()),
            (
                "description",
                from.description.clone(),
                to.description.clone(),
            ),
            ("tags", from.tags.join(", "), to.tags.join(", ")),
            (
                "freshness",
                from.freshness.to_string(),
                to.freshness.to_string(),
            ),
        ];
        for (field, from, to) in fields {
            self.alter(project, object, field, from, to);
        }
    }

    /// The placement of the regions a definition names; a set that is new gets an id.
    fn placement(
        &mut self,
        definition: &ViewDefinition,
        object: &str,
    ) -> Result<Option<PlacementId>, Refusal> {
        let names = match &definition.regions {
            None => return Ok(None),
            Some(Regions::All) => return Ok(Some(EVERYWHERE)),
            Some(Regions::Only(names)) => names,
        };
        let region = |name: &Name| {
            let known = self.registry.region(name.as_str()).map(|region| region.id);
            known.ok_or_else(|| {
                let known = self.registry.regions.values();
                let known = known.map(|region| region.settings.name.as_str());
                let hint = nearby::hint(name.as_str(), known, "regions");
                let message = format!("{object}: there is no region {name}; {hint}");
                Refusal::of_field(Reason::InvalidDefinition, object, message)
            })
        };
        let set = names
            .iter()
            .map(region)
            .collect::<Result<BTreeSet<RegionId>, _>>()?;
        if let Some((id, _)) = self
            .registry
            .placements
            .iter()
            .find(|(_, present)| **present == set)
        {
            return Ok(Some(*id));
        }
        let id = self.registry.next.placement;
        let next = id.0.checked_add(1).map(PlacementId).ok_or_else(|| {
            Refusal::of_field(
                Reason::InvalidDefinition,
                object,
                "there are too many sets of regions; use one of them",
            )
        })?;
        self.registry.next.placement = next;
        self.registry.placements.insert(id, set);
        Ok(Some(id))
    }
}
