//! Rows that are large, so that lookups of them have large answers, and how they are asked for.

use super::frames;
use crate::{cluster::Cluster, http};
use anyhow::{Result, ensure};
use prost::Message as _;
use serde_json::json;
use std::time::Duration;
use wire::v1::{self, lookup_request::Select};

const PROJECT: &str = "slow";
const DEFINITIONS: &str = "
project: slow
entities:
  - name: page
    keys: [{ name: page_id, type: int64 }]
views:
  - name: pages
    version: 1
    entity: page
    features: [{ name: text, type: string }]
";
/// Bytes of a row.
const TEXT_BYTES: usize = 8 << 10;
/// Rows that there are.
const ROWS: usize = 512;
/// Rows of one write.
const ROWS_PER_WRITE: usize = 128;
/// What an answer over HTTP holds: more than the system takes for a connection.
pub const HTTP_BYTES: usize = ROWS * TEXT_BYTES;
/// Calls of one connection of gRPC, and rows of each.
const CALLS: u32 = 8;
const ROWS_PER_CALL: usize = 128;
/// What the answers over one connection of gRPC hold.
pub const GRPC_BYTES: usize = CALLS as usize * ROWS_PER_CALL * TEXT_BYTES;
const CALL_WITHIN: Duration = Duration::from_secs(30);

/// Defines the view and writes the rows.
pub fn write(cluster: &Cluster) -> Result<()> {
    cluster.apply(0, DEFINITIONS)?;
    let text = "x".repeat(TEXT_BYTES);
    let ids: Vec<usize> = (0..ROWS).collect();
    for some in ids.chunks(ROWS_PER_WRITE) {
        let rows = some.iter().map(|id| json!({ "page_id": id, "text": text }));
        let rows: Vec<_> = rows.collect();
        let body = json!({ "project": PROJECT, "view": "pages", "rows": rows, "deadline": "20s" });
        let (status, answer) =
            http::post(cluster.nodes()[0].http(), "/v1/write", &body, CALL_WITHIN)?;
        let is_written = status == 200 && answer["accepted"] == some.len();
        ensure!(is_written, "pages were not written: {status} {answer}");
    }
    Ok(())
}

/// A lookup of all rows over HTTP, as it is sent.
pub fn over_http() -> Vec<Vec<u8>> {
    let ids: Vec<usize> = (0..ROWS).collect();
    let body = json!({
        "project": PROJECT, "features": ["pages:text"], "rows": { "page_id": ids }, "deadline": "20s",
    });
    let body = body.to_string();
    let length = body.len();
    let request = format!(
        "POST /v1/lookup HTTP/1.1\r\nhost: gateway\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    vec![request.into_bytes()]
}

/// Lookups over one connection of gRPC, whose windows are open: what is sent for each.
pub fn over_grpc() -> Vec<Vec<u8>> {
    let key = v1::KeyColumn {
        name: "page_id".into(),
        ints: (0..).take(ROWS_PER_CALL).collect(),
        ..v1::KeyColumn::default()
    };
    let names = vec!["pages:text".to_owned()];
    let request = v1::LookupRequest {
        project: PROJECT.into(),
        select: Some(Select::Features(v1::Features { names })),
        rows: vec![key],
        ..v1::LookupRequest::default()
    };
    let request = request.encode_to_vec();
    let path = "/atoll.v1.FeatureService/Lookup";
    let calls = (0..CALLS).map(|call| frames::call(2 * call + 1, path, &request));
    let mut pieces: Vec<Vec<u8>> = calls.collect();
    pieces[0].splice(..0, frames::opening());
    pieces
}
