//! More calls than can be worked on: who comes in, who waits, and what the others are told.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

mod support;

use futures::future::join_all;
use gateway::admission::Class;
use proto::reason::Reason;
use std::{sync::Arc, time::Duration};
use support::{
    World,
    clients::{Client, check_refused, int64s, ints, lookup, write},
};
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};
use tonic::{Code, Request, Response, Status};
use tonic_types::StatusExt as _;
use wire::v1;

/// As many lookups as come in at once before anything is known of the machine.
const ROOM: usize = 512;

type Answered = Result<Response<v1::LookupResponse>, Status>;

fn read() -> v1::LookupRequest {
    lookup(
        &["activity:orders"],
        vec![ints("customer_id", &[1])],
        vec![],
    )
}

fn own_row() -> v1::WriteRequest {
    write(
        "activity",
        vec![ints("customer_id", &[1])],
        vec![int64s("orders", &[4])],
        &[support::START_MICROS],
    )
}

fn ask(client: &Client) -> JoinHandle<Answered> {
    let mut client = client.clone();
    tokio::spawn(async move { client.lookup(read()).await })
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let holds = async {
        while !holds() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(30), holds).await.expect(what);
}

/// A world whose rows answer nobody, with as many lookups inside as there is room for.
async fn crowded() -> (World, Client, Vec<JoinHandle<Answered>>) {
    let world = World::new();
    let mut client = world.client().await;
    client.write(own_row()).await.unwrap();
    world.rows.hold();
    let inside = (0..ROOM).map(|_| ask(&client)).collect();
    let gate = Arc::clone(world.gateway.gate());
    until("the room to be full", || {
        gate.fill(Class::Lookup).inside == ROOM
    })
    .await;
    (world, client, inside)
}

#[tokio::test]
async fn one_too_many_is_told_to_come_back_and_nobody_inside_is_lost() {
    let (world, client, inside) = crowded().await;
    for refused in join_all((0..20).map(|_| ask(&client))).await {
        let status = refused.unwrap().unwrap_err();
        check_refused(
            Err::<(), _>(status.clone()),
            Code::ResourceExhausted,
            Reason::Overloaded,
            "come back later",
        );
        let retry = status.get_error_details().retry_info().cloned();
        let retry = retry.unwrap().retry_delay.unwrap();
        assert!(retry >= Duration::from_millis(25), "{retry:?}");
        assert!(retry <= Duration::from_secs(2), "{retry:?}");
    }
    let (_, metrics) = world.get("/metrics").await;
    for line in [
        "atoll_requests_total{method=\"lookup\",code=\"OVERLOADED\"} 20",
        "atoll_admission_inside{class=\"lookup\"} 512",
        "atoll_admission_limit{class=\"lookup\"} 512",
        "atoll_admission_waiting{class=\"lookup\"} 0",
    ] {
        assert!(metrics.contains(line), "{line} in\n{metrics}");
    }
    world.rows.go_on();
    for answer in join_all(inside).await {
        let answer = answer.unwrap().unwrap().into_inner();
        assert_eq!(answer.columns[0].i64, [4]);
    }
    assert_eq!(world.gateway.gate().fill(Class::Lookup).inside, 0);
    let mut client = client;
    client.lookup(read()).await.unwrap();
}

#[tokio::test]
async fn writes_bulk_loads_and_signs_of_life_do_not_wait_for_lookups() {
    let (world, mut client, inside) = crowded().await;
    client.write(own_row()).await.unwrap();
    let mut bulk = Request::new(own_row());
    bulk.metadata_mut()
        .insert("atoll-class", "bulk".parse().unwrap());
    client.write(bulk).await.unwrap();
    assert_eq!(world.get("/healthz").await.0, 200);
    let body =
        r#"{ "project": "shop", "features": ["activity:orders"], "shared": { "customer_id": 1 } }"#;
    let (status, answer) = world.post("/v1/lookup", body).await;
    assert_eq!(
        (status, &answer["error"]["reason"]),
        (429, &"OVERLOADED".into())
    );
    world.rows.go_on();
    for answer in join_all(inside).await {
        answer.unwrap().unwrap();
    }
    let (status, answer) = world.post("/v1/lookup", body).await;
    assert_eq!(status, 200, "{answer}");
}

#[tokio::test]
async fn calls_that_are_given_up_make_room() {
    let (world, mut client, inside) = crowded().await;
    for call in &inside {
        call.abort();
    }
    let gate = Arc::clone(world.gateway.gate());
    until("the room to be empty", || {
        gate.fill(Class::Lookup).inside == 0
    })
    .await;
    world.rows.go_on();
    client.lookup(read()).await.unwrap();
}
