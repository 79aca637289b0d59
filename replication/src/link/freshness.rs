//! What is closed of a stream here, and since when on this node's clock everything is here.
//!
//! A close counts when its last entry is committed here, and not before. It then says two things:
//! nothing of the stream still to come is stamped at or below its HLC; and everything acknowledged
//! before its instant, on this node's own clock, is here.

use crate::{context::Micros, settings::LINK_CLOSES_WAITING};
use proto::{hlc::Hlc, token::Reached};

/// A close of a stream, as the node that heard it understands it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Covering {
    /// The last entry that it covers.
    pub reached: Reached,
    /// Nothing past that is stamped at or below this.
    pub hlc: Hlc,
    /// No later, on this node's clock, than when the close's round was sent. None where the origin
    /// did not know this run's clock yet.
    pub instant: Option<Micros>,
}

#[derive(Debug, Default)]
pub(super) struct Freshness {
    waiting: Vec<Covering>,
    closed: Hlc,
    complete_at: Option<Micros>,
}

impl Freshness {
    pub(super) fn hear(&mut self, close: Covering) {
        // The oldest stay, so that a stream which is always a little behind still gets somewhere.
        if self.waiting.len() == LINK_CLOSES_WAITING {
            self.waiting.pop();
        }
        self.waiting.push(close);
    }

    /// Counts the closes that are covered now; whether one of them gave an instant.
    pub(super) fn settle(&mut self, committed: Reached) -> bool {
        let mut is_dated = false;
        let (closed, complete_at) = (&mut self.closed, &mut self.complete_at);
        self.waiting.retain(|close| {
            if close.reached.incarnation == committed.incarnation
                && close.reached.sequence <= committed.sequence
            {
                *closed = (*closed).max(close.hlc);
                *complete_at = (*complete_at).max(close.instant);
                is_dated |= close.instant.is_some();
            }
            close.reached > committed
        });
        is_dated
    }

    /// Another incarnation: cells of the one before may come again under their old stamps.
    pub(super) const fn reopen(&mut self) {
        self.closed = Hlc::ZERO;
    }

    pub(super) const fn closed(&self) -> Hlc {
        self.closed
    }

    /// A thousandth is added because clocks run at slightly different rates.
    pub(super) fn age(&self, now: Micros) -> Option<Micros> {
        let age = now.since(self.complete_at?).0;
        Some(Micros(age + age / 1_000 + 1))
    }
}

/// The age of a stream at another replica of the region: `instant` is this replica's clock when the
/// primary sent what is applied here, `age` what the primary knew then. None where this replica did
/// not run yet at the instant that comes of it.
#[must_use]
pub fn passed_on(instant: Micros, age: Micros) -> Option<Micros> {
    instant.0.checked_sub(age.0).map(Micros)
}
