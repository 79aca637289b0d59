//! Judges a history after the fact: which promises of DESIGN.md 10 did clients see broken?
//!
//! The judge never runs beside the system and knows nothing of it but the history and the merge
//! rule. It is *sound* under the assumptions below: what it reports cannot have come from a correct
//! cluster. It is not complete: where stamps are not visible, an answer that some order of
//! concurrent writes explains is let pass.
//!
//! # How a read is judged
//!
//! A write's stamp lies between the moment it left and the moment it was acknowledged; without an
//! acknowledgement it lies anywhere after the first. So of two writes of one cell with equal event
//! times one is *surely later* only if it left after the other was acknowledged. A value read is
//! *explained* by an attempted write that was not refused, left before the answer came, and gave
//! the cell this content (and this event time, where it was asked for). Beside it stand the writes
//! that the read *must* contain; the explanation holds if no such write surely beats it. "Beats" is
//! asked of [`proto::merge`], with the stamps that favour the explanation most.
//!
//! What a read must contain:
//!
//! | because of | contains | else broken |
//! |---|---|---|
//! | its token, and the answer is not marked stale | acknowledged writes whose token it covers | I5 |
//! | its token, and the answer is not marked stale | what earlier reads showed whose token it covers | I6 |
//! | its claimed staleness, if known for all origins | writes acknowledged longer before the lookup left | I14 |
//! | the run is over, faults are healed | every acknowledged write | I3 |
//! | it shows a write | the rest of that write's row: a row is never torn | I4 |
//! | it shows a write, and there is one region | what was acknowledged before that write left | I3 |
//!
//! *Without a token and a claim* a replica may be any age, so only the last two rows hold. A write
//! counts as shown when nothing else explains one of the values. All views of one entity key in one
//! lookup are one read: they come from one state of the shard. A status `NOT_FOUND` where a write
//! must be contained breaks I16 too, a value that a contained deletion surely beats breaks I10 too.
//!
//! # Assumptions
//!
//! - Real time orders stamps of one row as said above. With one region this needs no clock. With
//!   several it needs `clock_error` of the header to bound the clocks.
//! - `REFUSED` is recorded only where nothing happened; a doubtful attempt is recorded as unknown.
//! - A token given for a write or a read covers it; tokens are compared stream by stream.
//! - TTL (I11) is judged with `clock_error` on either side: within it either status passes.
//! - Final reads are made when no write is open any more that could still arrive between them.
//! - [`Event::LossAccepted`](crate::history::Event::LossAccepted) takes what was acknowledged before
//!   it out of every *must*: it may be gone.
//! - Views do not change within a history, and no feature combines regions.

mod calls;
mod cell;
mod closes;
mod fencing;
mod finals;
mod reach;
mod reading;
mod reads;
mod report;
mod requests;
mod shape;
mod stand;

#[cfg(test)]
mod tests;

pub use report::{Invariant, Judged, Report, Violation};

use crate::history::{CallId, History};
use proto::{
    id::{FeatureId, ViewId},
    request::RequestId,
    token::TokenError,
};

/// The history itself is wrong: a fault of the harness, not of what it tested.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unjudgeable {
    /// A view without rules.
    #[error("view {0} is not declared in the history's header; list every view with its columns")]
    UnknownView(ViewId),
    /// A feature without a column.
    #[error("feature {1} of view {0} is not declared in the history's header")]
    UnknownFeature(ViewId, FeatureId),
    /// Two requests share an id.
    #[error("request {0} is recorded with different rows; a retry repeats its request exactly")]
    RequestDiffers(RequestId),
    /// A token that this cluster did not give.
    #[error("the token of call {} cannot be read: {source}", .call.0)]
    Token {
        /// Which call.
        call: CallId,
        /// What is wrong with it.
        source: TokenError,
    },
}

/// Judges a whole history.
pub fn judge(history: &History) -> Result<Report, Unjudgeable> {
    let calls = calls::Calls::of(history)?;
    let mut report = Report::default();
    requests::judge(&calls, &mut report);
    fencing::judge(history, &mut report);
    closes::judge(history, &mut report);
    let answers = shape::judge(&calls, history.header(), &mut report);
    reads::judge(&calls, history.header(), &answers, &mut report);
    finals::judge(&calls, &mut report);
    Ok(report)
}
