//! One hand-made history per rule: a good one that passes, and the smallest change that is caught.

use super::{Invariant, Judged, Report, Unjudgeable, judge};
use crate::history::{
    Acknowledged, Bytes, CallId, Change, Closed, Committed, Datum, Entry, Event, FORMAT, FinalRead,
    Header, History, Holds, LookupAnswer, LookupAnswered, LookupIssued, Micros, OrderBy, OriginAge,
    Primary, ReadCell, RejectedRow, RowKey, Shipped, Status, Values, ViewRule, Wanted, WriteAnswer,
    WriteAnswered, WriteIssued, WriteRow,
};
use proto::{
    hlc::Hlc,
    id::{
        BootId, ClusterId, EntityId, Epoch, FeatureId, Incarnation, NodeId, PlacementId, Position,
        RegionId, Sequence, ShardId, Stream, ViewId,
    },
    reason::Reason,
    request::RequestId,
    schema::Column,
    time::EventTime,
    token::{Reached, Token},
};

const VIEW: ViewId = ViewId(1);
const CLUSTER: ClusterId = ClusterId(9);
const STREAM: Stream = Stream {
    origin: RegionId(1),
    shard: ShardId(3),
    placement: PlacementId(0),
};
/// The history's time 0, and so the smallest event time that is fresh.
const WALL: u64 = 1_000_000_000;

fn header() -> Header {
    let rule = ViewRule {
        view: VIEW,
        entity: EntityId(1),
        columns: vec![Column::of("int64".parse().unwrap()); 2],
        defaults: vec![(FeatureId(1), number(77))],
        order_by: OrderBy::EventTime,
        ttl: Some(1_000_000),
        purge_after: None,
    };
    let by_write_time = ViewRule {
        view: ViewId(2),
        order_by: OrderBy::WriteTime,
        ..rule.clone()
    };
    Header {
        format: FORMAT,
        title: "made by hand".to_owned(),
        seed: 0,
        cluster: CLUSTER,
        regions: 1,
        wall_at_start: WALL,
        clock_error: 10,
        views: vec![rule, by_write_time],
    }
}

fn number(value: i64) -> Datum {
    Bytes::of(&value.to_le_bytes())
}

fn token(sequence: u64) -> Bytes {
    let mut token = Token::default();
    let reached = Reached {
        incarnation: Incarnation(1),
        sequence: Sequence(sequence),
    };
    token.see(STREAM, reached, Hlc(sequence));
    Bytes::of(&token.encode(CLUSTER))
}

/// Builds a history call by call; times are given as `(left, answered)`.
struct Script {
    header: Header,
    entries: Vec<Entry>,
    calls: u64,
}

fn script() -> Script {
    Script {
        header: header(),
        entries: Vec::new(),
        calls: 0,
    }
}

/// A write, before it is told how it ended.
struct Attempt<'a> {
    script: &'a mut Script,
    call: CallId,
}

impl Script {
    fn push(&mut self, at: u64, event: Event) -> &mut Self {
        self.entries.push(Entry {
            at: Micros(at),
            event,
        });
        self
    }

    fn attempt(&mut self, left: u64, request: u64, rows: Vec<WriteRow>) -> Attempt<'_> {
        self.calls += 1;
        let call = CallId(self.calls);
        let request = RequestId::make(request, u128::from(request));
        self.push(
            left,
            Event::WriteIssued(WriteIssued {
                call,
                request,
                rows,
                token: None,
            }),
        );
        Attempt { script: self, call }
    }

    /// A write of one row with a request of its own.
    fn write(&mut self, left: u64, event: u64, change: Change) -> Attempt<'_> {
        let request = 1_000 + self.calls;
        self.attempt(left, request, vec![row_of(VIEW, event, change)])
    }

    fn look(
        &mut self,
        (left, answered): (u64, u64),
        carried: Option<Bytes>,
        features: &[u16],
        values: Values,
    ) -> &mut Self {
        self.calls += 1;
        let call = CallId(self.calls);
        let wanted = vec![wanted(VIEW, features)];
        self.push(
            left,
            Event::LookupIssued(LookupIssued {
                call,
                wanted,
                token: carried,
            }),
        );
        let answer = LookupAnswer::Values(values);
        self.push(
            answered,
            Event::LookupAnswered(LookupAnswered { call, answer }),
        )
    }

    fn end(&mut self, at: u64, replica: &str, cells: Vec<ReadCell>) -> &mut Self {
        let features: Vec<u16> = (0..cells.len() as u16).collect();
        let read = FinalRead {
            replica: replica.to_owned(),
            began: Micros(at),
            wanted: wanted(VIEW, &features),
            cells,
        };
        self.push(at + 1, Event::FinalRead(read))
    }

    fn report(&self) -> Report {
        judge(&self.history()).unwrap()
    }

    fn history(&self) -> History {
        History::of(self.header.clone(), self.entries.clone()).unwrap()
    }

    /// Expects exactly these promises to be broken, violation by violation.
    #[track_caller]
    fn expect(&self, broken: &[&[Invariant]]) {
        let report = self.report();
        let found: Vec<_> = report
            .violations
            .iter()
            .map(|found| found.broken.clone())
            .collect();
        assert_eq!(found, broken, "{report}");
    }
}

impl<'a> Attempt<'a> {
    fn answer(self, at: u64, answer: WriteAnswer) -> &'a mut Script {
        let answered = WriteAnswered {
            call: self.call,
            answer,
        };
        self.script.push(at, Event::WriteAnswered(answered))
    }

    /// Acknowledged, and covered by the token of `sequence`.
    fn acknowledged(self, at: u64, sequence: u64) -> &'a mut Script {
        let given = Acknowledged {
            token: Some(token(sequence)),
            ..Acknowledged::default()
        };
        self.answer(at, WriteAnswer::Acknowledged(given))
    }

    fn unknown(self, at: u64) -> &'a mut Script {
        self.answer(at, WriteAnswer::Unknown("no answer".to_owned()))
    }
}

fn row_key(view: ViewId) -> RowKey {
    RowKey {
        view,
        key: Bytes::of(b"k"),
    }
}

fn row_of(view: ViewId, event: u64, change: Change) -> WriteRow {
    WriteRow {
        row: row_key(view),
        event_time: EventTime::saturating(WALL + event),
        change,
    }
}

fn wanted(view: ViewId, features: &[u16]) -> Wanted {
    Wanted {
        row: row_key(view),
        features: features.iter().copied().map(FeatureId).collect(),
    }
}

fn set(value: i64) -> Change {
    Change::Set(vec![(FeatureId(0), Some(number(value)))])
}

fn set_both(first: i64, second: i64) -> Change {
    let cell = |feature, value| (FeatureId(feature), Some(number(value)));
    Change::Set(vec![cell(0, first), cell(1, second)])
}

fn values(cells: Vec<ReadCell>) -> Values {
    Values {
        rows: vec![cells],
        ..Values::default()
    }
}

fn got(cells: Vec<ReadCell>, sequence: u64) -> Values {
    Values {
        token: Some(token(sequence)),
        ..values(cells)
    }
}

fn present(value: i64) -> ReadCell {
    ReadCell {
        status: Status::Present,
        value: Some(number(value)),
        event_time: None,
    }
}

fn dated(value: i64, event: u64) -> ReadCell {
    ReadCell {
        event_time: Some(EventTime::saturating(WALL + event)),
        ..present(value)
    }
}

const fn bare(status: Status) -> ReadCell {
    ReadCell {
        status,
        value: None,
        event_time: None,
    }
}

const MISSING: ReadCell = bare(Status::NotFound);
use Invariant::{I1, I3, I4, I5, I6, I8, I10, I11, I14, I16, I17, I18};

#[test]
fn a_lost_write_is_found_at_the_end() {
    let mut story = script();
    story.write(10, 1, set(5)).acknowledged(20, 1);
    story.end(100, "a", vec![present(5)]).expect(&[]);
    story
        .end(110, "b", vec![MISSING])
        .expect(&[&[I3, I16], &[I1]]);
}

#[test]
fn an_older_value_at_the_end_is_a_loss_unless_the_newer_write_is_open() {
    let mut acknowledged = script();
    acknowledged.write(10, 1, set(5)).acknowledged(20, 1);
    acknowledged.write(30, 2, set(6)).acknowledged(40, 2);
    acknowledged
        .end(100, "a", vec![present(5)])
        .expect(&[&[I3]]);
    let mut open = script();
    open.write(10, 1, set(5)).acknowledged(20, 1);
    open.write(30, 2, set(6)).unknown(40);
    open.end(100, "a", vec![present(5)]).expect(&[]);
    open.end(100, "a", vec![present(6)]).expect(&[&[I1]]);
}

#[test]
fn an_accepted_loss_is_none() {
    let mut story = script();
    story.write(10, 1, set(5)).acknowledged(20, 1);
    story.push(30, Event::LossAccepted);
    story.end(100, "a", vec![MISSING]).expect(&[]);
}

#[test]
fn a_late_event_changes_nothing_and_an_equal_one_wins_if_it_is_later() {
    let mut story = script();
    story.write(10, 5, set(1)).acknowledged(20, 1);
    story.write(30, 4, set(2)).acknowledged(40, 2);
    story.write(50, 5, set(3)).acknowledged(60, 3);
    story.look((30, 35), Some(token(2)), &[0], values(vec![present(1)]));
    story.end(100, "a", vec![present(3)]).expect(&[]);
    story
        .end(100, "a", vec![present(1)])
        .expect(&[&[I3], &[I1]]);
}

#[test]
fn of_concurrent_writes_with_one_event_time_either_may_stand() {
    for value in [1, 2] {
        let mut story = script();
        let first = story.write(10, 5, set(1)).call;
        story.write(15, 5, set(2)).acknowledged(30, 2);
        let given = Acknowledged {
            token: Some(token(1)),
            ..Acknowledged::default()
        };
        let answer = WriteAnswer::Acknowledged(given);
        story.push(
            25,
            Event::WriteAnswered(WriteAnswered {
                call: first,
                answer,
            }),
        );
        story.end(100, "a", vec![present(value)]).expect(&[]);
    }
}

#[test]
fn what_nobody_wrote_is_found() {
    let mut story = script();
    story.write(10, 1, set(5)).unknown(20);
    story
        .look((30, 40), None, &[0], values(vec![present(5)]))
        .expect(&[]);
    story
        .look((30, 40), None, &[0], values(vec![present(6)]))
        .expect(&[&[I4]]);
}

#[test]
fn what_was_refused_or_is_yet_to_be_written_is_written_by_nobody() {
    let mut refused = script();
    refused
        .write(10, 1, set(5))
        .answer(20, WriteAnswer::Refused(Reason::Quota));
    refused
        .look((30, 40), None, &[0], values(vec![present(5)]))
        .expect(&[&[I4]]);
    let mut rejected = script();
    let given = Acknowledged {
        rejected: vec![RejectedRow {
            row: 0,
            reason: Reason::WrongType,
        }],
        ..Acknowledged::default()
    };
    rejected
        .write(10, 1, set(5))
        .answer(20, WriteAnswer::Acknowledged(given));
    rejected
        .look((30, 40), None, &[0], values(vec![present(5)]))
        .expect(&[&[I4]]);
    let mut not_taken = script();
    let attempt = |story: &mut Script, at| {
        let given = Acknowledged {
            rejected: vec![RejectedRow {
                row: 0,
                reason: Reason::NoPrimary,
            }],
            ..Acknowledged::default()
        };
        let attempt = story.attempt(at, 1, vec![row_of(VIEW, 5, set(5))]);
        attempt.answer(at + 5, WriteAnswer::Acknowledged(given));
    };
    attempt(&mut not_taken, 10);
    not_taken
        .look((30, 40), None, &[0], values(vec![present(5)]))
        .expect(&[&[I4]]);
    let mut open = script();
    open.attempt(1, 1, vec![row_of(VIEW, 5, set(5))]);
    attempt(&mut open, 10);
    open.look((30, 40), None, &[0], values(vec![present(5)]))
        .expect(&[]);
    let mut later = script();
    later.look((30, 40), None, &[0], values(vec![present(5)]));
    later.write(50, 1, set(5)).acknowledged(60, 1);
    later.expect(&[&[I4]]);
}

#[test]
fn a_wrong_event_time_is_written_by_nobody() {
    let mut story = script();
    story.write(10, 1, set(5)).acknowledged(20, 1);
    story
        .look((30, 40), None, &[0], values(vec![dated(5, 1)]))
        .expect(&[]);
    story
        .look((30, 40), None, &[0], values(vec![dated(5, 2)]))
        .expect(&[&[I4]]);
}

#[test]
fn a_torn_row_is_found() {
    let mut story = script();
    story.write(10, 1, set_both(1, 1)).unknown(20);
    story.write(30, 2, set_both(2, 2)).unknown(40);
    story
        .look(
            (50, 60),
            None,
            &[0, 1],
            values(vec![present(2), present(2)]),
        )
        .expect(&[]);
    story
        .look(
            (50, 60),
            None,
            &[0, 1],
            values(vec![present(2), present(1)]),
        )
        .expect(&[&[I4]]);
}

#[test]
fn a_gap_before_what_is_shown_is_found() {
    let mut story = script();
    story
        .write(10, 1, Change::Set(vec![(FeatureId(1), Some(number(1)))]))
        .acknowledged(20, 1);
    story.write(30, 2, set(2)).acknowledged(40, 2);
    story
        .look((50, 60), None, &[0, 1], values(vec![present(2), MISSING]))
        .expect(&[&[I3, I16]]);
    story.header.regions = 2;
    story.expect(&[]);
}

#[test]
fn a_token_brings_ones_own_writes() {
    let mut story = script();
    story.write(10, 1, set(5)).acknowledged(20, 1);
    story
        .look((30, 40), None, &[0], values(vec![MISSING]))
        .expect(&[]);
    story
        .look((30, 40), Some(token(1)), &[0], values(vec![present(5)]))
        .expect(&[]);
    let stale = Values {
        stale: true,
        ..values(vec![MISSING])
    };
    story
        .look((30, 40), Some(token(1)), &[0], stale)
        .expect(&[]);
    story
        .look((30, 40), Some(token(1)), &[0], values(vec![MISSING]))
        .expect(&[&[I5, I16]]);
}

#[test]
fn a_token_that_does_not_cover_a_write_promises_nothing_of_it() {
    let mut story = script();
    story.write(10, 1, set(5)).acknowledged(20, 2);
    story
        .look((30, 40), Some(token(1)), &[0], values(vec![MISSING]))
        .expect(&[]);
    story
        .look((30, 40), Some(token(3)), &[0], values(vec![MISSING]))
        .expect(&[&[I5, I16]]);
}

#[test]
fn reads_by_token_never_go_back() {
    let mut story = script();
    story.write(10, 1, set(5)).unknown(20);
    story.write(30, 2, set(6)).unknown(40);
    story.look((50, 60), None, &[0], got(vec![present(6)], 7));
    story
        .look((70, 80), None, &[0], values(vec![present(5)]))
        .expect(&[]);
    story
        .look((70, 80), Some(token(7)), &[0], values(vec![present(6)]))
        .expect(&[]);
    story
        .look((70, 80), Some(token(6)), &[0], values(vec![present(5)]))
        .expect(&[]);
    story
        .look((70, 80), Some(token(7)), &[0], values(vec![present(5)]))
        .expect(&[&[I6]]);
}

#[test]
fn a_read_that_two_writes_explain_bounds_later_ones_by_the_earlier() {
    let mut story = script();
    story.write(10, 1, set(5)).unknown(20);
    story.write(30, 2, set(6)).unknown(40);
    story.write(50, 3, set(6)).unknown(60);
    story.look((70, 80), None, &[0], got(vec![present(6)], 7));
    story
        .look((90, 95), Some(token(7)), &[0], values(vec![dated(6, 2)]))
        .expect(&[]);
    story
        .look((90, 95), Some(token(7)), &[0], values(vec![present(5)]))
        .expect(&[&[I6]]);
}

#[test]
fn a_deleted_row_that_comes_back_is_found() {
    let mut story = script();
    story.write(10, 1, set(5)).acknowledged(20, 1);
    story.write(30, 2, Change::Delete).acknowledged(40, 2);
    story.write(50, 2, set(6)).acknowledged(60, 3);
    story
        .look((70, 80), Some(token(3)), &[0], values(vec![present(6)]))
        .expect(&[]);
    story
        .look((70, 80), Some(token(2)), &[0], values(vec![MISSING]))
        .expect(&[]);
    story
        .look((70, 80), Some(token(2)), &[0], values(vec![present(5)]))
        .expect(&[&[I5, I10]]);
}

#[test]
fn a_late_partial_update_does_not_bring_a_deleted_row_back() {
    let mut story = script();
    story.write(10, 5, Change::Delete).acknowledged(20, 1);
    story.write(30, 4, set(1)).acknowledged(40, 2);
    story.end(100, "a", vec![MISSING, MISSING]).expect(&[]);
    story
        .end(100, "a", vec![present(1), MISSING])
        .expect(&[&[I3, I10], &[I1]]);
}

#[test]
fn what_is_past_its_ttl_is_not_present() {
    let age = |cell: ReadCell, left: u64| {
        let mut story = script();
        story.write(10, 100, set(5)).acknowledged(20, 1);
        story.look((left, left + 5), None, &[0], values(vec![cell]));
        story
    };
    let outside = || bare(Status::OutsideMaxAge);
    age(present(5), 1_000_110).expect(&[]);
    age(present(5), 1_000_111).expect(&[&[I11]]);
    age(outside(), 1_000_090).expect(&[]);
    age(outside(), 1_000_085).expect(&[&[I16]]);
    age(MISSING, 2_000_000).expect(&[]);
}

#[test]
fn nothing_can_be_outside_its_age_where_nobody_wrote() {
    let mut story = script();
    story.look(
        (9_000_000, 9_000_010),
        None,
        &[0],
        values(vec![bare(Status::OutsideMaxAge)]),
    );
    story.expect(&[&[I4]]);
}

#[test]
fn an_expired_row_may_be_gone_only_below_the_floor() {
    let gone = |purge_after| {
        let mut story = script();
        story.header.views[0].purge_after = purge_after;
        story.write(10, 0, set(5)).acknowledged(20, 1);
        story.end(3_000_000, "a", vec![MISSING]);
        story
    };
    gone(Some(1_000_000)).expect(&[]);
    gone(Some(3_000_000)).expect(&[&[I3, I16]]);
    gone(None).expect(&[&[I3, I16]]);
}

#[test]
fn a_claim_of_freshness_is_held_to() {
    let claim = |micros| {
        let mut story = script();
        story.write(10, 1, set(5)).acknowledged(20, 1);
        let ages = vec![OriginAge {
            origin: RegionId(1),
            micros,
        }];
        story.look(
            (50, 60),
            None,
            &[0],
            Values {
                ages,
                ..values(vec![MISSING])
            },
        );
        story
    };
    claim(None).expect(&[]);
    claim(Some(30)).expect(&[]);
    claim(Some(29)).expect(&[&[I14, I16]]);
}

#[test]
fn an_answer_has_one_status_per_value() {
    let form = |cells: Vec<ReadCell>| {
        let mut story = script();
        story.write(10, 1, set(5)).acknowledged(20, 1);
        story.look((30, 40), None, &[0, 1], values(cells));
        story
    };
    let default = ReadCell {
        value: Some(number(77)),
        ..MISSING
    };
    let other = ReadCell {
        value: Some(number(78)),
        ..MISSING
    };
    let failed_with_value = ReadCell {
        status: Status::Unavailable,
        ..default.clone()
    };
    form(vec![present(5), MISSING]).expect(&[]);
    form(vec![present(5), default.clone()]).expect(&[]);
    form(vec![bare(Status::Unavailable), default.clone()]).expect(&[]);
    form(vec![present(5)]).expect(&[&[I16]]);
    form(vec![present(5), other]).expect(&[&[I16]]);
    form(vec![present(5), failed_with_value]).expect(&[&[I16]]);
    form(vec![bare(Status::Present), default.clone()]).expect(&[&[I16]]);
    let short = ReadCell {
        value: Some(Bytes::of(&[1, 2])),
        ..present(5)
    };
    form(vec![short, default]).expect(&[&[I16]]);
    let mut story = script();
    story
        .look((30, 40), None, &[0], Values::default())
        .expect(&[&[I16]]);
}

#[test]
fn a_replica_that_does_not_answer_at_the_end_is_found() {
    let mut story = script();
    story.write(10, 1, set(5)).acknowledged(20, 1);
    story
        .end(100, "a", vec![bare(Status::Unavailable)])
        .expect(&[&[I17]]);
}

#[test]
fn replicas_that_differ_at_the_end_are_found() {
    let mut story = script();
    story.write(10, 1, set(5)).unknown(20);
    story
        .end(100, "a", vec![present(5)])
        .end(100, "b", vec![present(5)])
        .expect(&[]);
    story.end(100, "c", vec![MISSING]).expect(&[&[I1]]);
}

fn answered_twice(first: Acknowledged, second: Acknowledged) -> Script {
    let mut story = script();
    let rows = || vec![row_of(VIEW, 1, set(5)), row_of(VIEW, 2, set(6))];
    story
        .attempt(10, 7, rows())
        .answer(20, WriteAnswer::Acknowledged(first));
    story
        .attempt(30, 7, rows())
        .answer(40, WriteAnswer::Acknowledged(second));
    story
}

#[test]
fn a_request_sent_again_gets_its_first_answer() {
    let superseded = |superseded| Acknowledged {
        superseded,
        ..Acknowledged::default()
    };
    let rejected = |rows: &[u32]| {
        let rejected = rows.iter().map(|row| RejectedRow {
            row: *row,
            reason: Reason::TooLarge,
        });
        Acknowledged {
            rejected: rejected.collect(),
            ..Acknowledged::default()
        }
    };
    let unknown = |rows: &[u32]| Acknowledged {
        unknown: rows.to_vec(),
        ..Acknowledged::default()
    };
    answered_twice(superseded(1), superseded(1)).expect(&[]);
    answered_twice(superseded(1), superseded(0)).expect(&[&[I8]]);
    answered_twice(rejected(&[0]), rejected(&[0])).expect(&[]);
    answered_twice(rejected(&[0]), rejected(&[])).expect(&[&[I8]]);
    answered_twice(unknown(&[0]), rejected(&[0])).expect(&[]);
    answered_twice(unknown(&[1]), superseded(1)).expect(&[]);
    // Who is asked next may find the primary that this attempt did not find.
    let not_taken = || {
        let mut given = rejected(&[0]);
        given.rejected[0].reason = Reason::NoPrimary;
        given
    };
    answered_twice(not_taken(), superseded(1)).expect(&[]);
    answered_twice(superseded(1), not_taken()).expect(&[]);
    answered_twice(not_taken(), rejected(&[0])).expect(&[]);
}

#[test]
fn a_retry_is_one_write() {
    let mut story = script();
    story
        .attempt(10, 7, vec![row_of(VIEW, 1, set(5))])
        .unknown(20);
    story.write(30, 1, set(6)).acknowledged(40, 1);
    story
        .attempt(50, 7, vec![row_of(VIEW, 1, set(5))])
        .acknowledged(60, 2);
    story.end(100, "a", vec![present(5)]).expect(&[]);
    assert_eq!(story.report().judged.requests, 2);
    let refused = |reason| WriteAnswer::Refused(reason);
    story
        .attempt(70, 7, vec![row_of(VIEW, 1, set(5))])
        .answer(80, refused(Reason::Overloaded));
    story.expect(&[]);
}

#[test]
fn one_boot_acts_in_an_epoch_and_nothing_committed_changes() {
    let primary = |epoch, boot| {
        let (region, shard) = (RegionId(1), ShardId(2));
        let (node, boot) = (NodeId(1), BootId(boot));
        Event::Primary(Primary {
            region,
            shard,
            epoch: Epoch(epoch),
            node,
            boot,
        })
    };
    let committed = |position, digest| {
        let (region, shard, epoch) = (RegionId(1), ShardId(2), Epoch(1));
        let (position, node) = (Position(position), NodeId(1));
        Event::Committed(Committed {
            region,
            shard,
            epoch,
            position,
            digest,
            node,
        })
    };
    let shipped = |sequence, digest| {
        let (incarnation, sequence) = (Incarnation(1), Sequence(sequence));
        Event::Shipped(Shipped {
            stream: STREAM,
            incarnation,
            sequence,
            digest,
            hlc: None,
        })
    };
    let told = |events: [Event; 3]| {
        let mut story = script();
        for event in events {
            story.push(1, event);
        }
        story
    };
    told([primary(1, 1), primary(1, 1), primary(2, 2)]).expect(&[]);
    told([primary(1, 1), primary(1, 2), primary(2, 2)]).expect(&[&[I8]]);
    told([committed(1, 1), committed(1, 1), committed(2, 2)]).expect(&[]);
    told([committed(1, 1), committed(1, 3), committed(2, 2)]).expect(&[&[I8]]);
    told([shipped(1, 1), shipped(1, 1), shipped(2, 2)]).expect(&[]);
    told([shipped(1, 1), shipped(2, 2), shipped(2, 1)]).expect(&[&[I8]]);
}

#[test]
fn nothing_past_a_close_is_stamped_at_or_below_it() {
    let shipped = |sequence, hlc| {
        Event::Shipped(Shipped {
            stream: STREAM,
            incarnation: Incarnation(1),
            sequence: Sequence(sequence),
            digest: sequence,
            hlc: Some(Hlc(hlc)),
        })
    };
    let closed = |sequence, hlc| {
        Event::Closed(Closed {
            stream: STREAM,
            incarnation: Incarnation(1),
            sequence: Sequence(sequence),
            hlc: Hlc(hlc),
            by: "node-1".to_owned(),
        })
    };
    let told = |close| {
        let mut story = script();
        for event in [close, shipped(4, 40), shipped(5, 50), shipped(6, 60)] {
            story.push(1, event);
        }
        story
    };
    told(closed(4, 49)).expect(&[]);
    told(closed(4, 50)).expect(&[&[I18]]);
    told(closed(5, 50)).expect(&[]);
    told(closed(3, 60)).expect(&[&[I18]]);
    told(closed(6, 99)).expect(&[]);
}

#[test]
fn what_is_committed_at_a_position_is_the_same_in_every_epoch_and_on_every_disk() {
    let committed = |epoch, position| {
        Event::Committed(Committed {
            region: RegionId(1),
            shard: ShardId(2),
            epoch: Epoch(epoch),
            position: Position(position),
            digest: epoch.into(),
            node: NodeId(1),
        })
    };
    let holds = |replica: &str, position, digest| {
        Event::Holds(Holds {
            replica: replica.to_owned(),
            region: RegionId(1),
            shard: ShardId(2),
            position: Position(position),
            rows: 4,
            digest,
        })
    };
    let told = |events: &[Event]| {
        let mut story = script();
        for event in events {
            story.push(1, event.clone());
        }
        story
    };
    told(&[committed(1, 1), committed(2, 2)]).expect(&[]);
    told(&[committed(1, 1), committed(2, 1)]).expect(&[&[I8]]);
    told(&[committed(1, 1), Event::LossAccepted, committed(2, 1)]).expect(&[]);
    told(&[holds("a", 7, 1), holds("b", 7, 1), holds("b", 8, 2)]).expect(&[]);
    told(&[holds("a", 7, 1), holds("b", 7, 2)]).expect(&[&[I1]]);
}

#[test]
fn in_a_view_by_write_time_event_times_say_nothing() {
    let mut story = script();
    let row = |event, value| vec![row_of(ViewId(2), event, set(value))];
    story.attempt(10, 1, row(9, 5)).acknowledged(20, 1);
    story.attempt(30, 2, row(1, 6)).acknowledged(40, 2);
    let read = |value| FinalRead {
        replica: "a".to_owned(),
        began: Micros(100),
        wanted: wanted(ViewId(2), &[0]),
        cells: vec![dated(value, 35)],
    };
    story.push(101, Event::FinalRead(read(6))).expect(&[]);
    story
        .push(101, Event::FinalRead(read(5)))
        .expect(&[&[I3], &[I1]]);
}

#[test]
fn a_wrong_history_is_not_judged() {
    let mut unknown_view = script();
    unknown_view.attempt(10, 1, vec![row_of(ViewId(5), 1, set(5))]);
    assert_eq!(
        judge(&unknown_view.history()),
        Err(Unjudgeable::UnknownView(ViewId(5)))
    );
    let mut differs = script();
    differs.attempt(10, 1, vec![row_of(VIEW, 1, set(5))]);
    differs.attempt(10, 1, vec![row_of(VIEW, 1, set(6))]);
    assert!(matches!(
        judge(&differs.history()),
        Err(Unjudgeable::RequestDiffers(_))
    ));
    let mut token = script();
    token.look(
        (1, 2),
        Some(Bytes::of(b"no token")),
        &[0],
        values(vec![MISSING]),
    );
    assert!(matches!(
        judge(&token.history()),
        Err(Unjudgeable::Token {
            call: CallId(1),
            ..
        })
    ));
}

#[test]
fn a_report_says_how_much_was_judged() {
    assert_eq!(script().report().judged, Judged::default());
    let mut story = script();
    story.write(10, 1, set(5)).acknowledged(20, 1);
    story.look((30, 40), Some(token(1)), &[0], values(vec![present(5)]));
    let judged = story.report().judged;
    assert_eq!(
        (
            judged.acknowledged_rows,
            judged.token_lookups,
            judged.bounded_values
        ),
        (1, 1, 1)
    );
    assert_eq!(
        judged.rows_without_final_read, 1,
        "the only row was not read at the end"
    );
}

#[test]
fn a_history_reads_back_as_it_was_written() {
    let mut story = script();
    story.write(10, 1, set_both(5, -6)).acknowledged(20, 1);
    story.write(10, 2, Change::Delete).unknown(20);
    story.look((30, 40), Some(token(1)), &[0], got(vec![dated(5, 1)], 1));
    story
        .push(50, Event::LossAccepted)
        .push(51, Event::Note("a node is killed".to_owned()));
    story.end(100, "a", vec![MISSING]);
    let history = story.history();
    let mut lines = Vec::new();
    history.write_jsonl(&mut lines).unwrap();
    let read = History::read_jsonl(&lines[..]).unwrap();
    assert_eq!(read.entries(), history.entries());
    assert_eq!(judge(&read), judge(&history));
    let newer = String::from_utf8(lines)
        .unwrap()
        .replacen("\"format\":1", "\"format\":2", 1);
    let refused = History::read_jsonl(newer.as_bytes())
        .unwrap_err()
        .to_string();
    assert!(refused.contains("has format 2"), "{refused}");
}
