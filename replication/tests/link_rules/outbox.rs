//! What an outbox sends, what again, and what it may tell.

use super::harness::{at, entry_of, outbox, sent, tell, write};
use proto::{entry::EntryKind, hlc::Hlc, token::Reached};
use replication::{
    Micros,
    link::{Audience, Outbox, OutboxEffect, OutboxEvent},
};

const OPENED: OutboxEvent = OutboxEvent::Opened {
    session: 1,
    from: None,
};

fn opened(entries: u64) -> Outbox {
    let mut outbox = outbox(Audience::All, at(0, 0), at(0, 0));
    tell(&mut outbox, OPENED);
    for sequence in 1..=entries {
        tell(&mut outbox, OutboxEvent::Ready(write(1, sequence)));
    }
    outbox
}

fn delivered(session: u64, through: Reached) -> OutboxEvent {
    OutboxEvent::Delivered { session, through }
}

fn close(outbox: &mut Outbox, reached: Reached, at: u64) {
    let event = OutboxEvent::Closed {
        reached,
        hlc: Hlc::from_millis(at),
        sent_at: Micros(at),
    };
    tell(outbox, event);
}

#[test]
fn entries_are_sent_as_they_become_ready_and_nothing_before_a_session() {
    let mut outbox = outbox(Audience::All, at(0, 0), at(0, 0));
    assert_eq!(tell(&mut outbox, OutboxEvent::Ready(write(1, 1))), []);
    assert_eq!(sent(&tell(&mut outbox, OPENED)), [1]);
    assert_eq!(
        sent(&tell(&mut outbox, OutboxEvent::Ready(write(1, 2)))),
        [2]
    );
}

#[test]
fn what_is_confirmed_is_shared_with_the_backups_and_not_sent_again() {
    let mut outbox = opened(3);
    let effects = tell(&mut outbox, delivered(1, at(1, 2)));
    assert_eq!(effects, [OutboxEffect::ShareMark(at(1, 2))]);
    assert_eq!(outbox.delivered(), at(1, 2));
    assert_eq!(
        tell(&mut outbox, delivered(1, at(1, 2))),
        [],
        "it is no news"
    );
    let effects = tell(
        &mut outbox,
        OutboxEvent::Opened {
            session: 2,
            from: None,
        },
    );
    assert_eq!(sent(&effects), [3]);
}

#[test]
fn after_a_failed_delivery_all_that_is_not_confirmed_is_sent_again() {
    let mut outbox = opened(4);
    tell(&mut outbox, delivered(1, at(1, 1)));
    let effects = tell(&mut outbox, OutboxEvent::Failed { session: 1 });
    assert_eq!(effects, [OutboxEffect::Renew]);
    assert_eq!(
        tell(&mut outbox, delivered(1, at(1, 4))),
        [],
        "of a session that failed"
    );
    assert_eq!(tell(&mut outbox, OutboxEvent::Ready(write(1, 5))), []);
    let effects = tell(
        &mut outbox,
        OutboxEvent::Opened {
            session: 2,
            from: None,
        },
    );
    assert_eq!(sent(&effects), [2, 3, 4, 5]);
}

#[test]
fn a_full_transport_gets_the_rest_once_it_has_room() {
    let mut outbox = opened(3);
    tell(
        &mut outbox,
        OutboxEvent::Full {
            session: 1,
            reached: at(1, 2),
        },
    );
    assert_eq!(
        sent(&tell(&mut outbox, OutboxEvent::Ready(write(1, 4)))),
        []
    );
    tell(&mut outbox, delivered(1, at(1, 3)));
    assert_eq!(
        outbox.delivered(),
        at(1, 1),
        "2 was not taken, so it cannot be there"
    );
    assert_eq!(sent(&tell(&mut outbox, OutboxEvent::Room)), [2, 3, 4]);
}

#[test]
fn a_successor_sends_from_the_mark_and_reads_that_from_the_log() {
    let mut outbox = outbox(Audience::All, at(1, 3), at(1, 6));
    let effects = tell(&mut outbox, OPENED);
    let [OutboxEffect::ReadLog { after, .. }] = effects[..] else {
        panic!("{effects:?}");
    };
    assert_eq!(after, at(1, 3));
    assert_eq!(
        tell(&mut outbox, OutboxEvent::Ready(write(1, 7))),
        [],
        "what lies before comes first"
    );
    let entries = Some((4..=6).map(|sequence| write(1, sequence)).collect());
    let effects = tell(&mut outbox, OutboxEvent::LogRead { after, entries });
    assert_eq!(sent(&effects), [4, 5, 6]);
    let again = effects
        .iter()
        .any(|effect| matches!(effect, OutboxEffect::ReadLog { after, .. } if *after == at(1, 6)));
    assert!(again, "7 was not kept, so it is read: {effects:?}");
}

#[test]
fn an_answer_of_an_earlier_session_is_not_believed() {
    let mut outbox = outbox(Audience::One, at(1, 3), at(1, 6));
    tell(
        &mut outbox,
        OutboxEvent::Opened {
            session: 1,
            from: Some(at(1, 5)),
        },
    );
    tell(
        &mut outbox,
        OutboxEvent::Opened {
            session: 2,
            from: Some(at(1, 4)),
        },
    );
    let entries = Some(vec![write(1, 6)]);
    let effects = tell(
        &mut outbox,
        OutboxEvent::LogRead {
            after: at(1, 5),
            entries,
        },
    );
    assert_eq!(sent(&effects), []);
}

#[test]
fn what_is_gone_from_the_log_is_said_in_a_shared_stream() {
    let mut outbox = outbox(Audience::All, at(1, 3), at(1, 60));
    tell(&mut outbox, OPENED);
    let gone = OutboxEvent::LogRead {
        after: at(1, 3),
        entries: None,
    };
    assert_eq!(tell(&mut outbox, gone), [OutboxEffect::AppendSkip]);
    assert_eq!(
        tell(&mut outbox, OutboxEvent::Ready(write(1, 61))),
        [],
        "it was given up too"
    );
    let skip = entry_of(EntryKind::Skip, at(1, 62), 0, &[]);
    assert_eq!(sent(&tell(&mut outbox, OutboxEvent::Ready(skip))), [62]);
    assert_eq!(
        sent(&tell(&mut outbox, OutboxEvent::Ready(write(1, 63)))),
        [63]
    );
}

#[test]
fn what_is_gone_from_the_log_is_told_to_a_reader_of_its_own() {
    let mut outbox = outbox(Audience::One, at(1, 3), at(1, 60));
    tell(
        &mut outbox,
        OutboxEvent::Opened {
            session: 4,
            from: Some(at(1, 2)),
        },
    );
    let gone = OutboxEvent::LogRead {
        after: at(1, 2),
        entries: None,
    };
    assert_eq!(
        tell(&mut outbox, gone),
        [OutboxEffect::TellGone { session: 4 }]
    );
    // It bootstraps, and comes again.
    let effects = tell(
        &mut outbox,
        OutboxEvent::Opened {
            session: 5,
            from: Some(at(1, 60)),
        },
    );
    assert_eq!(effects, []);
    assert_eq!(
        sent(&tell(&mut outbox, OutboxEvent::Ready(write(1, 61)))),
        [61]
    );
}

#[test]
fn a_stream_goes_on_over_incarnations_from_a_mark_that_was_lost_since() {
    let mut outbox = outbox(Audience::All, at(1, 120), at(2, 2));
    tell(&mut outbox, OPENED);
    let entries = Some(vec![write(2, 1), write(2, 2)]);
    let effects = tell(
        &mut outbox,
        OutboxEvent::LogRead {
            after: at(1, 120),
            entries,
        },
    );
    assert_eq!(sent(&effects), [1, 2]);
}

#[test]
#[should_panic(expected = "does not follow")]
fn a_hole_in_what_is_to_be_shipped_stops_the_process() {
    let mut outbox = opened(2);
    tell(&mut outbox, OutboxEvent::Ready(write(1, 4)));
}

#[test]
fn a_close_is_told_once_what_it_covers_was_sent() {
    let mut outbox = outbox(Audience::All, at(0, 0), at(0, 0));
    tell(&mut outbox, OutboxEvent::Ready(write(1, 1)));
    tell(&mut outbox, OutboxEvent::Ready(write(1, 2)));
    close(&mut outbox, at(1, 1), 100);
    close(&mut outbox, at(1, 2), 200);
    assert_eq!(
        outbox.said(),
        (at(0, 0), Hlc::ZERO, None),
        "nothing was sent"
    );
    tell(&mut outbox, OPENED);
    assert_eq!(
        outbox.said(),
        (at(1, 2), Hlc::from_millis(200), Some(Micros(200)))
    );
    tell(&mut outbox, delivered(1, at(1, 1)));
    tell(&mut outbox, OutboxEvent::Failed { session: 1 });
    tell(
        &mut outbox,
        OutboxEvent::Full {
            session: 1,
            reached: at(1, 2),
        },
    );
    tell(
        &mut outbox,
        OutboxEvent::Opened {
            session: 2,
            from: Some(at(1, 1)),
        },
    );
    tell(
        &mut outbox,
        OutboxEvent::Full {
            session: 2,
            reached: at(1, 2),
        },
    );
    assert_eq!(outbox.said().0, at(1, 1), "2 is not sent in this session");
}

#[test]
fn before_the_first_close_of_an_incarnation_it_tells_how_far_the_stream_goes() {
    let mut outbox = opened(2);
    assert_eq!(outbox.said(), (at(1, 2), Hlc::ZERO, None));
    close(&mut outbox, at(1, 2), 100);
    let start = entry_of(EntryKind::Start, at(2, 1), 0, &[(1, 2)]);
    tell(&mut outbox, OutboxEvent::Ready(start));
    assert_eq!(
        outbox.said(),
        (at(2, 1), Hlc::ZERO, None),
        "the close is of the one that ended"
    );
}

#[test]
fn closes_that_wait_are_bounded_and_the_oldest_stay() {
    let mut outbox = outbox(Audience::All, at(0, 0), at(0, 0));
    tell(&mut outbox, OutboxEvent::Ready(write(1, 1)));
    for round in 1..=100 {
        close(&mut outbox, at(1, round), round);
    }
    tell(&mut outbox, OPENED);
    assert_eq!(outbox.said().0, at(1, 1));
}
