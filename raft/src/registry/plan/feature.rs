//! Features of a view that exists: added at its end, widened, deprecated; never moved or removed.

use super::super::{
    check,
    definition::{FeatureDefinition, ViewDefinition},
    literal::Literal,
    state::{Feature, View, feature_id},
};
use super::{Action, LeftOut, draft::Draft};
use proto::{
    id::{ProjectId, SchemaVersion},
    limits::FEATURES_PER_VIEW,
    name::Name,
    reason::Reason,
    types::Type,
};

impl Draft {
    pub(super) fn alter_features(
        &mut self,
        view: &mut View,
        definition: &ViewDefinition,
        object: &str,
    ) {
        let Some(next) = view.schema.0.checked_add(1).map(SchemaVersion) else {
            return self.needs_version(view, object, "it has had 65,535 schema versions".into());
        };
        let before = view.features.clone();
        let mut last = None;
        for feature in &definition.features {
            match before
                .iter()
                .position(|present| present.name == feature.name)
            {
                Some(place) => {
                    if last.is_some_and(|last| place < last) {
                        let why = format!(
                            "feature {} stands after features that follow it in the view",
                            feature.name
                        );
                        self.needs_version(view, object, why);
                        return;
                    }
                    last = Some(place);
                    self.alter_feature(view, place, feature, next, object);
                }
                None => self.add_feature(view, feature, next, object),
            }
        }
        self.leave_out_features(view, definition, object);
        if columns(&before) != columns(&view.features) {
            view.schema = next;
        }
        let fixed = check::fixed_bytes(
            view.features
                .iter()
                .map(|feature| (feature.ty(), Some(feature.combine))),
        );
        if !check::fits_a_row(fixed) || view.features.len() > FEATURES_PER_VIEW {
            let why = if check::fits_a_row(fixed) {
                format!("a view has at most {FEATURES_PER_VIEW} features; split it")
            } else {
                check::too_wide(fixed)
            };
            self.refuse(Reason::InvalidDefinition, object, why);
        }
    }

    fn add_feature(
        &mut self,
        view: &mut View,
        feature: &FeatureDefinition,
        next: SchemaVersion,
        object: &str,
    ) {
        let new = feature_of(feature, next);
        let default = new
            .default
            .as_ref()
            .map_or(String::new(), |default| format!(", default {default}"));
        let words = format!("{}{default}", new.ty());
        let label = feature_label(object, &new.name);
        self.change(view.project, Action::Create, label).to = Some(words);
        view.features.push(new);
    }

    fn alter_feature(
        &mut self,
        view: &mut View,
        place: usize,
        wanted: &FeatureDefinition,
        next: SchemaVersion,
        object: &str,
    ) {
        let mut feature = view.features[place].clone();
        let label = feature_label(object, &feature.name);
        let combine = self.settle(
            wanted.combine.as_ref(),
            &feature.combine,
            Default::default(),
        );
        if combine != feature.combine {
            self.needs_version(
                view,
                object,
                format!("combine of {} cannot change", feature.name),
            );
        }
        if wanted.ty != feature.ty() {
            if self.left_out == LeftOut::Recedes && wanted.ty.widens_to(feature.ty()) {
                let why = format!(
                    "{} was widened from {} to {} since, and rows may hold values that do not fit back",
                    feature.name,
                    wanted.ty,
                    feature.ty()
                );
                return self.needs_version(view, object, why);
            }
            if !feature.ty().widens_to(wanted.ty) {
                let why = format!(
                    "{} is {} and cannot become {}",
                    feature.name,
                    feature.ty(),
                    wanted.ty
                );
                return self.needs_version(view, object, why);
            }
            self.alter(
                view.project,
                &label,
                "type",
                feature.ty().to_string(),
                wanted.ty.to_string(),
            );
            feature.types.push((next, wanted.ty));
        }
        self.alter_default(view.project, &mut feature, wanted, &label);
        let description = self.settle(
            wanted.description.as_ref(),
            &feature.description,
            String::new(),
        );
        self.alter(
            view.project,
            &label,
            "description",
            feature.description.clone(),
            description.clone(),
        );
        feature.description = description;
        let deprecated = self.settle(wanted.deprecated.as_ref(), &feature.deprecated, false);
        self.deprecate(view, &mut feature, deprecated, label);
        view.features[place] = feature;
    }

    fn alter_default(
        &mut self,
        project: ProjectId,
        feature: &mut Feature,
        wanted: &FeatureDefinition,
        label: &str,
    ) {
        let present = feature.default.clone().unwrap_or(Literal::Null);
        let default = self.settle(wanted.default.as_ref(), &present, Literal::Null);
        if stored(&present, feature.ty()) != stored(&default, feature.ty())
            || (present == Literal::Null) != (default == Literal::Null)
        {
            self.alter(
                project,
                label,
                "default",
                present.to_string(),
                default.to_string(),
            );
            feature.default = (default != Literal::Null).then_some(default);
        }
    }

    fn deprecate(&mut self, view: &View, feature: &mut Feature, deprecated: bool, label: String) {
        match (feature.deprecated, deprecated) {
            (false, true) => {
                let place = view.feature(feature.name.as_str());
                let read_by = place.map_or_else(Vec::new, |(id, _)| {
                    self.before.readers_of_feature(view.id, id)
                });
                self.change(view.project, Action::Deprecate, label).read_by = read_by;
            }
            (true, false) => self.alter(
                view.project,
                &label,
                "deprecated",
                "true".into(),
                "false".into(),
            ),
            (true, true) | (false, false) => {}
        }
        feature.deprecated = deprecated;
    }

    fn leave_out_features(&mut self, view: &mut View, definition: &ViewDefinition, object: &str) {
        for place in 0..view.features.len() {
            let mut feature = view.features[place].clone();
            if definition
                .features
                .iter()
                .any(|wanted| wanted.name == feature.name)
            {
                continue;
            }
            let label = feature_label(object, &feature.name);
            match self.left_out {
                LeftOut::Stays => self.plan.kept.push(label),
                LeftOut::Recedes => {
                    self.deprecate(view, &mut feature, true, label);
                    view.features[place] = feature;
                }
                LeftOut::Goes => {
                    let readers = self.before.readers_of_feature(view.id, feature_id(place));
                    let read_by = if readers.is_empty() {
                        String::new()
                    } else {
                        format!(" (read by {})", readers.join(", "))
                    };
                    let why = format!(
                        "feature {}{read_by} cannot go; write deprecated: true instead",
                        feature.name
                    );
                    self.needs_version(view, object, why);
                }
            }
        }
    }
}

/// A feature as it is made.
pub(super) fn feature_of(definition: &FeatureDefinition, schema: SchemaVersion) -> Feature {
    Feature {
        name: definition.name.clone(),
        types: vec![(schema, definition.ty)],
        combine: definition.combine.unwrap_or_default(),
        default: definition
            .default
            .clone()
            .filter(|default| *default != Literal::Null),
        deprecated: definition.deprecated.unwrap_or_default(),
        description: definition.description.clone().unwrap_or_default(),
    }
}

fn feature_label(view_object: &str, name: &Name) -> String {
    format!("feature {}:{name}", view_object.trim_start_matches("view "))
}

fn columns(features: &[Feature]) -> Vec<Type> {
    features.iter().map(Feature::ty).collect()
}

/// A default as the bytes that would be served, so that `0` and `0.0` are the same float.
fn stored(default: &Literal, ty: Type) -> Option<Vec<u8>> {
    default.value(ty).ok()?.encode(ty).ok()
}
