//! Tests of placement: single rules, the controller's choices, and a random model of a region.

mod balance;
mod controller;
mod leaving;
mod model;
mod moves;
mod rules;

use super::state::{Addresses, Member, Placement, Policy, Replica};
use super::{PlacementCommand, PlacementOutcome};
use proto::id::{BootId, NodeId, RegionId, StoreId};

fn policy(shards: u16, copies: u8, min_in_sync: u8) -> Policy {
    Policy {
        region: RegionId(1),
        group: 1,
        shards,
        copies,
        min_in_sync,
        named_by_boot: false,
    }
}

fn member(node: u64, store: u64, boot: u64, zone: &str) -> Member {
    Member {
        node: NodeId(node),
        name: format!("n{node}"),
        boot: BootId(boot),
        store: Some(StoreId(store)),
        zone: zone.to_owned(),
        voter: true,
        gateway: false,
        addresses: Addresses::default(),
        draining: false,
        fewer_copies: false,
    }
}

fn replica(node: u64, store: u64) -> Replica {
    Replica {
        node: NodeId(node),
        store: StoreId(store),
        boot: None,
    }
}

/// A region of nodes 1.. with stores 101.. and boots 201.., one zone each.
fn region(nodes: u64, policy: Policy) -> Placement {
    let mut placement = Placement::default();
    done(&mut placement, PlacementCommand::Follow(policy));
    for node in 1..=nodes {
        done(
            &mut placement,
            PlacementCommand::Register(member(node, 100 + node, 200 + node, &format!("z{node}"))),
        );
    }
    placement
}

fn done(placement: &mut Placement, command: PlacementCommand) {
    let outcome = placement.apply(command);
    assert!(
        matches!(outcome, PlacementOutcome::Done { .. }),
        "{outcome:?}"
    );
}
