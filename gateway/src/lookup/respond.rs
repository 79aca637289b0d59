//! Step 5 of a lookup: the answer, or `STALE` where the caller would rather have none.

use super::{fetch::Fetched, gather::Gathered};
use crate::{edge::Moment, failure::Failure};
use proto::{id::Revision, reason::Reason};
use std::time::Duration;
use wire::twin;

/// What the answer tells beside its columns.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The region that answers.
    pub region: &'a str,
    /// The revision it was planned under.
    pub revision: Revision,
    /// Rows.
    pub row_count: usize,
    /// How old the caller lets the answer be.
    pub max_staleness: Option<Duration>,
    /// The present, on the clock of the moments at which origins were complete.
    pub now_micros: u64,
}

/// Puts the answer together.
pub fn respond(
    on_stale: twin::OnStale,
    gathered: Gathered,
    fetched: Fetched,
    facts: Facts<'_>,
) -> Result<twin::LookupResponse, Failure> {
    // The ages here include the gateway's own wait, which the replicas could not judge.
    let age = |moment: Option<Moment>| moment.map(|moment| moment.age(facts.now_micros));
    let is_too_old = |moment: Option<Moment>| {
        let limit = facts.max_staleness;
        limit.is_some_and(|limit| age(moment).is_none_or(|age| age > limit))
    };
    let origins = fetched.complete_at.iter();
    let too_old: Vec<String> = origins
        .filter(|(_, moment)| is_too_old(*moment))
        .map(|(origin, moment)| format!("{origin} {}", words(age(*moment))))
        .collect();
    let is_stale = fetched.is_stale || !too_old.is_empty();
    if is_stale && on_stale == twin::OnStale::Fail {
        return Err(stale(&too_old));
    }
    let staleness = fetched.complete_at.into_iter().map(|(origin, moment)| {
        let micros = age(moment).map(|age| u64::try_from(age.as_micros()).unwrap_or(u64::MAX));
        twin::OriginStaleness { origin, micros }
    });
    Ok(twin::LookupResponse {
        columns: gathered.columns,
        statuses: gathered.statuses,
        times: gathered.times,
        row_count: u32::try_from(facts.row_count).expect("rows of a lookup are limited"),
        region: facts.region.to_owned(),
        revision: facts.revision.0,
        stale: is_stale,
        staleness: staleness.collect(),
        token: fetched.token,
    })
}

fn words(age: Option<Duration>) -> String {
    age.map_or_else(|| "unknown".to_owned(), crate::http::seconds)
}

/// Says towards which regions the answer would have been too old.
fn stale(too_old: &[String]) -> Failure {
    let towards = match too_old {
        [] => String::new(),
        ages => format!(" (staleness: {})", ages.join(", ")),
    };
    let message = format!(
        "no replica was as fresh as the token or max_staleness asks for by the deadline{towards}; \
         allow more time, or ask with on_stale: serve"
    );
    Failure::new(Reason::Stale, message)
}
