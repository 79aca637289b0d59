//! `POST /get-online-features`.

use super::{
    Called, Compat,
    fault::Fault,
    time,
    validate::{Flag, Form},
    value,
};
use crate::{
    Gateway,
    catalog::{Catalog, Project, View},
    http::{
        cell::{Style, Values},
        lookup::typed_keys,
    },
    lookup::gather::Status,
};
use axum::{body::Body, http::StatusCode};
use proto::{reason::Reason, types::Scalar};
use serde::Serialize;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};
use wire::twin::{self, lookup_request::Select};

const NEVER: &str = "1970-01-01T00:00:00Z";

/// The answer's body.
#[derive(Debug, Serialize)]
pub struct Answer {
    metadata: Metadata,
    results: Vec<Column>,
}

#[derive(Debug, Default, Serialize)]
struct Metadata {
    feature_names: Vec<String>,
}

/// A join key or a feature over all rows.
#[derive(Debug, Serialize)]
struct Column {
    values: Vec<Value>,
    statuses: Vec<&'static str>,
    event_timestamps: Vec<String>,
}

/// One feature that is asked for.
struct Asked {
    view: Arc<View>,
    feature: String,
}

/// Answers a read.
pub async fn answer(gateway: &Arc<Gateway>, called: &Called, body: Body) -> Result<Answer, Fault> {
    let mut form = Form::read(body).await?;
    let entities = form.lists("entities");
    let service = form.optional_text("feature_service");
    let references = form.texts("features");
    let full_names = form.flag("full_feature_names", Flag::No);
    form.flag("include_feature_view_version_metadata", Flag::No);
    form.check()?;

    let catalog = gateway.catalog()?;
    let project = catalog.project(&called.project)?;
    let asked = match service.filter(|name| !name.is_empty()) {
        Some(service) => of_service(project, &service)?,
        None => of_references(project, &references)?,
    };
    let names = names(&asked, full_names)?;
    let keys = Keys::read(project, entities, called.compat)?;
    let (complete, partial) = keys.split(&asked, called.compat)?;
    let found = look_up(gateway, called, &catalog, &complete, &keys).await?;
    Ok(put_together(keys, names, found, &partial))
}

fn of_service(project: &Project, name: &str) -> Result<Vec<Asked>, Fault> {
    let columns = project.service(name).map_err(|_| {
        let message = format!(
            "Feature service {name} does not exist in project {}",
            project.name
        );
        Fault::feast(
            StatusCode::NOT_FOUND,
            "FeatureServiceNotFoundException",
            message,
        )
    })?;
    let column = |column: &crate::catalog::ServiceColumn| Asked {
        view: Arc::clone(&column.view),
        feature: column.view.features[usize::from(column.feature.0)]
            .name
            .to_string(),
    };
    Ok(columns.iter().map(column).collect())
}

fn of_references(project: &Project, references: &[String]) -> Result<Vec<Asked>, Fault> {
    if references.is_empty() {
        return Err(Fault::caller("No features specified for retrieval"));
    }
    references
        .iter()
        .map(|reference| of_reference(project, reference))
        .collect()
}

/// `view:feature`, or `view@v2:feature`.
fn of_reference(project: &Project, reference: &str) -> Result<Asked, Fault> {
    let Some((view, feature)) = reference.split_once(':') else {
        return Err(Fault::caller(format!(
            "Invalid feature reference '{reference}'. Expected format: '<feature_view>:<feature>' or \
             '<feature_view>@<version>:<feature>'"
        )));
    };
    let view = project.view(&view.replacen("@v", "@", 1)).map_err(|_| {
        let message = format!(
            "Feature view {view} does not exist in project {}",
            project.name
        );
        Fault::feast(
            StatusCode::NOT_FOUND,
            "FeatureViewNotFoundException",
            message,
        )
    })?;
    if view.by_name.keys().all(|name| name.as_str() != feature) {
        return Err(Fault::Other {
            status: StatusCode::NOT_FOUND,
            message: format!("'Feature {feature} not found in projection {}'", view.name),
        });
    }
    Ok(Asked {
        view: Arc::clone(view),
        feature: feature.to_owned(),
    })
}

/// The names in the answer, each of which must be one's own.
fn names(asked: &[Asked], full_names: Flag) -> Result<Vec<String>, Fault> {
    let name = |asked: &Asked| match full_names {
        Flag::Yes => format!("{}__{}", asked.view.name, asked.feature),
        Flag::No => asked.feature.clone(),
    };
    let names: Vec<String> = asked.iter().map(name).collect();
    let mut seen = HashSet::new();
    let doubled: Vec<&str> = names
        .iter()
        .map(String::as_str)
        .filter(|name| !seen.insert(*name))
        .collect();
    if doubled.is_empty() {
        return Ok(names);
    }
    let way_out = match full_names {
        Flag::Yes => {
            "please ensure that the feature views or their own features have different names. If you're \
             intentionally joining the same feature view twice on different sets of entities, please rename one \
             of the feature views with '.with_name'."
        }
        Flag::No => {
            "either use the full feature name by setting 'full_feature_names=True', or ensure that the features \
             in question have different names."
        }
    };
    let message = format!(
        "Duplicate features named {} found.\nTo resolve this collision, {way_out}",
        doubled.join(", ")
    );
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    Err(Fault::feast(status, "FeatureNameCollisionError", message))
}

/// The join keys of a request, of the types that the project gives them.
struct Keys {
    columns: BTreeMap<String, (Scalar, Vec<Value>)>,
    rows: usize,
}

impl Keys {
    /// Names that are no join keys are left out, as Feast does. An entity's name stands for its key.
    fn read(
        project: &Project,
        entities: Vec<(String, Vec<Value>)>,
        compat: Compat,
    ) -> Result<Self, Fault> {
        let rows = entities.first().map_or(0, |(_, values)| values.len());
        if entities.iter().any(|(_, values)| values.len() != rows) {
            return Err(Fault::caller("All entity rows must have the same columns."));
        }
        let mut columns = BTreeMap::new();
        for (name, values) in entities {
            let Some((name, ty)) = key_of(project, &name) else {
                continue;
            };
            let converted = values.iter().map(|given| key(&name, given, ty, compat));
            columns.insert(name.clone(), (ty, converted.collect::<Result<_, _>>()?));
        }
        Ok(Self { columns, rows })
    }

    /// The features whose keys are all given, and those of which some are, by their places: in Python
    /// nothing is found for these. Without any key, or without a row, there is nothing to ask.
    fn split<'a>(
        &self,
        asked: &'a [Asked],
        compat: Compat,
    ) -> Result<(Vec<&'a Asked>, HashSet<usize>), Fault> {
        let (mut complete, mut partial) = (Vec::new(), HashSet::new());
        for (place, asked) in asked.iter().enumerate() {
            let wanted = || asked.view.entity.keys.iter().map(|key| key.name.as_str());
            let missing: Vec<&str> = wanted()
                .filter(|key| !self.columns.contains_key(*key))
                .collect();
            let has_some = missing.len() < wanted().count() && self.rows > 0;
            match (missing.is_empty() && self.rows > 0, compat) {
                (true, _) => complete.push(asked),
                (false, Compat::Python) if has_some => {
                    partial.insert(place);
                }
                _ => {
                    return Err(Fault::caller(format!(
                        "Missing join key values for keys: {:?}. View {} needs a list for each of {:?}.",
                        missing,
                        asked.view.name,
                        wanted().collect::<Vec<_>>()
                    )));
                }
            }
        }
        Ok((complete, partial))
    }
}

fn key_of(project: &Project, name: &str) -> Option<(String, Scalar)> {
    let keys = project.entities.values().flat_map(|entity| &entity.keys);
    let named = keys.clone().find(|key| key.name.as_str() == name);
    let of_entity = || {
        let entity = project
            .entities
            .values()
            .find(|entity| entity.name.as_str() == name)?;
        entity.keys.first().filter(|_| entity.keys.len() == 1)
    };
    let key = named.or_else(of_entity)?;
    Some((key.name.to_string(), key.ty))
}

fn key(name: &str, given: &Value, ty: Scalar, compat: Compat) -> Result<Value, Fault> {
    if matches!(given, Value::Null | Value::Array(_) | Value::Object(_)) {
        return Err(Fault::caller(format!(
            "join key {name} is {}, and {given} is given",
            ty.as_str()
        )));
    }
    value::scalar(given, ty, compat).map_err(Fault::caller)
}

async fn look_up(
    gateway: &Arc<Gateway>,
    called: &Called,
    catalog: &Catalog,
    asked: &[&Asked],
    keys: &Keys,
) -> Result<Vec<Column>, Fault> {
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let project = catalog.project(&called.project)?;
    let names = asked.iter().map(|asked| {
        format!(
            "{}@{}:{}",
            asked.view.name, asked.view.version, asked.feature
        )
    });
    let columns = keys.columns.iter();
    let rows = columns.map(|(name, (ty, values))| typed_keys(name, values, *ty, "entities"));
    let request = twin::LookupRequest {
        project: project.name.to_string(),
        select: Some(Select::Features(twin::Features {
            names: names.collect(),
        })),
        rows: rows
            .collect::<Result<_, _>>()
            .map_err(|refusal| Fault::from(crate::failure::Failure::from(refusal)))?,
        event_times: true,
        no_defaults: true,
        ..Default::default()
    };
    let response = gateway.lookup(&called.caller, &request, None).await?;
    let columns = response.columns.iter();
    columns
        .map(|column| feature(column, &response, called.compat))
        .collect()
}

fn feature(
    column: &twin::Column,
    response: &twin::LookupResponse,
    compat: Compat,
) -> Result<Column, Fault> {
    let rows = response.row_count as usize;
    let array = |place: u32| (place as usize).checked_sub(1);
    let bytes = array(column.statuses).map(|place| &*response.statuses[place]);
    let statuses = match bytes {
        None => vec![Status::Present; rows],
        Some(bytes) => bytes
            .iter()
            .filter_map(|byte| Some(Status::from_byte(*byte)?.0))
            .collect(),
    };
    if statuses.contains(&Status::Unavailable) {
        let message = format!(
            "the rows of {} could not be read now; try again",
            column.feature
        );
        return Err(Fault::text(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("{message} [{}]", Reason::NoPrimary),
        ));
    }
    let values = serde_json::to_value(Values::new(column, rows, bytes, Style::Feast));
    let Ok(Value::Array(values)) = values else {
        return Err(Fault::text(
            StatusCode::INTERNAL_SERVER_ERROR,
            "a column could not be written",
        ));
    };
    let times = array(column.times).map(|place| wire::codec::joined(&response.times[place].micros));
    let time = |row: usize| {
        let bytes = times.as_ref()?.get(row * 8..)?.first_chunk()?;
        Some(i64::from_le_bytes(*bytes)).filter(|micros| *micros != 0)
    };
    Ok(Column {
        values,
        event_timestamps: (0..rows)
            .map(|row| {
                time(row).map_or_else(|| NEVER.to_owned(), |micros| time::text(micros, compat))
            })
            .collect(),
        statuses: statuses
            .into_iter()
            .map(|status| status_name(status, compat))
            .collect(),
    })
}

const fn status_name(status: Status, compat: Compat) -> &'static str {
    match (status, compat) {
        (Status::NullValue, Compat::Python) | (Status::Present, _) => "PRESENT",
        (Status::NullValue, Compat::Spec) => "NULL_VALUE",
        (Status::NotFound | Status::Unavailable, _) => "NOT_FOUND",
        (Status::OutsideMaxAge, _) => "OUTSIDE_MAX_AGE",
    }
}

/// Join keys first, then the features in the order of the request.
fn put_together(
    keys: Keys,
    names: Vec<String>,
    found: Vec<Column>,
    partial: &HashSet<usize>,
) -> Answer {
    let rows = keys.rows;
    let mut answer = Answer {
        metadata: Metadata::default(),
        results: Vec::with_capacity(keys.columns.len() + names.len()),
    };
    let everywhere = |status, value: Vec<Value>| Column {
        values: value,
        statuses: vec![status; rows],
        event_timestamps: vec![NEVER.to_owned(); rows],
    };
    for (name, (_, values)) in keys.columns {
        answer.metadata.feature_names.push(name);
        answer.results.push(everywhere("PRESENT", values));
    }
    let mut found = found.into_iter();
    for (place, name) in names.into_iter().enumerate() {
        let column = if partial.contains(&place) {
            everywhere("NOT_FOUND", vec![json!(null); rows])
        } else {
            found
                .next()
                .expect("each feature with all its keys was looked up")
        };
        answer.metadata.feature_names.push(name);
        answer.results.push(column);
    }
    answer
}
