//! What was, and the way back: history, rollback, export, who reads what.

use super::{SHOP, apply, apply_with, command, founded, rollback, with_shop};
use crate::registry::{
    Breaking, Registry,
    command::{RegistryOutcome, Request},
    history::{HISTORY_BYTES, HISTORY_REVISIONS},
    parse_yaml,
    plan::{LeftOut, Plan},
};
use proto::{
    id::{Revision, ViewId},
    reason::{Reason, Refusal},
};

fn words(plan: &Plan) -> Vec<String> {
    plan.changes.iter().map(ToString::to_string).collect()
}

fn rolled_back(registry: &mut Registry, to: u64) -> Vec<String> {
    let shown = registry.plan_rollback(Revision(to)).unwrap();
    match rollback(registry, to) {
        RegistryOutcome::Done {
            plan: Some(plan), ..
        } => {
            assert_eq!(plan, shown, "what was shown is what is done");
            words(&plan)
        }
        other => panic!("{other:?}"),
    }
}

fn refused(registry: &mut Registry, request: Request) -> Vec<Refusal> {
    let before = registry.clone();
    match registry.apply(command(request)) {
        RegistryOutcome::Refused { refusals, .. } => {
            assert_eq!(*registry, before, "a refused change changes nothing");
            refusals
        }
        RegistryOutcome::Done { plan, .. } => panic!("it was done: {plan:?}"),
    }
}

fn apply_request(yaml: &str, prune: bool, breaking: Breaking) -> Request {
    Request::Apply {
        definitions: parse_yaml("s.yaml", yaml).unwrap(),
        prune,
        expect_revision: None,
        breaking,
    }
}

/// What export prints leads to no change here and to the same export in an empty registry.
#[track_caller]
fn check_round_trip(registry: &Registry) {
    let project = registry.project("shop").unwrap();
    let exported = registry.export(project).unwrap();
    let text = serde_saphyr::to_string(&exported).unwrap();
    let read = parse_yaml("exported.yaml", &text).unwrap();
    assert_eq!(read, std::slice::from_ref(&exported), "{text}");
    for left_out in [LeftOut::Stays, LeftOut::Goes] {
        let plan = registry.plan(&read, left_out);
        assert_eq!(plan.changes, [], "{text}");
        assert_eq!(plan.refusals, [], "{text}");
    }
    let mut other = founded();
    apply(&mut other, &text).unwrap();
    let copy = other.export(other.project("shop").unwrap()).unwrap();
    for (copied, service) in copy.services.iter().zip(&exported.services) {
        let columns = |registry: &Registry, name: &str| {
            let project = registry.project("shop").unwrap();
            let service = registry.service(project, name).unwrap();
            registry.column_references(&service.columns)
        };
        let name = service.name.as_str();
        assert_eq!(columns(&other, name), columns(registry, name));
        assert_eq!(copied.features, service.features);
    }
    assert_eq!(
        (copy.entities, copy.views),
        (exported.entities, exported.views)
    );
}

const TOLD: &str = "    owner: growth\n    description: \"what it is\"\n    tags: [core, new]\n";

#[test]
fn what_is_exported_is_what_is_there() {
    let mut registry = with_shop();
    check_round_trip(&registry);
    let told = SHOP
        .replace("    ttl: 30d\n", "    ttl: 30d\n    owner: growth\n    description: d\n    freshness: 10m\n    purge_after: 1d\n    max_late: 1h\n    elsewhere: fetch\n")
        .replace("    copies: every_node\n", &format!("    copies: every_node\n{TOLD}"))
        .replace("    features: [\"activity:*\"]\n", &format!("    features: [\"activity:*\"]\n{TOLD}"))
        .replace("default: 0,", "default: 5, deprecated: true,");
    let changes = apply(&mut registry, &told).unwrap();
    for change in [
        "alter entity article: owner nothing → growth",
        "alter service model_v1: tags nothing → core, new",
        "alter view activity@1: freshness none → 10m",
    ] {
        assert!(changes.contains(&change.to_owned()), "{changes:?}");
    }
    check_round_trip(&registry);
}

#[test]
fn a_star_that_means_more_by_now_is_exported_with_what_it_meant() {
    let mut registry = with_shop();
    let wider = SHOP.replace(
        "services:",
        "      - { name: spend, type: float64 }\nservices:",
    );
    apply(&mut registry, &wider).unwrap();
    let project = registry.project("shop").unwrap();
    let exported = registry.export(project).unwrap();
    let columns = exported.services[0].columns.as_ref().unwrap();
    let texts: Vec<String> = columns.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "activity@1:orders",
            "activity@1:views",
            "activity@1:embedding"
        ]
    );
    check_round_trip(&registry);
    // The file as it was written says nothing new either.
    assert_eq!(apply(&mut registry, &wider).unwrap(), Vec::<String>::new());
    let spelled = wider.replace(
        "[\"activity:*\"]",
        "[\"activity:orders\", \"activity:views\", \"activity@1:embedding\"]",
    );
    assert_eq!(
        apply(&mut registry, &spelled).unwrap(),
        Vec::<String>::new(),
        "other words for the same columns"
    );
}

#[test]
fn an_object_knows_since_when_it_is_there_and_as_it_is() {
    let mut registry = with_shop();
    apply(&mut registry, &SHOP.replace("ttl: 30d", "ttl: 7d")).unwrap();
    let since = |registry: &Registry| {
        let (view, entity) = (
            registry.views.values().next().unwrap().since,
            registry.entities.values().next().unwrap().since,
        );
        [view.made.0, view.changed.0, entity.made.0, entity.changed.0]
    };
    assert_eq!(since(&registry), [2, 3, 2, 2]);
    rolled_back(&mut registry, 2);
    assert_eq!(since(&registry), [2, 4, 2, 2]);
}

#[test]
fn who_expected_another_revision_is_told_what_changed_meanwhile() {
    let mut registry = with_shop();
    apply(&mut registry, &SHOP.replace("ttl: 30d", "ttl: 7d")).unwrap();
    let request = Request::Apply {
        definitions: vec![],
        prune: false,
        expect_revision: Some(Revision(2)),
        breaking: Breaking::Allowed,
    };
    let refusals = refused(&mut registry, request);
    assert_eq!(refusals[0].reason, Reason::RevisionChanged);
    assert_eq!(
        refusals[0].message,
        "the registry is at revision 3 and 2 was expected (revision 3 by a person: alter view \
         activity@1: ttl 30d → 7d); plan again"
    );
}

#[test]
fn what_services_read_goes_only_when_that_is_said() {
    let mut registry = with_shop();
    let bare = SHOP.split("views:").next().unwrap();
    let plan = registry.plan(&parse_yaml("s", bare).unwrap(), LeftOut::Goes);
    assert_eq!(
        words(&plan),
        [
            "remove service model_v1; breaks readers",
            "remove view activity@1; breaks readers, of services model_v1"
        ]
    );
    let refusals = refused(&mut registry, apply_request(bare, true, Breaking::Refused));
    assert_eq!(refusals.len(), 2, "{refusals:?}");
    assert_eq!(refusals[1].reason, Reason::IncompatibleChange);
    assert!(
        refusals[1]
            .message
            .contains("services that read it: model_v1")
            && refusals[1].message.contains("--break-readers"),
        "{refusals:?}"
    );
    registry.apply(command(apply_request(bare, true, Breaking::Allowed)));
    assert!(registry.views.is_empty() && registry.services.is_empty());
}

#[test]
fn a_feature_that_services_read_is_named_with_them() {
    let mut registry = with_shop();
    let fewer = SHOP.replace("      - { name: views, type: int64, combine: sum }\n", "");
    let refusals = apply_with(&mut registry, &fewer, true).unwrap_err();
    assert!(
        refusals[0]
            .message
            .contains("feature views (read by model_v1) cannot go"),
        "{refusals:?}"
    );
}

#[test]
fn a_rollback_takes_no_rows_away() {
    let mut registry = with_shop();
    let more = SHOP
        .replace("services:", "      - { name: spend, type: float64 }\n  - name: later\n    entity: article\n    features: [{ name: a, type: bool }, { name: b, type: bool }]\nservices:\n  - { name: two, features: [\"later:a\"] }")
        .replace("entities:", "entities:\n  - { name: later_entity, keys: [{ name: k, type: int64 }] }");
    apply(&mut registry, &more).unwrap();
    let request = |breaking| Request::Rollback {
        to: Revision(2),
        expect_revision: None,
        breaking,
    };
    let refusals = refused(&mut registry, request(Breaking::Refused));
    assert!(
        refusals[0].message.contains("removing service two breaks"),
        "{refusals:?}"
    );
    assert_eq!(
        rolled_back(&mut registry, 2),
        [
            "deprecate feature activity@1:spend",
            "remove service two; breaks readers",
            "deprecate view later@1 (all 2 features; its rows stay)",
        ]
    );
    assert_eq!((registry.views.len(), registry.entities.len()), (2, 4));
    // And forward again: what had receded is as it was.
    assert_eq!(
        rolled_back(&mut registry, 3),
        [
            "alter feature activity@1:spend: deprecated true → false",
            "alter feature later@1:a: deprecated true → false",
            "alter feature later@1:b: deprecated true → false",
            "create service two (later:a)",
        ]
    );
    check_round_trip(&registry);
}

#[test]
fn a_rollback_brings_back_what_was_removed_without_its_rows() {
    let mut registry = with_shop();
    let wider = SHOP.replace(
        "services:",
        "      - { name: spend, type: float64 }\nservices:",
    );
    apply(&mut registry, &wider).unwrap();
    apply_with(&mut registry, "project: shop\n", true).unwrap();
    let changes = rolled_back(&mut registry, 3);
    let view = changes
        .iter()
        .find(|change| change.starts_with("create view"))
        .unwrap();
    assert!(view.contains("without the rows that it had"), "{view}");
    let service = changes.last().unwrap();
    assert_eq!(
        service, "create service model_v1 (activity:orders, activity:views, activity:embedding)",
        "the columns are those that the star meant then"
    );
    assert_eq!(registry.views.keys().next(), Some(&ViewId(2)));
    assert_eq!(
        registry.services.values().next().unwrap().references[0].to_string(),
        "activity:*"
    );
}

#[test]
fn a_rollback_over_a_widening_is_refused_with_the_way_out() {
    let mut registry = with_shop();
    apply(&mut registry, &SHOP.replace("type: int32", "type: int64")).unwrap();
    let refusals = refused(
        &mut registry,
        Request::Rollback {
            to: Revision(2),
            expect_revision: None,
            breaking: Breaking::Allowed,
        },
    );
    assert_eq!(refusals[0].reason, Reason::IncompatibleChange);
    for word in [
        "orders was widened from int32 to int64",
        "may hold values",
        "--revision",
    ] {
        assert!(refusals[0].message.contains(word), "{refusals:?}");
    }
    // The way out: the definitions of then, with the type of now.
    let past = registry.at(Revision(2)).unwrap();
    let mut file = past.export(past.project("shop").unwrap()).unwrap();
    assert_eq!(file.views[0].features[0].ty.to_string(), "int32");
    file.views[0].features[0].ty = "int64".parse().unwrap();
    assert!(registry.plan(&[file], LeftOut::Stays).is_possible());
}

#[test]
fn what_is_not_kept_cannot_be_looked_at() {
    let mut registry = with_shop();
    assert!(registry.at(Revision(0)).is_some() && registry.at(Revision(3)).is_none());
    for round in 0..HISTORY_REVISIONS {
        apply(&mut registry, &format!("project: p{round}\n")).unwrap();
    }
    let refusal = registry.plan_rollback(Revision(1)).unwrap_err();
    assert_eq!(refusal.message, "revision 1 is not kept; 2 to 1002 are");
    assert!(registry.at(Revision(2)).is_some());
}

#[test]
fn large_changes_push_old_ones_out_of_the_history_sooner() {
    let mut registry = with_shop();
    let text = "x".repeat(4_000);
    let features: Vec<String> = (0..2_000)
        .map(|n| format!("      - {{ name: f{n}, type: bool, description: \"{text}\" }}\n"))
        .collect();
    let views = |ttl: u32| {
        let features = features[..1_000].concat();
        format!(
            "project: shop\nviews:\n  - name: wide\n    entity: customer\n    ttl: {ttl}d\n    features:\n{features}"
        )
    };
    for ttl in 1..=6 {
        apply(&mut registry, &views(ttl)).unwrap();
    }
    let bytes: u64 = registry.history.iter().map(|entry| entry.bytes).sum();
    assert!(bytes <= HISTORY_BYTES, "{bytes}");
    assert!(registry.history.len() < 7, "{}", registry.history.len());
    assert_eq!(registry.history.back().unwrap().revision, registry.revision);
}
