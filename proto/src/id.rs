//! Ids. Each kind is a type of its own, so that a shard cannot be passed where a node is meant.
//!
//! Ids of the registry (project, entity, view, feature, service, region) are given by the global
//! group and never reused. A [`ViewId`] names one *version* of a feature view.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident($inner:ty);)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    )*};
}

macro_rules! random_ids {
    ($($(#[$doc:meta])* $name:ident($inner:ty);)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:0width$x}", self.0, width = size_of::<$inner>() * 2)
            }
        }

        impl std::str::FromStr for $name {
            type Err = std::num::ParseIntError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                <$inner>::from_str_radix(text.trim(), 16).map(Self)
            }
        }
    )*};
}

ids! {
    /// A namespace and tenant.
    ProjectId(u32);
    /// What features describe.
    EntityId(u32);
    /// One version of a feature view.
    ViewId(u32);
    /// A feature's place in its view, from 0 in the order in which features were added.
    FeatureId(u16);
    /// A feature service.
    ServiceId(u32);
    /// The schema of a view, from 1, one higher with each change of its features.
    SchemaVersion(u16);
    /// A region; as origin, the region in which a write was accepted.
    RegionId(u16);
    /// A fixed slice of the key hash space.
    ShardId(u16);
    /// A set of regions that hold a view.
    PlacementId(u16);
    /// Rises with each change of a shard's primary or in-sync set; belongs to one boot of one primary.
    Epoch(u32);
    /// A life of a shard's streams; a new one begins only when acknowledged entries may be gone.
    Incarnation(u32);
    /// The dense number of an entry in a shard's log in its region, whatever its origin; from 1.
    Position(u64);
    /// The dense number of an entry in its stream; from 1 in each incarnation.
    Sequence(u64);
    /// The position of the metadata that a node or gateway acts on.
    Revision(u64);
}

random_ids! {
    /// A cluster, drawn when it is founded.
    ClusterId(u128);
    /// A node: drawn when its data directory is made, so a wiped directory is another node.
    NodeId(u64);
    /// One disk's store. In-sync sets name it, so a wiped disk never counts as the copy it was.
    StoreId(u64);
    /// One run of one process.
    BootId(u64);
    /// An access or join token: what people name it by. It is no secret.
    TokenId(u64);
}

impl Position {
    /// The position after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl Sequence {
    /// The sequence after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// The entries of one origin, shard and placement: what is numbered by sequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Stream {
    /// Where the entries were accepted.
    pub origin: RegionId,
    /// The shard whose log holds them.
    pub shard: ShardId,
    /// The set of regions they travel to.
    pub placement: PlacementId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_ids_print_all_their_digits_and_parse_back() {
        let node = NodeId(0x2a);
        assert_eq!(node.to_string(), "000000000000002a");
        assert_eq!("000000000000002a".parse(), Ok(node));
        assert_eq!(ClusterId(1).to_string().len(), 32);
    }
}
