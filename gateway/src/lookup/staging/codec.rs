//! Staged rows between processes: what a replica on another node answers with.
//!
//! ```text
//! rows 4 | bytes of the heap 4 | exceptions 4 | overfull 4 (0 or 1)
//! event times, 8 a row | rows of the layout's bytes | heap
//! each exception: row 4 | kind 1 (0 absent, 1 unavailable, 2 cells)
//!   each cell: kind 1 (0 not set, 1 null, 2 value, 3 slots) | event time 8, or slots:
//!     how many 2 | each: event time 8 | 1 with a value | value 8
//! ```
//!
//! Little endian. Nothing of it is stored; both ends know the layout from the request.

use super::{Exception, Layout, StagedCell, StagedSlot, Staging};
use proto::{
    codec::{Malformed, Reader},
    time::EventTime,
};
use std::sync::Arc;

const ABSENT: u8 = 0;
const UNAVAILABLE: u8 = 1;
const CELLS: u8 = 2;

const NOT_SET: u8 = 0;
const NULL: u8 = 1;
const VALUE: u8 = 2;
const SLOTS: u8 = 3;

impl Staging {
    /// Appends the rows to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let count = |length: usize| {
            u32::try_from(length)
                .expect("an answer is limited to 64 MiB")
                .to_le_bytes()
        };
        out.extend(count(self.rows()));
        out.extend(count(self.heap.len()));
        out.extend(count(self.exceptions.len()));
        out.extend(u32::from(self.is_overfull).to_le_bytes());
        self.times.iter().for_each(|time| encode_time(*time, out));
        out.extend_from_slice(&self.fixed);
        out.extend_from_slice(&self.heap);
        for (row, exception) in &self.exceptions {
            out.extend(row.to_le_bytes());
            match exception {
                Exception::Absent => out.push(ABSENT),
                Exception::Unavailable => out.push(UNAVAILABLE),
                Exception::Cells(cells) => {
                    out.push(CELLS);
                    cells.iter().for_each(|cell| encode_cell(cell, out));
                }
            }
        }
    }

    /// Reads rows of `layout`; `bytes` hold nothing else.
    pub fn decode(layout: Arc<Layout>, bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes, "staged rows");
        let [rows, heap, exceptions] =
            [reader.u32()?, reader.u32()?, reader.u32()?].map(|count| count as usize);
        let is_overfull = reader.u32()? != 0;
        let times = reader.take(rows.saturating_mul(8))?;
        let fixed = reader
            .take(rows.saturating_mul(layout.row_bytes()))?
            .to_vec();
        let heap = reader.take(heap)?.to_vec();
        let times = times
            .as_chunks()
            .0
            .iter()
            .map(|time| EventTime::saturating(u64::from_le_bytes(*time)));
        let mut staging = Self {
            layout,
            times: times.collect(),
            fixed,
            heap,
            exceptions: Vec::new(),
            is_overfull,
        };
        for _ in 0..exceptions {
            let row = reader.u32()?;
            let rises = staging
                .exceptions
                .last()
                .is_none_or(|(last, _)| *last < row);
            if !rises || row as usize >= rows {
                return Err(reader.malformed("an exception names a row that is not next"));
            }
            let exception = decode_exception(&mut reader, staging.layout.columns().len())?;
            staging.exceptions.push((row, exception));
        }
        reader.finish()?;
        Ok(staging)
    }
}

fn encode_time(time: EventTime, out: &mut Vec<u8>) {
    out.extend(time.micros().to_le_bytes());
}

fn decode_time(reader: &mut Reader<'_>) -> Result<EventTime, Malformed> {
    reader.u64().map(EventTime::saturating)
}

fn encode_cell(cell: &StagedCell, out: &mut Vec<u8>) {
    match cell {
        StagedCell::NotSet => out.push(NOT_SET),
        StagedCell::Null(time) => {
            out.push(NULL);
            encode_time(*time, out);
        }
        StagedCell::Value(time) => {
            out.push(VALUE);
            encode_time(*time, out);
        }
        StagedCell::Slots(slots) => {
            out.push(SLOTS);
            out.extend(
                u16::try_from(slots.len())
                    .expect("one slot per region")
                    .to_le_bytes(),
            );
            for slot in slots {
                encode_time(slot.time, out);
                out.push(u8::from(slot.value.is_some()));
                out.extend(slot.value.unwrap_or_default());
            }
        }
    }
}

fn decode_exception(reader: &mut Reader<'_>, columns: usize) -> Result<Exception, Malformed> {
    match reader.u8()? {
        ABSENT => Ok(Exception::Absent),
        UNAVAILABLE => Ok(Exception::Unavailable),
        CELLS => (0..columns)
            .map(|_| decode_cell(reader))
            .collect::<Result<_, _>>()
            .map(Exception::Cells),
        _ => Err(reader.malformed("the kind of an exception is unknown")),
    }
}

fn decode_cell(reader: &mut Reader<'_>) -> Result<StagedCell, Malformed> {
    match reader.u8()? {
        NOT_SET => Ok(StagedCell::NotSet),
        NULL => decode_time(reader).map(StagedCell::Null),
        VALUE => decode_time(reader).map(StagedCell::Value),
        SLOTS => {
            let count = reader.u16()?;
            (0..count)
                .map(|_| decode_slot(reader))
                .collect::<Result<_, _>>()
                .map(StagedCell::Slots)
        }
        _ => Err(reader.malformed("the kind of a cell is unknown")),
    }
}

fn decode_slot(reader: &mut Reader<'_>) -> Result<StagedSlot, Malformed> {
    let time = decode_time(reader)?;
    let has_value = reader.u8()? == 1;
    let value = reader.array()?;
    Ok(StagedSlot {
        time,
        value: has_value.then_some(value),
    })
}
