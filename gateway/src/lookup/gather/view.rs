//! All columns of one view: copy every row, then correct the odd ones.

use super::{
    Ages, DEFAULTED, Gathered, Part, Status, Wishes, buffer::Buffer, odd::Verdict,
    statuses::SharedArrays,
};
use crate::{
    failure::Failure,
    lookup::{
        plan::too_large,
        select::SelectedView,
        staging::{Exception, Staging},
    },
};
use bytes::Bytes;
use proto::time::EventTime;
use wire::twin;

/// Rows that are transposed together: their bytes stay in the nearest cache while the columns pass.
const TILE_ROWS: usize = 8;

/// Fills one view's columns.
pub struct Gatherer<'a> {
    view: &'a SelectedView,
    rows: usize,
    ages: Ages,
    wishes: Wishes,
    buffers: Vec<Buffer>,
    /// Event time of each row whose cells have one; zero elsewhere.
    times: Vec<EventTime>,
}

/// A row that is not simply all present.
enum Odd<'a> {
    /// The same for all its cells.
    Row(Verdict),
    /// Cell by cell.
    Cells(&'a [crate::lookup::staging::StagedCell]),
}

impl Odd<'_> {
    fn verdict(&self, column: usize, gatherer: &Gatherer<'_>) -> Verdict {
        match self {
            Self::Row(verdict) => *verdict,
            Self::Cells(cells) => Verdict::on(
                &cells[column],
                &gatherer.view.layout.columns()[column],
                gatherer.ages,
            ),
        }
    }
}

impl<'a> Gatherer<'a> {
    /// Columns of `rows` empty rows.
    pub fn new(view: &'a SelectedView, rows: usize, ages: Ages, wishes: Wishes) -> Self {
        let buffers = view
            .layout
            .columns()
            .iter()
            .map(|column| Buffer::new(column.ty, rows))
            .collect();
        Self {
            view,
            rows,
            ages,
            wishes,
            buffers,
            times: vec![EventTime::default(); rows],
        }
    }

    /// Takes the parts of all replicas in, and gives the columns in the layout's order, without
    /// names. Rows that are `missing` came from none.
    pub fn gather(
        mut self,
        mut parts: Vec<Part<'_>>,
        missing: &[u32],
        answer: &mut Gathered,
    ) -> Result<Vec<twin::Column>, Failure> {
        for part in &mut parts {
            if part.staging.is_overfull() {
                return Err(too_large());
            }
            let heap = Bytes::from(part.staging.take_heap());
            self.copy_rows(part.rows, part.staging);
            self.copy_heap(part.rows, part.staging, &heap)?;
        }
        let odd = self.find_odd(&parts, missing);
        let shared = self.settle(&odd, answer);
        let columns = self
            .view
            .layout
            .columns()
            .iter()
            .zip(self.buffers)
            .zip(shared);
        columns
            .map(|((staged, buffer), (statuses, times))| {
                let column = buffer.into_column(staged.ty)?;
                Ok(twin::Column {
                    statuses,
                    times,
                    ..column
                })
            })
            .collect()
    }

    /// Copies values of fixed width from rows to columns.
    fn copy_rows(&mut self, rows: &[u32], staging: &Staging) {
        for (row, time) in rows.iter().zip(staging.times()) {
            self.times[*row as usize] = *time;
        }
        let row_bytes = self.view.layout.row_bytes();
        let tiles = staging
            .fixed()
            .chunks(TILE_ROWS * row_bytes.max(1))
            .zip(rows.chunks(TILE_ROWS));
        for (tile, rows) in tiles {
            for (column, buffer) in self.view.layout.columns().iter().zip(&mut self.buffers) {
                let Buffer::Fixed(values) = buffer else {
                    continue;
                };
                match column.width {
                    8 => copy_tile::<8>(tile, row_bytes, column.offset, rows, values),
                    4 => copy_tile::<4>(tile, row_bytes, column.offset, rows, values),
                    1 => copy_tile::<1>(tile, row_bytes, column.offset, rows, values),
                    width => copy_wide_tile(tile, row_bytes, column.offset, width, rows, values),
                }
            }
        }
    }

    /// Lets cells of any length point into the part's heap.
    fn copy_heap(&mut self, rows: &[u32], staging: &Staging, heap: &Bytes) -> Result<(), Failure> {
        for (column, buffer) in self.view.layout.columns().iter().zip(&mut self.buffers) {
            let Buffer::Variable(cells) = buffer else {
                continue;
            };
            for (at, row) in rows.iter().enumerate() {
                let place = staging.place(at, column);
                if place.start > place.end || place.end > heap.len() {
                    return Err(Failure::internal("a staged value lies outside its heap"));
                }
                cells[*row as usize] = heap.slice(place);
            }
        }
        Ok(())
    }

    /// The odd rows: exceptions, rows that are too old, rows that did not come.
    fn find_odd<'p>(&self, parts: &'p [Part<'_>], missing: &[u32]) -> Vec<(usize, Odd<'p>)> {
        let failed = |row: &u32| {
            let verdict = Verdict::bare(Status::Unavailable);
            (*row as usize, Odd::Row(verdict))
        };
        let mut odd: Vec<(usize, Odd<'p>)> = missing.iter().map(failed).collect();
        let served_from = self.ages.served_from();
        for part in parts {
            let mut exceptions = part.staging.exceptions().iter().peekable();
            for (at, (row, time)) in part.rows.iter().zip(part.staging.times()).enumerate() {
                let row = *row as usize;
                if let Some((_, exception)) = exceptions.next_if(|(place, _)| *place as usize == at)
                {
                    odd.push((row, of_exception(exception)));
                } else if *time < served_from {
                    odd.push((
                        row,
                        Odd::Row(Verdict::aged(self.ages, *time, Status::Present)),
                    ));
                }
            }
        }
        odd
    }

    /// Corrects the odd rows column by column, and says where each column's statuses and times are.
    fn settle(&mut self, odd: &[(usize, Odd<'_>)], answer: &mut Gathered) -> Vec<(u32, u32)> {
        let (mut statuses, mut times) = (SharedArrays::default(), SharedArrays::default());
        let mut shared = Vec::with_capacity(self.buffers.len());
        for column in 0..self.buffers.len() {
            let mut of_column =
                vec![Status::Present as u8; if odd.is_empty() { 0 } else { self.rows }];
            let mut is_all_present = true;
            for (row, odd) in odd {
                let verdict = odd.verdict(column, self);
                of_column[*row] = self.correct(column, *row, &verdict);
                is_all_present &= verdict.status == Status::Present;
                self.times[*row] = verdict.time;
            }
            let statuses = if is_all_present {
                0
            } else {
                statuses.statuses(of_column, answer)
            };
            let times = if self.wishes.event_times {
                times.times(self.encoded_times(), answer)
            } else {
                0
            };
            shared.push((statuses, times));
        }
        shared
    }

    /// Puts into an odd place what its verdict asks for, and gives its status byte.
    fn correct(&mut self, column: usize, row: usize, verdict: &Verdict) -> u8 {
        let width = self.view.layout.columns()[column].width;
        let buffer = &mut self.buffers[column];
        match verdict.status {
            Status::Present => {
                if let Some(word) = verdict.combined {
                    buffer.set(row, width, &word[..width]);
                }
                Status::Present as u8
            }
            Status::NotFound => {
                let default = self
                    .view
                    .feature(column)
                    .default
                    .as_deref()
                    .filter(|_| self.wishes.defaults);
                buffer.set(row, width, default.unwrap_or_default());
                Status::NotFound as u8 + default.map_or(0, |_| DEFAULTED)
            }
            status @ (Status::NullValue | Status::OutsideMaxAge | Status::Unavailable) => {
                buffer.set(row, width, &[]);
                status as u8
            }
        }
    }

    fn encoded_times(&self) -> Vec<u8> {
        self.times
            .iter()
            .flat_map(|time| time.micros().to_le_bytes())
            .collect()
    }
}

fn of_exception(exception: &Exception) -> Odd<'_> {
    match exception {
        Exception::Absent => Odd::Row(Verdict::bare(Status::NotFound)),
        Exception::Unavailable => Odd::Row(Verdict::bare(Status::Unavailable)),
        Exception::Cells(cells) => Odd::Cells(cells),
    }
}

fn copy_tile<const WIDTH: usize>(
    tile: &[u8],
    row_bytes: usize,
    offset: usize,
    rows: &[u32],
    values: &mut [u8],
) {
    let (places, _) = values.as_chunks_mut::<WIDTH>();
    for (bytes, row) in tile.chunks_exact(row_bytes).zip(rows) {
        places[*row as usize] = *bytes[offset..]
            .first_chunk()
            .expect("a column lies within its row");
    }
}

fn copy_wide_tile(
    tile: &[u8],
    row_bytes: usize,
    offset: usize,
    width: usize,
    rows: &[u32],
    values: &mut [u8],
) {
    for (bytes, row) in tile.chunks_exact(row_bytes).zip(rows) {
        let at = *row as usize * width;
        values[at..at + width].copy_from_slice(&bytes[offset..offset + width]);
    }
}
