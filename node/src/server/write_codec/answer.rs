//! What became of a part, on its way back to the gateway.

use super::VERSION;
use crate::server::{
    frames::{checked, opened, sealed},
    shards::PartAnswer,
};
use bytes::Bytes;
use proto::{
    codec::{Malformed, Reader},
    hlc::Hlc,
    id::{Incarnation, PlacementId, Position, Sequence},
    reason::{Reason, Refusal},
    request::WriteOutcome,
};
use replication::requests::Written;
use std::time::Duration;

const UNKNOWN: u8 = 0;
const WRITTEN: u8 = 1;
const REFUSED: u8 = 2;

const NO_HINT: u64 = u64::MAX;
/// What a refusal says to a person; longer texts are cut.
const TEXT_BYTES: usize = 1 << 10;

/// The bytes of an answer.
#[must_use]
pub fn encode_answer(answer: &PartAnswer) -> Bytes {
    let mut out = opened(VERSION, 256);
    match answer {
        PartAnswer::Unknown => out.push(UNKNOWN),
        PartAnswer::Written { written, copies } => {
            out.push(WRITTEN);
            out.extend(copies.to_le_bytes());
            out.extend(written.position.0.to_le_bytes());
            out.extend(written.placement.0.to_le_bytes());
            out.extend(written.incarnation.0.to_le_bytes());
            out.extend(written.sequence.0.to_le_bytes());
            out.extend(written.hlc.0.to_le_bytes());
            written.outcome.encode(&mut out);
        }
        PartAnswer::Refused {
            refusal,
            retry_after,
        } => {
            out.push(REFUSED);
            out.extend((refusal.reason as u16).to_le_bytes());
            let micros = |after: Duration| u64::try_from(after.as_micros()).unwrap_or(NO_HINT);
            out.extend(retry_after.map_or(NO_HINT, micros).to_le_bytes());
            encode_text(&refusal.field, &mut out);
            encode_text(&refusal.message, &mut out);
        }
    }
    sealed(out)
}

fn encode_text(text: &str, out: &mut Vec<u8>) {
    let cut = text.floor_char_boundary(TEXT_BYTES);
    out.extend((cut as u16).to_le_bytes());
    out.extend(&text.as_bytes()[..cut]);
}

/// Reads an answer.
pub fn decode_answer(bytes: &[u8]) -> Result<PartAnswer, Malformed> {
    let mut reader = checked(bytes, VERSION, "answer to a part of a write")?;
    let answer = match reader.u8()? {
        UNKNOWN => PartAnswer::Unknown,
        WRITTEN => decode_written(&mut reader)?,
        REFUSED => decode_refused(&mut reader)?,
        _ => return Err(reader.malformed("its kind is unknown")),
    };
    reader.finish()?;
    Ok(answer)
}

fn decode_written(reader: &mut Reader<'_>) -> Result<PartAnswer, Malformed> {
    Ok(PartAnswer::Written {
        copies: reader.u32()?,
        written: Written {
            position: Position(reader.u64()?),
            placement: PlacementId(reader.u16()?),
            incarnation: Incarnation(reader.u32()?),
            sequence: Sequence(reader.u64()?),
            hlc: Hlc(reader.u64()?),
            outcome: WriteOutcome::decode(reader)?,
            // The primary compared it.
            sent: None,
        },
    })
}

fn decode_refused(reader: &mut Reader<'_>) -> Result<PartAnswer, Malformed> {
    let number = reader.u16()?;
    // A newer release's reason: the refusal stands, only its name is not known here.
    let reason = Reason::from_number(number).unwrap_or(Reason::InvalidRequest);
    let hint = reader.u64()?;
    let (field, message) = (decode_text(reader)?, decode_text(reader)?);
    Ok(PartAnswer::Refused {
        refusal: Refusal {
            reason,
            field,
            message,
        },
        retry_after: (hint != NO_HINT).then(|| Duration::from_micros(hint)),
    })
}

fn decode_text(reader: &mut Reader<'_>) -> Result<String, Malformed> {
    let length = reader.u16()?;
    let bytes = reader.take(usize::from(length))?;
    let text = std::str::from_utf8(bytes);
    text.map(str::to_owned)
        .map_err(|_| reader.malformed("a text is not UTF-8"))
}
