//! Joining by a snapshot: when a log may be dropped, and when rows may be read.

use super::harness::{
    Bench, WALL, acks, appended, bodies, configuration, entries, entry, fence, mark, member, round,
};
use proto::{
    hlc::Hlc,
    id::{BootId, Incarnation, Position},
};
use replication::{
    Base, Effect, Event, Fence, Micros, RoleName,
    message::{Append, Body, Echo},
};

/// A joiner of node 2 in epoch 2.
fn joiner(tail: u64) -> Bench {
    let mut bench = Bench::with_tail(entries(tail));
    bench.configure(configuration(2, 2, &[2]));
    assert_eq!(bench.replica.role(), RoleName::Joining);
    bench
}

fn begun(fence: Fence, boot: u64, session: u32) -> Event {
    let boot = BootId(boot);
    Event::SnapshotBegun {
        fence,
        boot,
        session,
    }
}

fn append(session: u32) -> Body {
    Body::Append(Append {
        member: member(1),
        session,
        previous: mark(0, 0),
        entries: entries(2),
        committed: Position(0),
        closed_through: 0,
    })
}

fn drops_its_log(effects: &[Effect]) -> bool {
    matches!(effects, [Effect::StartEmpty { .. }])
}

#[test]
fn an_observer_is_told_from_a_joiner_and_may_become_one() {
    let mut observed = configuration(2, 2, &[2]);
    observed.observing = std::mem::take(&mut observed.joining);
    let mut bench = Bench::with_tail(Vec::new());
    bench.configure(observed.clone());
    assert_eq!(bench.replica.role(), RoleName::Observer);
    assert!(!bench.replica.is_readable(), "it has not come up yet");
    std::mem::swap(&mut observed.observing, &mut observed.joining);
    observed.revision.0 += 1;
    bench.configure(observed);
    assert_eq!(bench.replica.role(), RoleName::Joining);
}

#[test]
fn a_log_is_dropped_once_for_the_run_and_session_that_the_primary_opened() {
    let cases = [
        ("its own", begun(fence(2), 1, 1), true),
        ("meant for an earlier run", begun(fence(2), 0, 1), false),
        ("of an earlier epoch", begun(fence(1), 1, 1), false),
        ("of no new session", begun(fence(2), 1, 0), false),
    ];
    for (case, event, expected) in cases {
        let mut bench = joiner(2);
        assert_eq!(drops_its_log(&bench.step(event)), expected, "{case}");
    }
}

#[test]
fn a_snapshot_that_arrives_after_its_session_was_acknowledged_under_is_not_taken() {
    let mut bench = joiner(0);
    bench.hear(2, 2, append(1));
    assert_eq!(acks(&bench.synced()), [(2, 0)]);
    assert!(bench.step(begun(fence(2), 1, 1)).is_empty());
    assert!(drops_its_log(&bench.step(begun(fence(2), 1, 2))));
}

#[test]
fn an_in_sync_replica_never_drops_its_log() {
    let mut bench = Bench::with_tail(entries(2));
    bench.configure(configuration(2, 2, &[1, 2]));
    assert!(bench.step(begun(fence(2), 1, 1)).is_empty());
    assert_eq!(bench.replica.log_end(), mark(1, 2));
}

#[test]
fn nothing_is_appended_or_acknowledged_while_a_snapshot_arrives() {
    let mut bench = joiner(2);
    bench.step(begun(fence(2), 1, 1));
    assert!(bench.hear(2, 2, append(1)).is_empty());
    assert!(bench.synced().is_empty());
    bench.step(Event::SnapshotAborted);
    assert_eq!(appended(&bench.hear(2, 2, append(1))).len(), 2);
}

#[test]
fn rows_of_a_snapshot_are_served_past_its_scans_end() {
    let mut bench = joiner(0);
    bench.step(begun(fence(2), 1, 1));
    assert!(!bench.replica.is_readable());
    let base = Base {
        committed: mark(1, 40),
        incarnation: Incarnation(1),
        serves_from: Position(41),
        ..Base::default()
    };
    let effects = bench.step(Event::SnapshotInstalled {
        fence: fence(2),
        session: 1,
        base,
    });
    let [Body::Mismatch(mismatch)] = bodies(&effects, 2)[..] else {
        panic!("{effects:?}");
    };
    assert_eq!((mismatch.resume, mismatch.session), (Position(41), 1));
    bench.configure(configuration(3, 2, &[1, 2]));
    assert_eq!(bench.replica.role(), RoleName::Backup);
    assert!(
        !bench.replica.is_readable(),
        "entry 41 may be there in part"
    );
    bench.hear(
        2,
        3,
        Body::Append(Append {
            member: member(1),
            session: 0,
            previous: mark(1, 40),
            entries: vec![entry(41, 2, 1)],
            committed: Position(41),
            closed_through: 0,
        }),
    );
    bench.synced();
    assert!(bench.replica.is_readable());
}

#[test]
fn a_joiner_is_read_once_it_has_come_up_to_its_primary() {
    let mut bench = joiner(0);
    let committed = |closed_through| {
        Body::Append(Append {
            member: member(1),
            session: 0,
            previous: mark(0, 0),
            entries: entries(2),
            committed: Position(2),
            closed_through,
        })
    };
    bench.hear(2, 2, committed(0));
    bench.synced();
    assert_eq!(bench.committed(), 2);
    assert!(!bench.replica.is_readable(), "there may be more rows");
    let close = Body::Close {
        member: member(1),
        session: 0,
        round: round(1, 2, Hlc::from_millis(WALL)),
        echo: Some(Echo {
            boot: BootId(1),
            instant: Micros(5),
        }),
    };
    bench.hear(2, 2, close);
    bench.hear(2, 2, committed(1));
    assert!(bench.replica.is_readable());
}

#[test]
fn a_log_of_an_earlier_incarnation_is_not_compared_but_replaced() {
    let mut bench = joiner(2);
    let mut next = configuration(3, 2, &[2]);
    next.fence.incarnation = Incarnation(2);
    let newer = next.fence;
    bench.configure(next);
    let message = replication::Message {
        fence: newer,
        body: append(0),
    };
    let from = proto::id::NodeId(2);
    let effects = bench.step(Event::Message { from, message });
    let [Body::Mismatch(mismatch)] = bodies(&effects, 2)[..] else {
        panic!("{effects:?}");
    };
    assert_eq!(mismatch.resume, Position(0), "it asks for a snapshot");
}

#[test]
fn a_damaged_joiner_asks_for_a_snapshot() {
    let mut bench = joiner(2);
    bench.step(Event::StoreDamaged);
    let effects = bench.append(2, mark(1, 2), Vec::new(), 0);
    let [Body::Mismatch(mismatch)] = bodies(&effects, 2)[..] else {
        panic!("{effects:?}");
    };
    assert_eq!(mismatch.resume, Position(0));
    bench.step(begun(fence(2), 1, 1));
    bench.step(Event::SnapshotAborted);
    assert_eq!(
        appended(&bench.hear(2, 2, append(1))).len(),
        2,
        "whole again"
    );
}
