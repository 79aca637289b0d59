//! A cell's version: what decides which of two writes stands.

use crate::{hlc::Hlc, id::RegionId, time::EventTime};
use serde::{Deserialize, Serialize};

/// Event time, then write time, then origin: the larger wins. The order of the fields is the rule.
///
/// Under `order_by: write_time` the event time *is* the write time, set where the row is stamped,
/// so nothing after that needs to know the view's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Version {
    /// When the fact was true.
    pub event_time: EventTime,
    /// The stamp given by the primary that admitted the write.
    pub write_time: Hlc,
    /// The region that accepted it.
    pub origin: RegionId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_time_decides_before_write_time_before_origin() {
        let version = |event, write, origin| Version {
            event_time: EventTime::saturating(event),
            write_time: Hlc(write),
            origin: RegionId(origin),
        };
        assert!(version(2, 1, 1) > version(1, 9, 9));
        assert!(version(1, 2, 1) > version(1, 1, 9));
        assert!(version(1, 1, 2) > version(1, 1, 1));
    }
}
