//! Definitions change while one node stands still and the others do not: rows written before stay
//! readable through nodes of the revision before and after.

use crate::{
    cluster::{Cluster, Node},
    http,
    judge::FAILOVER,
    report::Findings,
};
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value as Json, json};
use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
    thread::{self, ScopedJoinHandle},
    time::{Duration, Instant},
};

const HEAD: &str = "
project: shapes
entities:
  - name: thing
    keys: [{ name: id, type: int64 }]
views:
  - name: state
    version: 1
    entity: thing
    features:
";
const BEFORE: &str = "
      - { name: count, type: int32 }
      - { name: label, type: string }
";
const AFTER: &str = "
      - { name: count, type: int64 }
      - { name: label, type: string, deprecated: true }
      - { name: score, type: float64, default: 0.5 }
";
/// Rows of before, which no later write touches; enough to be in most shards.
const OLD: u64 = 100;
/// A row of after.
const NEW: u64 = 1_000;
/// A row that a node of the revision before wrote.
const LATE: u64 = 2_000;
const TIME: &str = "2024-03-01T10:00:00Z";
const CALL_WITHIN: Duration = Duration::from_secs(10);
/// How long a node may take to know what was applied while it stood still.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(30);
/// Every gateway is read by the revision before so long at least.
const READ_BEFORE: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(20);

/// The revision by which an answer was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Made {
    Before,
    After,
}

/// What readers of one gateway saw.
#[derive(Debug, Default)]
struct Seen {
    before: usize,
    after: usize,
    unanswered: usize,
    wrong: Vec<String>,
}

/// Changes definitions while the last node stands still.
pub fn run(cluster: &mut Cluster, whole_within: Duration) -> Result<Findings> {
    let mut findings = Findings::default();
    cluster.apply(0, &format!("{HEAD}{BEFORE}"))?;
    let rows: Json = (0..OLD)
        .map(|id| json!({ "id": id, "event_time": TIME, "count": count(id), "label": label(id) }))
        .collect();
    for place in 0..cluster.nodes().len() {
        write(cluster, place, &rows).with_context(|| format!("write through node {place}"))?;
    }
    let addresses: Vec<SocketAddr> = cluster.nodes().iter().map(Node::http).collect();
    let stop = AtomicBool::new(false);
    let (changed, seen) = thread::scope(|scope| {
        let readers: Vec<_> = addresses
            .iter()
            .map(|address| scope.spawn(|| keep_reading(*address, &stop)))
            .collect();
        let changed = change(cluster, &mut findings);
        stop.store(true, Ordering::Release);
        let seen = readers.into_iter().map(ScopedJoinHandle::join);
        (changed, seen.collect::<Vec<_>>())
    });
    changed?;
    for (place, seen) in seen.into_iter().enumerate() {
        let Ok(seen) = seen else {
            bail!("a reader panicked")
        };
        judge(place, seen, &mut findings);
    }
    cluster.settle(whole_within)?;
    for place in 0..addresses.len() {
        read_after(cluster, place).with_context(|| format!("read through node {place}"))?;
        findings.tell(format!("through node {place}: rows of both revisions"));
    }
    Ok(findings)
}

/// The change itself: applied without the last node, used, and then met by the last node.
fn change(cluster: &mut Cluster, findings: &mut Findings) -> Result<()> {
    let late = cluster.nodes().len() - 1;
    thread::sleep(READ_BEFORE);
    cluster.freeze(late)?;
    thread::sleep(FAILOVER);
    cluster
        .apply(0, &format!("{HEAD}{AFTER}"))
        .context("apply while a node stands still")?;
    let new =
        json!([{ "id": NEW, "event_time": TIME, "count": i64::MAX, "label": "new", "score": 2.5 }]);
    write(cluster, 1, &new).context("write what is new")?;
    cluster.wake(late)?;
    let old = json!([{ "id": LATE, "event_time": TIME, "count": 5, "label": "late" }]);
    write(cluster, late, &old).context("write through the node that was late")?;
    let end = Instant::now() + CATCH_UP_WITHIN;
    while !matches!(read(cluster.nodes()[late].http()), Ok(Ok(Made::After))) {
        if Instant::now() > end {
            findings.violated(format!(
                "the node that was late knows no change after {CATCH_UP_WITHIN:?}"
            ));
            break;
        }
        thread::sleep(POLL);
    }
    Ok(())
}

/// Reads until told to stop, and is answered once after that.
fn keep_reading(address: SocketAddr, stop: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    let mut stopped: Option<Instant> = None;
    loop {
        if stop.load(Ordering::Acquire) {
            stopped.get_or_insert_with(Instant::now);
        }
        let answer = read(address);
        let is_answered = answer.is_ok();
        match answer {
            Ok(Ok(Made::Before)) => seen.before += 1,
            Ok(Ok(Made::After)) => seen.after += 1,
            Ok(Err(wrong)) => seen.wrong.push(wrong),
            Err(_) => seen.unanswered += 1,
        }
        if stopped.is_some_and(|at| is_answered || at.elapsed() > CATCH_UP_WITHIN) {
            return seen;
        }
        thread::sleep(POLL);
    }
}

fn judge(place: usize, seen: Seen, findings: &mut Findings) {
    let Seen {
        before,
        after,
        unanswered,
        wrong,
    } = seen;
    findings.tell(format!(
        "reads through node {place}: {before} by the revision before, {after} by that after, {unanswered} unanswered"
    ));
    if before == 0 || after == 0 {
        findings.violated(format!("node {place} was not read at both revisions"));
    }
    if let Some(first) = wrong.first() {
        findings.violated(format!(
            "{} reads through node {place} were wrong: {first}",
            wrong.len()
        ));
    }
}

fn count(id: u64) -> i64 {
    i64::from(i32::MAX) - id as i64
}

fn label(id: u64) -> Json {
    if id.is_multiple_of(3) {
        Json::Null
    } else {
        json!(format!("row {id}"))
    }
}

/// Reads the old rows: by which revision, or what is wrong. The outer error is no answer.
fn read(address: SocketAddr) -> Result<Result<Made, String>> {
    let ids: Vec<u64> = (0..OLD).collect();
    let features = ["state:count", "state:label"];
    let body = json!({ "project": "shapes", "features": features, "rows": { "id": ids } });
    let (status, answer) = http::post(address, "/v1/lookup", &body, CALL_WITHIN)?;
    ensure!(status == 200, "{status}: {answer}");
    let [counts, labels] = [0, 1].map(|place| &answer["features"][place]);
    let unavailable = |column: &Json| {
        let statuses = column["statuses"].as_array();
        statuses.is_some_and(|statuses| statuses.contains(&json!("UNAVAILABLE")))
    };
    ensure!(!unavailable(counts) && !unavailable(labels), "UNAVAILABLE");
    Ok(judge_read(counts, labels, &ids))
}

fn judge_read(counts: &Json, labels: &Json, ids: &[u64]) -> Result<Made, String> {
    let made = match counts["type"].as_str() {
        Some("int32") => Made::Before,
        Some("int64") => Made::After,
        other => return Err(format!("count has type {other:?}")),
    };
    let all = |value: &dyn Fn(u64) -> Json| ids.iter().map(|id| value(*id)).collect::<Json>();
    let expected = [
        (
            counts,
            all(&|id| json!(count(id))),
            all(&|_| json!("PRESENT")),
        ),
        (
            labels,
            all(&label),
            all(&|id| match label(id) {
                Json::Null => json!("NULL_VALUE"),
                _ => json!("PRESENT"),
            }),
        ),
    ];
    for (column, values, statuses) in expected {
        if column["values"] != values || column["statuses"] != statuses {
            return Err(format!("{column}"));
        }
    }
    Ok(made)
}

/// Everything, once all nodes know it.
fn read_after(cluster: &Cluster, place: usize) -> Result<()> {
    let address = cluster.nodes()[place].http();
    let old = read(address)?;
    ensure!(old == Ok(Made::After), "{old:?}");
    let features = ["state:count", "state:label", "state:score"];
    let body =
        json!({ "project": "shapes", "features": features, "rows": { "id": [1, NEW, LATE] } });
    let (_, answer) = http::post(address, "/v1/lookup", &body, CALL_WITHIN)?;
    let columns = answer["features"].as_array().cloned().unwrap_or_default();
    let told: Json = columns
        .iter()
        .map(|column| column["values"].clone())
        .collect();
    let expected = json!([
        [count(1), i64::MAX, 5],
        ["row 1", "new", "late"],
        [0.5, 2.5, 0.5]
    ]);
    ensure!(told == expected, "{answer}");
    Ok(())
}

/// Writes rows, again while something of them has no outcome.
fn write(cluster: &Cluster, place: usize, rows: &Json) -> Result<()> {
    let address = cluster.nodes()[place].http();
    let body = json!({ "project": "shapes", "view": "state", "rows": rows });
    let end = Instant::now() + CATCH_UP_WITHIN;
    loop {
        let answer = http::post(address, "/v1/write", &body, CALL_WITHIN);
        let why = match &answer {
            Ok((200, said)) if said["unknown"] == json!([]) => {
                ensure!(said["rejected"] == json!([]), "{said}");
                return Ok(());
            }
            Ok((status @ 400..=428, said)) => bail!("{status}: {said}"),
            _ => format!("{answer:?}"),
        };
        ensure!(
            Instant::now() < end,
            "no outcome in {CATCH_UP_WITHIN:?}: {why}"
        );
        thread::sleep(POLL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(ty: &str, first: &Json) -> (Json, Json) {
        let counts = json!({
            "type": ty, "values": [first, count(1)], "statuses": ["PRESENT", "PRESENT"],
        });
        let labels = json!({
            "type": "string", "values": [null, "row 1"], "statuses": ["NULL_VALUE", "PRESENT"],
        });
        (counts, labels)
    }

    #[test]
    fn a_read_is_of_one_revision_or_wrong() {
        let judged = |ty, first: Json| {
            let (counts, labels) = columns(ty, &first);
            judge_read(&counts, &labels, &[0, 1])
        };
        assert_eq!(judged("int32", json!(i32::MAX)), Ok(Made::Before));
        assert_eq!(judged("int64", json!(i32::MAX)), Ok(Made::After));
        assert!(judged("int64", json!(0)).is_err());
        assert!(judged("float64", json!(i32::MAX)).is_err());
    }
}
