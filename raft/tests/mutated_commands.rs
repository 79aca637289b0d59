//! Commands of both groups that somebody damaged: each is refused as unknown, which stops a node, or carried out or
//! refused by the state machine; nothing panics, and what came of it is the same after a snapshot (I9).

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

#[path = "../../proto/tests/mutations/mod.rs"]
mod mutations;

use mutations::Numbers;
use proto::{
    id::{
        BootId, ClusterId, Epoch, Incarnation, NodeId, RegionId, Revision, ShardId, StoreId,
        TokenId, ViewId,
    },
    name::Name,
    shard::{ShardHash, Sharding},
    time::EventTime,
};
use raft::{
    machine::{Command, StateMachine},
    placement::{
        Placement, PlacementCommand, Replica, ShardChange,
        state::{Addresses, Member, Policy},
    },
    registry::{
        Breaking, Registry, RegistryCommand, Request,
        access::{Gives, Grant, JoinedNode, Role, Security, Token, TokenHash},
        parse_yaml,
        quota::Quota,
        region::{Durability, Founding, KafkaSettings, RegionSettings, RegionState, Transport},
    },
};
use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
};

const RUNS: u64 = 4_000;
const SHOP: &str = include_str!("../../examples/shop/customers.yaml");
/// What JSON and the commands give a meaning to.
const PIECES: [&str; 22] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    "\"",
    "null",
    "true",
    "0",
    "1",
    "-1",
    "255",
    "65535",
    "65536",
    "4294967295",
    "18446744073709551615",
    "1e999",
    "\"\"",
    "\"\\ud800\"",
    "\"event_time\"",
    "\"vector<int8, 0>\"",
    "\u{0}",
];

/// The stored form as people lay it out, so that damage finds its values.
fn spread(command: &impl Command) -> String {
    let stored = command.encode();
    let mut rest = stored.chars();
    let version = rest.next().unwrap();
    let json: serde_json::Value = serde_json::from_str(rest.as_str()).unwrap();
    format!("{version}{}", serde_json::to_string_pretty(&json).unwrap())
}

/// Damages the commands that lead to a state, and gives each to the state before it.
fn check<S: StateMachine + std::panic::RefUnwindSafe>(kept: &[S::Command]) {
    let mut states = vec![S::default()];
    for command in kept {
        let mut next = states.last().unwrap().clone();
        next.apply(S::Command::decode(&command.encode()).unwrap());
        states.push(next);
    }
    assert!(states.last().unwrap().revision() > Revision(1));
    let kept: Vec<String> = kept.iter().map(spread).collect();
    let (mut unknown, mut known) = (0, 0);
    for seed in 0..mutations::runs(RUNS) {
        let mut numbers = Numbers::of(seed);
        let place = numbers.below(kept.len());
        let text = mutations::text(&kept[place], &PIECES, &mut numbers);
        let decoded = catch_unwind(|| S::Command::decode(&text));
        let decoded = decoded.unwrap_or_else(|_| panic!("seed {seed} makes it panic: {text}"));
        let command = match decoded {
            Ok(command) => command,
            Err(error) => {
                assert!(error.to_string().contains("the node stops"), "{error}");
                unknown += 1;
                continue;
            }
        };
        known += 1;
        // The state that the sound one met, or a later one.
        let before = &states[place + numbers.below(states.len() - place)];
        let applied = catch_unwind(AssertUnwindSafe(|| {
            let mut state = before.clone();
            let outcome = state.apply(command);
            let told = serde_json::to_string(&outcome).unwrap();
            assert!(serde_json::from_str::<S::Outcome>(&told).is_ok(), "{told}");
            let read = S::from_parts(&state.parts());
            assert_eq!(read.as_ref(), Ok(&state), "a snapshot is not the replay");
        }));
        assert!(applied.is_ok(), "seed {seed} makes it panic: {text}");
    }
    assert!(
        unknown > mutations::runs(RUNS) / 8 && known > mutations::runs(RUNS) / 50,
        "{unknown} unknown, {known} known: too little is tried"
    );
}

fn member(node: u64) -> Member {
    Member {
        node: NodeId(node),
        name: format!("n{node}"),
        boot: BootId(200 + node),
        store: Some(StoreId(100 + node)),
        zone: format!("z{node}"),
        voter: true,
        gateway: true,
        addresses: Addresses::default(),
        draining: false,
        fewer_copies: false,
    }
}

fn replica(node: u64) -> Replica {
    Replica {
        node: NodeId(node),
        store: StoreId(100 + node),
        boot: None,
    }
}

fn change(epoch: Option<u32>, change: ShardChange) -> PlacementCommand {
    PlacementCommand::Change {
        shard: ShardId(3),
        expect: epoch.map(|epoch| (Incarnation(1), Epoch(epoch))),
        change,
    }
}

#[test]
fn damaged_commands_of_a_region_change_nothing_that_they_must_not() {
    let boot = |node: u64| BootId(200 + node);
    let policy = Policy {
        region: RegionId(1),
        group: 1,
        shards: 8,
        copies: 2,
        min_in_sync: 1,
        named_by_boot: false,
    };
    let joiner = replica(3);
    let place = ShardChange::Place {
        primary: replica(1),
        boot: boot(1),
        members: BTreeSet::from([replica(1), replica(2)]),
    };
    let promote = ShardChange::Promote {
        to: replica(2),
        boot: boot(2),
        drop: BTreeSet::from([replica(1)]),
    };
    let shrink = ShardChange::Shrink { leaver: joiner };
    let drain = PlacementCommand::Drain {
        node: NodeId(1),
        draining: true,
        fewer_copies: true,
    };
    check::<Placement>(&[
        PlacementCommand::Follow(policy),
        PlacementCommand::Register(member(1)),
        PlacementCommand::Register(member(2)),
        PlacementCommand::Register(member(3)),
        change(None, place),
        change(Some(1), ShardChange::Invite { joiner }),
        change(Some(1), ShardChange::Grow { joiner }),
        change(Some(2), promote),
        change(Some(3), ShardChange::Renew { boot: boot(2) }),
        change(Some(4), shrink),
        change(Some(5), ShardChange::Invite { joiner }),
        change(Some(5), ShardChange::Dismiss { joiner }),
        drain,
        PlacementCommand::Remove { node: NodeId(1) },
    ]);
}

fn settings(name: &str) -> RegionSettings {
    RegionSettings {
        name: Name::new(name).unwrap(),
        copies: 2,
        min_in_sync: 1,
        durability: Durability::Fsync,
        kafka: None,
        objects: None,
    }
}

fn token(id: u64, gives: Gives) -> Token {
    Token {
        id: TokenId(id),
        hash: TokenHash([7; 32]),
        name: "a job".into(),
        gives,
        expires_at_millis: Some(1_800_000_000_000),
        created_at_millis: 1_700_000_000_000,
        created_by: "a person".into(),
    }
}

fn found() -> Request {
    let admin = Grant {
        role: Role::Admin,
        project: None,
    };
    Request::Found {
        founding: Founding {
            cluster: ClusterId(1),
            name: "shop-prod".into(),
            sharding: Sharding {
                shards: 64,
                seed: 7,
                algorithm: ShardHash::Xxh3Multiply,
            },
            transport: Transport::Direct,
            max_offset_millis: 500,
            max_future_millis: 300_000,
        },
        regions: vec![settings("eu")],
        security: Some(Security {
            authority: "PEM".into(),
            administrator: token(1, Gives::Access(vec![admin])),
        }),
    }
}

fn apply(text: &str, prune: bool) -> Request {
    Request::Apply {
        definitions: parse_yaml("customers.yaml", text).unwrap(),
        prune,
        expect_revision: None,
        breaking: Breaking::Allowed,
    }
}

fn kafka() -> KafkaSettings {
    KafkaSettings {
        brokers: vec!["127.0.0.1:9092".into()],
        partitions: 64,
        replication: 1,
        retention_millis: 604_800_000,
        security: "plaintext".into(),
        mechanism: None,
        credentials: None,
    }
}

#[test]
fn damaged_commands_of_the_registry_change_nothing_that_they_must_not() {
    let joins = token(2, Gives::Join { used_by: None });
    let by = JoinedNode {
        node: NodeId(4),
        public_key: "00ff".into(),
    };
    let with_kafka = RegionSettings {
        kafka: Some(kafka()),
        ..settings("us")
    };
    let quota = Quota {
        lookups: Some(100),
        rows: None,
        bytes: Some(1 << 20),
    };
    let requests = [
        found(),
        apply(SHOP, false),
        Request::AddRegion {
            settings: settings("us"),
        },
        Request::FoundGroup {
            region: RegionId(1),
            expected: None,
            founder: NodeId(1),
        },
        Request::SetRegionState {
            region: RegionId(1),
            from: RegionState::Active,
            to: RegionState::Draining,
        },
        Request::ChangeRegion {
            region: RegionId(2),
            settings: with_kafka,
        },
        Request::CreateToken { token: joins },
        Request::UseJoinToken { id: TokenId(2), by },
        Request::RevokeToken { id: TokenId(2) },
        Request::SetQuota {
            project: Name::new("shop").unwrap(),
            quota,
        },
        Request::RaiseFloors {
            floors: vec![(ViewId(1), EventTime::saturating(1_700_000_000_000_000))],
        },
        apply(
            &SHOP.replace("growth@shop.example", "sales@shop.example"),
            false,
        ),
        Request::Rollback {
            to: Revision(2),
            expect_revision: None,
            breaking: Breaking::Allowed,
        },
    ];
    let command = |request| RegistryCommand {
        author: "a person".into(),
        at_millis: 1_700_000_000_000,
        request,
    };
    check::<Registry>(&requests.map(command));
}
