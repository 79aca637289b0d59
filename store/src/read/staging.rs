//! Where a batch's rows are put: fixed runs row after row, whole records end to end.

use super::{Candidates, Copy, Plan, ReadRequest, plan::copy_runs};
use proto::{
    id::{Position, ShardId},
    record::RecordView,
    version::Version,
};
use std::ops::Range;

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowState {
    /// There is no such row.
    Missing,
    /// It is staged as the plan says.
    Found,
    /// It is there, but not as plain as the plan's runs need: its whole record is kept.
    Slow,
    /// It was deleted; the tombstone's record is kept.
    Deleted,
    /// It cannot be read, or the shard waits for a new copy: unavailable, never absent.
    Damaged,
    /// It is not in memory; see [`crate::Store::read_cold`].
    Cold,
}

/// One row of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagedRow {
    /// What became of it.
    pub state: RowState,
    /// Its largest version, where it was read.
    pub version: Option<Version>,
    /// The position of its entry.
    pub position: Position,
    cells: Range<usize>,
    record: Range<usize>,
}

/// The rows of a batch, in the order of its requests. Use it again: it keeps its memory.
#[derive(Default)]
pub struct Staging {
    pub(super) rows: Vec<StagedRow>,
    cells: Vec<u8>,
    records: Vec<u8>,
    pub(super) applied: Vec<(ShardId, Position)>,
    waiting: Vec<(usize, Candidates)>,
    pub(super) buffer: Vec<u8>,
}

impl Staging {
    /// An empty staging area.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The rows, in the order of the requests.
    #[must_use]
    pub fn rows(&self) -> &[StagedRow] {
        &self.rows
    }

    /// The bytes that the plan's runs put into row `at`; zeros unless it was found.
    #[must_use]
    pub fn cells(&self, at: usize) -> &[u8] {
        &self.cells[self.rows[at].cells.clone()]
    }

    /// All staged rows of runs, end to end.
    #[must_use]
    pub fn all_cells(&self) -> &[u8] {
        &self.cells
    }

    /// The whole record of row `at`, where it was kept.
    #[must_use]
    pub fn record(&self, at: usize) -> Option<RecordView<'_>> {
        let bytes = &self.records[self.rows[at].record.clone()];
        (!bytes.is_empty())
            .then(|| RecordView::parse(bytes).expect("it was sound when it was kept"))
    }

    /// The position at which each shard of the batch was read, by shard.
    #[must_use]
    pub fn applied(&self) -> &[(ShardId, Position)] {
        &self.applied
    }

    /// Whether rows wait for the device.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(super) fn start(&mut self, requests: &[ReadRequest<'_>], plans: &[Plan]) {
        self.rows.clear();
        self.records.clear();
        self.applied.clear();
        self.waiting.clear();
        let mut cells = 0;
        for request in requests {
            let stride = plans[usize::from(request.plan)].stride();
            self.rows.push(StagedRow {
                state: RowState::Missing,
                version: None,
                position: Position(0),
                cells: cells..cells + stride,
                record: 0..0,
            });
            cells += stride;
        }
        self.cells.clear();
        self.cells.resize(cells, 0);
    }

    pub(super) fn wait_for(&mut self, at: usize, candidates: Candidates) {
        self.rows[at].state = RowState::Cold;
        self.waiting.push((at, candidates));
    }

    pub(super) fn take_waiting(&mut self) -> Vec<(usize, Candidates)> {
        std::mem::take(&mut self.waiting)
    }

    pub(super) fn stage_damaged(&mut self, at: usize) {
        let row = &mut self.rows[at];
        if row.state == RowState::Missing {
            row.state = RowState::Damaged;
        }
    }

    pub(super) fn stage(&mut self, at: usize, record: &RecordView<'_>, plan: &Plan) {
        let row = &mut self.rows[at];
        // Two places of one key: the later one is the row.
        if row.version.is_some() && row.position >= record.position() {
            return;
        }
        row.version = Some(record.version());
        row.position = record.position();
        row.state = RowState::Found;
        if record.kind().is_tombstone() {
            row.state = RowState::Deleted;
        } else if let Copy::Runs { schema, runs, .. } = &plan.copy {
            if copy_runs(record, *schema, runs, &mut self.cells[row.cells.clone()]) {
                return;
            }
            row.state = RowState::Slow;
        }
        let start = self.records.len();
        self.records.extend_from_slice(record.bytes());
        self.rows[at].record = start..self.records.len();
    }
}
