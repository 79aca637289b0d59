//! Gaps, entries that cannot be taken yet, and transports that forget.

use super::harness::{Bench, WALL, applied, at, entry_of, write};
use proto::{entry::EntryKind, hlc::Hlc, id::ViewId};
use replication::link::{From, LinkEffect, LinkEvent, LinkState, Obstacle, StreamMark};

/// Two seconds before the stamp of the last entry.
const fn its_time(sequence: u64) -> LinkEffect {
    LinkEffect::Read(From::Millis(WALL + sequence - 2_000))
}

#[test]
fn a_gap_is_served_without_an_age_until_the_next_entry_and_a_close() {
    let mut bench = Bench::at(at(1, 3));
    bench.live();
    assert_eq!(bench.arrive(&write(1, 5)), [its_time(3)]);
    assert_eq!((bench.link.state(), bench.age()), (LinkState::Gap, None));
    bench.close(at(1, 3), Some(bench.now.monotonic.0));
    assert_eq!(
        bench.link.state(),
        LinkState::Gap,
        "it is known that one lacks"
    );
    assert_eq!(applied(&bench.arrive(&write(1, 4))), [(1, 4)]);
    assert_eq!((bench.link.state(), bench.age()), (LinkState::Replay, None));
    assert_eq!(applied(&bench.arrive(&write(1, 5))), [(1, 5)]);
    bench.step(LinkEvent::Committed(at(1, 5)));
    bench.live();
}

#[test]
fn a_close_shows_that_an_entry_did_not_come() {
    let mut bench = Bench::at(at(1, 3));
    bench.live();
    assert_eq!(bench.close(at(1, 4), None), [its_time(3)]);
    assert_eq!(bench.link.state(), LinkState::Gap);
}

#[test]
fn a_gap_is_read_for_again_and_becomes_a_snapshot_after_ten_seconds() {
    let mut bench = Bench::at(at(1, 3));
    bench.arrive(&write(1, 5));
    assert_eq!(bench.pass(2_900), []);
    assert_eq!(bench.pass(100), [its_time(3)]);
    assert_eq!(bench.pass(3_000), [its_time(3)]);
    assert_eq!(bench.pass(4_000), [LinkEffect::FetchSnapshot]);
    assert_eq!(bench.link.state(), LinkState::Snapshot);
    assert_eq!(bench.pass(29_000), []);
    assert_eq!(bench.pass(1_000), [LinkEffect::FetchSnapshot]);
}

#[test]
fn a_snapshot_that_is_ahead_is_followed_by_what_comes_after_it() {
    let mut bench = Bench::at(at(1, 3));
    bench.step(LinkEvent::PositionLost);
    let mark = StreamMark {
        reached: at(1, 40),
        hlc: Hlc::from_millis(WALL + 40),
        position: 400,
    };
    let effects = bench.step(LinkEvent::SnapshotMerged(mark));
    assert_eq!(effects, [LinkEffect::Read(From::Position(400))]);
    assert_eq!(
        (bench.link.state(), bench.link.committed()),
        (LinkState::Replay, at(1, 40))
    );
    assert_eq!(applied(&bench.arrive(&write(1, 40))), []);
    assert_eq!(applied(&bench.arrive(&write(1, 41))), [(1, 41)]);
}

#[test]
fn a_snapshot_that_is_behind_changes_nothing() {
    let mut bench = Bench::at(at(1, 9));
    bench.step(LinkEvent::PositionLost);
    for reached in [at(1, 9), at(1, 8), at(0, 0)] {
        let mark = StreamMark {
            reached,
            ..StreamMark::default()
        };
        assert_eq!(bench.step(LinkEvent::SnapshotMerged(mark)), []);
        assert_eq!(
            (bench.link.state(), bench.link.committed()),
            (LinkState::Snapshot, at(1, 9))
        );
    }
}

#[test]
fn a_position_that_is_gone_asks_for_a_snapshot_unless_nothing_lacks() {
    let mut bench = Bench::at(at(1, 3));
    let effects = bench.step(LinkEvent::PositionLost);
    assert_eq!(
        effects,
        [LinkEffect::FetchSnapshot, LinkEffect::Read(From::Start)]
    );
    bench.close(at(1, 3), Some(bench.now.monotonic.0));
    assert_eq!(
        bench.link.state(),
        LinkState::Live,
        "what is gone was not this stream's"
    );
    bench.step(LinkEvent::PositionLost);
    bench.arrive(&write(1, 7));
    bench.close(at(1, 3), Some(bench.now.monotonic.0));
    assert_eq!(bench.link.state(), LinkState::Snapshot, "some of it was");
}

#[test]
fn what_the_origin_gave_up_is_fetched_at_once() {
    let mut bench = Bench::at(at(1, 3));
    let skip = |sequence| entry_of(EntryKind::Skip, at(1, sequence), WALL, &[]);
    assert_eq!(bench.arrive(&skip(9)), [LinkEffect::FetchSnapshot]);
    let mut whole = Bench::at(at(1, 8));
    assert_eq!(
        applied(&whole.arrive(&skip(9))),
        [(1, 9)],
        "nothing lacks here"
    );
}

#[test]
fn a_record_that_cannot_be_read_is_a_suspicion() {
    let mut bench = Bench::at(at(1, 3));
    bench.live();
    assert_eq!(bench.step(LinkEvent::Unreadable), [its_time(3)]);
    assert_eq!((bench.link.state(), bench.age()), (LinkState::Gap, None));
    bench.live();
}

#[test]
fn a_transport_made_anew_is_read_from_its_start() {
    let mut bench = Bench::at(at(1, 3));
    bench.live();
    let effects = bench.step(LinkEvent::TransportRenewed);
    assert_eq!(effects, [LinkEffect::Read(From::Start)]);
    assert_eq!(bench.age(), None);
    assert_eq!(applied(&bench.arrive(&write(1, 4))), [(1, 4)]);
}

#[test]
fn an_entry_that_cannot_be_taken_holds_the_link_and_nothing_passes_it() {
    let mut bench = Bench::at(at(1, 3));
    bench.live();
    let obstacle = Obstacle::UnknownView(ViewId(6));
    assert_eq!(bench.meet(&write(1, 4), Some(obstacle)), []);
    assert_eq!(
        (bench.link.state(), bench.age()),
        (LinkState::Held(obstacle), None)
    );
    assert_eq!(bench.arrive(&write(1, 5)), []);
    bench.close(at(1, 3), Some(bench.now.monotonic.0));
    assert_eq!(bench.age(), None);
    let effects = bench.step(LinkEvent::CatalogChanged);
    assert_eq!(effects, [LinkEffect::Read(From::Position(30))]);
    assert_eq!(applied(&bench.arrive(&write(1, 4))), [(1, 4)]);
}

#[test]
fn an_obstacle_in_what_is_known_already_holds_nothing() {
    let mut bench = Bench::at(at(1, 3));
    bench.meet(&write(1, 3), Some(Obstacle::UnknownView(ViewId(6))));
    assert_eq!(bench.link.state(), LinkState::Replay);
}

#[test]
fn a_stamp_far_ahead_is_held_until_the_clock_comes_near() {
    let mut bench = Bench::at(at(1, 3));
    let ahead = entry_of(EntryKind::Rows, at(1, 4), WALL + 10_000, &[]);
    bench.arrive(&ahead);
    let held = LinkState::Held(Obstacle::ClockAhead(Hlc::from_millis(WALL + 10_000)));
    assert_eq!(bench.link.state(), held);
    assert_eq!(bench.pass(9_400), []);
    assert_eq!(bench.pass(100), [LinkEffect::Read(From::Position(30))]);
    assert_eq!(applied(&bench.arrive(&ahead)), [(1, 4)]);
}

#[test]
fn a_record_of_a_later_release_holds_the_link() {
    let mut bench = Bench::at(at(1, 3));
    bench.step(LinkEvent::Newer);
    assert_eq!(bench.link.state(), LinkState::Held(Obstacle::NewerRecord));
    assert_eq!(bench.arrive(&write(1, 4)), []);
}
