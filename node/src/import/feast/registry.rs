//! The parts of Feast's registry that mean something here. Fields of its protobuf that stand for batch
//! sources, permissions or saved data are left out, and skipped when read.

use prost::Message;
use std::collections::BTreeMap;

/// What `feast apply` writes: every project's objects in one message.
#[derive(Clone, PartialEq, Message)]
pub struct Registry {
    /// What rows are about.
    #[prost(message, repeated, tag = "1")]
    pub entities: Vec<Entity>,
    /// Views that are filled in batches or by pushes.
    #[prost(message, repeated, tag = "6")]
    pub feature_views: Vec<FeatureView>,
    /// What models read.
    #[prost(message, repeated, tag = "7")]
    pub feature_services: Vec<FeatureService>,
    /// Transformations at the time of a request.
    #[prost(message, repeated, tag = "8")]
    pub on_demand_feature_views: Vec<Named>,
    /// Views that are filled from streams.
    #[prost(message, repeated, tag = "14")]
    pub stream_feature_views: Vec<StreamFeatureView>,
    /// What people say of the past.
    #[prost(message, repeated, tag = "19")]
    pub label_views: Vec<Named>,
}

/// An entity with what `feast apply` noted of it.
#[derive(Clone, PartialEq, Message)]
pub struct Entity {
    /// The entity.
    #[prost(message, optional, tag = "1")]
    pub spec: Option<EntitySpec>,
}

/// An entity: one join key.
#[derive(Clone, PartialEq, Message)]
pub struct EntitySpec {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The key's type, where a view's columns do not tell.
    #[prost(int32, tag = "2")]
    pub value_type: i32,
    /// For people.
    #[prost(string, tag = "3")]
    pub description: String,
    /// Its key.
    #[prost(string, tag = "4")]
    pub join_key: String,
    /// For people.
    #[prost(btree_map = "string, string", tag = "8")]
    pub tags: BTreeMap<String, String>,
    /// Its project.
    #[prost(string, tag = "9")]
    pub project: String,
    /// Whom to ask.
    #[prost(string, tag = "10")]
    pub owner: String,
}

/// A view with what `feast apply` noted of it.
#[derive(Clone, PartialEq, Message)]
pub struct FeatureView {
    /// The view.
    #[prost(message, optional, tag = "1")]
    pub spec: Option<ViewSpec>,
}

/// A feature view, of either kind.
#[derive(Clone, PartialEq, Message)]
pub struct ViewSpec {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its project.
    #[prost(string, tag = "2")]
    pub project: String,
    /// Its entities by name.
    #[prost(string, repeated, tag = "3")]
    pub entities: Vec<String>,
    /// Its features.
    #[prost(message, repeated, tag = "4")]
    pub features: Vec<Field>,
    /// For people.
    #[prost(btree_map = "string, string", tag = "5")]
    pub tags: BTreeMap<String, String>,
    /// How old a value may be; zero is for ever.
    #[prost(message, optional, tag = "6")]
    pub ttl: Option<Duration>,
    /// Where rows are pushed.
    #[prost(message, optional, tag = "9")]
    pub stream_source: Option<DataSource>,
    /// For people.
    #[prost(string, tag = "10")]
    pub description: String,
    /// Whom to ask.
    #[prost(string, tag = "11")]
    pub owner: String,
    /// Its join keys with their types.
    #[prost(message, repeated, tag = "12")]
    pub entity_columns: Vec<Field>,
}

/// A stream's view with what `feast apply` noted of it.
#[derive(Clone, PartialEq, Message)]
pub struct StreamFeatureView {
    /// The view.
    #[prost(message, optional, tag = "1")]
    pub spec: Option<StreamViewSpec>,
}

/// A view that is filled from a stream: as [`ViewSpec`], under other numbers.
#[derive(Clone, PartialEq, Message)]
pub struct StreamViewSpec {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    project: String,
    #[prost(string, repeated, tag = "3")]
    entities: Vec<String>,
    #[prost(message, repeated, tag = "4")]
    features: Vec<Field>,
    #[prost(message, repeated, tag = "5")]
    entity_columns: Vec<Field>,
    #[prost(string, tag = "6")]
    description: String,
    #[prost(btree_map = "string, string", tag = "7")]
    tags: BTreeMap<String, String>,
    #[prost(string, tag = "8")]
    owner: String,
    #[prost(message, optional, tag = "9")]
    ttl: Option<Duration>,
    #[prost(message, optional, tag = "11")]
    stream_source: Option<DataSource>,
}

/// A feature or a join key.
#[derive(Clone, PartialEq, Message)]
pub struct Field {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The number of its type in Feast's `ValueType`.
    #[prost(int32, tag = "2")]
    pub value_type: i32,
    /// For people.
    #[prost(string, tag = "4")]
    pub description: String,
    /// Elements of each list, where it is a vector.
    #[prost(int32, tag = "7")]
    pub vector_length: i32,
}

/// A span of time.
#[derive(Clone, PartialEq, Message)]
pub struct Duration {
    /// Whole seconds.
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    /// And the rest.
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

/// Where rows come from.
#[derive(Clone, PartialEq, Message)]
pub struct DataSource {
    /// Its name.
    #[prost(string, tag = "20")]
    pub name: String,
}

/// A service with what `feast apply` noted of it.
#[derive(Clone, PartialEq, Message)]
pub struct FeatureService {
    /// The service.
    #[prost(message, optional, tag = "1")]
    pub spec: Option<ServiceSpec>,
}

/// A feature service.
#[derive(Clone, PartialEq, Message)]
pub struct ServiceSpec {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its project.
    #[prost(string, tag = "2")]
    pub project: String,
    /// What it reads.
    #[prost(message, repeated, tag = "3")]
    pub features: Vec<Projection>,
    /// For people.
    #[prost(btree_map = "string, string", tag = "4")]
    pub tags: BTreeMap<String, String>,
    /// For people.
    #[prost(string, tag = "5")]
    pub description: String,
    /// Whom to ask.
    #[prost(string, tag = "6")]
    pub owner: String,
}

/// The part of a view that a service reads.
#[derive(Clone, PartialEq, Message)]
pub struct Projection {
    /// The view's name.
    #[prost(string, tag = "1")]
    pub view: String,
    /// The features of it.
    #[prost(message, repeated, tag = "2")]
    pub features: Vec<Field>,
    /// Another name for the view.
    #[prost(string, tag = "3")]
    pub alias: String,
    /// Other names for its keys.
    #[prost(btree_map = "string, string", tag = "4")]
    pub join_key_map: BTreeMap<String, String>,
}

/// An object of which only the name matters: it cannot be taken over.
#[derive(Clone, PartialEq, Message)]
pub struct Named {
    /// The object.
    #[prost(message, optional, tag = "1")]
    pub spec: Option<NamedSpec>,
}

/// See [`Named`].
#[derive(Clone, PartialEq, Message)]
pub struct NamedSpec {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its project.
    #[prost(string, tag = "2")]
    pub project: String,
}

impl From<StreamViewSpec> for ViewSpec {
    fn from(spec: StreamViewSpec) -> Self {
        Self {
            name: spec.name,
            project: spec.project,
            entities: spec.entities,
            features: spec.features,
            tags: spec.tags,
            ttl: spec.ttl,
            stream_source: spec.stream_source,
            description: spec.description,
            owner: spec.owner,
            entity_columns: spec.entity_columns,
        }
    }
}
