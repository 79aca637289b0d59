//! Tests of the registry as its users meet it: files in, plans and catalogues out.

mod access;
mod definitions;
mod history;
mod quota;
mod replay;
mod rules;
mod schema;

use super::{
    command::{Breaking, RegistryCommand, RegistryOutcome, Request},
    parse_yaml,
    plan::LeftOut,
    region::{Durability, Founding, RegionSettings, Transport},
    state::Registry,
};
use proto::{
    id::{ClusterId, Revision},
    name::Name,
    reason::{Reason, Refusal},
    shard::{ShardHash, Sharding},
};

/// The example of the interface, in short.
const SHOP: &str = r#"
project: shop
entities:
  - name: customer
    keys: [{ name: customer_id, type: int64 }]
  - name: customer_item
    keys: [{ name: customer_id, type: int64 }, { name: item, type: string }]
    shard_by: [customer_id]
  - name: article
    keys: [{ name: url, type: string }]
    copies: every_node
views:
  - name: activity
    entity: customer
    ttl: 30d
    regions: [eu]
    tags: [core]
    features:
      - { name: orders, type: int32, default: 0, description: "orders in the last 30 days" }
      - { name: views, type: int64, combine: sum }
      - { name: embedding, type: "vector<float32, 4>" }
services:
  - name: model_v1
    features: ["activity:*"]
"#;

fn region(name: &str) -> RegionSettings {
    RegionSettings {
        name: Name::new(name).unwrap(),
        copies: 2,
        min_in_sync: 1,
        durability: Durability::Fsync,
        kafka: None,
        objects: None,
    }
}

fn command(request: Request) -> RegistryCommand {
    RegistryCommand {
        author: "a person".into(),
        at_millis: 1_700_000_000_000,
        request,
    }
}

fn founding() -> RegistryCommand {
    let sharding = Sharding {
        shards: 64,
        seed: 7,
        algorithm: ShardHash::Xxh3Multiply,
    };
    let founding = Founding {
        cluster: ClusterId(1),
        name: "shop-prod".into(),
        sharding,
        transport: Transport::Direct,
        max_offset_millis: 500,
        max_future_millis: 300_000,
    };
    command(Request::Found {
        founding,
        regions: vec![region("eu"), region("us")],
        security: None,
    })
}

fn founded() -> Registry {
    let mut registry = Registry::default();
    let outcome = registry.apply(founding());
    assert!(
        matches!(outcome, RegistryOutcome::Done { changed: true, .. }),
        "{outcome:?}"
    );
    registry
}

fn apply_with(
    registry: &mut Registry,
    yaml: &str,
    prune: bool,
) -> Result<Vec<String>, Vec<Refusal>> {
    let definitions = parse_yaml("shop.yaml", yaml).unwrap();
    let shown = registry.plan(
        &definitions,
        if prune { LeftOut::Goes } else { LeftOut::Stays },
    );
    let expect_revision = Some(registry.revision);
    match registry.apply(command(Request::Apply {
        definitions,
        prune,
        expect_revision,
        breaking: Breaking::Allowed,
    })) {
        RegistryOutcome::Done { plan, .. } => {
            let done = plan.unwrap();
            assert_eq!(done, shown, "what was shown is what is done");
            Ok(done.changes.iter().map(ToString::to_string).collect())
        }
        RegistryOutcome::Refused { refusals, .. } => {
            assert_eq!(refusals, shown.refusals);
            Err(refusals)
        }
    }
}

fn apply(registry: &mut Registry, yaml: &str) -> Result<Vec<String>, Vec<Refusal>> {
    apply_with(registry, yaml, false)
}

fn with_shop() -> Registry {
    let mut registry = founded();
    apply(&mut registry, SHOP).unwrap();
    registry
}

/// Asserts that a change is refused for one reason, with words that help.
fn check_refused(registry: &mut Registry, yaml: &str, reason: Reason, words: &[&str]) {
    let before = registry.clone();
    let refusals = apply(registry, yaml).unwrap_err();
    assert_eq!(refusals[0].reason, reason, "{refusals:?}");
    for word in words {
        assert!(
            refusals[0].message.contains(word),
            "{word:?} is not in {:?}",
            refusals[0].message
        );
    }
    assert_eq!(*registry, before, "a refused change changes nothing");
}

fn rollback(registry: &mut Registry, to: u64) -> RegistryOutcome {
    registry.apply(command(Request::Rollback {
        to: Revision(to),
        expect_revision: None,
        breaking: Breaking::Allowed,
    }))
}
