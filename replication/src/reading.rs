//! What a replica tells readers: how far it is, how old that can be, what is closed.
//!
//! Any replica answers lookups from what it applied. Nothing here changes it.

use crate::{
    base::Base,
    closes::Close,
    configuration::{Configuration, Fence},
    context::Micros,
    core::Loading,
    entry::{Entry, Mark},
    replica::{Replica, RoleName},
    requests::Key,
    streams::Head,
    token::{Asked, Coverage, coverage},
};
use proto::{
    id::{PlacementId, RegionId},
    request::WriteOutcome,
};

impl Replica {
    /// The newest configuration it has seen.
    #[must_use]
    pub const fn configuration(&self) -> Option<&Configuration> {
        self.core.configuration.as_ref()
    }

    /// The fence it acts under.
    #[must_use]
    pub fn fence(&self) -> Fence {
        self.core.fence()
    }

    /// The last committed entry, and with it what lookups see.
    #[must_use]
    pub const fn committed(&self) -> Mark {
        self.core.log.committed()
    }

    /// What a part of a request comes to that is in its log, committed or not.
    #[must_use]
    pub fn outcome_of(&self, key: &Key) -> Option<WriteOutcome> {
        if let Some(written) = self.core.log.answer(key) {
            return Some(written.outcome.clone());
        }
        self.core.log.pending(key).and_then(Entry::outcome)
    }

    /// The end of its log; the controller promotes the member whose is largest.
    #[must_use]
    pub fn log_end(&self) -> Mark {
        self.core.log.end()
    }

    /// Whether lookups may be answered: rows of a snapshot are torn until its scan's end is applied,
    /// a damaged store leaves the set before it answers, a joiner that has not come up to its
    /// primary once would call rows absent that it merely lacks, and one that is not placed here any
    /// more would show for ever what stood when it left.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        let base = self.core.log.base();
        self.core.loading.is_none()
            && !self.core.damaged
            && self.has_part()
            && base.committed.position >= base.serves_from
    }

    fn has_part(&self) -> bool {
        match self.role() {
            RoleName::Primary | RoleName::Backup => true,
            RoleName::Joining | RoleName::Observer => self.core.closes.is_ever_complete(),
            // A primary that restarted is named still, and holds what it held.
            RoleName::Idle => {
                let known = self.core.configuration.as_ref();
                known.is_some_and(|known| known.standing(self.core.member()).is_some())
            }
            RoleName::Stopped => false,
        }
    }

    /// Whether it waits for the end of that snapshot.
    #[must_use]
    pub fn is_loading(&self, fence: Fence, session: u32) -> bool {
        self.core.loading == Some(Loading { fence, session })
    }

    /// Whether its store lost something. The controller replaces such a primary; such a backup leaves
    /// the in-sync set by its silence, and comes back by a snapshot.
    #[must_use]
    pub const fn is_damaged(&self) -> bool {
        self.core.damaged
    }

    /// An age such that every write acknowledged longer ago is in the answer; None is *unknown*.
    #[must_use]
    pub fn age(&self, now: Micros) -> Option<Micros> {
        self.core.closes.age(now).filter(|_| self.is_readable())
    }

    /// What was acknowledged in another region before this instant of this node's clock is applied here;
    /// None is *unknown*. A primary does not know it from its core: its links do.
    #[must_use]
    pub fn origin_complete_at(&self, origin: RegionId) -> Option<Micros> {
        let complete_at = self.core.closes.origin_complete_at(origin);
        complete_at.filter(|_| self.is_readable())
    }

    /// The newest close known of one of the own streams.
    #[must_use]
    pub fn closed(&self, placement: PlacementId) -> Option<Close> {
        self.core.closes.closed(placement)
    }

    /// How far one of the own streams is applied.
    #[must_use]
    pub fn head(&self, placement: PlacementId) -> Option<&Head> {
        self.core.log.base().heads.get(placement)
    }

    /// Whether what is applied covers a token.
    #[must_use]
    pub fn covers(&self, placement: PlacementId, asked: Asked) -> Coverage {
        coverage(self.head(placement), asked)
    }

    /// What a snapshot of this replica carries beside the rows.
    #[must_use]
    pub const fn base(&self) -> &Base {
        self.core.log.base()
    }
}
