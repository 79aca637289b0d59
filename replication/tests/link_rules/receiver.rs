//! What a link takes, in which order, and what it says of it.

use super::harness::{Bench, WALL, applied, at, entry_of, write};
use proto::{entry::EntryKind, hlc::Hlc};
use replication::link::{From, LinkEffect, LinkEvent, LinkState, StreamMark};

#[test]
fn a_new_link_reads_all_there_is_and_one_with_a_mark_goes_on_after_it() {
    assert_eq!(Bench::at(at(0, 0)).opened, [LinkEffect::Read(From::Start)]);
    let bench = Bench::at(at(1, 3));
    assert_eq!(bench.opened, [LinkEffect::Read(From::Position(30))]);
    assert_eq!((bench.link.state(), bench.age()), (LinkState::Replay, None));
}

#[test]
fn entries_are_taken_once_and_in_order() {
    let mut bench = Bench::at(at(0, 0));
    assert_eq!(applied(&bench.arrive(&write(1, 1))), [(1, 1)]);
    assert_eq!(applied(&bench.arrive(&write(1, 2))), [(1, 2)]);
    assert_eq!(applied(&bench.arrive(&write(1, 2))), [], "it is known");
    assert_eq!(
        applied(&bench.arrive(&write(1, 1))),
        [],
        "so is what lies before it"
    );
    assert_eq!(
        bench.link.committed(),
        at(0, 0),
        "handed over is not committed"
    );
    bench.step(LinkEvent::Committed(at(1, 2)));
    assert_eq!(bench.link.committed(), at(1, 2));
}

#[test]
fn a_stream_begins_with_a_start() {
    let mut bench = Bench::at(at(0, 0));
    let rows = entry_of(EntryKind::Rows, at(1, 1), WALL, &[]);
    assert_eq!(applied(&bench.arrive(&rows)), []);
    assert_eq!(bench.link.state(), LinkState::Gap);
}

#[test]
fn a_start_is_taken_where_all_that_its_lineage_keeps_is_here() {
    let start = |lineage: &[(u32, u64)]| entry_of(EntryKind::Start, at(4, 1), WALL, lineage);
    let takes = |here, lineage: &[(u32, u64)]| {
        let mut bench = Bench::at(here);
        !applied(&bench.arrive(&start(lineage))).is_empty()
    };
    assert!(takes(at(2, 7), &[(1, 90), (2, 7)]), "just all of it");
    assert!(
        takes(at(2, 9), &[(1, 90), (2, 7)]),
        "and some that was lost at the origin"
    );
    assert!(!takes(at(2, 6), &[(1, 90), (2, 7)]), "one lacks");
    assert!(
        !takes(at(1, 95), &[(1, 90), (2, 7)]),
        "an incarnation between was not followed"
    );
    assert!(
        !takes(at(2, 9), &[]),
        "it keeps nothing, and something is here"
    );
    assert!(takes(at(0, 0), &[]), "nothing is here either");
    assert!(!takes(at(0, 0), &[(1, 90)]), "what it keeps lacks here");
}

#[test]
fn what_an_ended_incarnation_still_ships_is_known() {
    let mut bench = Bench::at(at(4, 1));
    assert_eq!(applied(&bench.arrive(&write(2, 99))), []);
    assert_eq!(bench.link.state(), LinkState::Replay);
}

#[test]
fn a_close_counts_when_its_entries_are_committed() {
    let mut bench = Bench::at(at(1, 1));
    let instant = bench.now.monotonic.0 - 2_000_000;
    bench.arrive(&write(1, 2));
    bench.close(at(1, 2), Some(instant));
    assert_eq!((bench.age(), bench.link.closed()), (None, Hlc::ZERO));
    bench.step(LinkEvent::Committed(at(1, 2)));
    // Two seconds, and a thousandth for clocks that run differently.
    assert_eq!(bench.age(), Some(2_002_001));
    assert!(bench.link.closed() > Hlc::ZERO);
    assert_eq!(bench.link.state(), LinkState::Live);
}

#[test]
fn a_close_without_an_echo_closes_and_gives_no_age() {
    let mut bench = Bench::at(at(1, 1));
    bench.close(at(1, 1), None);
    assert!(bench.link.closed() > Hlc::ZERO);
    assert_eq!((bench.age(), bench.link.state()), (None, LinkState::Replay));
}

#[test]
fn a_stream_without_entries_has_an_age_too() {
    let mut bench = Bench::at(at(0, 0));
    bench.close(at(0, 0), Some(bench.now.monotonic.0 - 1_000));
    assert_eq!(bench.age(), Some(1_002));
}

#[test]
fn an_older_close_makes_nothing_younger_and_nothing_older() {
    let mut bench = Bench::at(at(1, 5));
    bench.live();
    bench.close(at(1, 3), Some(bench.now.monotonic.0 - 9_000_000));
    assert_eq!(bench.age(), Some(1_001_001));
    // A primary that was replaced long ago repeats what was true; it dates from then.
    bench.close(at(1, 5), Some(bench.now.monotonic.0 - 7_000_000));
    assert_eq!(bench.age(), Some(1_001_001));
}

#[test]
fn a_new_incarnation_has_no_age_and_nothing_closed_before_its_first_close() {
    let mut bench = Bench::at(at(1, 5));
    bench.live();
    bench.arrive(&entry_of(EntryKind::Start, at(2, 1), WALL, &[(1, 5)]));
    assert_eq!(bench.age(), None);
    bench.step(LinkEvent::Committed(at(2, 1)));
    assert_eq!((bench.age(), bench.link.closed()), (None, Hlc::ZERO));
    bench.close(at(1, 5), Some(bench.now.monotonic.0));
    assert_eq!(bench.age(), None, "a close of the one that ended");
    bench.close(at(2, 1), Some(bench.now.monotonic.0));
    assert!(bench.age().is_some());
}

#[test]
fn what_the_log_did_not_take_is_read_again() {
    let mut bench = Bench::at(at(1, 3));
    bench.arrive(&write(1, 4));
    bench.arrive(&write(1, 5));
    let effects = bench.step(LinkEvent::Refused(at(1, 4)));
    assert_eq!(effects, [LinkEffect::Read(From::Position(31))]);
    assert_eq!(
        applied(&bench.arrive(&write(1, 6))),
        [],
        "5 is not in the log"
    );
    assert_eq!(applied(&bench.arrive(&write(1, 5))), [(1, 5)]);
}

#[test]
fn a_successor_goes_on_after_the_logs_end_and_counts_what_is_committed() {
    let logged = StreamMark {
        reached: at(1, 8),
        hlc: Hlc::from_millis(WALL),
        position: 80,
    };
    let mut bench = Bench::open(logged, at(1, 6));
    assert_eq!(applied(&bench.arrive(&write(1, 8))), [], "the tail has it");
    bench.close(at(1, 8), Some(bench.now.monotonic.0));
    assert_eq!(bench.age(), None, "the tail is not committed");
    bench.step(LinkEvent::Committed(at(1, 8)));
    assert!(bench.age().is_some());
}

#[test]
fn what_is_handed_over_and_not_committed_is_bounded() {
    let mut bench = Bench::at(at(0, 0));
    let mut sequence = 0;
    let mut paused = false;
    // Entries without rows are small; their number does it.
    let small = |sequence| {
        let kind = if sequence == 1 {
            EntryKind::Start
        } else {
            EntryKind::Rows
        };
        entry_of(kind, at(1, sequence), WALL, &[])
    };
    while !paused {
        sequence += 1;
        paused = bench.arrive(&small(sequence)).contains(&LinkEffect::Pause);
        assert!(sequence < 1_000_000, "it never pauses");
    }
    let half = bench.step(LinkEvent::Committed(at(1, sequence / 4)));
    assert_eq!(half, [], "more than half is left");
    let rest = bench.step(LinkEvent::Committed(at(1, sequence)));
    assert_eq!(rest, [LinkEffect::Resume]);
}

#[test]
fn an_idle_link_writes_down_how_far_it_has_read() {
    let mut bench = Bench::at(at(1, 3));
    bench.close(at(1, 3), None);
    assert_eq!(bench.pass(9_000), []);
    assert_eq!(bench.pass(1_000), [LinkEffect::LogPosition(31)]);
    assert_eq!(bench.pass(10_000), [], "nothing came since");
    bench.close(at(1, 3), None);
    assert_eq!(bench.pass(10_000), [LinkEffect::LogPosition(32)]);
}
