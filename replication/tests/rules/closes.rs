//! Closes, promises, and how old rows can be.

use super::harness::{
    Bench, PLACEMENT, WALL, acks, bodies, configuration, id, mark, member, round,
};
use proto::{
    hlc::Hlc,
    id::{BootId, Position},
};
use replication::{
    Effect, Event, Micros,
    message::{Append, Body, Echo},
};

fn backup() -> Bench {
    let mut bench = Bench::with_tail(super::harness::entries(1));
    bench.configure(configuration(2, 2, &[1, 2]));
    bench
}

fn close(number: u64, hlc: Hlc, echo: Option<Echo>) -> Body {
    Body::Close {
        member: member(1),
        session: 0,
        round: round(number, 1, hlc),
        echo,
    }
}

/// The primary says that entry 1 is committed, and which round is done.
fn done(round: u64) -> Body {
    Body::Append(Append {
        member: member(1),
        session: 0,
        previous: mark(1, 1),
        entries: Vec::new(),
        committed: Position(1),
        closed_through: round,
    })
}

#[test]
fn a_close_is_promised_only_once_the_bound_above_it_is_durable() {
    let mut bench = backup();
    let far = Hlc::from_millis(WALL + 50_000);
    let effects = bench.hear(2, 2, close(1, far, None));
    assert_eq!(effects, [Effect::RaiseClockBound { above: far }]);
    bench.clock.raise_bound(Hlc(far.0 + 1));
    assert_eq!(acks(&bench.step(Event::ClockRaised)), [(0, 1)]);
    assert!(bench.clock.stamp(WALL).is_err(), "it stamps above, or not");
    // One below the bound that stands is promised at once.
    assert_eq!(acks(&bench.hear(2, 2, close(2, far, None))), [(0, 2)]);
}

#[test]
fn a_close_is_a_fact_when_it_is_done_and_its_entries_are_applied() {
    let mut bench = backup();
    let hlc = Hlc::from_millis(WALL);
    bench.hear(2, 2, close(1, hlc, None));
    assert!(bench.replica.closed(PLACEMENT).is_none(), "it is promised");
    bench.hear(2, 2, done(1));
    assert_eq!(bench.replica.closed(PLACEMENT).unwrap().hlc, hlc);
}

#[test]
fn the_primary_completes_a_close_when_all_needed_replicas_promised_it() {
    let mut bench = Bench::with_tail(Vec::new());
    bench.configure(configuration(2, 1, &[1, 2]));
    bench.write(2, id(1), 1, 1);
    bench.synced();
    bench.ack(member(2), 2, 3, 0);
    let effects = bench.pass(50);
    let Some(Body::Close { round, .. }) = bodies(&effects, 2).last().copied() else {
        panic!("{effects:?}");
    };
    assert_eq!((round.number, round.position), (1, Position(3)));
    assert!(round.hlc <= bench.clock.last());
    assert!(bench.replica.closed(PLACEMENT).is_none());
    let effects = bench.ack(member(2), 2, 3, 1);
    let closed = |effect: &&Effect| matches!(effect, Effect::Closed { .. });
    assert_eq!(effects.iter().filter(closed).count(), 1);
    assert_eq!(bench.replica.closed(PLACEMENT).unwrap().sequence.0, 2);
}

#[test]
fn a_close_over_an_entry_that_is_not_committed_is_not_done() {
    let mut bench = Bench::with_tail(Vec::new());
    bench.configure(configuration(2, 1, &[1, 2]));
    bench.synced();
    bench.ack(member(2), 2, 1, 0);
    bench.write(2, id(1), 1, 1);
    bench.pass(50);
    bench.synced();
    bench.ack(member(2), 2, 1, 1);
    assert!(bench.replica.closed(PLACEMENT).is_none());
    bench.ack(member(2), 2, 3, 1);
    assert!(bench.replica.closed(PLACEMENT).is_some());
}

#[test]
fn no_close_is_sent_before_the_epochs_own_entry_is_committed() {
    let mut bench = Bench::with_tail(Vec::new());
    bench.configure(configuration(2, 1, &[1, 2]));
    let effects = bench.pass(500);
    let close = |body: &&Body| matches!(body, Body::Close { .. });
    assert!(!bodies(&effects, 2).iter().any(close));
}

#[test]
fn the_age_of_rows_is_unknown_until_an_echo_and_grows_by_the_own_clock() {
    let mut bench = backup();
    assert_eq!(bench.replica.age(bench.now), None);
    let echo = |boot| {
        Some(Echo {
            boot: BootId(boot),
            instant: Micros(4_000_000),
        })
    };
    bench.hear(2, 2, close(1, Hlc::from_millis(WALL), echo(7)));
    bench.hear(2, 2, done(1));
    assert_eq!(bench.replica.age(bench.now), None, "another run's clock");
    bench.hear(2, 2, close(2, Hlc::from_millis(WALL + 1), echo(1)));
    assert_eq!(bench.replica.age(bench.now), None, "not done");
    bench.hear(2, 2, done(2));
    // One second, and a thousandth for clocks that run differently.
    assert_eq!(bench.replica.age(bench.now), Some(Micros(1_001_001)));
    let later = Micros(bench.now.0 + 1_000_000);
    assert_eq!(bench.replica.age(later), Some(Micros(2_002_001)));
}

#[test]
fn an_echo_is_the_peers_clock_moved_on_by_a_little_less_than_it_was_held() {
    let mut bench = Bench::with_tail(Vec::new());
    bench.configure(configuration(2, 1, &[1, 2]));
    bench.synced();
    bench.ack(member(2), 2, 1, 0);
    let effects = bench.pass(50);
    let echo = bodies(&effects, 2).into_iter().find_map(|body| match body {
        Body::Close { echo, .. } => *echo,
        _ => None,
    });
    assert_eq!(echo.unwrap().instant, Micros(77_000_000 + 50_000 - 51));
}
