//! Rules that a test can switch off, to see that the model misses them.
//!
//! Without the feature `planted-bugs` a [`Planted`] is empty, cannot be given a bug, and every
//! question to it is `false` at compile time. With the feature, a bug must still be put in by hand.

/// One rule taken out. The names are those of the holes they open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// A restarted primary goes on in its old epoch.
    RestartKeepsEpoch,
    /// A joiner is proposed and not waited for.
    JoinerNotNeeded,
    /// A new primary commits its tail without an entry of its own epoch.
    NoEpochEntry,
    /// An acknowledgement given in an earlier epoch is counted.
    OldEpochAckCounts,
    /// A backup applies entries when it appends them.
    IndexBeforeCommit,
    /// A close is done before anyone promised to stamp above it.
    CloseWithoutAcks,
    /// A promise to stamp above a close is given before it is durable.
    PromiseNotPersisted,
    /// An entry's stamp moves the closed HLC.
    EntryMovesClosedHlc,
    /// A repeated request is answered while its original is not committed.
    DuplicateAnsweredBeforeCommit,
    /// A link takes whatever entry comes after those it has.
    GapPassedOver,
    /// A link takes a *start* without what its lineage keeps.
    CutIgnored,
    /// A link sets an entry aside that it cannot take yet, and goes on after it.
    HeldEntrySkipped,
    /// A link goes on after entries that the origin gave up.
    SkipPassedOver,
    /// A link restarts from what it handed over, not from what its shard's log has.
    OfferedTakenForLogged,
    /// A close counts when its entries were handed over, not when they are committed.
    CloseBeforeCommit,
    /// Rows are as old as the stamp of a close is behind the wall clock.
    AgeFromWallClock,
    /// A close dates from the heartbeat that brings it, not from its round.
    CloseDatedWhenSaid,
    /// A clock that is given back is believed whatever run it belongs to.
    EchoOfAnotherBoot,
    /// A stream goes on after a failed delivery with what comes next.
    ProducerGoesOnAfterFailure,
    /// A new incarnation closes its streams before it knows what others have of the lost one.
    ClosedBeforeMerged,
    /// A snapshot that is behind moves the link back.
    OlderSnapshotTaken,
}

/// Which rule is taken out, if any.
#[derive(Debug, Clone, Copy, Default)]
pub struct Planted {
    #[cfg(feature = "planted-bugs")]
    bug: Option<Bug>,
}

impl Planted {
    /// All rules hold.
    pub const NONE: Self = Self {
        #[cfg(feature = "planted-bugs")]
        bug: None,
    };

    /// Takes one rule out.
    #[cfg(feature = "planted-bugs")]
    #[must_use]
    pub const fn with(bug: Bug) -> Self {
        Self { bug: Some(bug) }
    }

    #[cfg(feature = "planted-bugs")]
    pub(crate) fn has(self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    #[cfg(not(feature = "planted-bugs"))]
    #[expect(clippy::unused_self, reason = "the answer is the same for every value")]
    pub(crate) const fn has(self, _bug: Bug) -> bool {
        false
    }
}
