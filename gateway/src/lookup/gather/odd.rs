//! One cell of an odd row: its status, its time, and the value that stands in its place.

use super::{Ages, Status};
use crate::lookup::{
    combine::combine,
    layout::StagedColumn,
    staging::{StagedCell, StagedSlot},
};
use proto::time::EventTime;

/// What an odd cell turns out to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// Its status.
    pub status: Status,
    /// When it was true; zero where there is nothing.
    pub time: EventTime,
    /// The value that slots combine to, in the low bytes.
    pub combined: Option<[u8; 8]>,
}

impl Verdict {
    /// A status without anything behind it.
    pub fn bare(status: Status) -> Self {
        Self {
            status,
            time: EventTime::default(),
            combined: None,
        }
    }

    /// Something of an event time that is `otherwise` if it is young enough.
    pub fn aged(ages: Ages, time: EventTime, otherwise: Status) -> Self {
        match ages.judge(time, otherwise) {
            Status::NotFound => Self::bare(Status::NotFound),
            status => Self {
                status,
                time,
                combined: None,
            },
        }
    }

    /// The verdict on a cell.
    pub fn on(cell: &StagedCell, column: &StagedColumn, ages: Ages) -> Self {
        match cell {
            StagedCell::NotSet => Self::bare(Status::NotFound),
            StagedCell::Null(time) => Self::aged(ages, *time, Status::NullValue),
            StagedCell::Value(time) => Self::aged(ages, *time, Status::Present),
            StagedCell::Slots(slots) => Self::on_slots(slots, column, ages),
        }
    }

    /// Each slot expires as a cell does; what is left is combined.
    fn on_slots(slots: &[StagedSlot], column: &StagedColumn, ages: Ages) -> Self {
        let of_status = |status: Status, with_value: bool| {
            slots.iter().filter(move |slot| {
                ages.judge(slot.time, Status::Present) == status
                    && (slot.value.is_some() || !with_value)
            })
        };
        let newest = |status, with_value| of_status(status, with_value).map(|slot| slot.time).max();
        let values = of_status(Status::Present, true).filter_map(|slot| slot.value);
        if let Some(time) = newest(Status::Present, true) {
            return Self {
                status: Status::Present,
                time,
                combined: combine(column.ty, column.combine, values),
            };
        }
        if let Some(time) = newest(Status::Present, false) {
            return Self {
                status: Status::NullValue,
                time,
                combined: None,
            };
        }
        match newest(Status::OutsideMaxAge, false) {
            Some(time) => Self {
                status: Status::OutsideMaxAge,
                time,
                combined: None,
            },
            None => Self::bare(Status::NotFound),
        }
    }
}
