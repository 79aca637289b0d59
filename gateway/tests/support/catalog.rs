//! Small catalogs, built by hand.

use gateway::catalog::{Catalog, Entity, Feature, JoinKey, Project, ServiceColumn, View};
use proto::{
    id::{EntityId, FeatureId, PlacementId, ProjectId, RegionId, Revision, SchemaVersion, ViewId},
    name::Name,
    schema::{Column, Combine, RowSchema},
    shard::{Copies, ShardHash, Sharding},
    time::EventTime,
    types::Type,
    value::Value,
};
use raft::registry::quota::Quota;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

pub fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// One feature of a view under construction.
#[derive(Clone)]
pub struct Definition {
    pub name: &'static str,
    pub ty: Type,
    pub combine: Combine,
    pub default: Option<Value>,
}

pub fn feature(name: &'static str, ty: &str) -> Definition {
    Definition {
        name,
        ty: ty.parse().unwrap(),
        combine: Combine::Latest,
        default: None,
    }
}

pub fn with_default(name: &'static str, ty: &str, default: Value) -> Definition {
    Definition {
        default: Some(default),
        ..feature(name, ty)
    }
}

pub fn combined(name: &'static str, ty: &str, combine: Combine) -> Definition {
    Definition {
        combine,
        ..feature(name, ty)
    }
}

pub fn entity(id: u32, text: &str, keys: &[(&str, &str)], shard_by: &[usize]) -> Arc<Entity> {
    let keys = keys.iter().map(|(key, ty)| {
        let Type::Scalar(ty) = ty.parse().unwrap() else {
            panic!("a key is a scalar")
        };
        JoinKey {
            name: name(key),
            ty,
        }
    });
    Arc::new(Entity {
        id: EntityId(id),
        name: name(text),
        keys: keys.collect(),
        shard_by: shard_by.to_vec(),
        copies: Copies::Sharded,
    })
}

pub fn view(
    id: u32,
    text: &str,
    entity: &Arc<Entity>,
    schema: u16,
    definitions: Vec<Definition>,
) -> View {
    let columns = definitions.iter().map(|feature| Column {
        ty: feature.ty,
        combine: feature.combine,
    });
    let schema = RowSchema::new(ViewId(id), SchemaVersion(schema), columns.collect());
    let features: Vec<Feature> = definitions
        .iter()
        .map(|feature| Feature {
            name: name(feature.name),
            default: feature
                .default
                .as_ref()
                .map(|value| value.encode(feature.ty).unwrap()),
            is_deprecated: false,
        })
        .collect();
    View {
        id: ViewId(id),
        name: name(text),
        version: 1,
        entity: Arc::clone(entity),
        ttl: None,
        floor: EventTime::default(),
        placement: PlacementId(0),
        schema: Arc::new(schema),
        by_name: features
            .iter()
            .zip(0..)
            .map(|(feature, id)| (feature.name.clone(), FeatureId(id)))
            .collect(),
        features,
    }
}

pub fn catalog(revision: u64, views: Vec<View>, services: &[(&str, &[&str])]) -> Catalog {
    let mut project = Project {
        id: ProjectId(1),
        name: name("shop"),
        quota: Quota::default(),
        entities: BTreeMap::new(),
        views: BTreeMap::new(),
        services: BTreeMap::new(),
    };
    for view in views {
        project
            .entities
            .insert(view.entity.name.clone(), Arc::clone(&view.entity));
        project
            .views
            .entry(view.name.clone())
            .or_default()
            .push(Arc::new(view));
    }
    for (service, references) in services {
        let references: Vec<String> = references.iter().map(|text| (*text).to_owned()).collect();
        let columns: Vec<ServiceColumn> = project.features(&references).unwrap();
        project.services.insert(name(service), columns);
    }
    Catalog {
        revision: Revision(revision),
        sharding: Sharding {
            shards: 8,
            seed: 5,
            algorithm: ShardHash::Xxh3Multiply,
        },
        regions: [("eu", 1), ("us", 2)]
            .map(|(region, id)| (name(region), RegionId(id)))
            .into(),
        projects: [(name("shop"), project)].into(),
    }
}

fn activity() -> Vec<Definition> {
    vec![
        with_default("orders", "int64", Value::Int64(7)),
        feature("spend", "float64"),
        with_default("segment", "string", Value::String("new".into())),
        feature("small", "int32"),
        feature("active", "bool"),
        feature("recent", "list<string>"),
        feature("embedding", "vector<float32, 2>"),
    ]
}

fn views(activity: View) -> Vec<View> {
    let item = entity(2, "item", &[("item", "string")], &[0]);
    let pair = entity(
        3,
        "customer_item",
        &[("customer_id", "int64"), ("item", "string")],
        &[0],
    );
    vec![
        View {
            ttl: Some(Duration::from_secs(3_600)),
            ..activity
        },
        view(
            2,
            "popularity",
            &item,
            1,
            vec![
                combined("views", "int64", Combine::Sum),
                feature("price", "float32"),
                feature("code", "bytes"),
                feature("seen", "timestamp"),
            ],
        ),
        view(3, "affinity", &pair, 1, vec![feature("bought", "int64")]),
    ]
}

const SERVICES: &[(&str, &[&str])] = &[(
    "feed",
    &[
        "activity:orders",
        "popularity:views",
        "affinity:bought",
        "activity:spend",
        "popularity:price",
    ],
)];

fn customer() -> Arc<Entity> {
    entity(1, "customer", &[("customer_id", "int64")], &[0])
}

/// Customers, items, and both together.
pub fn shop() -> Catalog {
    catalog(
        1,
        views(view(1, "activity", &customer(), 1, activity())),
        SERVICES,
    )
}

/// The next revision: `small` is an int64, `level` was added with a default.
pub fn shop_widened() -> Catalog {
    let mut features = activity();
    features[3].ty = "int64".parse().unwrap();
    features.push(with_default("level", "int32", Value::Int32(3)));
    catalog(
        2,
        views(view(1, "activity", &customer(), 2, features)),
        SERVICES,
    )
}
