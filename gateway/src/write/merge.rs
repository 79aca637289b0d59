//! Step 5 of a write: what became of the parts, as one answer.

use super::writer::{PartOutcome, WritePart, Written};
use crate::failure::Failure;
use proto::request::{Rejection, RequestId};
use wire::twin;

/// What the answer is put together from.
#[derive(Debug)]
pub struct Sent<'a> {
    /// The request.
    pub id: RequestId,
    /// The parts that were sent.
    pub parts: &'a [WritePart],
    /// Rows of each of the request's writes: a row's number counts over all of them.
    pub rows_of_writes: &'a [usize],
    /// Rows that the gateway set aside.
    pub rejected: Vec<Rejection>,
    /// The region that answers.
    pub region: &'a str,
}

/// The answer; or the failure that met every part, where nothing at all happened.
pub fn merge(sent: Sent<'_>, written: Written) -> Result<twin::WriteResponse, Failure> {
    if let Some(failure) = refused_as_a_whole(&sent, &written) {
        return Err(failure);
    }
    let mut answer = twin::WriteResponse {
        request_id: bytes::Bytes::copy_from_slice(sent.id.as_bytes()),
        region: sent.region.to_owned(),
        confirmed: written.confirmed,
        token: written.token,
        ..Default::default()
    };
    let mut rejected = sent.rejected;
    let mut copies: Option<u32> = None;
    let mut outcomes = written.parts.into_iter();
    for part in sent.parts {
        // A part without an outcome is one whose outcome nobody knows.
        match outcomes.next().unwrap_or(PartOutcome::Unknown) {
            PartOutcome::Done {
                outcome,
                copies: here,
            } => {
                answer.accepted += u64::from(outcome.accepted);
                answer.superseded += u64::from(outcome.superseded);
                rejected.extend(outcome.rejected);
                copies = Some(copies.map_or(here, |fewest| fewest.min(here)));
            }
            PartOutcome::Refused { refusal, .. } => {
                let of_row = |row: &super::writer::WriteRow| Rejection {
                    write: row.write,
                    row: row.row,
                    refusal: refusal.clone(),
                };
                rejected.extend(part.rows.iter().map(of_row));
            }
            PartOutcome::Unknown => {
                answer
                    .unknown
                    .extend(part.rows.iter().map(|row| number(row, sent.rows_of_writes)));
            }
        }
    }
    answer.unknown.sort_unstable();
    rejected.sort_by_key(|rejection| (rejection.write, rejection.row));
    answer.rejected = rejected.into_iter().map(on_wire).collect();
    answer.copies = copies.unwrap_or(0);
    Ok(answer)
}

/// Where no part was taken and all say why not, the caller gets that error itself, with its code and
/// its hint to retry; rows that were set aside are told when some of the others were taken.
fn refused_as_a_whole(sent: &Sent<'_>, written: &Written) -> Option<Failure> {
    if sent.parts.is_empty() || written.parts.len() < sent.parts.len() {
        return None;
    }
    let mut first = None;
    let mut longest = None;
    for outcome in &written.parts {
        let PartOutcome::Refused {
            refusal,
            retry_after,
        } = outcome
        else {
            return None;
        };
        first.get_or_insert_with(|| refusal.clone());
        longest = longest.max(*retry_after);
    }
    let mut failure = Failure::from(first?);
    failure.retry_after = longest;
    Some(failure)
}

fn number(row: &super::writer::WriteRow, rows_of_writes: &[usize]) -> u32 {
    let before: usize = rows_of_writes[..row.write as usize].iter().sum();
    u32::try_from(before).expect("rows of a write are limited") + row.row
}

fn on_wire(rejection: Rejection) -> twin::Rejected {
    twin::Rejected {
        write: rejection.write,
        row: rejection.row,
        reason: rejection.refusal.reason.as_str().to_owned(),
        field: rejection.refusal.field,
        message: rejection.refusal.message,
    }
}
