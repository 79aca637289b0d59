//! Where members are named by boot, what several of them have written counts before it is on disk.

use super::harness::{Bench, acks, configuration, entries, fence, id, mark, run_of};
use proto::id::Position;
use replication::{
    Configuration, Effect, Member, RoleName,
    message::{Append, Body},
};

/// Node 1 is under test, in its boot 1.
fn named(epoch: u32, primary: u64, in_sync: &[Member]) -> Configuration {
    Configuration {
        in_sync: in_sync.to_vec(),
        joining: Vec::new(),
        ..configuration(epoch, primary, &[])
    }
}

fn both() -> [Member; 2] {
    [run_of(1, 1), run_of(2, 1)]
}

fn backup() -> Bench {
    let mut bench = Bench::with_tail(Vec::new());
    bench.configure(named(2, 2, &both()));
    bench
}

fn append(bench: &mut Bench, to: Member) -> Vec<Effect> {
    let append = Append {
        member: to,
        session: 0,
        previous: mark(0, 0),
        entries: entries(2),
        committed: Position(0),
        closed_through: 0,
    };
    bench.hear(2, 2, Body::Append(append))
}

#[test]
fn what_is_written_is_acknowledged_and_what_is_only_appended_is_not() {
    let mut bench = backup();
    assert!(acks(&append(&mut bench, run_of(1, 1))).is_empty());
    assert_eq!(acks(&bench.wrote()), [(2, 0)]);
}

#[test]
fn what_two_have_written_is_committed_before_either_disk_has_it() {
    let mut bench = Bench::with_tail(Vec::new());
    bench.configure(named(2, 1, &both()));
    bench.write(2, id(1), 1, 1);
    bench.ack(run_of(2, 1), 2, 3, 0);
    assert_eq!(bench.committed(), 0, "the own part is not written");
    bench.wrote();
    assert_eq!(bench.committed(), 3);
}

#[test]
fn a_member_that_is_left_alone_counts_by_its_disk() {
    let mut bench = Bench::with_tail(Vec::new());
    bench.configure(named(2, 1, &both()));
    bench.ack(run_of(2, 1), 2, 1, 0);
    bench.wrote();
    assert_eq!(bench.committed(), 1);
    bench.configure(named(3, 1, &[run_of(1, 1)]));
    bench.write(3, id(1), 1, 1);
    bench.wrote();
    assert_eq!(bench.committed(), 1, "nobody else holds it");
    bench.synced();
    assert_eq!(
        bench.committed(),
        4,
        "the epoch, the stream's start, the rows"
    );
}

#[test]
fn members_named_by_their_disks_wait_for_these() {
    let mut bench = Bench::with_tail(Vec::new());
    bench.configure(configuration(2, 1, &[1]));
    bench.wrote();
    assert_eq!(bench.committed(), 0);
}

#[test]
fn a_run_that_follows_another_has_no_part_and_answers_nothing() {
    let mut bench = Bench::with_tail(entries(2));
    let before = [run_of(1, 77), run_of(2, 1)];
    let effects = bench.configure(named(2, 1, &before));
    assert!(effects.is_empty(), "it does not even ask to lead again");
    assert_eq!(bench.replica.role(), RoleName::Idle);
    assert!(!bench.replica.is_readable());
    assert!(acks(&append(&mut bench, run_of(1, 77))).is_empty());
    assert_eq!(bench.replica.fence(), fence(2));
}
