//! What a judge must know before the first event: views, clocks, the cluster.

use super::{data::Datum, text};
use proto::{
    id::{ClusterId, EntityId, FeatureId, ViewId},
    schema::Column,
};
use serde::{Deserialize, Serialize};

/// The version of the format that this program writes and reads.
pub const FORMAT: u32 = 1;

/// The first line of a history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`FORMAT`].
    pub format: u32,
    /// What ran, for people.
    pub title: String,
    /// The seed, where there was one.
    pub seed: u64,
    /// The cluster whose tokens the history holds.
    #[serde(with = "text")]
    pub cluster: ClusterId,
    /// How many regions accept writes. With one, write times of a row follow real time.
    pub regions: u16,
    /// Microseconds since 1970 at which the history's time 0 lies.
    pub wall_at_start: u64,
    /// How far, in microseconds, any clock that the cluster acts on may be from that: the bound of
    /// the clock faults that were injected, and of stamps that run ahead.
    pub clock_error: u64,
    /// Every view that is written or read.
    pub views: Vec<ViewRule>,
}

impl Header {
    /// The rules of a view, if the history declares it.
    #[must_use]
    pub fn view(&self, view: ViewId) -> Option<&ViewRule> {
        self.views.iter().find(|rule| rule.view == view)
    }
}

/// What orders the writes of a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderBy {
    /// The writer's event time.
    EventTime,
    /// The stamp of the primary; it stands for event time everywhere.
    WriteTime,
}

/// One view, as long as the history runs: a run that changes a view's definition is two histories.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewRule {
    /// The view.
    pub view: ViewId,
    /// Its entity: views of one entity are read at one state of the shard.
    pub entity: EntityId,
    /// Its columns in the order of their features' ids. None combines: slots are judged elsewhere.
    pub columns: Vec<Column>,
    /// The default of each column that has one.
    pub defaults: Vec<(FeatureId, Datum)>,
    /// What orders its writes.
    pub order_by: OrderBy,
    /// Age in microseconds past which a value is no longer present.
    pub ttl: Option<u64>,
    /// Microseconds past the TTL after which rows may be gone for good.
    pub purge_after: Option<u64>,
}
