//! The registry's catalogue, from definition files as people write them, served by the gateway.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

mod support;

use gateway::catalog::Catalog;
use proto::{
    id::{ClusterId, Revision},
    shard::{ShardHash, Sharding},
};
use raft::registry::{
    self, Registry, RegistryCommand, RegistryOutcome, Request, parse_yaml,
    region::{Durability, Founding, RegionSettings, Transport},
};
use serde_json::{Value, json};
use support::{START_MICROS, World, catalog::name};

const SHOP: &str = r#"
project: shop
entities:
  - { name: customer, keys: [{ name: customer_id, type: int64 }] }
  - name: customer_item
    keys: [{ name: customer_id, type: int64 }, { name: item, type: string }]
    shard_by: [customer_id]
views:
  - name: activity
    entity: customer
    ttl: 30d
    features:
      - { name: orders, type: int32, default: 7 }
      - { name: spend, type: float64 }
  - name: affinity
    entity: customer_item
    features:
      - { name: bought, type: int64, combine: sum }
services:
  - { name: feed, features: ["activity:*", "affinity:bought"] }
"#;

fn command(request: Request) -> RegistryCommand {
    RegistryCommand {
        author: "a test".into(),
        at_millis: START_MICROS / 1_000,
        request,
    }
}

fn founded() -> Registry {
    let founding = Founding {
        cluster: ClusterId(1),
        name: "test".into(),
        sharding: Sharding {
            shards: 16,
            seed: 1,
            algorithm: ShardHash::Xxh3Multiply,
        },
        transport: Transport::Direct,
        max_offset_millis: 500,
        max_future_millis: 300_000,
    };
    let region = RegionSettings {
        name: name("eu"),
        copies: 2,
        min_in_sync: 1,
        durability: Durability::Fsync,
        kafka: None,
        objects: None,
    };
    let mut registry = Registry::default();
    apply(
        &mut registry,
        Request::Found {
            founding,
            regions: vec![region],
            security: None,
        },
    );
    registry
}

fn apply(registry: &mut Registry, request: Request) {
    let outcome = registry.apply(command(request));
    assert!(
        matches!(outcome, RegistryOutcome::Done { changed: true, .. }),
        "{outcome:?}"
    );
}

fn apply_yaml(registry: &mut Registry, text: &str) {
    let definitions = parse_yaml("shop.yaml", text).unwrap();
    apply(
        registry,
        Request::Apply {
            definitions,
            prune: false,
            expect_revision: None,
            breaking: Default::default(),
        },
    );
}

fn catalog_of(registry: &Registry) -> Catalog {
    Catalog::of(&registry::Catalog::of(
        registry,
        &registry::Catalog::default(),
    ))
    .unwrap()
}

async fn look_up(world: &World) -> Value {
    let body = json!({ "project": "shop", "service": "feed", "shared": { "customer_id": 1 }, "rows": { "item": ["a", "b"] } });
    let (status, answer) = world.post("/v1/lookup", &body.to_string()).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

#[test]
fn before_a_cluster_is_founded_nothing_is_served() {
    let catalog = registry::Catalog::of(&Registry::default(), &registry::Catalog::default());
    assert!(
        Catalog::of(&catalog)
            .unwrap_err()
            .message
            .contains("no cluster yet")
    );
}

#[tokio::test]
async fn definitions_are_served_as_they_were_applied_and_as_they_change() {
    let mut registry = founded();
    apply_yaml(&mut registry, SHOP);
    let world = World::with(catalog_of(&registry));
    let writes = json!({ "project": "shop", "writes": [
        { "view": "activity@1", "rows": [{ "customer_id": 1, "spend": 2.5 }] },
        { "view": "affinity", "rows": [{ "customer_id": 1, "item": "b", "bought": 3 }] },
    ] });
    assert_eq!(
        world.post("/v1/write", &writes.to_string()).await.1["accepted"],
        2
    );
    let answer = look_up(&world).await;
    let names: Vec<&Value> = answer["features"]
        .as_array()
        .unwrap()
        .iter()
        .map(|feature| &feature["name"])
        .collect();
    assert_eq!(
        json!(names),
        json!(["activity:orders", "activity:spend", "affinity:bought"])
    );
    assert_eq!(answer["revision"], registry.revision.0);
    assert_eq!(
        (
            &answer["features"][0]["values"],
            &answer["features"][0]["type"]
        ),
        (&json!([7]), &json!("int32"))
    );
    assert_eq!(
        answer["features"][2]["statuses"],
        json!(["NOT_FOUND", "PRESENT"])
    );

    let widened = SHOP.replace("type: int32, default: 7", "type: int64, default: 8");
    apply_yaml(&mut registry, &widened);
    world.catalog.put(catalog_of(&registry));
    world.rows.learn_schemas();
    let answer = look_up(&world).await;
    assert_eq!(
        (
            &answer["features"][0]["values"],
            &answer["features"][0]["type"]
        ),
        (&json!([8]), &json!("int64"))
    );
    assert_eq!(answer["features"][1]["values"], json!([2.5]));
    assert!(registry.revision > Revision(1));
}
