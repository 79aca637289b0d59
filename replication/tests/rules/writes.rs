//! Admission, stamps, sequences, repeats and refusals.

use super::harness::{
    Bench, PLACEMENT, WALL, answers, appended, configuration, id, member, padded_row, sent, write,
};
use proto::{
    entry::{EntryKind, EntryView},
    hlc::Hlc,
    id::{Epoch, NodeId, PlacementId},
    request::{RequestId, RequestPart},
};
use replication::{
    Effect, Entry, Event,
    requests::RequestTable,
    write::{Answer, Order, PreparedRow, Refused, Write},
};

fn primary(in_sync: &[u64]) -> Bench {
    let mut bench = Bench::with_tail(Vec::new());
    bench.configure(configuration(2, 1, in_sync));
    bench.synced();
    bench
}

fn refused(effects: &[Effect]) -> Option<Refused> {
    match answers(effects)[..] {
        [(_, Answer::Refused(refused))] => Some(*refused),
        _ => None,
    }
}

#[test]
fn an_id_from_ahead_is_for_another_time_and_an_old_one_for_never() {
    let at = |millis| {
        let mut bench = primary(&[1]);
        let id = RequestId::make(millis, 7);
        refused(&bench.step(Event::Write(write(2, id, 1, 1))))
    };
    assert_eq!(at(WALL + 500), None);
    assert_eq!(at(WALL + 501), Some(Refused::RequestIdAhead));
    assert_eq!(at(WALL - 600_000), Some(Refused::RequestIdExpired));
    assert_eq!(at(WALL - 599_000), None);
}

#[test]
fn a_stream_starts_with_its_start_record_and_is_numbered_without_gaps() {
    let mut bench = primary(&[1]);
    let mut headers = Vec::new();
    for (number, placement) in [(1, 1), (2, 2), (3, 1), (4, 2)] {
        let mut write = write(2, id(number), 1, 1);
        write.placement = PlacementId(placement);
        headers.extend(appended(&bench.step(Event::Write(write))));
    }
    let places: Vec<_> = headers
        .iter()
        .map(|header| (header.kind, header.placement.0, header.sequence.0))
        .collect();
    use EntryKind::{Rows, Start};
    let expected = [
        (Start, 1, 1),
        (Rows, 1, 2),
        (Start, 2, 1),
        (Rows, 2, 2),
        (Rows, 1, 3),
        (Rows, 2, 3),
    ];
    assert_eq!(places, expected);
}

#[test]
fn each_row_gets_a_stamp_of_its_own_in_request_order() {
    let mut bench = primary(&[1]);
    bench.write(2, id(1), 1, 1);
    let effects = bench.write(2, id(2), 3, 1);
    let Some(Effect::Append { entry, .. }) = effects.first() else {
        panic!("{effects:?}");
    };
    let view = EntryView::parse(entry.bytes()).unwrap();
    view.verify().unwrap();
    let stamps: Vec<_> = view
        .records()
        .map(|(_, record)| record.version().write_time)
        .collect();
    assert_eq!(stamps[1].0, stamps[0].0 + 1);
    assert_eq!(stamps[2], entry.header().hlc, "the entry names the largest");
    assert!(stamps[0] >= Hlc::from_millis(WALL));
    let order = view.records().map(|(_, record)| record.version());
    assert!(
        order
            .zip(stamps)
            .all(|(version, stamp)| version.event_time == stamp.event_time()),
        "in a view by write time the stamp is the event time"
    );
}

#[test]
fn a_repeat_of_a_committed_write_gets_the_first_answer() {
    let mut bench = primary(&[1]);
    bench.write(2, id(1), 2, 1);
    let effects = bench.synced();
    let first = answers(&effects)[0].1.clone();
    bench.write(2, id(2), 1, 2);
    let repeat = bench.write(2, id(1), 2, 3);
    assert_eq!(answers(&repeat), [(3, &first)]);
    let other_part = Write {
        part: RequestPart(1),
        ..write(2, id(1), 2, 4)
    };
    assert_eq!(appended(&bench.step(Event::Write(other_part))).len(), 1);
}

#[test]
fn a_repeat_of_an_uncommitted_write_is_answered_when_the_original_is_committed() {
    let mut bench = primary(&[1, 2]);
    bench.write(2, id(1), 1, 1);
    bench.synced();
    assert!(bench.write(2, id(1), 1, 2).is_empty());
    let effects = bench.ack(member(2), 2, 3, 0);
    let told: Vec<_> = answers(&effects).iter().map(|(to, _)| *to).collect();
    assert_eq!(told, [1, 2]);
}

#[test]
fn a_successor_knows_the_writes_it_inherited() {
    let mut bench = primary(&[1, 2]);
    let mut log = bench.write(2, id(1), 1, 1);
    log.retain(|effect| matches!(effect, Effect::Append { .. }));
    let entry = |effect: &Effect| match effect {
        Effect::Append { entry, .. } => entry.clone(),
        _ => panic!("{effect:?}"),
    };
    // What the other replica holds: the epoch's entry, the start, the rows.
    let mut tail = vec![super::harness::entry(1, 2, 0)];
    tail.extend(log.iter().map(entry));
    let mut successor = Bench::with_tail(tail);
    successor.configure(configuration(3, 1, &[1, 2]));
    successor.synced();
    assert!(answers(&successor.write(3, id(1), 1, 7)).is_empty());
    let effects = successor.ack(member(2), 3, 4, 0);
    assert!(matches!(answers(&effects)[..], [(7, Answer::Written(_))]));
}

#[test]
fn a_deposed_primary_does_not_know_what_becomes_of_its_tail() {
    let mut bench = primary(&[1, 2]);
    bench.write(2, id(1), 1, 1);
    let effects = bench.configure(configuration(3, 2, &[1, 2]));
    assert_eq!(answers(&effects), [(1, &Answer::Unknown)]);
    let refusal = refused(&bench.write(3, id(1), 1, 2)).unwrap();
    let primary = Some(NodeId(2));
    assert_eq!(refusal, Refused::NotPrimary { primary });
}

#[test]
fn what_is_refused_leaves_no_trace() {
    let millis = |millis| RequestId::make(millis, 5);
    let changed = |change: fn(&mut Write)| {
        let mut write = write(2, id(1), 1, 1);
        change(&mut write);
        write
    };
    let cases = [
        (
            "an older epoch",
            changed(|write| write.fence.epoch = Epoch(1)),
        ),
        (
            "a newer epoch",
            changed(|write| write.fence.epoch = Epoch(3)),
        ),
        ("an old id", write(2, millis(WALL - 600_000), 1, 1)),
        (
            "an id from the future",
            write(2, millis(WALL + 5_000), 1, 1),
        ),
        ("no id", write(2, RequestId::NONE, 1, 1)),
        (
            "too many bytes",
            changed(|write| {
                let row = || PreparedRow {
                    records: [padded_row(200 << 10)].into_iter().collect(),
                    order: Order::EventTime,
                };
                write.rows = (0..5).map(|_| row()).collect();
            }),
        ),
    ];
    for (case, write) in cases {
        let mut bench = primary(&[1]);
        let effects = bench.step(Event::Write(write));
        assert!(refused(&effects).is_some(), "{case}: {effects:?}");
        assert_eq!(effects.len(), 1, "{case}");
    }
}

#[test]
fn too_much_waiting_for_its_commit_is_refused_with_a_hint() {
    let mut bench = primary(&[1, 2]);
    let refusal = (0..1_000).find_map(|number| {
        let mut write = write(2, id(number), 0, 1);
        let row = || PreparedRow {
            records: [padded_row(200 << 10)].into_iter().collect(),
            order: Order::EventTime,
        };
        write.rows = (0..4).map(|_| row()).collect();
        refused(&bench.step(Event::Write(write)))
    });
    let Some(Refused::Overloaded { pending_bytes }) = refusal else {
        panic!("{refusal:?}");
    };
    let limit = replication::settings::PENDING_BYTES;
    assert!((limit - (1 << 20)..=limit).contains(&pending_bytes));
    bench.synced();
    let end = bench.replica.log_end().position.0;
    bench.ack(member(2), 2, end, 0);
    assert_eq!(bench.budget.pending(), 0, "all of it is committed");
}

#[test]
fn rows_judged_by_a_smaller_stamp_are_judged_again() {
    let mut bench = primary(&[1]);
    let stale = Write {
        stamp_at_most: Hlc::from_millis(WALL - 1),
        ..write(2, id(1), 1, 1)
    };
    let effects = bench.step(Event::Write(stale));
    assert_eq!(answers(&effects), [(1, &Answer::PrepareAgain)]);
    assert!(appended(&effects).is_empty());
    assert!(bench.replica.head(PLACEMENT).is_none());
}

#[test]
fn a_write_waits_for_the_clocks_bound() {
    let mut bench = primary(&[1]);
    bench.wall += 20_000;
    let effects = bench.write(2, id(1), 1, 1);
    assert!(matches!(effects[0], Effect::RaiseClockBound { .. }));
    assert!(appended(&effects).is_empty());
}

#[test]
fn a_request_is_forgotten_when_its_id_is_too_old_to_be_admitted() {
    let mut bench = primary(&[1]);
    let effects = bench.write(2, id(1), 1, 1);
    let rows = effects.iter().filter_map(|effect| match effect {
        Effect::Append { entry, .. } => Some(entry.clone()),
        _ => None,
    });
    let rows: Vec<Entry> = rows.collect();
    let mut table = RequestTable::default();
    rows.iter().for_each(|entry| table.remember(entry));
    let key = (id(1), RequestPart(0));
    let issued = id(1).issued_millis();
    table.prune(Hlc::from_millis(issued + 599_999));
    assert!(table.get(&key).is_some());
    table.prune(Hlc::from_millis(issued + 600_000));
    assert!(table.is_empty());
}

#[test]
fn other_rows_under_a_request_id_are_refused_and_the_first_answer_stands() {
    let mut bench = primary(&[1]);
    let with = |revision, digest| Write {
        sent: sent(revision, digest),
        ..write(2, id(1), 2, 1)
    };
    bench.step(Event::Write(with(7, 40)));
    let reused = Some(Refused::RequestIdReused { request: id(1) });
    let waiting = bench.step(Event::Write(with(7, 41)));
    assert_eq!(refused(&waiting), reused, "the original is not committed");
    let first = bench.synced();
    let first = answers(&first)[0].1.clone();
    let committed = bench.step(Event::Write(with(7, 41)));
    assert_eq!(refused(&committed), reused);
    assert!(appended(&committed).is_empty());
    let told = refused(&committed).expect("it was").to_string();
    assert!(
        told.contains(&id(1).to_string()) && told.contains("new id"),
        "{told}"
    );
    assert_eq!(
        answers(&bench.step(Event::Write(with(7, 40)))),
        [(1, &first)]
    );
    let of_other_revision = bench.step(Event::Write(with(8, 41)));
    assert_eq!(
        answers(&of_other_revision),
        [(1, &first)],
        "it may be grouped anew"
    );
}
