//! I8, as clients see it: a request that is sent again gets its first answer.

use super::{
    calls::{Calls, Request},
    report::{Invariant, Report},
};
use crate::history::{Acknowledged, RejectedRow, WriteAnswer};
use proto::request::RequestId;

pub fn judge(calls: &Calls<'_>, report: &mut Report) {
    report.judged.requests = calls.requests.len();
    report.judged.acknowledged_rows = calls
        .writes
        .iter()
        .filter(|write| write.acknowledged.is_some())
        .count();
    report.judged.open_rows = calls.writes.len() - report.judged.acknowledged_rows;
    for (id, request) in &calls.requests {
        judge_request(*id, request, report);
    }
}

fn judge_request(id: RequestId, request: &Request<'_>, report: &mut Report) {
    let mut answers: Vec<_> = request
        .attempts
        .iter()
        .filter_map(|attempt| match attempt.answer {
            Some((at, WriteAnswer::Acknowledged(given))) => Some((at, attempt.call, given)),
            _ => None,
        })
        .collect();
    answers.sort_by_key(|(at, ..)| *at);
    let Some(((_, _, first), later)) = answers.split_first() else {
        return;
    };
    for (at, call, given) in later {
        if let Some(difference) = difference(first, given) {
            let message = format!("request {id} was answered otherwise before: {difference}");
            report.add(&[Invariant::I8], *at, Some(*call), message);
        }
    }
}

/// How two answers differ. Rows that one of them leaves open can be anything in the other, and
/// then their counts say nothing. So it is with rows that one attempt could not place.
fn difference(first: &Acknowledged, later: &Acknowledged) -> Option<String> {
    let is_open = |given: &Acknowledged, row: &u32| {
        let mut rejected = given.rejected.iter();
        let not_taken = rejected.any(|of| of.row == *row && !of.is_for_ever());
        not_taken || given.unknown.contains(row)
    };
    let open = |row: &u32| is_open(first, row) || is_open(later, row);
    let decided = |given: &Acknowledged| {
        let rows = given
            .rejected
            .iter()
            .filter(|rejected| !open(&rejected.row));
        let mut rows: Vec<RejectedRow> = rows.copied().collect();
        rows.sort();
        rows
    };
    let (before, after) = (decided(first), decided(later));
    if before != after {
        return Some(format!("it rejected {before:?}, now {after:?}"));
    }
    let is_decided = |given: &Acknowledged| {
        given.unknown.is_empty() && given.rejected.iter().all(RejectedRow::is_for_ever)
    };
    let all_decided = is_decided(first) && is_decided(later);
    if all_decided && first.superseded != later.superseded {
        return Some(format!(
            "{} rows were superseded, now {}",
            first.superseded, later.superseded
        ));
    }
    None
}
