//! Which streams there are: by the regions of the cluster, and where views are held.

use proto::id::{PlacementId, RegionId};
use raft::registry::{Registry, state::EVERYWHERE};
use std::collections::{BTreeMap, BTreeSet};

/// The other regions that hold what is placed somewhere, for each placement that this region holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Streams(BTreeMap<PlacementId, BTreeSet<RegionId>>);

impl Streams {
    /// By the registry, as region `own` sees it. What a region wrote that is lost or left is read no
    /// more.
    #[must_use]
    pub fn of(registry: &Registry, own: RegionId) -> Self {
        let speaks = |region: &RegionId| {
            let region = registry.regions.get(region);
            region.is_some_and(|region| !region.state.is_out())
        };
        let placements = registry.placements.keys().copied();
        let all = std::iter::once(EVERYWHERE).chain(placements);
        let others = all.filter_map(|placement| {
            let mut holders = registry.holders(placement);
            let is_here = holders.remove(&own);
            holders.retain(speaks);
            (is_here && !holders.is_empty()).then_some((placement, holders))
        });
        Self(others.collect())
    }

    /// Whether there is nobody to speak with.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The placements whose own streams are shipped.
    pub fn own(&self) -> impl Iterator<Item = PlacementId> + '_ {
        self.0.keys().copied()
    }

    /// The streams of other regions, by origin and placement.
    pub fn others(&self) -> impl Iterator<Item = (RegionId, PlacementId)> + '_ {
        let others = self.0.iter();
        others.flat_map(|(placement, regions)| regions.iter().map(|region| (*region, *placement)))
    }

    /// The regions that are spoken with.
    #[must_use]
    pub fn regions(&self) -> BTreeSet<RegionId> {
        self.0.values().flatten().copied().collect()
    }
}
