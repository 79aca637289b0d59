//! Who is in the cluster's regions, as each region's own placement says: a *roster* per region.
//!
//! A region's placement stays in the region. What others need of it are its nodes and where they are: for
//! choosing voters of the global group, for nodes that join by seeds of another region, and for clients that
//! ask for gateways. Nodes tell each other (`exchange`); nothing waits for it, and nothing in it decides.

mod exchange;

pub use exchange::RosterDesk;

use super::consensus::Consensus;
use parking_lot::Mutex;
use proto::id::{NodeId, RegionId, Revision};
use raft::{
    group::Peer,
    placement::{Member, Placement},
    registry::Registry,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

/// Of a region's nodes, no more than these are named to one that looks for the region.
const NAMED: usize = 8;

/// The nodes of a region.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Roster {
    /// The region.
    pub region: RegionId,
    /// As of when.
    pub version: Version,
    /// Its nodes.
    pub members: BTreeMap<NodeId, Arc<Member>>,
    /// How many shards it has to have.
    pub shards: u16,
    /// How many of them are placed, and so have a primary.
    pub placed: u16,
}

/// As of when a roster is: a group that was rebuilt has a higher number and begins its revisions anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Version {
    /// The region's group.
    pub group: u32,
    /// The revision of its placement.
    pub revision: Revision,
}

impl Roster {
    /// The roster of a placement that somebody is in.
    fn of(placement: &Placement) -> Option<Self> {
        let policy = placement.policy?;
        if placement.members.is_empty() {
            return None;
        }
        Some(Self {
            region: policy.region,
            version: Version {
                group: policy.group,
                revision: placement.revision,
            },
            members: placement.members.clone(),
            shards: policy.shards,
            placed: u16::try_from(placement.shards.len()).unwrap_or(u16::MAX),
        })
    }

    /// Its nodes that may vote.
    pub fn voters(&self) -> impl Iterator<Item = &Arc<Member>> {
        let members = self.members.values();
        members.filter(|member| member.voter && !member.draining)
    }

    /// Some nodes that know the region's group, those that may vote first.
    #[must_use]
    pub fn named(&self) -> BTreeMap<NodeId, Peer> {
        let others = self.members.values().filter(|member| !member.voter);
        let some = self.voters().chain(others).take(NAMED);
        some.map(|member| peer(member)).collect()
    }
}

fn peer(member: &Member) -> (NodeId, Peer) {
    let address = member.addresses.peer.clone();
    let place = member.zone.clone();
    (member.node, Peer { address, place })
}

/// The rosters that this node knows. Clones are one.
#[derive(Clone)]
pub struct Rosters {
    global: Consensus<Registry>,
    regional: Consensus<Placement>,
    region: RegionId,
    others: Arc<Mutex<BTreeMap<RegionId, Arc<Roster>>>>,
}

impl Rosters {
    /// Of a node in `region`.
    #[must_use]
    pub fn new(
        region: RegionId,
        global: Consensus<Registry>,
        regional: Consensus<Placement>,
    ) -> Self {
        Self {
            global,
            regional,
            region,
            others: Arc::default(),
        }
    }

    /// The roster of a region; none while nothing is known of it.
    #[must_use]
    pub fn of(&self, region: RegionId) -> Option<Arc<Roster>> {
        if region == self.region {
            return self.own();
        }
        self.others.lock().get(&region).cloned()
    }

    /// Those of the other regions.
    #[must_use]
    pub fn others(&self) -> Vec<Arc<Roster>> {
        self.others.lock().values().cloned().collect()
    }

    /// A node of another region, with that region.
    #[must_use]
    pub fn elsewhere(&self, node: NodeId) -> Option<(RegionId, Arc<Member>)> {
        let others = self.others.lock();
        others.values().find_map(|roster| {
            let member = roster.members.get(&node)?;
            Some((roster.region, Arc::clone(member)))
        })
    }

    /// Some nodes of this region: this one, and others.
    #[must_use]
    pub fn neighbours(&self, me: NodeId) -> BTreeMap<NodeId, Peer> {
        let own = self.own();
        let all = own.iter().flat_map(|roster| roster.members.values());
        let (own, others): (Vec<_>, Vec<_>) = all.partition(|member| member.node == me);
        let some = own.into_iter().chain(others).take(NAMED);
        some.map(|member| peer(member)).collect()
    }

    /// Whether there is no region of which nothing is known.
    #[must_use]
    pub fn are_all_known(&self) -> bool {
        self.own().is_some() && !self.lacks_some()
    }

    fn own(&self) -> Option<Arc<Roster>> {
        Roster::of(&self.regional.newest()).map(Arc::new)
    }

    fn all(&self) -> Vec<Arc<Roster>> {
        self.own().into_iter().chain(self.others()).collect()
    }

    fn versions(&self) -> BTreeMap<RegionId, Version> {
        let all = self.all().into_iter();
        all.map(|roster| (roster.region, roster.version)).collect()
    }

    /// Takes what another node tells. Its own region a node knows better, and there are no rosters of regions
    /// that the registry does not have.
    fn take(&self, roster: Roster) {
        let registry = self.global.newest();
        let mut others = self.others.lock();
        others.retain(|region, _| registry.regions.contains_key(region));
        let is_newer = |known: &Arc<Roster>| known.version < roster.version;
        let is_wanted =
            roster.region != self.region && registry.regions.contains_key(&roster.region);
        if is_wanted && others.get(&roster.region).is_none_or(is_newer) {
            others.insert(roster.region, Arc::new(roster));
        }
    }

    /// Whether a region has a group that nothing is known of here.
    fn lacks_some(&self) -> bool {
        let registry = self.global.newest();
        let mut founded = registry.regions.values();
        let others = self.others.lock();
        founded.any(|region| {
            region.id != self.region
                && region.group.is_some()
                && region.state.holds_data()
                && !others.contains_key(&region.id)
        })
    }
}
