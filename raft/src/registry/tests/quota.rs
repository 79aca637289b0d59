//! Quotas of projects: set, lifted, refused, and back from the parts.

use super::{SHOP, command, with_shop};
use crate::{
    machine::StateMachine as _,
    registry::{Catalog, Registry, RegistryOutcome, Request, quota::Quota, tests::apply},
};
use proto::{name::Name, reason::Reason};
use std::collections::BTreeMap;

const QUOTA: Quota = Quota {
    lookups: Some(100),
    rows: None,
    bytes: Some(1 << 20),
};

fn set(registry: &mut Registry, project: &str, quota: Quota) -> RegistryOutcome {
    let project = Name::new(project).unwrap();
    registry.apply(command(Request::SetQuota { project, quota }))
}

fn quota_of(registry: &Registry) -> Quota {
    let catalog = Catalog::of(registry, &Catalog::default());
    catalog.project("shop").unwrap().quota
}

#[test]
fn a_quota_is_a_revision_and_survives_as_a_part() {
    let mut registry = with_shop();
    let before = registry.clone();
    assert_eq!(quota_of(&registry), Quota::default());
    set(&mut registry, "shop", QUOTA);
    assert_eq!(registry.revision.0, before.revision.0 + 1);
    assert_eq!(quota_of(&registry), QUOTA);
    let told = registry.history.back().unwrap();
    assert_eq!(
        told.changes,
        ["quota of project shop: 100 lookups a second, 1048576 bytes a second, before no limit"]
    );

    let mut parts: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for (from, to) in [
        (Registry::default(), before.clone()),
        (before, registry.clone()),
    ] {
        for (key, part) in from.changes_to(&to) {
            match part {
                Some(bytes) => drop(parts.insert(key, bytes)),
                None => drop(parts.remove(&key)),
            }
        }
    }
    assert_eq!(Registry::from_parts(&parts).unwrap(), registry);

    // Definitions say nothing of it and leave it alone.
    apply(&mut registry, SHOP).unwrap();
    assert_eq!(quota_of(&registry), QUOTA);
    set(&mut registry, "shop", Quota::default());
    assert!(registry.quotas.is_empty());
}

#[test]
fn what_changes_nothing_is_no_revision() {
    let mut registry = with_shop();
    set(&mut registry, "shop", QUOTA);
    let RegistryOutcome::Done {
        revision, changed, ..
    } = set(&mut registry, "shop", QUOTA)
    else {
        panic!("it was done before")
    };
    assert!(!changed);
    assert_eq!(revision, registry.revision);
}

#[test]
fn a_quota_of_nobody_or_nothing_is_refused() {
    let mut registry = with_shop();
    let nothing = Quota {
        rows: Some(0),
        ..QUOTA
    };
    for (project, quota, reason, words) in [
        ("shoe", QUOTA, Reason::UnknownProject, "no project shoe"),
        (
            "shop",
            nothing,
            Reason::InvalidRequest,
            "would refuse everything",
        ),
    ] {
        let RegistryOutcome::Refused { refusals, .. } = set(&mut registry, project, quota) else {
            panic!("{project} got {quota}")
        };
        assert_eq!(refusals[0].reason, reason);
        assert!(refusals[0].message.contains(words), "{refusals:?}");
    }
    assert!(registry.quotas.is_empty());
}
