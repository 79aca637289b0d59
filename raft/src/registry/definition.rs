//! Definition files as they are written: what a person declares about a project.
//!
//! The model only. Reading YAML is `yaml`, judging one set of files is `check`, comparing it with
//! the registry is `plan`. What a file leaves out is `None` and keeps its present setting.

use super::{
    literal::Literal,
    reference::FeatureReference,
    schema,
    span::{Horizon, Span},
};
use proto::{
    name::Name,
    schema::Combine,
    shard::Copies,
    types::{Scalar, Type},
};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// One file, or one YAML document of a file: parts of one project.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DefinitionFile {
    /// The project; created when new.
    #[schemars(schema_with = "schema::name")]
    pub project: Name,
    /// What features describe.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entities: Vec<EntityDefinition>,
    /// Feature views.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub views: Vec<ViewDefinition>,
    /// Feature services.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<ServiceDefinition>,
}

/// An entity. All of it but what people are told is fixed for ever.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EntityDefinition {
    /// Its name.
    #[schemars(schema_with = "schema::name")]
    pub name: Name,
    /// Its join keys.
    #[schemars(schema_with = "schema::keys")]
    pub keys: Vec<KeyDefinition>,
    /// The join keys that choose the shard; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::shard_by")]
    pub shard_by: Option<Vec<Name>>,
    /// `sharded` (default) or `every_node`.
    #[serde(default, skip_serializing_if = "is_sharded")]
    #[schemars(schema_with = "schema::copies")]
    pub copies: Copies,
    /// Whom to ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::tags")]
    pub tags: Option<Vec<String>>,
}

/// One join key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyDefinition {
    /// Its name.
    #[schemars(schema_with = "schema::name")]
    pub name: Name,
    /// Its type: bool, int32, int64, string, bytes or timestamp.
    #[serde(rename = "type")]
    #[schemars(schema_with = "schema::key_type")]
    pub ty: Scalar,
}

/// One version of a feature view.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ViewDefinition {
    /// Its name.
    #[schemars(schema_with = "schema::name")]
    pub name: Name,
    /// Its version, from 1.
    #[serde(default = "first_version")]
    #[schemars(schema_with = "schema::version")]
    pub version: u16,
    /// The entity that its rows describe.
    #[schemars(schema_with = "schema::name")]
    pub entity: Name,
    /// The age past which values are no longer served; `none` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Horizon>,
    /// How long expired rows can still come back by a longer ttl; 7d by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purge_after: Option<Span>,
    /// Which of two writes wins; `event_time` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_by: Option<OrderBy>,
    /// The oldest event time accepted; `none` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_late: Option<Horizon>,
    /// The regions that hold it; `all` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regions: Option<Regions>,
    /// What other regions do with lookups; `refuse` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elsewhere: Option<Elsewhere>,
    /// Whom to ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::tags")]
    pub tags: Option<Vec<String>>,
    /// Alert when served values are older; `none` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freshness: Option<Horizon>,
    /// Its features.
    #[schemars(schema_with = "schema::features")]
    pub features: Vec<FeatureDefinition>,
}

/// One feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FeatureDefinition {
    /// Its name.
    #[schemars(schema_with = "schema::name")]
    pub name: Name,
    /// Its type, such as `int64`, `list<string>` or `vector<float32, 64>`.
    #[serde(rename = "type")]
    #[schemars(schema_with = "schema::feature_type")]
    pub ty: Type,
    /// What is served where there is no row or the feature was never set; `null` takes it away.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub default: Option<Literal>,
    /// How values written in several regions become one; `latest` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::combine")]
    pub combine: Option<Combine>,
    /// Whether readers should stop using it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<bool>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A feature service: what one model version reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceDefinition {
    /// Its name.
    #[schemars(schema_with = "schema::name")]
    pub name: Name,
    /// What it reads, in order: `view:feature`, `view@2:feature` or `view:*`.
    #[schemars(schema_with = "schema::references")]
    pub features: Vec<FeatureReference>,
    /// What that meant when the service was made, `view@version:feature` each. Files written by hand
    /// leave it out; `registry export` gives it where `features` would mean something else by now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::columns")]
    pub columns: Option<Vec<FeatureReference>>,
    /// Whom to ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::tags")]
    pub tags: Option<Vec<String>>,
}

/// Which of two writes of a cell wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderBy {
    /// The later fact.
    #[default]
    EventTime,
    /// The later write.
    WriteTime,
}

/// What regions that do not hold a view do with lookups of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Elsewhere {
    /// They refuse.
    #[default]
    Refuse,
    /// They fetch and keep rows in memory.
    Fetch,
    /// They fetch and keep rows in memory and on SSD.
    Cache,
}

/// The regions that hold a view.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "RegionsText", into = "RegionsText")]
pub enum Regions {
    /// All, those to come included.
    #[default]
    All,
    /// These.
    Only(Vec<Name>),
}

/// [`Regions`] as they are written: the word `all`, or a list of names.
#[derive(Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "regions are the word all or a list of region names"
)]
enum RegionsText {
    Word(String),
    List(Vec<String>),
}

impl TryFrom<RegionsText> for Regions {
    type Error = String;

    fn try_from(text: RegionsText) -> Result<Self, Self::Error> {
        match text {
            RegionsText::Word(word) if word == "all" => Ok(Self::All),
            RegionsText::Word(word) => Err(format!(
                "regions are the word all or a list of names, not {word:?}"
            )),
            RegionsText::List(names) => {
                let names = names
                    .iter()
                    .map(|name| Name::new(name).map_err(|error| error.to_string()));
                names.collect::<Result<_, _>>().map(Self::Only)
            }
        }
    }
}

impl From<Regions> for RegionsText {
    fn from(regions: Regions) -> Self {
        match regions {
            Regions::All => Self::Word("all".into()),
            Regions::Only(names) => Self::List(names.into_iter().map(String::from).collect()),
        }
    }
}

impl JsonSchema for Regions {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Regions".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schema::regions(generator)
    }
}

/// A feature's default is a value even when it is null, so that absence and null stay apart.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Literal>, D::Error> {
    Literal::deserialize(deserializer).map(Some)
}

const fn first_version() -> u16 {
    1
}

fn is_sharded(copies: &Copies) -> bool {
    *copies == Copies::Sharded
}
