//! Who wins: asks the merge rule, with the stamps that favour the explanation of a read most.

use super::cell::{Content, Fact};
use proto::{
    hlc::Hlc,
    id::{FeatureId, RegionId, SchemaVersion, ViewId},
    merge::merge,
    row::{Cell, Content as Stored, Row},
    schema::{Column, RowSchema},
    time::EventTime,
    version::Version,
};

/// The merge rule for one column.
#[derive(Debug)]
pub struct Contest {
    schema: RowSchema,
    slack: u64,
}

impl Contest {
    /// For cells of `column`, where stamps follow real time up to `slack` microseconds.
    pub fn of(column: Column, slack: u64) -> Self {
        Self {
            schema: RowSchema::new(ViewId(0), SchemaVersion(1), vec![column]),
            slack,
        }
    }

    /// Whether a state that contains both can show `claimed`: it is stamped as late as it can be,
    /// `contained` as early as it can be, and where both are the same instant, before it.
    pub fn can_show(&self, claimed: &Fact, contained: &Fact) -> bool {
        if claimed.write == contained.write {
            return true;
        }
        // Hot cells have thousands of older events, and no stamp helps any of them.
        if claimed.event < contained.event {
            return false;
        }
        let latest = claimed
            .settled
            .saturating_add(self.slack)
            .min(u64::MAX >> 1);
        let claimed_version = version(claimed.event, 2 * latest + 1);
        let contained_version = version(contained.event, 2 * contained.issued.min(u64::MAX >> 1));
        let merged = merge(
            row_of(&contained.content, contained_version),
            row_of(&claimed.content, claimed_version),
            &self.schema,
        );
        match claimed.content {
            Content::Deleted => !merged.has_cells() && merged.deletion == Some(claimed_version),
            Content::Null | Content::Value(_) => merged
                .cell(FeatureId(0))
                .is_some_and(|cell| cell.version() == claimed_version),
        }
    }
}

const fn version(event: u64, stamp: u64) -> Version {
    Version {
        event_time: EventTime::saturating(event),
        write_time: Hlc(stamp),
        origin: RegionId(0),
    }
}

fn row_of(content: &Content, version: Version) -> Row {
    let stored = match content {
        Content::Deleted => return Row::deleted(version),
        Content::Null => Stored::Null,
        Content::Value(value) => Stored::Value(value.as_slice().to_vec().into()),
    };
    let mut row = Row::default();
    row.set(
        FeatureId(0),
        Cell::Latest {
            version,
            content: stored,
        },
    );
    row
}
