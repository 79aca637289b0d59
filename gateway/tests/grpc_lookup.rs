//! Lookups over gRPC end to end, by a client with the published schema.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

mod support;

use proto::{id::ShardId, limits::ROWS_PER_LOOKUP, reason::Reason};
use support::{
    SECOND, START_MICROS, World, catalog,
    clients::{Client, check_refused, int64s, ints, lookup, statuses, texts, write},
};
use tonic::Code;
use wire::v1;

const PRESENT: u8 = 1;
const NULL_VALUE: u8 = 2;
const NOT_FOUND: u8 = 3;
const OUTSIDE_MAX_AGE: u8 = 4;
const UNAVAILABLE: u8 = 5;
const DEFAULTED: u8 = 16;

/// What the service `feed` reads for customer 17850 and the items a, b and c.
fn feed_rows() -> [v1::WriteRequest; 3] {
    let spend = v1::Column {
        feature: "spend".into(),
        f64: vec![f64::from_bits(0x7ff8_0000_0000_1234)],
        ..Default::default()
    };
    let own = write(
        "activity",
        vec![ints("customer_id", &[17_850])],
        vec![int64s("orders", &[i64::MAX]), spend],
        &[START_MICROS],
    );
    let pairs = write(
        "affinity",
        vec![
            ints("customer_id", &[17_850, 17_850]),
            texts("item", &["a", "c"]),
        ],
        vec![int64s("affinity:bought", &[1, 3])],
        &[],
    );
    let items = write(
        "popularity",
        vec![texts("item", &["a", "b", "c"])],
        vec![int64s("views", &[10, 20, 30])],
        &[],
    );
    [own, pairs, items]
}

#[tokio::test]
async fn one_shared_customer_joins_every_row() {
    let world = World::new();
    let mut client = world.client().await;
    for request in feed_rows() {
        let answer = client.write(request).await.unwrap().into_inner();
        assert_eq!(
            (answer.copies, answer.confirmed, answer.region.as_str()),
            (2, vec!["eu".to_owned()], "eu")
        );
    }
    let request = v1::LookupRequest {
        project: "shop".into(),
        select: Some(v1::lookup_request::Select::Service("feed".into())),
        shared: vec![ints("customer_id", &[17_850])],
        rows: vec![texts("item", &["a", "b", "c"])],
        event_times: true,
        ..Default::default()
    };
    let answer = client.lookup(request).await.unwrap().into_inner();
    let names: Vec<&str> = answer
        .columns
        .iter()
        .map(|column| column.feature.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "activity:orders",
            "popularity:views",
            "affinity:bought",
            "activity:spend",
            "popularity:price"
        ]
    );
    assert_eq!(
        (answer.row_count, answer.revision, &answer.token[..]),
        (3, 1, &b"token"[..])
    );
    let shared: Vec<bool> = answer.columns.iter().map(|column| column.shared).collect();
    assert_eq!(shared, [true, false, false, true, false]);
    assert_eq!(
        (&answer.columns[0].i64[..], answer.columns[0].statuses),
        (&[i64::MAX][..], 0)
    );
    assert_eq!(
        (&answer.columns[1].i64[..], statuses(&answer, 1)),
        (&[10, 20, 30][..], vec![PRESENT; 3])
    );
    assert_eq!(
        (&answer.columns[2].i64[..], statuses(&answer, 2)),
        (&[1, 0, 3][..], vec![PRESENT, NOT_FOUND, PRESENT])
    );
    assert_eq!(
        answer.columns[3].f64[0].to_bits(),
        0x7ff8_0000_0000_1234,
        "a NaN keeps its payload"
    );
    assert_eq!(statuses(&answer, 4), [NOT_FOUND; 3]);
    let times = &answer.times[answer.columns[0].times as usize - 1].micros;
    assert_eq!(times[..], [i64::try_from(START_MICROS).unwrap()]);
    let times = &answer.times[answer.columns[2].times as usize - 1].micros;
    assert_eq!(times[1], 0, "where there is no row there is no time");
}

#[tokio::test]
async fn a_value_is_served_until_it_is_older_than_the_ttl() {
    let world = World::new();
    let mut client = world.client().await;
    let request = write(
        "activity",
        vec![ints("customer_id", &[1])],
        vec![int64s("orders", &[5])],
        &[START_MICROS],
    );
    client.write(request).await.unwrap();
    for (age, status, value) in [
        (3_600 * SECOND, PRESENT, 5),
        (3_600 * SECOND + 1, OUTSIDE_MAX_AGE, 0),
    ] {
        world.clock.set(START_MICROS + age);
        let request = lookup(
            &["activity:orders"],
            vec![ints("customer_id", &[1])],
            vec![],
        );
        let answer = client.lookup(request).await.unwrap().into_inner();
        assert_eq!(
            (statuses(&answer, 0), &answer.columns[0].i64[..]),
            (vec![status], &[value][..])
        );
    }
}

/// Customer 1 has a null for its orders, customer 2 only `small`, customer 3 nothing.
async fn write_gaps(client: &mut Client) {
    let null = v1::Column {
        cells: vec![2, 0].into(),
        ..int64s("orders", &[0, 0])
    };
    let small = v1::Column {
        feature: "small".into(),
        i32: vec![0, 9],
        cells: vec![0, 1].into(),
        ..Default::default()
    };
    let keys = vec![ints("customer_id", &[1, 2])];
    client
        .write(write("activity", keys, vec![null, small], &[]))
        .await
        .unwrap();
}

fn look_at_gaps() -> v1::LookupRequest {
    let features = ["activity:orders", "activity:segment", "activity:small"];
    lookup(&features, vec![], vec![ints("customer_id", &[1, 2, 3])])
}

#[tokio::test]
async fn defaults_stand_for_what_was_not_found_and_for_nothing_else() {
    let world = World::new();
    let mut client = world.client().await;
    write_gaps(&mut client).await;
    let answer = client.lookup(look_at_gaps()).await.unwrap().into_inner();
    let defaulted = NOT_FOUND + DEFAULTED;
    assert_eq!(statuses(&answer, 0), [NULL_VALUE, defaulted, defaulted]);
    assert_eq!(answer.columns[0].i64, [0, 7, 7]);
    assert_eq!(statuses(&answer, 1), [defaulted; 3]);
    assert_eq!(answer.columns[1].strings, ["new", "new", "new"]);
    assert_eq!(statuses(&answer, 2), [NOT_FOUND, PRESENT, NOT_FOUND]);
    assert_eq!(answer.columns[2].i32, [0, 9, 0]);

    let bare = v1::LookupRequest {
        no_defaults: true,
        omit_names: true,
        ..look_at_gaps()
    };
    let answer = client.lookup(bare).await.unwrap().into_inner();
    assert_eq!(statuses(&answer, 0), [NULL_VALUE, NOT_FOUND, NOT_FOUND]);
    assert_eq!(answer.columns[0].i64, [0, 0, 0]);
    assert!(
        answer
            .columns
            .iter()
            .all(|column| column.feature.is_empty())
    );
}

#[tokio::test]
async fn a_failed_shard_is_unavailable_and_never_a_default() {
    let world = World::new();
    let mut client = world.client().await;
    write_gaps(&mut client).await;
    world.rows.fail((0..8).map(ShardId));
    let answer = client.lookup(look_at_gaps()).await.unwrap().into_inner();
    for column in 0..3 {
        assert_eq!(statuses(&answer, column), [UNAVAILABLE; 3]);
    }
    assert_eq!(answer.columns[0].i64, [0, 0, 0]);
    assert_eq!(
        answer.statuses.len(),
        1,
        "columns that miss alike share their statuses"
    );
}

#[tokio::test]
async fn rows_that_do_not_fit_what_was_asked_for_are_unavailable() {
    let world = World::new();
    let mut client = world.client().await;
    write_gaps(&mut client).await;
    world.rows.answer_misshapen();
    let answer = client.lookup(look_at_gaps()).await.unwrap().into_inner();
    assert_eq!(statuses(&answer, 2), [UNAVAILABLE; 3]);
}

#[tokio::test]
async fn old_rows_are_read_under_a_new_schema() {
    let world = World::new();
    let mut client = world.client().await;
    let small = || v1::Column {
        feature: "small".into(),
        r#type: v1::Type::Int32.into(),
        i32: vec![-5],
        ..Default::default()
    };
    client
        .write(write(
            "activity",
            vec![ints("customer_id", &[1])],
            vec![small()],
            &[],
        ))
        .await
        .unwrap();
    world.catalog.put(catalog::shop_widened());
    world.rows.learn_schemas();
    // A writer that does not know of the widening yet is understood.
    client
        .write(write(
            "activity",
            vec![ints("customer_id", &[2])],
            vec![small()],
            &[],
        ))
        .await
        .unwrap();
    let request = lookup(
        &["activity:small", "activity:level"],
        vec![],
        vec![ints("customer_id", &[1, 2])],
    );
    let answer = client.lookup(request).await.unwrap().into_inner();
    assert_eq!(
        (answer.revision, answer.columns[0].r#type()),
        (2, v1::Type::Int64)
    );
    assert_eq!(
        (statuses(&answer, 0), &answer.columns[0].i64[..]),
        (vec![PRESENT; 2], &[-5, -5][..])
    );
    assert_eq!(
        (statuses(&answer, 1), &answer.columns[1].i32[..]),
        (vec![NOT_FOUND + DEFAULTED; 2], &[3, 3][..])
    );
}

#[tokio::test]
async fn regions_write_slots_that_add_up() {
    let world = World::new();
    let mut client = world.client().await;
    for (slot, views) in [("", 10), ("us", 5), ("eu", 12)] {
        let request = write(
            "popularity",
            vec![texts("item", &["a"])],
            vec![int64s("views", &[views])],
            &[],
        );
        client
            .write(v1::WriteRequest {
                slot: slot.into(),
                ..request
            })
            .await
            .unwrap();
    }
    let answer = client
        .lookup(lookup(
            &["popularity:views"],
            vec![texts("item", &["a"])],
            vec![],
        ))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (statuses(&answer, 0), &answer.columns[0].i64[..]),
        (vec![PRESENT], &[17][..])
    );
    let request = write(
        "popularity",
        vec![texts("item", &["a"])],
        vec![int64s("views", &[1])],
        &[],
    );
    let refused = client
        .write(v1::WriteRequest {
            slot: "uk".into(),
            ..request
        })
        .await;
    check_refused(
        refused,
        Code::InvalidArgument,
        Reason::InvalidRequest,
        "no region \"uk\"",
    );
}

#[tokio::test]
async fn what_does_not_exist_is_named_beside_what_does() {
    let world = World::new();
    let mut client = world.client().await;
    let key = || vec![ints("customer_id", &[1])];
    let other = v1::LookupRequest {
        project: "shopp".into(),
        ..lookup(&["activity:orders"], key(), vec![])
    };
    check_refused(
        client.lookup(other).await,
        Code::NotFound,
        Reason::UnknownProject,
        "did you mean shop?",
    );
    let service = v1::LookupRequest {
        select: Some(v1::lookup_request::Select::Service("fed".into())),
        ..lookup(&[], key(), vec![])
    };
    check_refused(
        client.lookup(service).await,
        Code::NotFound,
        Reason::UnknownService,
        "did you mean feed?",
    );
    for (feature, reason, words) in [
        (
            "activty:orders",
            Reason::UnknownView,
            "did you mean activity?",
        ),
        (
            "activity@9:orders",
            Reason::UnknownView,
            "its versions are 1",
        ),
        (
            "activity:order",
            Reason::UnknownFeature,
            "did you mean orders?",
        ),
    ] {
        check_refused(
            client.lookup(lookup(&[feature], key(), vec![])).await,
            Code::NotFound,
            reason,
            words,
        );
    }
    let refused = client.lookup(lookup(&["orders"], key(), vec![])).await;
    check_refused(
        refused,
        Code::InvalidArgument,
        Reason::InvalidRequest,
        "write view:feature",
    );
}

#[tokio::test]
async fn lookups_of_the_wrong_form_are_refused() {
    let world = World::new();
    let mut client = world.client().await;
    let pair = |customers: v1::KeyColumn, items: &[&str]| {
        lookup(
            &["affinity:bought"],
            vec![],
            vec![customers, texts("item", items)],
        )
    };
    let customer = |ids: &[i64]| vec![ints("customer_id", ids)];
    let long = "x".repeat(2_000);
    let many = vec![1; ROWS_PER_LOOKUP + 1];
    let cases = [
        (
            pair(ints("customer_id", &[1, 2]), &["a"]),
            Reason::UnequalLengths,
            "item has 1 values and customer_id has 2",
        ),
        (
            lookup(&["activity:orders"], customer(&[1, 2]), vec![]),
            Reason::UnequalLengths,
            "exactly one",
        ),
        (
            lookup(&["affinity:bought"], customer(&[1]), vec![]),
            Reason::MissingKey,
            "needs the join key item",
        ),
        (
            lookup(&["activity:orders"], customer(&[1]), customer(&[2])),
            Reason::InvalidRequest,
            "given twice",
        ),
        (
            pair(texts("customer_id", &["x"]), &["a"]),
            Reason::WrongType,
            "customer_id is int64",
        ),
        (
            pair(ints("customer_id", &[1, 1]), &["a", &long]),
            Reason::TooLarge,
            "row 1: a key may have 1024 bytes",
        ),
        (
            lookup(&["activity:orders"], vec![], customer(&many)),
            Reason::TooManyRows,
            "at most 10000 rows",
        ),
    ];
    for (request, reason, words) in cases {
        check_refused(
            client.lookup(request).await,
            Code::InvalidArgument,
            reason,
            words,
        );
    }
}

#[tokio::test]
async fn an_answer_larger_than_a_message_is_refused() {
    let world = World::new();
    let mut client = world.client().await;
    let segment = v1::Column {
        feature: "segment".into(),
        strings: vec!["x".repeat(200_000)],
        ..Default::default()
    };
    let request = write(
        "activity",
        vec![ints("customer_id", &[1])],
        vec![segment],
        &[],
    );
    assert_eq!(
        client.write(request).await.unwrap().into_inner().accepted,
        1
    );
    let of = |rows: usize| {
        lookup(
            &["activity:segment"],
            vec![],
            vec![ints("customer_id", &vec![1; rows])],
        )
    };
    let answer = client.lookup(of(300)).await.unwrap().into_inner();
    assert_eq!(answer.columns[0].strings[299].len(), 200_000);
    let refused = client.lookup(of(400)).await;
    check_refused(
        refused,
        Code::InvalidArgument,
        Reason::TooLarge,
        "fewer rows or features",
    );
}

#[tokio::test]
async fn a_stale_answer_is_refused_unless_the_caller_takes_it() {
    let world = World::new();
    let mut client = world.client().await;
    let seconds = std::time::Duration::from_secs;
    world
        .rows
        .staleness(&[("eu", Some(seconds(2))), ("us", None)], false);
    let limited = |limit: u64, on_stale: v1::OnStale| v1::LookupRequest {
        max_staleness_us: Some(limit),
        on_stale: on_stale.into(),
        ..lookup(
            &["activity:orders"],
            vec![ints("customer_id", &[1])],
            vec![],
        )
    };
    let refused = client.lookup(limited(10 * SECOND, v1::OnStale::Fail)).await;
    // The other origin is young enough.
    let expected = "(staleness: us unknown); allow more time, or ask with on_stale: serve";
    check_refused(refused, Code::Aborted, Reason::Stale, expected);
    let served = client
        .lookup(limited(10 * SECOND, v1::OnStale::Serve))
        .await
        .unwrap()
        .into_inner();
    assert!(served.stale, "an unknown age is older than any limit");
    assert_eq!(served.staleness[1].micros, None);
    world.rows.staleness(&[("eu", Some(seconds(2)))], false);
    assert!(
        !client
            .lookup(limited(2 * SECOND, v1::OnStale::Fail))
            .await
            .unwrap()
            .into_inner()
            .stale
    );
    assert!(
        client
            .lookup(limited(2 * SECOND - 1, v1::OnStale::Fail))
            .await
            .is_err()
    );
}
