//! What `feast apply` wrote of `deploy/dev/feast/repo`, and what no definition can say.

use super::*;
use crate::import::feast::registry::{
    Entity, FeatureService, FeatureView, Field, Named, NamedSpec,
};
use prost::Message as _;

/// Written by the pinned Feast; `deploy/dev/feast/record.sh` writes it again.
const REGISTRY: &[u8] = include_bytes!("../../../../tests/feast/registry.db");

/// The same of `deploy/dev/feast/shapes`.
const SHAPES: &[u8] = include_bytes!("../../../../tests/feast/shapes.db");

fn written() -> Registry {
    Registry::decode(REGISTRY).unwrap()
}

#[test]
fn what_feast_applied_becomes_definitions_that_the_registry_takes() {
    let imported = convert(written(), "shop");
    let yaml = serde_saphyr::to_string(&imported.definitions).unwrap();
    let files = raft::registry::parse_yaml("defs.yaml", &yaml).unwrap();
    assert_eq!(files.len(), 1, "{yaml}");
    let json = serde_json::to_value(&imported.definitions).unwrap();
    let named = |list: &str, name: &str| -> Value {
        let mut all = json[list].as_array().unwrap().iter();
        all.find(|object| object["name"] == name).unwrap().clone()
    };
    let activity = named("views", "customer_activity");
    assert_eq!(
        (&activity["ttl"], &activity["owner"], &activity["tags"]),
        (
            &json!("30d"),
            &json!("growth@shop.example"),
            &json!(["core=yes"])
        )
    );
    assert_eq!(
        activity["features"][0],
        json!({ "name": "orders_30d", "type": "int64", "description": "orders in the last 30 days" })
    );
    assert_eq!(named("views", "item_popularity")["ttl"], "1h");
    assert_eq!(named("views", "every_type").get("ttl"), None);
    let types = named("views", "every_type")["features"].clone();
    let types: Vec<&str> = types
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["type"].as_str().unwrap())
        .collect();
    let expected = [
        "bool",
        "int32",
        "int64",
        "float32",
        "float64",
        "string",
        "bytes",
        "timestamp",
        "list<bool>",
        "list<int32>",
        "list<int64>",
        "list<float32>",
        "list<float64>",
        "list<string>",
    ];
    assert_eq!(types, expected);
    assert_eq!(
        named("entities", "customer_item")["keys"],
        json!([{ "name": "customer_id", "type": "int64" }, { "name": "stock_code", "type": "string" }])
    );
    assert_eq!(named("entities", "customer")["description"], "who buys");
    let service = named("services", "recommendations_v1");
    assert_eq!(service["features"].as_array().unwrap().len(), 4);
    assert_eq!(imported.notes.len(), 1, "{:?}", imported.notes);
    assert!(
        imported.notes[0].contains("customer and item"),
        "{:?}",
        imported.notes
    );
}

#[test]
fn another_project_of_the_same_registry_is_not_taken() {
    let imported = convert(written(), "other");
    let json = serde_json::to_value(&imported.definitions).unwrap();
    assert_eq!(
        json,
        json!({ "project": "other", "entities": [], "views": [], "services": [] })
    );
}

/// Objects that no definition can say whole.
fn odd() -> Registry {
    let field = |name: &str, value_type| Field {
        name: name.into(),
        value_type,
        ..Default::default()
    };
    let view = |name: &str, entities: &[&str], features: Vec<Field>| FeatureView {
        spec: Some(ViewSpec {
            name: name.into(),
            project: "shop".into(),
            entities: entities.iter().map(|entity| (*entity).to_owned()).collect(),
            features,
            stream_source: Some(DataSource {
                name: "clicks".into(),
            }),
            ..Default::default()
        }),
    };
    let user = EntitySpec {
        name: "user".into(),
        project: "shop".into(),
        join_key: "User-Id".into(),
        value_type: 4,
        ..Default::default()
    };
    let service = ServiceSpec {
        name: "model".into(),
        project: "shop".into(),
        features: vec![
            Projection {
                view: "Clicks".into(),
                features: vec![field("a", 4), field("map", 20)],
                alias: "other".into(),
                ..Default::default()
            },
            Projection {
                view: "global".into(),
                ..Default::default()
            },
        ],
        ..Default::default()
    };
    let name = NamedSpec {
        name: "ratio".into(),
        project: "shop".into(),
    };
    Registry {
        entities: vec![Entity { spec: Some(user) }],
        feature_views: vec![
            view("Clicks", &["user"], vec![field("a", 4), field("map", 20)]),
            view("global", &["__dummy"], vec![field("a", 4)]),
        ],
        feature_services: vec![FeatureService {
            spec: Some(service),
        }],
        on_demand_feature_views: vec![Named { spec: Some(name) }],
        ..Default::default()
    }
}

#[test]
fn what_cannot_be_taken_over_is_said() {
    let imported = convert(odd(), "shop");
    let expected = [
        "on-demand feature view \"ratio\" is not taken over: transformations stay with the callers",
        "feature view \"Clicks\": feature \"map\" is not taken over: its type, map, does not exist here",
        "join key \"User-Id\" is named \"user_id\" here; clients must use that",
        "feature view \"Clicks\" is named \"clicks\" here; clients must use that",
        "feature view \"global\" is not taken over: it has no entity, and a row here needs a key",
        "feature service \"model\": \"Clicks\" is read under its own name and keys; an alias or a join key map is not kept",
        "feature service \"model\": \"map\" of \"Clicks\" is left out, it was not taken over",
        "feature service \"model\": \"global\" is left out, it was not taken over",
    ];
    assert_eq!(imported.notes, expected);
    let json = serde_json::to_value(&imported.definitions).unwrap();
    assert_eq!(json["services"][0]["features"], json!(["clicks:a"]));
}

/// In the order of the alphabet: `feast apply` writes views in one of its own.
const NOTES: &[&str] = &[
    "entities User and item of feature view \"both\" are one entity \"user_item\" with several keys here",
    "entity \"User\" is named \"user\" here; clients must use that",
    "entity \"User_item\" is named \"user_item\" here; clients must use that",
    "feature \"Count\" is named \"count\" here; clients must use that",
    "feature \"event_time\" is named \"event_time_\" here; clients must use that",
    "feature service \"model\": \"Clicks\" is read under its own name and keys; an alias or a join key map is not kept",
    "feature service \"model\": \"everywhere\" is left out, it was not taken over",
    "feature service \"model\": \"more\" is left out, it was not taken over",
    "feature service \"model\": \"pairs\" is read under its own name and keys; an alias or a join key map is not kept",
    "feature service \"model\": \"profile\" of \"Clicks\" is left out, it was not taken over",
    "feature service \"nothing\" is not taken over: nothing that it reads could be",
    "feature service \"nothing\": \"everywhere\" is left out, it was not taken over",
    "feature service \"nothing\": \"only_maps\" is left out, it was not taken over",
    "feature view \"Clicks\" is named \"clicks\" here; clients must use that",
    "feature view \"Clicks\": feature \"colours\" is not taken over: its type, set, does not exist here",
    "feature view \"Clicks\": feature \"profile\" is not taken over: its type, map, does not exist here",
    "feature view \"Clicks\": feature \"session\" is not taken over: its type, uuid, does not exist here",
    "feature view \"Clicks\": feature \"settings\" is not taken over: its type, json, does not exist here",
    "feature view \"Clicks\": its push source \"clicks_push\" has the view's name here: push to \"clicks\"",
    "feature view \"everywhere\" is not taken over: it has no entity, and a row here needs a key",
    "feature view \"only_maps\" is not taken over: no feature of it could be",
    "feature view \"only_maps\": feature \"m\" is not taken over: its type, map, does not exist here",
    "feature view \"scores\" is not taken over: its join key \"score\" is of type double, which no key has here",
    "join key \"UserId\" is named \"userid\" here; clients must use that",
    "label view \"labels\" is not taken over: what people say of the past is for training, not for lookups",
    "on-demand feature view \"more\" is not taken over: transformations stay with the callers",
    "project \"OddShapes\" is named \"oddshapes\" here; clients must use that",
    "the entity of feature view \"pairs\" is named \"user_item_2\" here: \"user_item\" has other keys or types",
];

#[test]
fn odd_shapes_of_a_written_registry_become_definitions_too() {
    let mut imported = convert(Registry::decode(SHAPES).unwrap(), "OddShapes");
    imported.notes.sort();
    assert_eq!(imported.notes, NOTES);
    let yaml = serde_saphyr::to_string(&imported.definitions).unwrap();
    raft::registry::parse_yaml("defs.yaml", &yaml).unwrap();
    let json = serde_json::to_value(&imported.definitions).unwrap();
    let expected = json!([
        { "name": "moment", "keys": [{ "name": "at", "type": "timestamp" }] },
        { "name": "user", "keys": [{ "name": "userid", "type": "int64" }], "owner": "me@shop.example" },
        {
            "name": "user_item",
            "keys": [{ "name": "userid", "type": "int64" }, { "name": "sku", "type": "string" }],
        },
        { "name": "user_item_2", "keys": [{ "name": "pair", "type": "string" }] },
    ]);
    assert_eq!(json["entities"], expected);
    let mut views = json["views"].as_array().unwrap().iter();
    let clicks = views.find(|view| view["name"] == "clicks").unwrap();
    let expected = json!({
        "name": "clicks", "entity": "user", "ttl": "5400s", "tags": ["core"],
        "features": [
            { "name": "count", "type": "int64" },
            { "name": "event_time_", "type": "timestamp" },
            { "name": "embedding", "type": "vector<float32, 4>" },
            { "name": "seen", "type": "list<timestamp>" },
        ],
    });
    assert_eq!(*clicks, expected);
    let services = json!([
        { "name": "model", "features": ["clicks:count", "pairs:together", "both:bought"] },
    ]);
    assert_eq!(json["services"], services);
}
