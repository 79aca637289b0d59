//! What may change in place, what needs a new version, what breaks readers.

use super::{
    SHOP, apply, apply_with, check_refused, command, founded, region, rollback, with_shop,
};
use crate::registry::{
    Catalog, Registry,
    command::{Breaking, RegistryOutcome, Request},
    parse_yaml,
    plan::{Action, LeftOut},
    region::RegionState,
};
use proto::{
    id::{FeatureId, NodeId, RegionId, Revision, SchemaVersion, ViewId},
    reason::Reason,
    schema::Schemas,
    time::EventTime,
};

#[test]
fn applying_the_same_file_twice_changes_nothing() {
    let mut registry = with_shop();
    assert_eq!(registry.revision, Revision(2));
    let before = registry.clone();
    assert_eq!(apply(&mut registry, SHOP).unwrap(), Vec::<String>::new());
    assert_eq!(registry, before);
}

#[test]
fn a_service_keeps_the_columns_it_was_made_with() {
    let mut registry = with_shop();
    let wider = SHOP.replace(
        "services:",
        "      - { name: spend, type: float64, default: 1.5 }\nservices:",
    );
    assert_eq!(
        apply(&mut registry, &wider).unwrap(),
        ["create feature activity@1:spend (float64, default 1.5)"]
    );
    let catalog = Catalog::of(&registry, &Catalog::default());
    let project = catalog.project("shop").unwrap();
    let names: Vec<_> = project
        .service("model_v1")
        .unwrap()
        .columns
        .iter()
        .map(|c| c.name.to_string())
        .collect();
    assert_eq!(
        names,
        ["activity:orders", "activity:views", "activity:embedding"]
    );
    let text = wider.replace(
        "[\"activity:*\"]",
        "[\"activity:orders\", \"activity:spend\"]",
    );
    check_refused(
        &mut registry,
        &text,
        Reason::IncompatibleChange,
        &["never change", "another name"],
    );
}

#[test]
fn old_and_new_schemas_are_readable_after_a_widening() {
    let mut registry = with_shop();
    let widened = SHOP.replace("type: int32", "type: int64");
    let changes = apply(&mut registry, &widened).unwrap();
    assert_eq!(
        changes,
        ["alter feature activity@1:orders: type int32 → int64"]
    );
    let catalog = Catalog::of(&registry, &Catalog::default());
    let column = |version| {
        catalog
            .schema(ViewId(1), SchemaVersion(version))
            .map(|schema| schema.columns()[0].ty.to_string())
    };
    assert_eq!(
        [column(1), column(2), column(3)],
        [Some("int32".into()), Some("int64".into()), None]
    );
    let view = catalog.view(ViewId(1)).unwrap();
    assert_eq!(
        view.default_of(FeatureId(0)).unwrap().as_ref(),
        0_i64.to_le_bytes()
    );
    check_refused(
        &mut registry,
        SHOP,
        Reason::IncompatibleChange,
        &["int64", "int32", "version 2"],
    );
}

#[test]
fn only_a_change_of_columns_makes_a_schema_version() {
    let mut registry = with_shop();
    let people = SHOP
        .replace(
            "ttl: 30d",
            "ttl: 7d\n    owner: growth\n    freshness: 10m\n    purge_after: 1d\n    max_late: 1h",
        )
        .replace("default: 0", "default: 5, deprecated: true");
    let changes = apply(&mut registry, &people).unwrap();
    assert!(
        changes.contains(&"alter view activity@1: ttl 30d → 7d".to_owned()),
        "{changes:?}"
    );
    assert!(
        changes.contains(&"alter feature activity@1:orders: default 0 → 5".to_owned()),
        "{changes:?}"
    );
    assert!(
        changes.contains(&"deprecate feature activity@1:orders; read by model_v1".to_owned()),
        "{changes:?}"
    );
    assert_eq!(registry.views[&ViewId(1)].schema, SchemaVersion(1));
}

#[test]
fn what_would_change_the_meaning_of_rows_needs_a_new_version() {
    let registry = with_shop();
    let check = |yaml: String, word: &str| {
        check_refused(
            &mut registry.clone(),
            &yaml,
            Reason::IncompatibleChange,
            &[word, "version 2"],
        );
    };
    check(SHOP.replace("ttl: 30d", "order_by: write_time"), "order_by");
    check(SHOP.replace("[eu]", "all"), "regions");
    check(
        SHOP.replace("entity: customer", "entity: article"),
        "entity",
    );
    check(
        SHOP.replace("type: int32", "type: string")
            .replace("default: 0, ", ""),
        "cannot become",
    );
    check(SHOP.replace("combine: sum", "combine: max"), "combine");
    let swapped = SHOP
        .replace("name: orders", "name: x")
        .replace("name: views", "name: orders")
        .replace("name: x", "name: views");
    check(
        swapped.replace("type: int32, default: 0", "type: int64, combine: sum"),
        "stands after",
    );
    let mut late = with_shop();
    apply(&mut late, &SHOP.replace("ttl: 30d", "max_late: 1h")).unwrap();
    check_refused(
        &mut late,
        &SHOP.replace("ttl: 30d", "max_late: 2h"),
        Reason::IncompatibleChange,
        &["max_late", "1h"],
    );
    let keys = SHOP.replace("name: url, type: string", "name: url, type: bytes");
    check_refused(
        &mut registry.clone(),
        &keys,
        Reason::IncompatibleChange,
        &["keys", "another name"],
    );
}

#[test]
fn a_new_version_gets_a_new_id_and_services_switch_to_it_at_one_revision() {
    let mut registry = with_shop();
    let second = SHOP.replace(
        "    entity: customer\n",
        "    version: 2\n    entity: customer\n    order_by: write_time\n",
    );
    let kept = registry
        .plan(&parse_yaml("s", &second).unwrap(), LeftOut::Stays)
        .kept;
    assert_eq!(kept, ["view activity@1"]);
    apply(&mut registry, &second).unwrap();
    let service = |registry: &Registry| registry.services.values().next().unwrap().columns[0].view;
    assert_eq!(
        service(&registry),
        ViewId(1),
        "a service does not move by itself"
    );
    let switched = second.replace("activity:*", "activity@2:*");
    assert_eq!(
        apply(&mut registry, &switched).unwrap(),
        ["alter service model_v1: features activity:* → activity@2:*"]
    );
    assert_eq!(service(&registry), ViewId(2));
}

#[test]
fn nothing_left_out_goes_without_prune() {
    let mut registry = with_shop();
    let only_project = "project: shop\n";
    let plan = registry.plan(&parse_yaml("s", only_project).unwrap(), LeftOut::Stays);
    assert!(plan.changes.is_empty() && plan.kept.len() == 5, "{plan:?}");
    let fewer = SHOP
        .replace("      - { name: views, type: int64, combine: sum }\n", "")
        .replace("    ttl: 30d\n", "");
    assert_eq!(apply(&mut registry, &fewer).unwrap(), Vec::<String>::new());
    assert!(
        apply_with(&mut registry, &fewer, true).is_err(),
        "a feature never goes"
    );

    let no_service = SHOP.split("services:").next().unwrap();
    let plan = registry.plan(&parse_yaml("s", no_service).unwrap(), LeftOut::Goes);
    assert!(plan.breaks_readers() && plan.changes[0].action == Action::Remove);
    let no_view = SHOP.split("views:").next().unwrap().to_owned()
        + "services: [{name: model_v1, features: [\"activity:*\"]}]";
    let refused = apply_with(&mut registry, &no_view, true).unwrap_err();
    assert!(
        refused[0].message.contains("read by model_v1"),
        "{refused:?}"
    );
    let changes = apply_with(&mut registry, only_project, true).unwrap();
    assert_eq!(changes.len(), 5, "{changes:?}");
    apply(&mut registry, SHOP).unwrap();
    let catalog = Catalog::of(&registry, &Catalog::default());
    assert_eq!(
        [1, 2, 3].map(|id| catalog.was_removed(ViewId(id))),
        [true, false, false]
    );
    assert_eq!(
        registry.views.keys().next(),
        Some(&ViewId(2)),
        "ids are never used again"
    );
}

#[test]
fn a_rollback_is_a_new_revision_with_the_old_definitions() {
    let mut registry = with_shop();
    let changed = SHOP
        .replace("ttl: 30d", "ttl: 7d")
        .replace("services:", "      - { name: spend, type: float64 }\nservices:\n  - { name: two, features: [\"activity:spend\"] }");
    apply(&mut registry, &changed).unwrap();
    let outcome = rollback(&mut registry, 2);
    let RegistryOutcome::Done {
        revision,
        plan: Some(plan),
        ..
    } = outcome
    else {
        panic!("{outcome:?}")
    };
    let changes: Vec<_> = plan.changes.iter().map(ToString::to_string).collect();
    assert_eq!(revision, Revision(4));
    assert_eq!(changes[0], "alter view activity@1: ttl 7d → 30d");
    assert!(
        changes[1].starts_with("deprecate feature activity@1:spend"),
        "{changes:?}"
    );
    assert!(changes[2].starts_with("remove service two"), "{changes:?}");
    assert!(matches!(
        rollback(&mut registry, 9),
        RegistryOutcome::Refused { .. }
    ));
}

#[test]
fn a_moved_registry_refuses_what_was_planned_before() {
    let mut registry = with_shop();
    let request = Request::Apply {
        definitions: vec![],
        prune: false,
        expect_revision: Some(Revision(1)),
        breaking: Breaking::Allowed,
    };
    let RegistryOutcome::Refused { refusals, .. } = registry.apply(command(request)) else {
        panic!("it was done")
    };
    assert_eq!(refusals[0].reason, Reason::RevisionChanged);
}

#[test]
fn references_to_what_does_not_exist_are_refused() {
    let mut registry = founded();
    check_refused(
        &mut registry,
        &SHOP.replace("entity: customer\n", "entity: nobody\n"),
        Reason::UnknownEntity,
        &["nobody"],
    );
    check_refused(
        &mut registry,
        &SHOP.replace("activity:*", "activity@2:*"),
        Reason::UnknownView,
        &["activity@2"],
    );
    check_refused(
        &mut registry,
        &SHOP.replace("activity:*", "activity:nothing"),
        Reason::UnknownFeature,
        &["nothing"],
    );
    check_refused(
        &mut registry,
        &SHOP.replace("[eu]", "[mars]"),
        Reason::InvalidDefinition,
        &["mars", "regions are us, eu"],
    );
    let clash = SHOP.replace("name: orders", "name: customer_id");
    check_refused(
        &mut registry,
        &clash,
        Reason::InvalidDefinition,
        &["join key"],
    );
}

#[test]
fn regions_of_equal_sets_share_a_placement() {
    let mut registry = with_shop();
    let more = SHOP.replace("services:", "  - { name: other, entity: customer, regions: [us, eu], features: [{ name: a, type: bool }] }\n  - { name: third, entity: customer, regions: [eu, us], features: [{ name: a, type: bool }] }\nservices:");
    apply(&mut registry, &more).unwrap();
    let placements: Vec<_> = registry
        .views
        .values()
        .map(|view| view.placement.0)
        .collect();
    assert_eq!(placements, [1, 2, 2]);
    assert_eq!(
        registry.holders(registry.views[&ViewId(1)].placement).len(),
        1
    );
}

#[test]
fn floors_only_rise_and_never_past_what_the_ttl_needs() {
    let mut registry = with_shop();
    let day = 86_400_000_000_i64;
    let now = 1_700_000_000_000_000_i64;
    let mut raise = |floor: i64| {
        let floors = vec![
            (ViewId(1), EventTime::from_micros(floor).unwrap()),
            (ViewId(9), EventTime::MAX),
        ];
        registry.apply(command(Request::RaiseFloors { floors }));
        registry.views[&ViewId(1)].floor.micros().cast_signed()
    };
    assert_eq!(
        raise(now - 36 * day),
        0,
        "30 days of ttl and 7 of grace are not over"
    );
    assert_eq!(raise(now - 37 * day), now - 37 * day);
    assert_eq!(raise(now - 40 * day), now - 37 * day);
}

#[test]
fn a_group_is_founded_once_and_rebuilt_by_number() {
    let mut registry = founded();
    let mut found = |expected, founder| {
        let request = Request::FoundGroup {
            region: RegionId(1),
            expected,
            founder: NodeId(founder),
        };
        matches!(
            registry.apply(command(request)),
            RegistryOutcome::Done { .. }
        )
    };
    assert!(
        found(None, 1) && found(None, 1),
        "the same node may ask again"
    );
    assert!(!found(None, 2), "another one may not");
    assert!(found(Some(1), 2) && !found(Some(1), 3));
}

#[test]
fn regions_go_through_their_lives_in_order() {
    let mut registry = founded();
    registry.apply(command(Request::AddRegion {
        settings: region("ap"),
    }));
    let mut go = |from, to| {
        let request = Request::SetRegionState {
            region: RegionId(3),
            from,
            to,
        };
        matches!(
            registry.apply(command(request)),
            RegistryOutcome::Done { changed: true, .. }
        )
    };
    assert!(
        !go(RegionState::Active, RegionState::Draining),
        "it is joining"
    );
    assert!(go(RegionState::Joining, RegionState::Active));
    assert!(!go(RegionState::Active, RegionState::Decommissioned));
    assert!(
        go(RegionState::Active, RegionState::Draining)
            && go(RegionState::Draining, RegionState::Evacuated)
    );
    assert!(go(RegionState::Evacuated, RegionState::Decommissioned));
    assert!(!go(RegionState::Decommissioned, RegionState::Active));
}

#[test]
fn nothing_is_defined_before_the_cluster_is_founded() {
    let mut registry = Registry::default();
    let request = Request::Apply {
        definitions: vec![],
        prune: false,
        expect_revision: None,
        breaking: Breaking::Allowed,
    };
    assert!(matches!(
        registry.apply(command(request)),
        RegistryOutcome::Refused { .. }
    ));
    let mut founded = founded();
    assert!(
        matches!(
            founded.apply(super::founding()),
            RegistryOutcome::Refused { .. }
        ),
        "and only once"
    );
}
