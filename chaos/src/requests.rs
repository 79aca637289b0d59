//! A request that is sent again gets its first answer: at the same gateway, at another one, from the
//! primaries that took over, and from those that came back.

use crate::{cluster::Cluster, http, report::Findings};
use anyhow::{Result, bail, ensure};
use serde_json::{Value as Json, json};
use std::{
    thread,
    time::{Duration, Instant},
};
use uuid::Uuid;

const DEFINITIONS: &str = "
project: repeats
entities:
  - name: thing
    keys: [{ name: id, type: int64 }]
views:
  - name: state
    version: 1
    entity: thing
    features:
      - { name: a, type: int64 }
";
/// Enough to touch most shards.
const KEYS: usize = 100;
/// The row of which a newer event stands when the request comes first.
const SUPERSEDED: usize = 2;
/// The row that is dated too far ahead.
const REJECTED: usize = 7;
const FIRST: &str = "2024-03-01T10:00:00Z";
const LATER: &str = "2024-03-02T10:00:00Z";
const CALL_WITHIN: Duration = Duration::from_secs(10);
/// How long a repeat may have no outcome.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(100);

/// Sends a request, sends it again through failovers of `kills` nodes, and compares the answers.
pub fn run(cluster: &mut Cluster, kills: usize, whole_within: Duration) -> Result<Findings> {
    let mut findings = Findings::default();
    cluster.apply(0, DEFINITIONS)?;
    let newer = json!([{ "id": SUPERSEDED, "event_time": LATER, "a": -1 }]);
    settled(cluster, 0, &body(&Uuid::now_v7(), newer))?;
    let request = body(&Uuid::now_v7(), rows_of_request());
    let first = settled(cluster, 0, &request)?;
    let expected = json!({
        "accepted": KEYS - 1, "superseded": 1,
        "rejected": [[REJECTED, "EVENT_TIME_IN_FUTURE"]], "unknown": [],
    });
    if essence(&first) != expected {
        findings.violated(format!("the first answer is {first}"));
    }
    // Were a repeat carried out, all of its rows would now be superseded.
    settled(
        cluster,
        0,
        &body(&Uuid::now_v7(), rows(KEYS, LATER, |id| id as i64 + 1_000)),
    )?;
    let mut repeat = |cluster: &Cluster, place: usize, when: &str| -> Result<()> {
        let again = settled(cluster, place, &request)?;
        if essence(&again) == essence(&first) {
            findings.tell(format!("{when}: the first answer"));
        } else {
            findings.violated(format!("{when}: {again}, at first {first}"));
        }
        Ok(())
    };
    repeat(cluster, 0, "again through the same gateway")?;
    repeat(cluster, 1, "again through another gateway")?;
    for _ in 0..kills {
        let state = cluster.state()?;
        let most = state.nodes.iter().max_by_key(|node| node.primaries);
        let victim = most.map_or("", |node| &node.name).to_owned();
        let place = cluster.place_of(&victim)?;
        cluster.kill(place)?;
        let other = (place + 1) % cluster.nodes().len();
        repeat(
            cluster,
            other,
            &format!("after {victim} was killed, to its successors"),
        )?;
        cluster.start(place)?;
        cluster.settle(whole_within)?;
        repeat(cluster, place, &format!("through {victim} once it is back"))?;
    }
    for place in 0..cluster.nodes().len() {
        if let Some(wrong) = changed(cluster, place)? {
            findings.violated(format!("through node {place}: {wrong}"));
        }
    }
    Ok(findings)
}

fn rows(count: usize, event_time: &str, value: impl Fn(usize) -> i64) -> Json {
    let row = |id: usize| json!({ "id": id, "event_time": event_time, "a": value(id) });
    (0..count).map(row).collect()
}

fn rows_of_request() -> Json {
    let mut rows = rows(KEYS, FIRST, |id| id as i64);
    rows[REJECTED]["event_time"] = json!("2199-01-01T00:00:00Z");
    rows
}

fn body(id: &Uuid, rows: Json) -> Json {
    json!({ "project": "repeats", "view": "state", "request_id": id.to_string(), "rows": rows })
}

/// What must be equal in every answer. How many copies held it may differ.
fn essence(answer: &Json) -> Json {
    let rejected = answer["rejected"].as_array().into_iter().flatten();
    let rejected: Vec<Json> = rejected
        .map(|row| json!([row["row"], row["reason"]]))
        .collect();
    json!({
        "accepted": answer["accepted"], "superseded": answer["superseded"],
        "rejected": rejected, "unknown": answer["unknown"],
    })
}

/// The answer to a write, which is repeated while something of it has no outcome.
fn settled(cluster: &Cluster, place: usize, body: &Json) -> Result<Json> {
    let address = cluster.nodes()[place].http();
    let end = Instant::now() + ANSWER_WITHIN;
    loop {
        let answer = http::post(address, "/v1/write", body, CALL_WITHIN);
        let why = match answer {
            Ok((200, answer)) if answer["unknown"] == json!([]) => return Ok(answer),
            Ok((status, answer)) if (400..500).contains(&status) && status != 429 => {
                bail!("the write was refused with {status}: {answer}")
            }
            Ok((_, answer)) => answer.to_string(),
            Err(error) => format!("{error:#}"),
        };
        ensure!(
            Instant::now() < end,
            "no outcome of a write in {ANSWER_WITHIN:?}: {why}"
        );
        thread::sleep(POLL);
    }
}

/// How the rows differ from what the last write left.
fn changed(cluster: &Cluster, place: usize) -> Result<Option<String>> {
    let ids: Vec<usize> = (0..KEYS).collect();
    let body = json!({ "project": "repeats", "features": ["state:a"], "rows": { "id": ids } });
    let address = cluster.nodes()[place].http();
    let (status, answer) = http::post(address, "/v1/lookup", &body, CALL_WITHIN)?;
    ensure!(
        status == 200,
        "a lookup was answered with {status}: {answer}"
    );
    let expected: Json = ids.iter().map(|id| expected(*id)).collect();
    let values = &answer["features"][0]["values"];
    Ok((*values != expected).then(|| format!("rows read {values}")))
}

/// The later write has the same event time as the one that superseded row 2, and came after it.
const fn expected(id: usize) -> i64 {
    id as i64 + 1_000
}
