//! What one node says of its shards' lag, as bytes.
//!
//! ```text
//! version 1 | readable shards 4, each 2 | ages 2, each: region 2 | age 8 (µs, all ones for unknown)
//!           | primaries 4, each 2
//!           | links 4, each: shard 2 | region 2 | state 1 | of a held one: length 2, obstacle
//!           | outboxes 4, each: shard 2 | placement 2 | entries 8 (all ones for unknown) | bytes 8
//! ```
//!
//! Little endian. Nothing of it is stored.

use super::{Backlog, Link, Told};
use bytes::Bytes;
use proto::{
    codec::{Malformed, Reader},
    id::{PlacementId, RegionId, ShardId},
};
use std::time::Duration;

const VERSION: u8 = 1;
const UNKNOWN: u64 = u64::MAX;

const LIVE: u8 = 0;
const REPLAY: u8 = 1;
const GAP: u8 = 2;
const SNAPSHOT: u8 = 3;
const HELD: u8 = 4;

/// The bytes.
pub(in crate::server) fn encode(told: &Told) -> Bytes {
    let mut out = vec![VERSION];
    put_shards(told.readable.iter(), told.readable.len(), &mut out);
    out.extend((told.ages.len() as u16).to_le_bytes());
    for (region, age) in &told.ages {
        out.extend(region.0.to_le_bytes());
        let micros = |age: Duration| u64::try_from(age.as_micros()).unwrap_or(UNKNOWN);
        out.extend(age.map_or(UNKNOWN, micros).to_le_bytes());
    }
    put_shards(told.primaries.iter(), told.primaries.len(), &mut out);
    put_length(told.links.len(), &mut out);
    for ((shard, region), link) in &told.links {
        out.extend(shard.0.to_le_bytes());
        out.extend(region.0.to_le_bytes());
        put_link(link, &mut out);
    }
    put_length(told.outboxes.len(), &mut out);
    for ((shard, placement), backlog) in &told.outboxes {
        out.extend(shard.0.to_le_bytes());
        out.extend(placement.0.to_le_bytes());
        out.extend(backlog.entries.unwrap_or(UNKNOWN).to_le_bytes());
        out.extend(backlog.bytes.to_le_bytes());
    }
    out.into()
}

fn put_length(length: usize, out: &mut Vec<u8>) {
    let length = u32::try_from(length).expect("a node has few streams");
    out.extend(length.to_le_bytes());
}

fn put_shards<'a>(shards: impl Iterator<Item = &'a ShardId>, count: usize, out: &mut Vec<u8>) {
    put_length(count, out);
    shards.for_each(|shard| out.extend(shard.0.to_le_bytes()));
}

fn put_link(link: &Link, out: &mut Vec<u8>) {
    out.push(match link {
        Link::Live => LIVE,
        Link::Replay => REPLAY,
        Link::Gap => GAP,
        Link::Snapshot => SNAPSHOT,
        Link::Held(_) => HELD,
    });
    if let Link::Held(obstacle) = link {
        let length = u16::try_from(obstacle.len()).expect("obstacles are sentences");
        out.extend(length.to_le_bytes());
        out.extend_from_slice(obstacle.as_bytes());
    }
}

/// Reads what another node said.
pub(in crate::server) fn decode(bytes: &[u8]) -> Result<Told, Malformed> {
    let mut reader = Reader::new(bytes, "lag of a node");
    if reader.u8()? != VERSION {
        return Err(reader.malformed("its version is not known here"));
    }
    let mut told = Told::default();
    for _ in 0..reader.u32()? {
        told.readable.insert(ShardId(reader.u16()?));
    }
    for _ in 0..reader.u16()? {
        let region = RegionId(reader.u16()?);
        let age = known(reader.u64()?).map(Duration::from_micros);
        told.ages.insert(region, age);
    }
    for _ in 0..reader.u32()? {
        told.primaries.insert(ShardId(reader.u16()?));
    }
    for _ in 0..reader.u32()? {
        let stream = (ShardId(reader.u16()?), RegionId(reader.u16()?));
        let link = take_link(&mut reader)?;
        told.links.insert(stream, link);
    }
    for _ in 0..reader.u32()? {
        let stream = (ShardId(reader.u16()?), PlacementId(reader.u16()?));
        let backlog = Backlog {
            entries: known(reader.u64()?),
            bytes: reader.u64()?,
        };
        told.outboxes.insert(stream, backlog);
    }
    reader.finish()?;
    Ok(told)
}

fn known(number: u64) -> Option<u64> {
    (number != UNKNOWN).then_some(number)
}

fn take_link(reader: &mut Reader<'_>) -> Result<Link, Malformed> {
    Ok(match reader.u8()? {
        LIVE => Link::Live,
        REPLAY => Link::Replay,
        GAP => Link::Gap,
        SNAPSHOT => Link::Snapshot,
        HELD => {
            let length = usize::from(reader.u16()?);
            let text = reader.take(length)?;
            Link::Held(String::from_utf8_lossy(text).into_owned())
        }
        _ => return Err(reader.malformed("the state of a link is unknown")),
    })
}
