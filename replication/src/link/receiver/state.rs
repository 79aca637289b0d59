//! The states of a link, as it acts on them and as people see them.

use super::gap::Gap;
use crate::context::Micros;
use proto::{
    hlc::Hlc,
    id::{RegionId, SchemaVersion, ViewId},
};

/// Why an entry that is next cannot be taken yet. The link waits before it, and is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// This node has not heard of the view.
    #[error("view {0} is not known here yet; it is taken once the registry's news arrive")]
    UnknownView(ViewId),
    /// The rows are laid out by a later schema.
    #[error(
        "schema {1} of view {0} is not known here yet; it is taken once the registry's news arrive"
    )]
    UnknownSchema(ViewId, SchemaVersion),
    /// This node has not heard of the origin.
    #[error("region {0} is not known here yet; it is taken once the registry's news arrive")]
    UnknownRegion(RegionId),
    /// Another cluster writes to the same place.
    #[error("another cluster writes to this topic; give one of the two another name")]
    OtherCluster,
    /// The origin's clock runs ahead.
    #[error("the stamp {0} is ahead of this node's clock; set the clocks of the two regions")]
    ClockAhead(Hlc),
    /// A later release wrote it.
    #[error("the next record was written by a later release; update this node")]
    NewerRecord,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Replay,
    Live,
    Gap(Gap),
    Held(Obstacle),
    Snapshot {
        asked_at: Micros,
        evidence: Evidence,
    },
}

/// How sure it is that something lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Evidence {
    /// Something that may have been this stream's is gone. A close that is covered refutes it.
    Suspicion,
    /// An entry or a close came that others must have come before.
    Proof,
}

impl State {
    /// Whether a close that is covered shows that nothing is lacking.
    pub(super) const fn ends_by_close(self) -> bool {
        match self {
            Self::Replay | Self::Live => true,
            Self::Gap(gap) => matches!(gap.evidence(), Evidence::Suspicion),
            Self::Snapshot { evidence, .. } => matches!(evidence, Evidence::Suspicion),
            Self::Held(_) => false,
        }
    }

    pub(super) const fn shown(self) -> LinkState {
        match self {
            Self::Replay => LinkState::Replay,
            Self::Live => LinkState::Live,
            Self::Gap(_) => LinkState::Gap,
            Self::Held(obstacle) => LinkState::Held(obstacle),
            Self::Snapshot { .. } => LinkState::Snapshot,
        }
    }
}

/// What a link is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkState {
    /// It reads what came while it was away, or after a gap.
    Replay,
    /// It follows, and says how old its rows can be.
    Live,
    /// Something did not come; it is read for again.
    Gap,
    /// The next entry cannot be taken yet.
    Held(Obstacle),
    /// What is lacking is not in the transport: it waits for a snapshot.
    Snapshot,
}
