//! What a node answers with.

use super::{Version, put_length, put_token, take_token};
use crate::server::{
    fetch::own::{Answer, Asked, ShardAnswer},
    frames::{opened, sealed},
};
use bytes::Bytes;
use gateway::lookup::{
    fetch::{GroupRead, GroupRows, Part},
    layout::Layout,
    staging::Staging,
};
use proto::{
    codec::{Malformed, Reader},
    id::{ClusterId, RegionId},
    limits::MESSAGE_BYTES,
};
use replication::token::Coverage;
use std::{sync::Arc, time::Duration};

const ROWS: u8 = 0;
const TOO_LARGE: u8 = 1;

const COVERED: u8 = 0;
const NOT_YET: u8 = 1;
const LOST: u8 = 2;

const UNKNOWN_AGE: u64 = u64::MAX;
const UNKNOWN_SCHEMA: u32 = u32::MAX;

/// An answer as the caller reads it.
#[derive(Debug, PartialEq)]
pub enum Decoded {
    /// The rows.
    Rows(Answer),
    /// They are too large for a message.
    TooLarge,
}

/// The bytes of an answer; `is_known` says of each view that was asked for whether it is in it.
#[must_use]
pub fn encode_answer(
    answer: &Answer,
    is_known: &[Vec<bool>],
    (version, cluster): (Version, ClusterId),
) -> Bytes {
    let mut out = opened(version as u16, 1 << 10);
    out.push(ROWS);
    for shard in &answer.shards {
        put_shard(shard, version, &mut out);
    }
    put_token(&answer.seen, cluster, &mut out);
    for (rows, known) in answer.part.groups.iter().zip(is_known) {
        let mut views = rows.views.iter();
        for is_known in known {
            if *is_known {
                let staging = views.next().expect("what is known here was read");
                put_rows(staging, &mut out);
            } else {
                out.extend(UNKNOWN_SCHEMA.to_le_bytes());
            }
            if out.len() > MESSAGE_BYTES {
                return too_large(version);
            }
        }
    }
    sealed(out)
}

fn put_shard(shard: &ShardAnswer, version: Version, out: &mut Vec<u8>) {
    out.push(u8::from(shard.is_read));
    out.push(match shard.coverage {
        Coverage::Covered => COVERED,
        Coverage::NotYet => NOT_YET,
        Coverage::Lost => LOST,
    });
    put_age(shard.age, out);
    match version {
        Version::OwnAges => {}
        Version::AllAges => {
            let count = u16::try_from(shard.origins.len()).expect("ids of regions have 16 bits");
            out.extend(count.to_le_bytes());
            for (origin, age) in &shard.origins {
                out.extend(origin.0.to_le_bytes());
                put_age(*age, out);
            }
        }
    }
}

fn put_age(age: Option<Duration>, out: &mut Vec<u8>) {
    let micros = |age: Duration| u64::try_from(age.as_micros()).unwrap_or(UNKNOWN_AGE);
    out.extend(age.map_or(UNKNOWN_AGE, micros).to_le_bytes());
}

fn too_large(version: Version) -> Bytes {
    let mut out = opened(version as u16, 1);
    out.push(TOO_LARGE);
    sealed(out)
}

fn put_rows(staging: &Staging, out: &mut Vec<u8>) {
    let at = out.len();
    put_length(0, out);
    staging.encode(out);
    let length = u32::try_from(out.len() - at - 4).expect("a staging area is limited to 64 MiB");
    out[at..at + 4].copy_from_slice(&length.to_le_bytes());
}

/// Reads the answer to what was asked for.
pub fn decode_answer(
    bytes: &[u8],
    asked: &Asked,
    cluster: ClusterId,
) -> Result<Decoded, Malformed> {
    let (version, mut reader) = Version::check(bytes, "rows of another node")?;
    match reader.u8()? {
        ROWS => {}
        TOO_LARGE => return reader.finish().map(|()| Decoded::TooLarge),
        _ => return Err(reader.malformed("its kind is unknown")),
    }
    let shards = asked
        .places
        .iter()
        .map(|_| take_shard(&mut reader, version));
    let shards: Vec<ShardAnswer> = shards.collect::<Result<_, _>>()?;
    let seen = take_token(&mut reader, cluster)?;
    let is_read = |place: u16| {
        let at = asked.places.binary_search(&place);
        at.is_ok_and(|at| shards[at].is_read)
    };
    let groups = asked.fetch.groups.iter().zip(asked.wanted.groups());
    let groups = groups.map(|(group, keys)| {
        let keys = keys.iter().copied();
        let keys = keys.filter(|key| is_read(group.places[*key as usize]));
        take_group(&mut reader, group, keys.collect())
    });
    let part = Part {
        groups: groups.collect::<Result<_, _>>()?,
    };
    reader.finish()?;
    Ok(Decoded::Rows(Answer { part, shards, seen }))
}

fn take_shard(reader: &mut Reader<'_>, version: Version) -> Result<ShardAnswer, Malformed> {
    let (is_read, coverage, age) = (reader.u8()?, reader.u8()?, take_age(reader)?);
    let coverage = match coverage {
        COVERED => Coverage::Covered,
        NOT_YET => Coverage::NotYet,
        LOST => Coverage::Lost,
        _ => return Err(reader.malformed("whether a token is reflected is not said")),
    };
    let origins = match version {
        // Nothing is said of other regions: their ages are unknown.
        Version::OwnAges => Vec::new(),
        Version::AllAges => (0..reader.u16()?)
            .map(|_| Ok((RegionId(reader.u16()?), take_age(reader)?)))
            .collect::<Result<_, Malformed>>()?,
    };
    Ok(ShardAnswer {
        is_read: is_read == 1,
        coverage,
        age,
        origins,
    })
}

fn take_age(reader: &mut Reader<'_>) -> Result<Option<Duration>, Malformed> {
    let micros = reader.u64()?;
    Ok((micros != UNKNOWN_AGE).then(|| Duration::from_micros(micros)))
}

fn take_group(
    reader: &mut Reader<'_>,
    group: &GroupRead,
    keys: Vec<u32>,
) -> Result<GroupRows, Malformed> {
    let views = group
        .views
        .iter()
        .map(|layout| take_rows(reader, layout, keys.len()));
    let views = views.collect::<Result<_, _>>()?;
    Ok(GroupRows { keys, views })
}

fn take_rows(
    reader: &mut Reader<'_>,
    layout: &Arc<Layout>,
    keys: usize,
) -> Result<Staging, Malformed> {
    let length = reader.u32()?;
    if length == UNKNOWN_SCHEMA {
        let mut rows = Staging::with_capacity(Arc::clone(layout), keys);
        (0..keys).for_each(|_| rows.push_unavailable());
        return Ok(rows);
    }
    let rows = Staging::decode(Arc::clone(layout), reader.take(length as usize)?)?;
    if rows.rows() == keys {
        Ok(rows)
    } else {
        Err(reader.malformed("it has more or fewer rows than keys"))
    }
}
