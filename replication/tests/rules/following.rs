//! What a backup takes, cuts, acknowledges and commits.

use super::harness::{Bench, acks, appended, bodies, configuration, entries, entry, mark};
use proto::id::Position;
use replication::{Broken, Effect, Event, RoleName, Ticket, message::Body};

/// A backup of node 2 in epoch 2, with entries of epoch 1 in its tail.
fn backup(tail: u64) -> Bench {
    let mut bench = Bench::with_tail(entries(tail));
    bench.configure(configuration(2, 2, &[1, 2]));
    assert_eq!(bench.replica.role(), RoleName::Backup);
    bench
}

#[test]
fn an_append_of_an_older_epoch_is_answered_with_the_configuration() {
    let mut bench = backup(0);
    let effects = bench.append(1, mark(0, 0), entries(1), 0);
    assert!(appended(&effects).is_empty());
    assert!(matches!(bodies(&effects, 2)[..], [Body::Configuration(_)]));
}

#[test]
fn an_append_of_a_newer_epoch_is_not_taken_before_its_configuration() {
    let mut bench = backup(0);
    let effects = bench.append(3, mark(0, 0), entries(1), 0);
    assert!(appended(&effects).is_empty());
    assert!(matches!(bodies(&effects, 2)[..], [Body::Behind]));
    let newer = Body::Configuration(configuration(3, 2, &[1, 2]));
    bench.hear(2, 3, newer);
    assert_eq!(
        appended(&bench.append(3, mark(0, 0), entries(1), 0)).len(),
        1
    );
}

#[test]
fn an_append_after_a_gap_is_answered_with_where_to_go_on() {
    let mut bench = backup(2);
    let effects = bench.append(2, mark(1, 5), vec![entry(6, 2, 1)], 0);
    let [Body::Mismatch(mismatch)] = bodies(&effects, 2)[..] else {
        panic!("{effects:?}");
    };
    // Its tail of two was not compared yet, so it counts for nothing.
    assert_eq!(mismatch.resume, Position(1));
}

#[test]
fn a_tail_is_kept_where_it_is_equal_and_cut_where_it_differs() {
    let mut bench = backup(3);
    let effects = bench.append(2, mark(1, 1), vec![entry(2, 1, 1), entry(3, 2, 1)], 0);
    let after = Position(2);
    let expected = Effect::Cut {
        ticket: Ticket(1),
        after,
    };
    assert_eq!(effects[0], expected);
    assert_eq!(appended(&effects).len(), 1);
    assert_eq!(bench.replica.log_end(), mark(2, 3));
}

#[test]
fn a_stale_longer_tail_is_not_acknowledged() {
    let mut bench = backup(9);
    let effects = bench.append(2, mark(1, 8), Vec::new(), 0);
    assert_eq!(acks(&effects), [(8, 0)], "the ninth was not compared");
}

#[test]
fn a_backup_stops_rather_than_cut_what_it_committed() {
    let mut bench = backup(3);
    bench.append(2, mark(1, 3), Vec::new(), 3);
    assert_eq!(bench.committed(), 3);
    bench.append(2, mark(1, 3), vec![entry(4, 2, 1)], 3);
    // The same position of the same epoch, and another entry before it: that cannot be.
    let effects = bench.append(2, mark(1, 3), vec![entry(4, 3, 1)], 3);
    let position = Position(4);
    assert_eq!(effects, [Effect::Stop(Broken::Rewritten { position })]);
    assert_eq!(bench.replica.role(), RoleName::Stopped);
    assert!(!bench.replica.is_readable());
    assert!(bench.step(Event::Tick).is_empty(), "it does nothing more");
}

#[test]
fn only_what_is_durable_is_acknowledged() {
    let mut bench = backup(0);
    let effects = bench.append(2, mark(0, 0), entries(2), 0);
    assert!(acks(&effects).is_empty(), "it was only appended");
    let through = Ticket(1);
    assert_eq!(acks(&bench.step(Event::Durable { through })), [(1, 0)]);
    assert_eq!(acks(&bench.synced()), [(2, 0)]);
}

#[test]
fn durability_of_an_entry_that_was_cut_says_nothing_of_the_one_in_its_place() {
    let mut bench = backup(0);
    bench.append(2, mark(0, 0), entries(1), 0);
    bench.configure(configuration(3, 3, &[1, 2, 3]));
    let append = vec![entry(1, 3, 0)];
    let message = replication::message::Append {
        member: super::harness::member(1),
        session: 0,
        previous: mark(0, 0),
        entries: append,
        committed: Position(0),
        closed_through: 0,
    };
    bench.hear(3, 3, Body::Append(message));
    // The report of the first entry's sync comes late: ticket 1, while 2 is the cut and 3 the new.
    let late = bench.step(Event::Durable { through: Ticket(1) });
    assert!(acks(&late).is_empty());
    assert_eq!(
        acks(&bench.step(Event::Durable { through: Ticket(3) })),
        [(1, 0)]
    );
}

#[test]
fn nothing_is_applied_before_it_is_committed_there_and_durable_here() {
    let mut bench = backup(0);
    bench.append(2, mark(0, 0), entries(3), 2);
    assert_eq!(bench.committed(), 0, "committed there, not durable here");
    bench.synced();
    assert_eq!(bench.committed(), 2, "the third is not committed");
}

#[test]
fn a_repeated_or_overtaken_append_changes_nothing() {
    let mut bench = backup(0);
    bench.append(2, mark(0, 0), entries(3), 0);
    bench.synced();
    let effects = bench.append(2, mark(0, 0), entries(1), 0);
    assert!(appended(&effects).is_empty());
    assert_eq!(acks(&effects), [(3, 0)], "what follows is kept");
}

#[test]
fn entries_meant_for_an_earlier_disk_of_the_node_are_not_taken() {
    let mut bench = backup(0);
    let mut other = super::harness::member(1);
    other.store.0 += 1;
    let append = replication::message::Append {
        member: other,
        session: 7,
        previous: mark(0, 0),
        entries: entries(1),
        committed: Position(0),
        closed_through: 0,
    };
    assert!(bench.hear(2, 2, Body::Append(append)).is_empty());
    assert_eq!(
        appended(&bench.append(2, mark(0, 0), entries(1), 0)).len(),
        1
    );
}

#[test]
fn a_replica_that_cannot_read_rows_gives_way_where_another_member_has_them() {
    let mut bench = Bench::with_tail(entries(1));
    bench.configure(configuration(2, 2, &[1, 2]));
    bench.step(Event::RowsDamaged);
    assert!(bench.replica.is_damaged());

    let mut last = Bench::with_tail(entries(1));
    last.configure(configuration(2, 1, &[1]));
    last.step(Event::RowsDamaged);
    assert!(!last.replica.is_damaged(), "nobody else has the other rows");
}

#[test]
fn a_damaged_backup_says_nothing_and_answers_nothing() {
    let mut bench = backup(2);
    bench.step(Event::StoreDamaged);
    assert!(!bench.replica.is_readable());
    assert!(bench.append(2, mark(1, 2), Vec::new(), 2).is_empty());
    assert_eq!(bench.committed(), 0);
}

#[test]
fn a_commit_point_is_followed_only_as_far_as_the_log_was_compared() {
    let mut bench = backup(9);
    let one = entries(1);
    bench.append(2, mark(0, 0), one, 5);
    assert_eq!(bench.committed(), 1, "2 to 5 may differ there");
    bench.append(2, mark(1, 4), Vec::new(), 5);
    assert_eq!(bench.committed(), 4);
}

#[test]
fn a_replica_that_is_not_placed_here_any_more_is_not_read() {
    let mut bench = backup(2);
    assert!(bench.replica.is_readable());
    let mut without_it = configuration(3, 2, &[2, 3]);
    without_it.joining.clear();
    bench.configure(without_it);
    assert_eq!(bench.replica.role(), RoleName::Idle);
    assert!(!bench.replica.is_readable(), "it hears of nothing any more");
}

#[test]
fn a_primary_that_restarted_is_read_while_it_waits_for_its_epoch() {
    let mut bench = Bench::with_tail(entries(1));
    let mut of_earlier_run = configuration(2, 1, &[1]);
    of_earlier_run.primary.boot.0 += 1;
    bench.configure(of_earlier_run);
    assert_eq!(bench.replica.role(), RoleName::Idle);
    assert!(bench.replica.is_readable());
}
