//! Step 4 of a lookup: staged rows become the answer's columns, and every value gets its status.
//! Pure: `now` comes in, once for the whole lookup.
//!
//! Rows that are all values are copied, whole tiles at a time. Only the odd ones (a missing row, a
//! null, an old value, slots, a failed shard) are looked at cell by cell.

pub(crate) mod buffer;
mod odd;
mod statuses;
mod view;

use super::{
    fetch::{self, Rows},
    plan::{Plan, too_large},
    select::{SelectedView, Selection},
    staging::Staging,
};
use crate::{catalog::View, failure::Failure};
use bytes::Bytes;
use proto::{limits::MESSAGE_BYTES, time::EventTime};
use std::time::Duration;
use wire::twin;

pub use statuses::{DEFAULTED, Status};

/// What a caller may ask for beside the values.
#[derive(Debug, Clone, Copy)]
pub struct Wishes {
    /// Defaults in the place of what was not found.
    pub defaults: bool,
    /// The event time of each value.
    pub event_times: bool,
    /// Columns with their names.
    pub names: bool,
}

/// The answer's columns, and what they share.
#[derive(Debug, Default, PartialEq)]
pub struct Gathered {
    /// The columns in the selection's order.
    pub columns: Vec<twin::Column>,
    /// Arrays of statuses that columns name.
    pub statuses: Vec<Bytes>,
    /// Arrays of event times that columns name.
    pub times: Vec<twin::Times>,
}

/// Which event times of a view are served at one `now`.
#[derive(Debug, Clone, Copy)]
struct Ages {
    /// Below it, nothing exists.
    floor: EventTime,
    /// Below it, a value is too old.
    cutoff: EventTime,
}

impl Ages {
    fn of(view: &View, now: EventTime) -> Self {
        let cutoff = view.ttl.map_or(EventTime::default(), |ttl| now.minus(ttl));
        Self {
            floor: view.floor,
            cutoff,
        }
    }

    /// What becomes of something of that event time which is `otherwise` if it is young enough.
    fn judge(self, time: EventTime, otherwise: Status) -> Status {
        if time < self.floor {
            Status::NotFound
        } else if time < self.cutoff {
            Status::OutsideMaxAge
        } else {
            otherwise
        }
    }

    /// Everything from here on is young enough.
    fn served_from(self) -> EventTime {
        self.floor.max(self.cutoff)
    }
}

/// What one replica has of a view: which rows of the answer, and with what they are filled.
struct Part<'a> {
    rows: &'a [u32],
    staging: &'a mut Staging,
}

/// How old one row of each view is that will be served: the row of that number, counted round, where it is all
/// values and young enough.
pub fn ages(
    selection: &Selection,
    rows: &Rows,
    now: EventTime,
    number: usize,
) -> Vec<(usize, Duration)> {
    let age = |(place, selected): (usize, &SelectedView)| {
        let (group, in_group) = place_in_groups(selection, place);
        let parts = rows.parts.iter();
        let times = parts.flat_map(|part| part.groups[group].views[in_group].times());
        let count = times.clone().count();
        let time = *times.cycle().nth(number.checked_rem(count)?)?;
        let is_served =
            time > EventTime::default() && time >= Ages::of(&selected.view, now).served_from();
        let age = now.micros().saturating_sub(time.micros());
        is_served.then(|| (place, Duration::from_micros(age)))
    };
    let views = selection.views.iter().enumerate();
    views.filter_map(age).collect()
}

/// Lays the answer out.
pub fn gather(
    selection: &Selection,
    plan: &Plan,
    rows: &mut Rows,
    now: EventTime,
    wishes: Wishes,
) -> Result<Gathered, Failure> {
    let mut answer = Gathered::default();
    let mut views = Vec::with_capacity(selection.views.len());
    for (place, selected) in selection.views.iter().enumerate() {
        let (group, in_group) = place_in_groups(selection, place);
        let row_count = if plan.is_shared[group] {
            1
        } else {
            plan.row_count
        };
        let parts = parts_of(group, in_group, &mut rows.parts);
        let ages = Ages::of(&selected.view, now);
        let gatherer = view::Gatherer::new(selected, row_count, ages, wishes);
        views.push(gatherer.gather(parts, &rows.missing[group], &mut answer)?);
    }
    let mut bytes = 0;
    for column in &selection.columns {
        let group = place_in_groups(selection, column.view).0;
        let mut laid_out: twin::Column = views[column.view][column.column].clone();
        laid_out.shared = plan.is_shared[group];
        if wishes.names {
            laid_out.feature = column.label.as_ref().to_owned();
        }
        bytes += buffer::size_bytes(&laid_out);
        answer.columns.push(laid_out);
    }
    if bytes > MESSAGE_BYTES {
        return Err(too_large());
    }
    Ok(answer)
}

/// Lays rows of a selection's one view out, each in its own place.
pub(crate) fn gather_rows(
    selection: &Selection,
    staging: &mut Staging,
    now: EventTime,
    wishes: Wishes,
) -> Result<Gathered, Failure> {
    let selected = &selection.views[0];
    let rows: Vec<u32> = (0..).take(staging.rows()).collect();
    let gatherer = view::Gatherer::new(selected, rows.len(), Ages::of(&selected.view, now), wishes);
    let part = Part {
        rows: &rows,
        staging,
    };
    let mut answer = Gathered::default();
    let columns = gatherer.gather(vec![part], &[], &mut answer)?;
    let named = |column: &super::select::SelectedColumn| twin::Column {
        feature: column.label.as_ref().to_owned(),
        ..columns[column.column].clone()
    };
    answer.columns = selection.columns.iter().map(named).collect();
    Ok(answer)
}

fn place_in_groups(selection: &Selection, view: usize) -> (usize, usize) {
    let mut found = selection
        .groups
        .iter()
        .enumerate()
        .filter_map(|(group, views)| {
            views
                .views
                .iter()
                .position(|known| *known == view)
                .map(|place| (group, place))
        });
    found.next().expect("every view is in its entity's group")
}

/// Every part has every group, and each of its views.
fn parts_of(group: usize, in_group: usize, parts: &mut [fetch::Part]) -> Vec<Part<'_>> {
    let groups = parts.iter_mut().map(|part| &mut part.groups[group]);
    groups
        .map(|rows| Part {
            rows: &rows.keys,
            staging: &mut rows.views[in_group],
        })
        .collect()
}
