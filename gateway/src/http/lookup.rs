//! `POST /v1/lookup`.

use super::{
    body::Object,
    cell::{Style, Values},
    scalar::scalar,
    text::{bytes_of, duration_of, encode_bytes, seconds, timestamp},
};
use crate::{
    Gateway,
    access::{Caller, Right},
    failure::Failure,
    lookup::{Selection, gather::Status},
};
use bytes::Bytes;
use proto::{
    reason::{Reason, Refusal},
    types::Scalar,
    value::Value,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value as Json;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use wire::twin::{self, lookup_request::Select};

/// The body of a lookup: either a service or features, of one shared entity and any number of rows.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "LookupRequest")]
pub struct Request {
    project: String,
    /// A feature service: its columns and their order never change.
    service: Option<String>,
    /// "view:feature", "view@version:feature" or "view:*".
    features: Option<Vec<String>>,
    /// One value for each join key: the user.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Json>")]
    shared: Object,
    /// A list for each join key, of equal lengths: the candidates.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Vec<Json>>")]
    rows: Object,
    /// What the answer must reflect, as given by an earlier write or lookup.
    token: Option<String>,
    /// How far the answer may be behind, as "5s".
    max_staleness: Option<String>,
    /// What to do when the token or max_staleness is not met by the deadline.
    #[serde(default)]
    on_stale: OnStale,
    /// How long to wait, as "20ms"; 5s where it is left out.
    deadline: Option<String>,
    /// Whether defaults are filled in where a value was not found.
    #[serde(default = "yes")]
    defaults: bool,
    /// Whether the event time of each value is given.
    #[serde(default)]
    event_times: bool,
    /// How values of int64 are written: strings are for readers whose numbers are floats.
    #[serde(default)]
    int64_as: JsonInt64,
}

const fn yes() -> bool {
    true
}

#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum OnStale {
    #[default]
    Fail,
    Serve,
}

#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum JsonInt64 {
    #[default]
    Number,
    String,
}

/// Answers a lookup.
pub async fn answer(
    gateway: &Arc<Gateway>,
    caller: &Caller,
    body: Request,
) -> Result<Answer, Failure> {
    // Before anything is looked up: what a project has is told to nobody else.
    caller.may(Right::Read, &body.project)?;
    let select = match (body.service, body.features) {
        (Some(service), None) => Select::Service(service),
        (None, Some(names)) => Select::Features(twin::Features { names }),
        (Some(_), Some(_)) | (None, None) => {
            return Err(Failure::new(
                Reason::InvalidRequest,
                "name either a service or features",
            ));
        }
    };
    let selection = gateway.select(&body.project, Some(&select))?;
    let types = key_types(&selection);
    let shared = body
        .shared
        .0
        .iter()
        .map(|(name, value)| key_column(name, std::slice::from_ref(value), &types, "shared"));
    let rows = body.rows.0.iter().map(|(name, values)| {
        let values = values.as_array().ok_or_else(|| {
            let message = format!("rows.{name} is a list, one value for each row");
            Refusal::of_field(Reason::InvalidRequest, format!("rows.{name}"), message)
        })?;
        key_column(name, values, &types, "rows")
    });
    let max_staleness = duration_of("max_staleness", body.max_staleness.as_deref())?;
    let request = twin::LookupRequest {
        project: body.project,
        select: Some(select),
        shared: shared.collect::<Result<_, _>>()?,
        rows: rows.collect::<Result<_, _>>()?,
        token: bytes_of("token", body.token.as_deref())?.into(),
        max_staleness_us: max_staleness
            .map(|span| u64::try_from(span.as_micros()).unwrap_or(u64::MAX)),
        on_stale: match body.on_stale {
            OnStale::Fail => twin::OnStale::Fail,
            OnStale::Serve => twin::OnStale::Serve,
        }
        .into(),
        event_times: body.event_times,
        no_defaults: !body.defaults,
        omit_names: false,
    };
    let deadline = duration_of("deadline", body.deadline.as_deref())?;
    let response = gateway.lookup(caller, &request, deadline).await?;
    let style = match body.int64_as {
        JsonInt64::Number => Style::Numbers,
        JsonInt64::String => Style::Int64AsText,
    };
    Ok(Answer { response, style })
}

fn key_types(selection: &Selection) -> BTreeMap<&str, Scalar> {
    let keys = selection.groups.iter().flat_map(|group| &group.entity.keys);
    keys.map(|key| (key.name.as_str(), key.ty)).collect()
}

/// A join key's column, by the type its entity gives it. Keys that no view of the lookup needs are
/// only counted.
fn key_column(
    name: &str,
    values: &[Json],
    types: &BTreeMap<&str, Scalar>,
    place: &str,
) -> Result<twin::KeyColumn, Refusal> {
    let Some(ty) = types.get(name).copied() else {
        let texts: Vec<Json> = values
            .iter()
            .map(|value| Json::String(value.to_string()))
            .collect();
        return typed_keys(name, &texts, Scalar::String, place);
    };
    typed_keys(name, values, ty, place)
}

pub(super) fn typed_keys(
    name: &str,
    values: &[Json],
    ty: Scalar,
    place: &str,
) -> Result<twin::KeyColumn, Refusal> {
    let mut column = twin::KeyColumn {
        name: name.to_owned(),
        ..Default::default()
    };
    let mut keys = KeyBuffer::default();
    for (row, value) in values.iter().enumerate() {
        let value = key_value(value, ty).map_err(|fault| {
            let at = if place == "rows" {
                format!("rows.{name}[{row}]")
            } else {
                format!("shared.{name}")
            };
            Refusal::of_field(
                Reason::WrongType,
                at,
                format!("join key {name} is {}: {fault}", ty.as_str()),
            )
        })?;
        keys.push(&value);
    }
    keys.fill(&mut column);
    Ok(column)
}

/// A join key's value; null is none.
pub(super) fn key_value(json: &Json, ty: Scalar) -> Result<Value, String> {
    if json.is_null() {
        Err("a key cannot be null".to_owned())
    } else {
        scalar(json, ty)
    }
}

/// The values of one join key, on their way to a wire column.
#[derive(Debug, Default)]
pub(super) struct KeyBuffer {
    ints: Vec<u8>,
    texts: Vec<Bytes>,
    blobs: Vec<Bytes>,
}

impl KeyBuffer {
    /// Adds a value. Types that no key can have were refused when the entity was defined.
    pub fn push(&mut self, value: &Value) {
        match value {
            Value::Bool(flag) => self.ints.extend(i64::from(*flag).to_le_bytes()),
            Value::Int32(number) => self.ints.extend(i64::from(*number).to_le_bytes()),
            Value::Int64(number) | Value::Timestamp(number) => {
                self.ints.extend(number.to_le_bytes());
            }
            Value::String(text) => self.texts.push(Bytes::copy_from_slice(text.as_bytes())),
            Value::Bytes(bytes) => self.blobs.push(Bytes::copy_from_slice(bytes)),
            _ => {}
        }
    }

    /// Adds a value that stands for none, in a row that was set aside.
    pub fn push_nothing(&mut self, ty: Scalar) {
        match ty {
            Scalar::String => self.texts.push(Bytes::new()),
            Scalar::Bytes => self.blobs.push(Bytes::new()),
            _ => self.ints.extend([0; 8]),
        }
    }

    /// Moves the values into `column`.
    pub fn fill(self, column: &mut twin::KeyColumn) {
        column.ints = if self.ints.is_empty() {
            Vec::new()
        } else {
            vec![self.ints.into()]
        };
        column.strings = self.texts;
        column.blobs = self.blobs;
    }
}

/// The answer's body.
pub struct Answer {
    response: twin::LookupResponse,
    style: Style,
}

impl Serialize for Answer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let response = &self.response;
        let staleness = response
            .staleness
            .iter()
            .map(|age| (age.origin.as_str(), age.micros));
        let ages: BTreeMap<&str, Option<u64>> = staleness.collect();
        let worst = ages
            .values()
            .copied()
            .max()
            .flatten()
            .filter(|_| ages.values().all(Option::is_some));
        let text = |micros: u64| seconds(Duration::from_micros(micros));
        AnswerBody {
            rows: response.row_count,
            features: response
                .columns
                .iter()
                .map(|column| self.feature(column))
                .collect(),
            region: &response.region,
            revision: response.revision,
            stale: response.stale,
            staleness: Staleness {
                worst: worst.map(text),
                origins: ages
                    .into_iter()
                    .map(|(origin, age)| (origin, age.map(text)))
                    .collect(),
            },
            token: encode_bytes(&response.token),
        }
        .serialize(serializer)
    }
}

impl Answer {
    fn feature<'a>(&'a self, column: &'a twin::Column) -> Feature<'a> {
        let rows = if column.shared {
            1
        } else {
            self.response.row_count as usize
        };
        let array = |place: u32| (place as usize).checked_sub(1);
        let statuses = array(column.statuses).map(|place| &*self.response.statuses[place]);
        let times = array(column.times).map(|place| &self.response.times[place]);
        Feature {
            name: &column.feature,
            ty: type_name(column),
            shared: column.shared,
            values: Values::new(column, rows, statuses, self.style),
            statuses: statuses.map_or_else(
                || vec![Status::Present.as_str(); rows],
                |bytes| bytes.iter().map(|byte| name_of(*byte)).collect(),
            ),
            defaulted: statuses.map_or_else(Vec::new, defaulted),
            event_times: times.map(event_times),
        }
    }
}

fn name_of(byte: u8) -> &'static str {
    Status::from_byte(byte).map_or("UNSPECIFIED", |(status, _)| status.as_str())
}

fn defaulted(statuses: &[u8]) -> Vec<usize> {
    let filled = |byte: &u8| Status::from_byte(*byte).is_some_and(|(_, is_defaulted)| is_defaulted);
    statuses
        .iter()
        .enumerate()
        .filter(|(_, byte)| filled(byte))
        .map(|(row, _)| row)
        .collect()
}

fn event_times(times: &twin::Times) -> Vec<Option<String>> {
    let bytes = wire::codec::joined(&times.micros);
    let micros = bytes
        .as_chunks()
        .0
        .iter()
        .map(|bytes| i64::from_le_bytes(*bytes));
    micros
        .map(|micros| if micros == 0 { None } else { timestamp(micros) })
        .collect()
}

fn type_name(column: &twin::Column) -> String {
    let name = match column.r#type() {
        twin::Type::Bool => "bool",
        twin::Type::Int32 => "int32",
        twin::Type::Int64 => "int64",
        twin::Type::Float32 => "float32",
        twin::Type::Float64 => "float64",
        twin::Type::String => "string",
        twin::Type::Bytes => "bytes",
        twin::Type::Timestamp => "timestamp",
        twin::Type::Float16 => "float16",
        twin::Type::Int8 => "int8",
        twin::Type::Unspecified => "unspecified",
    };
    match (column.list, column.dimension) {
        (true, _) => format!("list<{name}>"),
        (false, 0) => name.to_owned(),
        (false, dimension) => format!("vector<{name}, {dimension}>"),
    }
}

/// What a lookup found.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LookupAnswer")]
pub(super) struct AnswerBody<'a> {
    /// How many rows were asked for.
    rows: u32,
    /// In the service's order.
    features: Vec<Feature<'a>>,
    /// The region that answered.
    region: &'a str,
    /// The registry's revision that the request was planned under.
    revision: u64,
    /// Whether the token or max_staleness was not met.
    stale: bool,
    staleness: Staleness<'a>,
    /// What this answer reflects, for later reads and writes.
    token: String,
}

/// One feature over all rows.
#[derive(Serialize, JsonSchema)]
struct Feature<'a> {
    /// "view:feature".
    name: &'a str,
    #[serde(rename = "type")]
    ty: String,
    /// One value for all rows: the user's.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    shared: bool,
    /// Null where there is nothing to give.
    #[schemars(with = "Vec<Json>")]
    values: Values<'a>,
    #[schemars(with = "Vec<StatusName>")]
    statuses: Vec<&'static str>,
    /// Rows in which the default stands.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    defaulted: Vec<usize>,
    /// Where asked for; null where there is no value.
    #[serde(skip_serializing_if = "Option::is_none")]
    event_times: Option<Vec<Option<String>>>,
}

/// What is known of one value. A failure is UNAVAILABLE, and never a default.
#[derive(JsonSchema)]
#[schemars(rename = "ValueStatus", rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(dead_code, reason = "the names of statuses, for the schema alone")]
pub(super) enum StatusName {
    Present,
    NullValue,
    NotFound,
    OutsideMaxAge,
    Unavailable,
}

/// How old the answer can be: every write acknowledged longer ago is in it. Null: unknown.
#[derive(Serialize, JsonSchema)]
struct Staleness<'a> {
    worst: Option<String>,
    /// By the region in which writes were taken.
    origins: BTreeMap<&'a str, Option<String>>,
}
