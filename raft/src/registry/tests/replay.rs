//! I9: equal commands give equal states; what is stored gives the state back; unknown stops.

use super::{SHOP, command, founding, parse_yaml};
use crate::{
    machine::{Command, Parts, StateMachine},
    registry::{Breaking, Registry, RegistryCommand, command::Request, history::HISTORY_REVISIONS},
};
use proptest::prelude::*;
use proto::{
    id::{Revision, ViewId},
    time::EventTime,
};

fn variants() -> Vec<Request> {
    let apply = |yaml: &str, prune| Request::Apply {
        definitions: parse_yaml("s", yaml).unwrap(),
        prune,
        expect_revision: None,
        breaking: Breaking::Allowed,
    };
    vec![
        apply(SHOP, false),
        apply(&SHOP.replace("ttl: 30d", "ttl: 7d"), false),
        apply(&SHOP.replace("type: int32", "type: int64"), false),
        apply(
            &SHOP.replace(
                "services:",
                "      - { name: spend, type: float64, default: .nan }\nservices:",
            ),
            false,
        ),
        apply("project: shop\n", true),
        apply(
            "project: other\nentities: [{name: e, keys: [{name: k, type: bytes}]}]\n",
            false,
        ),
        Request::Rollback {
            to: Revision(2),
            expect_revision: None,
            breaking: Breaking::Allowed,
        },
        Request::Rollback {
            to: Revision(4),
            expect_revision: None,
            breaking: Breaking::Allowed,
        },
        Request::RaiseFloors {
            floors: vec![(ViewId(1), EventTime::saturating(5))],
        },
    ]
}

/// Writes changes over parts, as the applied state on disk does.
fn write(parts: &mut Parts, before: &Registry, after: &Registry) {
    for (key, value) in before.changes_to(after) {
        match value {
            Some(value) => parts.insert(key, value),
            None => parts.remove(&key),
        };
    }
}

proptest! {
    #[test]
    fn parts_written_step_by_step_hold_the_state(steps in prop::collection::vec(0..9_usize, 0..40)) {
        let requests = variants();
        let commands = std::iter::once(founding()).chain(steps.iter().map(|step| command(requests[*step].clone())));
        let (mut registry, mut replica, mut parts) = (Registry::default(), Registry::default(), Registry::default().parts());
        for command in commands {
            let before = registry.clone();
            let stored = RegistryCommand::decode(&command.encode()).unwrap();
            prop_assert_eq!(&stored, &command);
            let outcome = registry.apply(command);
            prop_assert_eq!(outcome, replica.apply(stored));
            write(&mut parts, &before, &registry);
        }
        prop_assert_eq!(&parts, &registry.parts());
        prop_assert_eq!(&Registry::from_parts(&parts).unwrap(), &registry);
        prop_assert_eq!(&registry, &replica);
    }
}

#[test]
fn history_keeps_the_newest_revisions() {
    let mut registry = Registry::default();
    let mut parts = registry.parts();
    registry.apply(founding());
    write(&mut parts, &Registry::default(), &registry);
    for round in 0..=HISTORY_REVISIONS {
        let before = registry.clone();
        let yaml = format!("project: p{round}\n");
        let definitions = parse_yaml("s", &yaml).unwrap();
        registry.apply(command(Request::Apply {
            definitions,
            prune: false,
            expect_revision: None,
            breaking: Breaking::Allowed,
        }));
        write(&mut parts, &before, &registry);
    }
    assert_eq!(registry.history.len(), HISTORY_REVISIONS);
    assert_eq!(registry.history.back().unwrap().revision, registry.revision);
    assert_eq!(
        parts,
        registry.parts(),
        "what the history dropped is dropped on disk too"
    );
}

#[test]
fn a_command_of_an_unknown_version_or_form_is_an_error_and_never_skipped() {
    let known = founding().encode();
    assert!(RegistryCommand::decode(&known).is_ok());
    let version = RegistryCommand::VERSION + 1;
    let newer = format!("{}{}", char::from(version), &known[1..]);
    let error = RegistryCommand::decode(&newer).unwrap_err().to_string();
    let named = format!("version {version}");
    assert!(
        error.contains(&named) && error.contains("the node stops"),
        "{error}"
    );
    let unknown = known.replace("\"found\"", "\"dissolve\"");
    assert!(RegistryCommand::decode(&unknown).is_err());
    let more = known.replacen("\"author\"", "\"urgent\":true,\"author\"", 1);
    assert!(
        RegistryCommand::decode(&more).is_err(),
        "a field that is not understood is not passed over"
    );
    assert!(RegistryCommand::decode("").is_err());
}
