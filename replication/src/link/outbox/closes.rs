//! Closes of a stream that wait until what they cover was sent.

use crate::{context::Micros, settings::LINK_CLOSES_WAITING};
use proto::{hlc::Hlc, token::Reached};

type Close = (Reached, Hlc, Micros);

#[derive(Debug, Default)]
pub(super) struct Closes(Vec<Close>);

impl Closes {
    /// They come in the order of their rounds.
    pub(super) fn add(&mut self, reached: Reached, hlc: Hlc, sent_at: Micros) {
        // The oldest stay: a stream that is always behind still tells some.
        if self.0.len() == LINK_CLOSES_WAITING {
            self.0.pop();
        }
        self.0.push((reached, hlc, sent_at));
    }

    pub(super) fn newest_through(&self, sent: Reached) -> Option<Close> {
        self.0.iter().rev().find(|close| close.0 <= sent).copied()
    }

    /// Older ones than the newest that may be told say nothing more.
    pub(super) fn forget_before(&mut self, delivered: Reached) {
        let told = self.0.iter().rposition(|close| close.0 <= delivered);
        if let Some(told) = told {
            self.0.drain(..told);
        }
    }
}
