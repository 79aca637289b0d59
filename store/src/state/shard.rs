//! The bytes of a shard's state.
//!
//! ```text
//! last, commit: epoch 4, position 8 each | collected 8 | largest HLC 8 | begun in group 8 |
//! condition 1 | streams: count 4, then (origin 2, placement 2, incarnation 4, sequence 8, HLC 8,
//! closed 8, link position 8) each |
//! version 1: requests: count 4, then 34 bytes each, which nothing reads any more
//! version 2: starts: count 4, then (origin 2, placement 2, length 4, extras) each |
//!            carried 1: 0, or 1 and (file 8, crc-32c 4)
//! ```

use super::{Carried, Condition, LogEnd, ShardState, StreamMark};
use bytes::Bytes;
use proto::{
    codec::{Malformed, Reader},
    hlc::Hlc,
    id::{Epoch, Incarnation, PlacementId, Position, RegionId, Sequence},
};

/// What version 1 took for a request.
const REQUEST_BYTES: usize = 34;

type StreamId = (RegionId, PlacementId);

impl ShardState {
    /// Writes it as version 2.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        for end in [self.last, self.commit] {
            out.extend(end.epoch.0.to_le_bytes());
            out.extend(end.position.0.to_le_bytes());
        }
        out.extend(self.collected.0.to_le_bytes());
        out.extend(self.largest_hlc.0.to_le_bytes());
        out.extend(self.begun_in_group.to_le_bytes());
        out.push(match self.condition {
            Condition::Whole => 0,
            Condition::Installing => 1,
            Condition::Quarantined => 2,
        });
        out.extend((self.streams.len() as u32).to_le_bytes());
        for (stream, mark) in &self.streams {
            put_stream(out, *stream);
            out.extend(mark.incarnation.0.to_le_bytes());
            let numbers = [
                mark.sequence.0,
                mark.hlc.0,
                mark.closed.0,
                mark.link_position,
            ];
            numbers
                .iter()
                .for_each(|number| out.extend(number.to_le_bytes()));
        }
        out.extend((self.starts.len() as u32).to_le_bytes());
        for (stream, extras) in &self.starts {
            put_stream(out, *stream);
            out.extend((extras.len() as u32).to_le_bytes());
            out.extend(extras);
        }
        out.push(u8::from(self.carried.is_some()));
        if let Some(Carried { file, crc }) = self.carried {
            out.extend(file.to_le_bytes());
            out.extend(crc.to_le_bytes());
        }
    }

    /// Reads it as `version` wrote it.
    pub(crate) fn decode(reader: &mut Reader<'_>, version: u16) -> Result<Self, Malformed> {
        let mut end = || {
            Ok(LogEnd {
                epoch: Epoch(reader.u32()?),
                position: Position(reader.u64()?),
            })
        };
        let (last, commit) = (end()?, end()?);
        let (collected, largest_hlc) = (Hlc(reader.u64()?), Hlc(reader.u64()?));
        let begun_in_group = reader.u64()?;
        let condition = match reader.u8()? {
            0 => Condition::Whole,
            1 => Condition::Installing,
            2 => Condition::Quarantined,
            _ => return Err(reader.malformed("its condition is unknown")),
        };
        let streams = (0..reader.u32()?)
            .map(|_| mark(reader))
            .collect::<Result<_, _>>()?;
        let mut state = Self {
            last,
            commit,
            streams,
            collected,
            largest_hlc,
            condition,
            begun_in_group,
            ..Self::default()
        };
        if version == 1 {
            let requests = reader.u32()? as usize;
            reader.take(requests * REQUEST_BYTES)?;
            return Ok(state);
        }
        state.starts = (0..reader.u32()?)
            .map(|_| start(reader))
            .collect::<Result<_, _>>()?;
        state.carried = match reader.u8()? {
            0 => None,
            _ => Some(Carried {
                file: reader.u64()?,
                crc: reader.u32()?,
            }),
        };
        Ok(state)
    }
}

fn put_stream(out: &mut Vec<u8>, (origin, placement): StreamId) {
    out.extend(origin.0.to_le_bytes());
    out.extend(placement.0.to_le_bytes());
}

fn stream(reader: &mut Reader<'_>) -> Result<StreamId, Malformed> {
    Ok((RegionId(reader.u16()?), PlacementId(reader.u16()?)))
}

fn mark(reader: &mut Reader<'_>) -> Result<(StreamId, StreamMark), Malformed> {
    let stream = stream(reader)?;
    let mark = StreamMark {
        incarnation: Incarnation(reader.u32()?),
        sequence: Sequence(reader.u64()?),
        hlc: Hlc(reader.u64()?),
        closed: Hlc(reader.u64()?),
        link_position: reader.u64()?,
    };
    Ok((stream, mark))
}

fn start(reader: &mut Reader<'_>) -> Result<(StreamId, Bytes), Malformed> {
    let stream = stream(reader)?;
    let length = reader.u32()? as usize;
    Ok((stream, Bytes::copy_from_slice(reader.take(length)?)))
}
