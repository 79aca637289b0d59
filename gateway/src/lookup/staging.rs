//! Rows of one view between a replica and the gather step: row-major bytes, and exceptions.
//!
//! A row whose columns all hold values of one version is only bytes and its event time. Everything
//! else is an exception that names what each column holds. Nothing is judged here: age, floor,
//! slots and defaults are the gather step's, against one `now` for the whole lookup.

mod codec;

use super::layout::{Layout, PLACE_BYTES, StagedColumn};
use proto::{
    codec::Malformed,
    limits::MESSAGE_BYTES,
    record::{CellState, Cells, RecordView},
    row::{Cell, Content, Row, Slot},
    schema::{Combine, RowSchema},
    time::EventTime,
    value,
};
use smallvec::SmallVec;
use std::sync::Arc;

/// Rows of one view, in the order of the keys that were asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Staging {
    layout: Arc<Layout>,
    times: Vec<EventTime>,
    fixed: Vec<u8>,
    heap: Vec<u8>,
    exceptions: Vec<(u32, Exception)>,
    is_overfull: bool,
}

/// A row that is not simply all values of one version.
#[derive(Debug, Clone, PartialEq)]
pub enum Exception {
    /// There is no row.
    Absent,
    /// It could not be read; it may exist.
    Unavailable,
    /// What each column of the layout holds.
    Cells(Vec<StagedCell>),
}

/// What one column of an exceptional row holds. A value's bytes lie in the row.
#[derive(Debug, Clone, PartialEq)]
pub enum StagedCell {
    /// It was never set.
    NotSet,
    /// A written null.
    Null(EventTime),
    /// A value.
    Value(EventTime),
    /// A slot per region, in the order of regions.
    Slots(SmallVec<[StagedSlot; 2]>),
}

/// One region's part of a feature that combines.
#[derive(Debug, Clone, PartialEq)]
pub struct StagedSlot {
    /// The event time of the slot.
    pub time: EventTime,
    /// Its bytes in the low end, widened to the column's type; `None` is a null.
    pub value: Option<[u8; 8]>,
}

impl Staging {
    /// Room for `rows` rows.
    #[must_use]
    pub fn with_capacity(layout: Arc<Layout>, rows: usize) -> Self {
        let fixed = Vec::with_capacity(rows * layout.row_bytes());
        Self {
            layout,
            times: Vec::with_capacity(rows),
            fixed,
            heap: Vec::new(),
            exceptions: Vec::new(),
            is_overfull: false,
        }
    }

    /// The columns.
    #[must_use]
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// How many rows there are.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.times.len()
    }

    /// The event time of each row that is no exception.
    #[must_use]
    pub fn times(&self) -> &[EventTime] {
        &self.times
    }

    /// The rows end to end, each of the layout's row bytes.
    #[must_use]
    pub fn fixed(&self) -> &[u8] {
        &self.fixed
    }

    /// The exceptional rows, in order.
    #[must_use]
    pub fn exceptions(&self) -> &[(u32, Exception)] {
        &self.exceptions
    }

    /// Where in [`Self::take_heap`] the value of a variable column begins and ends.
    #[must_use]
    pub fn place(&self, row: usize, column: &StagedColumn) -> std::ops::Range<usize> {
        let at = row * self.layout.row_bytes() + column.offset;
        let word = |at: usize| {
            u32::from_le_bytes(*self.fixed[at..].first_chunk().expect("a place is 8 bytes"))
        };
        word(at) as usize..word(at + 4) as usize
    }

    /// Whether values were left out, since no answer could hold them all.
    #[must_use]
    pub const fn is_overfull(&self) -> bool {
        self.is_overfull
    }

    /// Lets only the rows stay whose place says so. The heap keeps what they point into.
    ///
    /// # Panics
    /// If there is not one `kept` for each row.
    pub fn keep_rows(&mut self, kept: &[bool]) {
        assert_eq!(kept.len(), self.rows(), "one is said of each row");
        let mut stay = 0..;
        let places: Vec<Option<u32>> = kept
            .iter()
            .map(|is_kept| is_kept.then(|| stay.next()).flatten())
            .collect();
        let row_bytes = self.layout.row_bytes();
        let mut fixed = Vec::with_capacity(self.fixed.len());
        for (at, _) in places
            .iter()
            .enumerate()
            .filter(|(_, place)| place.is_some())
        {
            fixed.extend_from_slice(&self.fixed[at * row_bytes..(at + 1) * row_bytes]);
        }
        self.fixed = fixed;
        let mut of_rows = kept.iter();
        self.times
            .retain(|_| *of_rows.next().expect("one is said of each row"));
        self.exceptions.retain_mut(|(row, _)| {
            let place = places[*row as usize];
            *row = place.unwrap_or(*row);
            place.is_some()
        });
    }

    /// Takes the values of variable columns out.
    #[must_use]
    pub fn take_heap(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.heap)
    }

    /// Adds a row that does not exist.
    pub fn push_absent(&mut self) {
        self.push_exception(Exception::Absent);
    }

    /// Adds a row that could not be read.
    pub fn push_unavailable(&mut self) {
        self.push_exception(Exception::Unavailable);
    }

    /// Adds a row whose runs were copied already: all values of one version, of a layout that is
    /// [all runs](Layout::is_all_runs).
    ///
    /// # Panics
    /// If the bytes are not those of a row of such a layout.
    pub fn push_runs(&mut self, row: &[u8], time: EventTime) {
        assert!(
            self.layout.is_all_runs(),
            "runs do not fill a row of this layout"
        );
        assert_eq!(
            row.len(),
            self.layout.row_bytes(),
            "a row has the bytes of its layout"
        );
        self.fixed.extend_from_slice(row);
        self.times.push(time);
    }

    /// Adds a row from its record, stored under `schema`. A record that does not fit it adds nothing.
    pub fn push_record(
        &mut self,
        record: &RecordView<'_>,
        schema: &RowSchema,
    ) -> Result<(), Malformed> {
        self.whole_or_nothing(|staging| staging.stage_record(record, schema))
    }

    /// A row that breaks off must not shift those after it.
    fn whole_or_nothing(
        &mut self,
        stage: impl FnOnce(&mut Self) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        let before = self.fixed.len();
        let staged = stage(self);
        if staged.is_err() {
            self.fixed.truncate(before);
        }
        staged
    }

    fn stage_record(
        &mut self,
        record: &RecordView<'_>,
        schema: &RowSchema,
    ) -> Result<(), Malformed> {
        if record.kind().is_tombstone() {
            self.push_absent();
            return Ok(());
        }
        let cells = record.cells(schema)?;
        let layout = Arc::clone(&self.layout);
        let is_plain = record.is_all_values()
            && record.extra_versions() == 0
            && schema.version() == layout.schema().version()
            && !layout.has_combined();
        if !is_plain {
            return self.push_cells(&cells, schema);
        }
        let start = self.begin_row();
        let fixed = &record.bytes()[record.fixed_area()..];
        for run in layout.runs() {
            self.fixed[start + run.to.start..start + run.to.end]
                .copy_from_slice(&fixed[run.from.clone()]);
        }
        for column in layout
            .columns()
            .iter()
            .filter(|column| column.is_variable())
        {
            self.put(start, column, cells.bytes(column.feature)?);
        }
        self.times.push(record.version().event_time);
        Ok(())
    }

    fn push_cells(&mut self, cells: &Cells<'_>, schema: &RowSchema) -> Result<(), Malformed> {
        self.push_each(
            |column| {
                let feature = column.feature;
                if schema.column(feature).is_none() || cells.state(feature)? == CellState::NotSet {
                    return Ok(None);
                }
                if column.combine != Combine::Latest {
                    return cells.slots(feature).map(Cell::Slots).map(Some);
                }
                let version = cells.version(feature)?;
                let content = match cells.state(feature)? {
                    CellState::Null | CellState::NotSet => Content::Null,
                    CellState::Value => {
                        Content::Value(bytes::Bytes::copy_from_slice(cells.bytes(feature)?))
                    }
                };
                Ok(Some(Cell::Latest { version, content }))
            },
            schema,
        )
    }

    /// Adds a row, its values of the types in `schema`.
    pub fn push_row(&mut self, row: &Row, schema: &RowSchema) -> Result<(), Malformed> {
        if !row.has_cells() {
            self.push_absent();
            return Ok(());
        }
        let cell_of = |column: &StagedColumn| Ok(row.cell(column.feature).cloned());
        self.whole_or_nothing(|staging| staging.push_each(cell_of, schema))
    }

    /// Adds an exceptional row from its cells; one that turns out to be plain is made so.
    fn push_each(
        &mut self,
        mut cell_of: impl FnMut(&StagedColumn) -> Result<Option<Cell>, Malformed>,
        schema: &RowSchema,
    ) -> Result<(), Malformed> {
        let layout = Arc::clone(&self.layout);
        let mut staged = Vec::with_capacity(layout.columns().len());
        let start = self.begin_row();
        for column in layout.columns() {
            let cell = match cell_of(column)? {
                None => StagedCell::NotSet,
                Some(Cell::Slots(slots)) => StagedCell::Slots(stage_slots(&slots, column, schema)?),
                Some(Cell::Latest {
                    version,
                    content: Content::Null,
                }) => StagedCell::Null(version.event_time),
                Some(Cell::Latest {
                    version,
                    content: Content::Value(bytes),
                }) => {
                    let wide = widened(&bytes, column, schema)?;
                    self.put(start, column, wide.as_deref().unwrap_or(&bytes));
                    StagedCell::Value(version.event_time)
                }
            };
            staged.push(cell);
        }
        let row = u32::try_from(self.times.len()).expect("rows of a lookup are limited");
        let uniform = uniform_time(&staged);
        self.times.push(uniform.unwrap_or_default());
        if uniform.is_none() {
            self.exceptions.push((row, Exception::Cells(staged)));
        }
        Ok(())
    }

    fn push_exception(&mut self, exception: Exception) {
        let row = u32::try_from(self.times.len()).expect("rows of a lookup are limited");
        self.begin_row();
        self.times.push(EventTime::default());
        self.exceptions.push((row, exception));
    }

    fn begin_row(&mut self) -> usize {
        let start = self.fixed.len();
        self.fixed.resize(start + self.layout.row_bytes(), 0);
        start
    }

    fn put(&mut self, row_start: usize, column: &StagedColumn, bytes: &[u8]) {
        let at = row_start + column.offset;
        if !column.is_variable() {
            self.fixed[at..at + column.width].copy_from_slice(bytes);
            return;
        }
        if self.heap.len() + bytes.len() > MESSAGE_BYTES {
            self.is_overfull = true;
            return;
        }
        let place = |at: usize| {
            u32::try_from(at)
                .expect("the heap is limited to 64 MiB")
                .to_le_bytes()
        };
        let start = place(self.heap.len());
        self.heap.extend_from_slice(bytes);
        let end = place(self.heap.len());
        self.fixed[at..at + PLACE_BYTES / 2].copy_from_slice(&start);
        self.fixed[at + PLACE_BYTES / 2..at + PLACE_BYTES].copy_from_slice(&end);
    }
}

/// The one event time of cells that are all values, if that is what they are.
fn uniform_time(cells: &[StagedCell]) -> Option<EventTime> {
    let StagedCell::Value(first) = cells.first()? else {
        return None;
    };
    cells
        .iter()
        .all(|cell| *cell == StagedCell::Value(*first))
        .then_some(*first)
}

fn widened(
    bytes: &[u8],
    column: &StagedColumn,
    schema: &RowSchema,
) -> Result<Option<Vec<u8>>, Malformed> {
    let stored = schema.columns()[usize::from(column.feature.0)].ty;
    let malformed = Malformed {
        format: "cell",
        fault: "its type does not widen to its feature's",
    };
    if stored != column.ty {
        return value::widen(stored, column.ty, bytes)
            .map(Some)
            .ok_or(malformed);
    }
    let fits = column.ty.width().is_none_or(|width| width == bytes.len());
    if fits {
        Ok(None)
    } else {
        Err(Malformed {
            format: "cell",
            fault: "its length is not its type's",
        })
    }
}

fn stage_slots(
    slots: &[Slot],
    column: &StagedColumn,
    schema: &RowSchema,
) -> Result<SmallVec<[StagedSlot; 2]>, Malformed> {
    slots
        .iter()
        .map(|slot| {
            let time = slot.version.event_time;
            let Content::Value(bytes) = &slot.content else {
                return Ok(StagedSlot { time, value: None });
            };
            let wide = widened(bytes, column, schema)?;
            let bytes = wide.as_deref().unwrap_or(bytes);
            let mut value = [0; 8];
            let room = value.get_mut(..bytes.len());
            room.ok_or(Malformed {
                format: "slot",
                fault: "its type cannot combine",
            })?
            .copy_from_slice(bytes);
            Ok(StagedSlot {
                time,
                value: Some(value),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::{
        hlc::Hlc,
        id::{FeatureId, RegionId, SchemaVersion, ViewId},
        record::{RecordKind, encode},
        schema::Column,
        version::Version,
    };

    #[test]
    fn a_record_that_breaks_off_does_not_shift_the_rows_after_it() {
        let columns = ["int64", "string"].map(|ty| Column::of(ty.parse().unwrap()));
        let schema = Arc::new(RowSchema::new(
            ViewId(1),
            SchemaVersion(1),
            columns.to_vec(),
        ));
        let layout = Arc::new(Layout::new(
            Arc::clone(&schema),
            [FeatureId(0), FeatureId(1)],
        ));
        let version = Version {
            event_time: EventTime::saturating(5),
            write_time: Hlc(6),
            origin: RegionId(1),
        };
        let mut row = Row::default();
        let cell = |content: &'static [u8]| Cell::Latest {
            version,
            content: Content::Value(content.into()),
        };
        row.set(FeatureId(0), cell(&[7, 0, 0, 0, 0, 0, 0, 0]));
        row.set(FeatureId(1), cell(b"text"));
        let good = encode(&row, RecordKind::OwnDelta, b"key", &schema)
            .unwrap()
            .bytes;
        let mut bad = good.clone();
        let end = RecordView::parse(&good).unwrap().fixed_area() + 8;
        bad[end..end + 4].copy_from_slice(&u32::MAX.to_le_bytes());

        let mut staging = Staging::with_capacity(layout, 2);
        let broken = RecordView::parse(&bad).unwrap();
        assert!(staging.push_record(&broken, &schema).is_err());
        staging.push_unavailable();
        staging
            .push_record(&RecordView::parse(&good).unwrap(), &schema)
            .unwrap();
        let row_bytes = staging.layout().row_bytes();
        assert_eq!((staging.rows(), staging.fixed().len()), (2, 2 * row_bytes));
        assert_eq!(staging.fixed()[row_bytes], 7);
    }
}
