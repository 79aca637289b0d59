//! Single rules of the shard map.

use super::{done, member, policy, region, replica};
use crate::{
    machine::{Command, StateMachine},
    placement::{
        Placement, PlacementCommand, PlacementOutcome, Replica, ShardChange,
        command::PlacementRefusal,
    },
};
use proto::id::{BootId, Epoch, Incarnation, NodeId, ShardId, StoreId};

const SHARD: ShardId = ShardId(0);

fn change(expect: Option<(u32, u32)>, change: ShardChange) -> PlacementCommand {
    let expect = expect.map(|(incarnation, epoch)| (Incarnation(incarnation), Epoch(epoch)));
    PlacementCommand::Change {
        shard: SHARD,
        expect,
        change,
    }
}

/// Three nodes; shard 0 on nodes 1 and 2, led by 1, at incarnation 1 and epoch 1.
fn placed(copies: u8, min_in_sync: u8) -> Placement {
    let mut placement = region(3, policy(4, copies, min_in_sync));
    let members = [replica(1, 101), replica(2, 102)].into();
    let place = ShardChange::Place {
        primary: replica(1, 101),
        boot: BootId(201),
        members,
    };
    done(&mut placement, change(None, place));
    placement
}

fn check_refused(placement: &Placement, command: PlacementCommand, refusal: PlacementRefusal) {
    let mut after = placement.clone();
    match after.apply(command) {
        PlacementOutcome::Refused { refusal: given, .. } => assert_eq!(given, refusal),
        PlacementOutcome::Done { .. } => panic!("it was done; {refusal:?} was expected"),
    }
    assert_eq!(after, *placement);
}

fn promote(node: u64, boot: u64, drop: &[Replica]) -> ShardChange {
    let to = replica(node, 100 + node);
    ShardChange::Promote {
        to,
        boot: BootId(boot),
        drop: drop.iter().copied().collect(),
    }
}

#[test]
fn a_change_for_another_configuration_is_refused() {
    let placement = placed(2, 1);
    let shrink = ShardChange::Shrink {
        leaver: replica(2, 102),
    };
    for expect in [None, Some((1, 2)), Some((2, 1)), Some((1, 0))] {
        check_refused(
            &placement,
            change(expect, shrink.clone()),
            PlacementRefusal::Moved,
        );
    }
    let mut after = placement.clone();
    done(&mut after, change(Some((1, 1)), shrink.clone()));
    check_refused(
        &after,
        change(Some((1, 1)), shrink),
        PlacementRefusal::Moved,
    );
}

#[test]
fn only_a_member_as_it_is_now_is_promoted() {
    let mut placement = placed(2, 1);
    let outsider = promote(3, 203, &[]);
    check_refused(
        &placement,
        change(Some((1, 1)), outsider),
        PlacementRefusal::NotInSync(replica(3, 103)),
    );
    let old_boot = promote(2, 999, &[]);
    check_refused(
        &placement,
        change(Some((1, 1)), old_boot),
        PlacementRefusal::NotPresent(replica(2, 102)),
    );
    done(
        &mut placement,
        PlacementCommand::Register(member(2, 502, 302, "z2")),
    );
    let wiped = promote(2, 302, &[]);
    check_refused(
        &placement,
        change(Some((1, 1)), wiped),
        PlacementRefusal::StoreRetired(StoreId(102)),
    );
    let new_disk = ShardChange::Promote {
        to: replica(2, 502),
        boot: BootId(302),
        drop: [].into(),
    };
    check_refused(
        &placement,
        change(Some((1, 1)), new_disk),
        PlacementRefusal::NotInSync(replica(2, 502)),
    );
}

#[test]
fn a_restarted_primary_gets_a_new_epoch_once() {
    let mut placement = placed(2, 1);
    let restart = |boot| ShardChange::Restart { boot: BootId(boot) };
    check_refused(
        &placement,
        change(Some((1, 1)), restart(201)),
        PlacementRefusal::SameBoot,
    );
    done(
        &mut placement,
        PlacementCommand::Register(member(1, 101, 301, "z1")),
    );
    done(&mut placement, change(Some((1, 1)), restart(301)));
    let config = &placement.shards[&SHARD];
    assert_eq!(
        (config.epoch, config.boot, config.primary),
        (Epoch(2), BootId(301), replica(1, 101))
    );
    check_refused(
        &placement,
        change(Some((1, 2)), restart(201)),
        PlacementRefusal::NotPresent(replica(1, 101)),
    );
}

#[test]
fn the_set_never_shrinks_below_its_minimum_and_never_without_its_primary() {
    let placement = placed(3, 2);
    let too_few = PlacementRefusal::TooFewInSync {
        left: 1,
        min_in_sync: 2,
    };
    check_refused(
        &placement,
        change(
            Some((1, 1)),
            ShardChange::Shrink {
                leaver: replica(2, 102),
            },
        ),
        too_few.clone(),
    );
    check_refused(
        &placement,
        change(Some((1, 1)), promote(2, 202, &[replica(1, 101)])),
        too_few,
    );
    let primary = ShardChange::Shrink {
        leaver: replica(1, 101),
    };
    check_refused(
        &placement,
        change(Some((1, 1)), primary),
        PlacementRefusal::IsPrimary,
    );
}

#[test]
fn a_joiner_is_invited_first_and_must_still_be_what_it_was() {
    let mut placement = placed(3, 1);
    let joiner = replica(3, 103);
    let grow = ShardChange::Grow { joiner };
    check_refused(
        &placement,
        change(Some((1, 1)), grow.clone()),
        PlacementRefusal::NotInvited(joiner),
    );
    done(
        &mut placement,
        change(Some((1, 1)), ShardChange::Invite { joiner }),
    );
    assert_eq!(
        placement.shards[&SHARD].epoch,
        Epoch(1),
        "an invitation is no configuration"
    );
    let mut wiped = placement.clone();
    done(
        &mut wiped,
        PlacementCommand::Register(member(3, 503, 303, "z3")),
    );
    check_refused(
        &wiped,
        change(Some((1, 1)), grow.clone()),
        PlacementRefusal::StoreRetired(StoreId(103)),
    );
    done(&mut placement, change(Some((1, 1)), grow));
    let config = &placement.shards[&SHARD];
    assert_eq!(
        (config.epoch, config.in_sync.len(), config.joining.len()),
        (Epoch(2), 3, 0)
    );
}

#[test]
fn a_retired_store_never_registers_again() {
    let mut placement = placed(2, 1);
    done(
        &mut placement,
        PlacementCommand::Register(member(2, 502, 302, "z2")),
    );
    let back = PlacementCommand::Register(member(2, 102, 303, "z2"));
    check_refused(
        &placement,
        back,
        PlacementRefusal::StoreRetired(StoreId(102)),
    );
}

#[test]
fn a_loss_that_a_person_accepts_begins_an_incarnation_and_retires_the_lost() {
    let mut placement = placed(2, 1);
    let accept = ShardChange::AcceptLoss {
        survivor: replica(3, 103),
        boot: BootId(203),
    };
    done(&mut placement, change(Some((1, 1)), accept));
    let config = &placement.shards[&SHARD];
    assert_eq!(
        (config.incarnation, config.epoch, config.primary),
        (Incarnation(2), Epoch(2), replica(3, 103))
    );
    assert_eq!(config.in_sync.len(), 1);
    assert_eq!(placement.retired, [StoreId(101), StoreId(102)].into());
}

#[test]
fn a_node_goes_only_when_no_shard_needs_it() {
    let mut placement = placed(2, 1);
    let needed = PlacementRefusal::StillNeeded {
        node: NodeId(2),
        shard: SHARD,
    };
    check_refused(
        &placement,
        PlacementCommand::Remove { node: NodeId(2) },
        needed,
    );
    done(&mut placement, PlacementCommand::Remove { node: NodeId(3) });
    assert!(placement.retired.contains(&StoreId(103)));
}

#[test]
fn where_memory_counts_a_restarted_member_is_another_one() {
    let mut by_boot = policy(4, 2, 1);
    by_boot.named_by_boot = true;
    let mut placement = region(2, by_boot);
    let [first, second] = [1, 2].map(|node| placement.replica_of(NodeId(node)).unwrap());
    let place = ShardChange::Place {
        primary: first,
        boot: BootId(201),
        members: [first, second].into(),
    };
    done(&mut placement, change(None, place));
    done(
        &mut placement,
        PlacementCommand::Register(member(2, 102, 302, "z2")),
    );
    let to = ShardChange::Promote {
        to: second,
        boot: BootId(302),
        drop: [].into(),
    };
    check_refused(
        &placement,
        change(Some((1, 1)), to),
        PlacementRefusal::NotPresent(second),
    );
}

#[test]
fn where_memory_counts_a_loss_takes_runs_and_not_the_disks_that_hold_other_shards() {
    let mut by_boot = policy(4, 2, 1);
    by_boot.named_by_boot = true;
    let mut placement = region(2, by_boot);
    let [first, second] = [1, 2].map(|node| placement.replica_of(NodeId(node)).unwrap());
    let place = ShardChange::Place {
        primary: first,
        boot: BootId(201),
        members: [first, second].into(),
    };
    done(&mut placement, change(None, place));
    for node in 1..=2 {
        let anew = member(node, 100 + node, 300 + node, &format!("z{node}"));
        done(&mut placement, PlacementCommand::Register(anew));
    }
    let survivor = placement.replica_of(NodeId(2)).unwrap();
    let boot = BootId(302);
    done(
        &mut placement,
        change(Some((1, 1)), ShardChange::AcceptLoss { survivor, boot }),
    );
    let config = &placement.shards[&SHARD];
    assert_eq!(config.in_sync, [survivor].into());
    assert!(placement.retired.is_empty());
    assert!(placement.is_present(placement.replica_of(NodeId(1)).unwrap()));
}

#[test]
fn several_members_leave_at_once_or_none_does() {
    let three = |min_in_sync| {
        let mut placement = region(3, policy(4, 3, min_in_sync));
        let place = ShardChange::Place {
            primary: replica(1, 101),
            boot: BootId(201),
            members: (1..=3).map(|node| replica(node, 100 + node)).collect(),
        };
        done(&mut placement, change(None, place));
        placement
    };
    let mut placement = three(1);
    let leave = |leavers: &[u64]| ShardChange::Leave {
        leavers: leavers
            .iter()
            .map(|node| replica(*node, 100 + node))
            .collect(),
    };
    let primary = PlacementRefusal::IsPrimary;
    check_refused(&placement, change(Some((1, 1)), leave(&[1, 2])), primary);
    let stranger = PlacementRefusal::NotInSync(replica(4, 104));
    check_refused(&placement, change(Some((1, 1)), leave(&[2, 4])), stranger);
    done(&mut placement, change(Some((1, 1)), leave(&[2, 3])));
    let config = &placement.shards[&SHARD];
    assert_eq!(config.in_sync, [replica(1, 101)].into());
    assert_eq!(config.epoch, Epoch(2));
    let few = PlacementRefusal::TooFewInSync {
        left: 1,
        min_in_sync: 2,
    };
    check_refused(&three(2), change(Some((1, 1)), leave(&[2, 3])), few);
}

#[test]
fn a_rebuilt_group_places_shards_in_higher_incarnations() {
    let mut rebuilt = policy(4, 2, 1);
    rebuilt.group = 2;
    let mut placement = region(1, rebuilt);
    let place = ShardChange::Place {
        primary: replica(1, 101),
        boot: BootId(201),
        members: [replica(1, 101)].into(),
    };
    done(&mut placement, change(None, place));
    assert!(placement.shards[&SHARD].incarnation > Incarnation(1 << 15));
}

#[test]
fn parts_hold_the_state_and_commands_read_back() {
    let placement = placed(3, 1);
    assert_eq!(
        Placement::from_parts(&placement.parts()).unwrap(),
        placement
    );
    let mut after = placement.clone();
    done(
        &mut after,
        change(
            Some((1, 1)),
            ShardChange::Invite {
                joiner: replica(3, 103),
            },
        ),
    );
    let changes = placement.changes_to(&after);
    let keys: Vec<_> = changes.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(
        keys,
        ["head", "shard/00000000000000000000"],
        "a small change writes little"
    );
    let command = change(Some((1, 1)), promote(2, 202, &[replica(1, 101)]));
    assert_eq!(
        PlacementCommand::decode(&command.encode()).unwrap(),
        command
    );
}

#[test]
fn a_primary_may_void_its_earlier_proposals_by_a_new_epoch() {
    let mut placement = placed(2, 1);
    let renew = |boot| ShardChange::Renew { boot: BootId(boot) };
    done(&mut placement, change(Some((1, 1)), renew(201)));
    assert_eq!(placement.shards[&SHARD].epoch, Epoch(2));
    assert_eq!(placement.shards[&SHARD].in_sync.len(), 2);
    let grow = ShardChange::Shrink {
        leaver: replica(2, 102),
    };
    check_refused(
        &placement,
        change(Some((1, 1)), grow),
        PlacementRefusal::Moved,
    );
    let primary = replica(1, 101);
    check_refused(
        &placement,
        change(Some((1, 2)), renew(999)),
        PlacementRefusal::NotPresent(primary),
    );
}
