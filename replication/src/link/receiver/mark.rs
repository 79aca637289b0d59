//! How far a stream is here, as the shard's log and snapshots keep it.

use super::From;
use crate::settings::GAP_SLACK;
use proto::{hlc::Hlc, token::Reached};

/// A watermark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StreamMark {
    /// The last entry.
    pub reached: Reached,
    /// The largest stamp of what is here.
    pub hlc: Hlc,
    /// Where reading goes on after it.
    pub position: u64,
}

impl StreamMark {
    /// Where a link that starts here reads from.
    pub(super) fn start(&self) -> From {
        if *self == Self::default() {
            From::Start
        } else {
            From::Position(self.position)
        }
    }

    /// Where what follows must lie, whatever became of positions: no entry is put into the transport
    /// before it is stamped, give or take what clocks of one region differ by.
    pub(super) fn start_by_time(&self) -> From {
        if self.hlc == Hlc::ZERO {
            return From::Start;
        }
        let slack = GAP_SLACK.as_millis() as u64;
        From::Millis(self.hlc.millis().saturating_sub(slack))
    }
}
