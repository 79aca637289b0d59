//! Looking at single cells of a record, and building the row that the merge rule works on.

use super::{Cells, RecordView, SLOT_BYTES};
use crate::{
    codec::{Malformed, Reader},
    hlc::Hlc,
    id::{FeatureId, RegionId},
    row::{Cell, Content, Row, Slot},
    schema::{Column, Combine, RowSchema},
    time::EventTime,
    version::Version,
};
use bytes::Bytes;
use smallvec::SmallVec;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CellState {
    /// It was never set.
    NotSet,
    /// A value.
    Value,
    /// A written null.
    Null,
}

const fn malformed(fault: &'static str) -> Malformed {
    Malformed {
        format: "record",
        fault,
    }
}

impl<'a> Cells<'a> {
    /// What the column of `feature` holds.
    pub fn state(&self, feature: FeatureId) -> Result<CellState, Malformed> {
        if self.record.is_all_values() {
            return Ok(CellState::Value);
        }
        let place = usize::from(feature.0);
        let byte = self.record.bytes()[self.record.states_at() + place / 4];
        match byte >> (2 * (place % 4)) & 3 {
            0 => Ok(CellState::NotSet),
            1 => Ok(CellState::Value),
            2 => Ok(CellState::Null),
            _ => Err(malformed("a cell's state is unknown")),
        }
    }

    /// The version of the column of `feature`; of a column that combines, its largest slot's.
    pub fn version(&self, feature: FeatureId) -> Result<Version, Malformed> {
        let place = usize::from(feature.0);
        let at = self.record.version_indexes_at();
        let bytes = self.record.bytes();
        let index = match self.record.extra_versions() {
            0 => 0,
            1..=255 => usize::from(bytes[at + place]),
            _ => usize::from(u16::from_le_bytes([
                bytes[at + 2 * place],
                bytes[at + 2 * place + 1],
            ])),
        };
        self.record
            .version_number(index)
            .ok_or(malformed("a cell names a version that is not there"))
    }

    /// The stored bytes of the column of `feature`: zeros or nothing where it holds no value.
    pub fn bytes(&self, feature: FeatureId) -> Result<&'a [u8], Malformed> {
        let column = &self.schema.columns()[usize::from(feature.0)];
        let at = self.fixed + self.schema.offset(feature);
        let fixed = &self.record.bytes()[at..at + column.fixed_width()];
        if !column.is_variable() {
            return Ok(fixed);
        }
        let end = self.variable_end(feature);
        let start = self.variable_start(feature);
        let area = &self.record.bytes()[self.variable..];
        area.get(start..end)
            .ok_or(malformed("a variable cell lies outside"))
    }

    fn variable_end(&self, feature: FeatureId) -> usize {
        let at = self.fixed + self.schema.offset(feature);
        let end = self.record.bytes()[at..]
            .first_chunk()
            .expect("the fixed area was checked");
        u32::from_le_bytes(*end) as usize
    }

    fn variable_start(&self, feature: FeatureId) -> usize {
        let before = &self.schema.columns()[..usize::from(feature.0)];
        before
            .iter()
            .rposition(Column::is_variable)
            .map_or(0, |place| {
                self.variable_end(FeatureId(
                    u16::try_from(place).expect("a column's place has 16 bits"),
                ))
            })
    }

    /// The slots of a column that combines.
    pub fn slots(&self, feature: FeatureId) -> Result<SmallVec<[Slot; 1]>, Malformed> {
        let bytes = self.bytes(feature)?;
        if bytes.len() % SLOT_BYTES != 0 {
            return Err(malformed("a slot is cut off"));
        }
        let width = self.schema.columns()[usize::from(feature.0)].ty.width();
        let width = width
            .filter(|width| *width <= 8)
            .ok_or(malformed("its type cannot combine"))?;
        bytes
            .chunks_exact(SLOT_BYTES)
            .map(|slot| decode_slot(slot, width))
            .collect()
    }

    fn cell(&self, feature: FeatureId, own: &Bytes) -> Result<Option<Cell>, Malformed> {
        let state = self.state(feature)?;
        if state == CellState::NotSet {
            return Ok(None);
        }
        if self.schema.columns()[usize::from(feature.0)].combine != Combine::Latest {
            let slots = self.slots(feature)?;
            return if slots.is_empty() {
                Err(malformed("a set cell has no slot"))
            } else {
                Ok(Some(Cell::Slots(slots)))
            };
        }
        let content = match state {
            CellState::Null | CellState::NotSet => Content::Null,
            CellState::Value => Content::Value(own.slice_ref(self.bytes(feature)?)),
        };
        Ok(Some(Cell::Latest {
            version: self.version(feature)?,
            content,
        }))
    }
}

fn decode_slot(bytes: &[u8], width: usize) -> Result<Slot, Malformed> {
    let mut reader = Reader::new(bytes, "slot");
    let (region, origin) = (RegionId(reader.u16()?), RegionId(reader.u16()?));
    let state = reader.u32()?;
    let event_time = EventTime::saturating(reader.u64()?);
    let write_time = Hlc(reader.u64()?);
    let value = reader.take(8)?;
    let content = match state {
        1 => Content::Value(Bytes::copy_from_slice(&value[..width])),
        2 => Content::Null,
        _ => return Err(reader.malformed("its state is unknown")),
    };
    Ok(Slot {
        region,
        version: Version {
            event_time,
            write_time,
            origin,
        },
        content,
    })
}

impl RecordView<'_> {
    /// The row, under the record's own schema.
    pub fn to_row(&self, schema: &RowSchema) -> Result<Row, Malformed> {
        if self.kind().is_tombstone() {
            return Ok(Row::deleted(self.version()));
        }
        let own = Bytes::copy_from_slice(self.bytes());
        let record = RecordView::parse(&own)?;
        let cells = record.cells(schema)?;
        let features = (0..self.columns()).map(|place| FeatureId(place as u16));
        let mut row = Row {
            deletion: self.deletion(),
            cells: features
                .map(|feature| cells.cell(feature, &own))
                .collect::<Result<_, _>>()?,
        };
        // The row's canonical form has no trailing places that were never set.
        row.retain(|_| true);
        Ok(row)
    }
}
