//! Messages. An append's entries are read without copying them.

use super::{
    VERSION, check_version, configuration, fence, flag, mark, member, put_configuration, put_fence,
    put_mark, put_member,
};
use crate::{
    closes::Round,
    context::Micros,
    entry::Entry,
    message::{Ack, Append, Body, Echo, Message, Mismatch},
};
use bytes::Bytes;
use proto::{
    codec::{Malformed, Reader},
    hlc::Hlc,
    id::{BootId, Incarnation, PlacementId, Position, RegionId, Sequence},
};

const APPEND: u8 = 1;
/// One that says nothing of other regions: what releases with one region alone read.
const CLOSE: u8 = 2;
const ACK: u8 = 3;
const MISMATCH: u8 = 4;
const BEHIND: u8 = 6;
/// 5 was a configuration that did not say how many copies there should be.
const CONFIGURATION: u8 = 7;
const CLOSE_OF_REGIONS: u8 = 8;

/// The bytes of a message.
#[must_use]
pub fn encode_message(message: &Message) -> Vec<u8> {
    let mut out = vec![VERSION];
    put_fence(&mut out, message.fence);
    match &message.body {
        Body::Append(append) => put_append(&mut out, append),
        Body::Close {
            member,
            session,
            round,
            echo,
        } => {
            let is_alone = round.ages.is_empty();
            out.push(if is_alone { CLOSE } else { CLOSE_OF_REGIONS });
            put_member(&mut out, *member);
            out.extend(session.to_le_bytes());
            put_round(&mut out, round);
            put_echo(&mut out, *echo);
            if !is_alone {
                put_ages(&mut out, &round.ages);
            }
        }
        Body::Ack(ack) => {
            out.push(ACK);
            put_member(&mut out, ack.member);
            out.extend(ack.boot.0.to_le_bytes());
            out.extend(ack.session.to_le_bytes());
            for number in [ack.durable.0, ack.promised, ack.clock.0] {
                out.extend(number.to_le_bytes());
            }
        }
        Body::Mismatch(mismatch) => {
            out.push(MISMATCH);
            put_member(&mut out, mismatch.member);
            out.extend(mismatch.boot.0.to_le_bytes());
            out.extend(mismatch.session.to_le_bytes());
            out.extend(mismatch.resume.0.to_le_bytes());
        }
        Body::Configuration(configuration) => {
            out.push(CONFIGURATION);
            put_configuration(&mut out, configuration);
        }
        Body::Behind => out.push(BEHIND),
    }
    out
}

fn put_append(out: &mut Vec<u8>, append: &Append) {
    out.push(APPEND);
    put_member(out, append.member);
    out.extend(append.session.to_le_bytes());
    put_mark(out, append.previous);
    out.extend(append.committed.0.to_le_bytes());
    out.extend(append.closed_through.to_le_bytes());
    out.extend((append.entries.len() as u32).to_le_bytes());
    for entry in &append.entries {
        out.extend((entry.bytes().len() as u32).to_le_bytes());
        out.extend_from_slice(entry.bytes());
    }
}

fn put_round(out: &mut Vec<u8>, round: &Round) {
    for number in [round.number, round.position.0, round.hlc.0] {
        out.extend(number.to_le_bytes());
    }
    out.extend((round.heads.len() as u32).to_le_bytes());
    for (placement, incarnation, sequence) in &round.heads {
        out.extend(placement.0.to_le_bytes());
        out.extend(incarnation.0.to_le_bytes());
        out.extend(sequence.0.to_le_bytes());
    }
}

fn put_ages(out: &mut Vec<u8>, ages: &[(RegionId, Micros)]) {
    out.extend((ages.len() as u32).to_le_bytes());
    for (origin, age) in ages {
        out.extend(origin.0.to_le_bytes());
        out.extend(age.0.to_le_bytes());
    }
}

fn put_echo(out: &mut Vec<u8>, echo: Option<Echo>) {
    out.push(u8::from(echo.is_some()));
    if let Some(echo) = echo {
        out.extend(echo.boot.0.to_le_bytes());
        out.extend(echo.instant.0.to_le_bytes());
    }
}

/// Reads a message, and compares the checksums of its entries.
pub fn decode_message(bytes: &Bytes) -> Result<Message, Malformed> {
    let reader = &mut Reader::new(bytes, "replication message");
    check_version(reader)?;
    let fence = fence(reader)?;
    let body = match reader.u8()? {
        APPEND => Body::Append(append(reader, bytes)?),
        kind @ (CLOSE | CLOSE_OF_REGIONS) => close(reader, kind)?,
        ACK => Body::Ack(Ack {
            member: member(reader)?,
            boot: BootId(reader.u64()?),
            session: reader.u32()?,
            durable: Position(reader.u64()?),
            promised: reader.u64()?,
            clock: Micros(reader.u64()?),
        }),
        MISMATCH => Body::Mismatch(Mismatch {
            member: member(reader)?,
            boot: BootId(reader.u64()?),
            session: reader.u32()?,
            resume: Position(reader.u64()?),
        }),
        CONFIGURATION => Body::Configuration(configuration(reader)?),
        BEHIND => Body::Behind,
        _ => return Err(reader.malformed("its kind is unknown")),
    };
    reader.finish()?;
    Ok(Message { fence, body })
}

fn close(reader: &mut Reader<'_>, kind: u8) -> Result<Body, Malformed> {
    let (member, session) = (member(reader)?, reader.u32()?);
    let (mut round, echo) = (round(reader)?, echo(reader)?);
    if kind == CLOSE_OF_REGIONS {
        round.ages = ages(reader)?;
    }
    Ok(Body::Close {
        member,
        session,
        round,
        echo,
    })
}

fn ages(reader: &mut Reader<'_>) -> Result<Vec<(RegionId, Micros)>, Malformed> {
    let count = reader.u32()?;
    let mut ages = Vec::new();
    for _ in 0..count {
        ages.push((RegionId(reader.u16()?), Micros(reader.u64()?)));
    }
    Ok(ages)
}

fn append(reader: &mut Reader<'_>, bytes: &Bytes) -> Result<Append, Malformed> {
    let (member, session) = (member(reader)?, reader.u32()?);
    let previous = mark(reader)?;
    let committed = Position(reader.u64()?);
    let closed_through = reader.u64()?;
    let count = reader.u32()?;
    let mut entries = Vec::new();
    for _ in 0..count {
        let length = reader.u32()? as usize;
        let entry = bytes.slice_ref(reader.take(length)?);
        entries.push(Entry::received(entry)?);
    }
    Ok(Append {
        member,
        session,
        previous,
        entries,
        committed,
        closed_through,
    })
}

fn round(reader: &mut Reader<'_>) -> Result<Round, Malformed> {
    let (number, position, hlc) = (reader.u64()?, reader.u64()?, reader.u64()?);
    let count = reader.u32()?;
    let mut heads = Vec::new();
    for _ in 0..count {
        let placement = PlacementId(reader.u16()?);
        let incarnation = Incarnation(reader.u32()?);
        heads.push((placement, incarnation, Sequence(reader.u64()?)));
    }
    Ok(Round {
        number,
        position: Position(position),
        hlc: Hlc(hlc),
        heads,
        ages: Vec::new(),
    })
}

fn echo(reader: &mut Reader<'_>) -> Result<Option<Echo>, Malformed> {
    if !flag(reader)? {
        return Ok(None);
    }
    Ok(Some(Echo {
        boot: BootId(reader.u64()?),
        instant: Micros(reader.u64()?),
    }))
}
