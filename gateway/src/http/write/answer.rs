//! What became of a write, as JSON.

use crate::http::text::encode_bytes;
use proto::request::RequestId;
use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use wire::twin;

/// The answer's body.
pub struct Answer {
    /// The answer.
    pub response: twin::WriteResponse,
    /// Whether the request had several writes, so that a row's number alone says too little.
    pub names_writes: bool,
}

/// What became of the rows.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "WriteAnswer")]
pub struct AnswerBody<'a> {
    request_id: String,
    /// Rows that are durable.
    accepted: u64,
    /// Of these, rows that changed nothing since a newer event stands.
    superseded: u64,
    rejected: Vec<Rejected<'a>>,
    /// Rows without an answer by the deadline, counted over all writes: repeat with the same request_id.
    unknown: &'a [u32],
    /// The region that took the write.
    region: &'a str,
    /// On how many replicas in the region it is.
    copies: u32,
    /// Regions that hold it.
    confirmed: &'a [String],
    /// For later reads that must see it.
    token: String,
}

/// One row that was not taken.
#[derive(Serialize, JsonSchema)]
struct Rejected<'a> {
    /// Which of `writes`; left out where the request had one view.
    #[serde(skip_serializing_if = "Option::is_none")]
    write: Option<u32>,
    row: u32,
    reason: &'a str,
    field: &'a str,
    message: &'a str,
}

impl Serialize for Answer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let response = &self.response;
        let id = RequestId::from_bytes(&response.request_id).map(|id| id.to_string());
        let rejected = response.rejected.iter().map(|rejected| Rejected {
            write: self.names_writes.then_some(rejected.write),
            row: rejected.row,
            reason: &rejected.reason,
            field: &rejected.field,
            message: &rejected.message,
        });
        AnswerBody {
            request_id: id.unwrap_or_default(),
            accepted: response.accepted,
            superseded: response.superseded,
            rejected: rejected.collect(),
            unknown: &response.unknown,
            region: &response.region,
            copies: response.copies,
            confirmed: &response.confirmed,
            token: encode_bytes(&response.token),
        }
        .serialize(serializer)
    }
}
