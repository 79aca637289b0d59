//! Writes and deletions over gRPC end to end, by a client with the published schema.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

mod support;

use proto::reason::Reason;
use support::{
    SECOND, START_MICROS, World,
    clients::{check_refused, int64s, ints, lookup, statuses, write},
    rows::Mood,
};
use tokio_stream::StreamExt;
use tonic::Code;
use tonic_types::StatusExt;
use wire::v1::{self, write_ack::Outcome};

const NOT_FOUND: u8 = 3;

#[tokio::test]
async fn an_older_event_is_superseded_and_a_repeat_gets_the_first_answer() {
    let world = World::new();
    let mut client = world.client().await;
    let at = |time: u64, orders: i64| {
        write(
            "activity",
            vec![ints("customer_id", &[1])],
            vec![int64s("orders", &[orders])],
            &[time],
        )
    };
    let newer = v1::WriteRequest {
        request_id: proto::request::RequestId::make(START_MICROS / 1_000, 7)
            .as_bytes()
            .to_vec()
            .into(),
        ..at(START_MICROS, 2)
    };
    let first = client.write(newer.clone()).await.unwrap().into_inner();
    let older = client
        .write(at(START_MICROS - SECOND, 1))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (
            (first.accepted, first.superseded),
            (older.accepted, older.superseded)
        ),
        ((1, 0), (1, 1))
    );
    assert_eq!(client.write(newer).await.unwrap().into_inner(), first);
    assert_eq!(
        older.request_id.len(),
        16,
        "an id is made where none is given"
    );
    let answer = client
        .lookup(lookup(
            &["activity:orders"],
            vec![ints("customer_id", &[1])],
            vec![],
        ))
        .await
        .unwrap();
    assert_eq!(answer.into_inner().columns[0].i64, [2]);
}

#[tokio::test]
async fn one_event_time_holds_for_all_rows_and_none_is_the_present() {
    let world = World::new();
    let mut client = world.client().await;
    let keys = || vec![ints("customer_id", &[1, 2])];
    for (times, expected) in [
        (vec![START_MICROS - 5], START_MICROS - 5),
        (vec![], START_MICROS),
    ] {
        let request = write("activity", keys(), vec![int64s("orders", &[1, 2])], &times);
        assert_eq!(
            client.write(request).await.unwrap().into_inner().accepted,
            2
        );
        let request = v1::LookupRequest {
            event_times: true,
            ..lookup(&["activity:orders"], vec![], keys())
        };
        let answer = client.lookup(request).await.unwrap().into_inner();
        assert_eq!(
            answer.times[0].micros,
            [i64::try_from(expected).unwrap(); 2]
        );
    }
}

#[tokio::test]
async fn single_rows_are_rejected_with_their_reasons() {
    let world = World::new();
    let mut client = world.client().await;
    let times = [
        START_MICROS,
        START_MICROS + 600 * SECOND,
        START_MICROS,
        START_MICROS,
    ];
    let mut request = write(
        "activity",
        vec![ints("customer_id", &[1, 2, 3, 4])],
        vec![int64s("orders", &[1, 2, 3, 4])],
        &times,
    );
    request.writes[0].event_times_us[2] = -1;
    request.writes[0].features[0].cells = vec![1, 1, 1, 0].into();
    let answer = client.write(request).await.unwrap().into_inner();
    let rejected: Vec<(u32, &str)> = answer
        .rejected
        .iter()
        .map(|row| (row.row, row.reason.as_str()))
        .collect();
    assert_eq!(answer.accepted, 1);
    assert_eq!(
        rejected,
        [
            (1, "EVENT_TIME_IN_FUTURE"),
            (2, "EVENT_TIME_TOO_OLD"),
            (3, "INVALID_REQUEST")
        ]
    );
}

#[tokio::test]
async fn a_deleted_row_is_not_found_and_a_late_update_does_not_bring_it_back() {
    let world = World::new();
    let mut client = world.client().await;
    let at = |time: u64, orders: i64| {
        write(
            "activity",
            vec![ints("customer_id", &[1])],
            vec![int64s("orders", &[orders])],
            &[time],
        )
    };
    client.write(at(START_MICROS, 1)).await.unwrap();
    let delete = v1::DeleteRequest {
        project: "shop".into(),
        what: Some(v1::delete_request::What::View("activity".into())),
        keys: vec![ints("customer_id", &[1])],
        event_time_us: Some(i64::try_from(START_MICROS + 10).unwrap()),
        ..Default::default()
    };
    let answer = client.delete(delete.clone()).await.unwrap().into_inner();
    assert_eq!(answer.accepted, 1);
    client.write(at(START_MICROS + 5, 2)).await.unwrap();
    let request = || v1::LookupRequest {
        no_defaults: true,
        ..lookup(
            &["activity:orders"],
            vec![ints("customer_id", &[1])],
            vec![],
        )
    };
    let answer = client.lookup(request()).await.unwrap().into_inner();
    assert_eq!(statuses(&answer, 0), [NOT_FOUND]);

    client.write(at(START_MICROS + 20, 4)).await.unwrap();
    assert_eq!(
        client.lookup(request()).await.unwrap().into_inner().columns[0].i64,
        [4]
    );
    let entity = v1::DeleteRequest {
        what: Some(v1::delete_request::What::Entity("customer".into())),
        event_time_us: Some(i64::try_from(START_MICROS + 30).unwrap()),
        ..delete
    };
    client.delete(entity).await.unwrap();
    assert_eq!(
        statuses(&client.lookup(request()).await.unwrap().into_inner(), 0),
        [NOT_FOUND]
    );
}

#[tokio::test]
async fn a_refusal_of_all_rows_is_the_calls_own_error_and_silence_is_unknown() {
    let world = World::new();
    let mut client = world.client().await;
    let request = || {
        write(
            "activity",
            vec![ints("customer_id", &[1, 2, 3])],
            vec![int64s("orders", &[1, 2, 3])],
            &[],
        )
    };
    world.rows.mood(Mood::Refusing(Reason::NearlyFull));
    let status = client.write(request()).await.unwrap_err();
    let wait = status.get_details_retry_info().unwrap().retry_delay;
    assert_eq!(wait, Some(std::time::Duration::from_millis(1_500)));
    check_refused::<()>(
        Err(status),
        Code::ResourceExhausted,
        Reason::NearlyFull,
        "nearly full",
    );
    world.rows.mood(Mood::Silent);
    let mut two = request();
    two.writes.push(two.writes[0].clone());
    let answer = client.write(two).await.unwrap().into_inner();
    assert_eq!(
        (answer.accepted, answer.unknown),
        (0, vec![0, 1, 2, 3, 4, 5])
    );
}

#[tokio::test]
async fn every_batch_of_a_stream_is_acknowledged_on_its_own() {
    let world = World::new();
    let mut client = world.client().await;
    let good = |id: i64| {
        write(
            "activity",
            vec![ints("customer_id", &[id])],
            vec![int64s("orders", &[id])],
            &[],
        )
    };
    let bad = write(
        "activty",
        vec![ints("customer_id", &[1])],
        vec![int64s("orders", &[1])],
        &[],
    );
    let batches = tokio_stream::iter([good(1), bad, good(2)]);
    let acks: Vec<_> = client
        .write_stream(batches)
        .await
        .unwrap()
        .into_inner()
        .collect()
        .await;
    let outcomes: Vec<_> = acks
        .into_iter()
        .map(|ack| ack.unwrap().outcome.unwrap())
        .collect();
    assert!(matches!(&outcomes[0], Outcome::Response(answer) if answer.accepted == 1));
    assert!(
        matches!(&outcomes[1], Outcome::Error(error) if error.reason == "UNKNOWN_VIEW" && error.code == Code::NotFound as i32)
    );
    assert!(matches!(&outcomes[2], Outcome::Response(answer) if answer.accepted == 1));
    assert_eq!(world.rows.count(), 2);
}

fn two_rows(column: v1::Column) -> v1::WriteRequest {
    write(
        "activity",
        vec![ints("customer_id", &[1, 2])],
        vec![column],
        &[],
    )
}

async fn check_all_refused(cases: Vec<(v1::WriteRequest, Reason, &str)>) {
    let world = World::new();
    let mut client = world.client().await;
    for (request, reason, words) in cases {
        let code = if reason == Reason::UnknownFeature {
            Code::NotFound
        } else {
            Code::InvalidArgument
        };
        check_refused(client.write(request).await, code, reason, words);
    }
    assert_eq!(world.rows.count(), 0, "a refused request writes nothing");
}

#[tokio::test]
async fn columns_of_the_wrong_form_are_refused() {
    let floats = v1::Column {
        feature: "orders".into(),
        f64: vec![1.0, 2.0],
        ..Default::default()
    };
    let declared = v1::Column {
        r#type: v1::Type::Float64.into(),
        ..int64s("orders", &[1, 2])
    };
    let cells = v1::Column {
        cells: vec![1].into(),
        ..int64s("orders", &[1, 2])
    };
    let mut twice = two_rows(int64s("orders", &[1, 2]));
    let column = twice.writes[0].features[0].clone();
    twice.writes[0].features.push(column);
    check_all_refused(vec![
        (two_rows(floats), Reason::WrongType, "f64 is filled"),
        (
            two_rows(declared),
            Reason::WrongType,
            "orders is int64, and float64 is given",
        ),
        (
            two_rows(int64s("orders", &[1])),
            Reason::UnequalLengths,
            "1 values for 2 rows",
        ),
        (
            two_rows(cells),
            Reason::UnequalLengths,
            "1 cells for 2 rows",
        ),
        (
            two_rows(int64s("order", &[1, 2])),
            Reason::UnknownFeature,
            "did you mean orders?",
        ),
        (twice, Reason::InvalidRequest, "orders is given twice"),
    ])
    .await;
}

#[tokio::test]
async fn writes_of_the_wrong_form_are_refused() {
    let good = || two_rows(int64s("orders", &[1, 2]));
    let of_keys = |view: &str, keys: v1::KeyColumn| write(view, vec![keys], vec![], &[]);
    let mut times = good();
    times.writes[0].event_times_us = vec![1, 2, 3];
    let id = v1::WriteRequest {
        request_id: vec![1; 16].into(),
        ..good()
    };
    let empty = v1::WriteRequest {
        project: "shop".into(),
        ..Default::default()
    };
    let many = of_keys("activity", ints("customer_id", &[1; 10_001]));
    let unknown = of_keys("activity", ints("customer", &[1]));
    let missing = of_keys("affinity", ints("customer_id", &[1]));
    check_all_refused(vec![
        (
            times,
            Reason::UnequalLengths,
            "3 event times are given for 2 rows",
        ),
        (id, Reason::InvalidRequest, "UUID of version 7"),
        (empty, Reason::InvalidRequest, "no rows"),
        (many, Reason::TooManyRows, "at most 10000 rows"),
        (unknown, Reason::InvalidRequest, "did you mean customer_id?"),
        (missing, Reason::MissingKey, "needs the join key item"),
    ])
    .await;
}
