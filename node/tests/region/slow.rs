//! What a node tells of itself among others: the log of slow lookups with the caller's trace, on the node that was
//! asked and on those that it asked, and how far clocks are off.

use super::{client, cluster::Cluster, process::wait_for};
use serde_json::{Value as Json, json};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// The line of a node's log that has all of these.
fn line(cluster: &Cluster, node: usize, words: &[&str]) -> Option<String> {
    let log = cluster.log(node);
    let mut lines = log.lines();
    let found = lines.find(|line| words.iter().all(|word| line.contains(word)));
    found.map(str::to_owned)
}

#[test]
fn a_slow_lookup_is_found_by_its_trace_on_every_node_that_took_part() {
    let cluster = Cluster::start();
    let ids: Vec<i64> = (0..100).collect();
    let rows: Json = ids.iter().map(|id| json!({ "id": id, "a": id })).collect();
    let token = cluster.write(0, "state", &rows);
    let ids: Vec<i64> = (0..110).collect();
    let body = json!({
        "project": "lab", "features": ["state:a"], "rows": { "id": ids }, "token": token,
        "deadline": "10s",
    });
    let header = format!("traceparent: {TRACE}\r\n");
    let answer = client::post_with(cluster.http(0), "/v1/lookup", &header, &body.to_string());
    assert_eq!(answer.unwrap().0, 200);

    let told = wait_for("the slow lookup in the log", || {
        line(&cluster, 0, &["a slow lookup", TRACE])
    });
    for words in [
        "project=\"lab\"",
        "asked=\"1 features\"",
        "rows=110",
        "keys=110",
        "views=1",
        "shards=16",
        "100 PRESENT, 10 NOT_FOUND",
        " used)",
    ] {
        assert!(told.contains(words), "no {words} in {told}");
    }
    // Two copies of each shard on three nodes: a third of the shards lies on the others alone.
    let asked = [1, 2]
        .into_iter()
        .filter(|node| line(&cluster, *node, &["a slow read for another node", TRACE]).is_some());
    assert!(asked.count() > 0, "{told}");
    // A lookup without one says so.
    cluster.lookup(1, &[1, 2, 3], &Json::Null);
    wait_for("the other lookup in the log", || {
        line(&cluster, 1, &["a slow lookup", "trace=\"none\""])
    });
    // All have this machine's clock; an answer that took a second would not count.
    let offset = wait_for("the offset of another clock", || {
        let (_, text) = client::get(cluster.http(0), "/metrics")?;
        let mut lines = text.lines();
        let name = r#"atoll_clock_offset_seconds{peer="eu-2"} "#;
        lines.find_map(|line| line.strip_prefix(name)?.parse::<f64>().ok())
    });
    assert!(offset.abs() <= 0.5, "{offset} s");
}
