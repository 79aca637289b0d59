//! What a node says four times a second to each partition that it ships to.
//!
//! ```text
//! after the head
//!    node 8 | boot 8 | clock 8
//!    echoes 4   | each: node 8 | boot 8 | instant 8
//!    closes 4   | each: shard 2 | placement 2 | incarnation 4 | sequence 8 | HLC 8 | behind 4
//!    reports 4  | each: origin 2 | shard 2 | placement 2 | incarnation 4 | sequence 8 | HLC 8
//! ```
//!
//! Clocks and instants are microseconds of monotonic clocks: `clock` of the sender's, an echo's instant
//! of its receiver's. A close dates from when its round was sent to the replicas, which is `behind`
//! before the sender's clock said `clock`. What is acknowledged in between is not covered by it. The
//! largest number there says that it has no date.

use super::{FORMAT, HEAD_BYTES, HEARTBEAT, Head, begin, finish};
use crate::{
    codec::{Malformed, Reader},
    hlc::Hlc,
    id::{
        BootId, ClusterId, Incarnation, NodeId, PlacementId, RegionId, Sequence, ShardId, Stream,
    },
    limits::{LINK_CLOSES, LINK_ECHOES, LINK_REPORTS},
    token::Reached,
};
use bytes::Bytes;

const UNDATED: u32 = u32::MAX;

/// A node's sign of life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// Its cluster.
    pub cluster: ClusterId,
    /// Its region.
    pub origin: RegionId,
    /// Who.
    pub node: NodeId,
    /// Which of its runs.
    pub boot: BootId,
    /// Its monotonic clock.
    pub clock: u64,
    /// Other nodes' clocks, given back.
    pub echoes: Vec<HeldEcho>,
    /// Closes of streams that this node is primary of.
    pub closes: Vec<HeldClose>,
    /// How far streams of other regions are durable in this one.
    pub reports: Vec<HeldReport>,
}

/// A node's clock, moved on by the time it was held here: no later than its own clock when the
/// heartbeat's said `clock`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldEcho {
    /// Whose.
    pub node: NodeId,
    /// Of which run.
    pub boot: BootId,
    /// On that run's clock.
    pub instant: u64,
}

/// A close of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldClose {
    /// The stream's shard; its origin is the heartbeat's.
    pub shard: ShardId,
    /// The stream's placement.
    pub placement: PlacementId,
    /// When the round was sent, nothing past it was acknowledged. Of a stream without entries it is
    /// the beginning: nothing was acknowledged at all.
    pub reached: Reached,
    /// Nothing past it is stamped at or below this.
    pub hlc: Hlc,
    /// How long before `clock` the round was sent, in microseconds; none where nothing is said of what
    /// was acknowledged when. Without a date and with no HLC it tells but how far the stream goes.
    pub behind: Option<u32>,
}

/// How far a stream is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldReport {
    /// The stream, of another region.
    pub stream: Stream,
    /// On the disks of every in-sync member here.
    pub reached: Reached,
    /// Its closed HLC, as known here.
    pub closed: Hlc,
}

impl Heartbeat {
    /// The record.
    ///
    /// # Panics
    /// If one of its lists exceeds its limit; whoever fills them stops there.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        assert!(self.echoes.len() <= LINK_ECHOES, "echoes are bounded");
        assert!(self.closes.len() <= LINK_CLOSES, "closes are bounded");
        assert!(self.reports.len() <= LINK_REPORTS, "reports are bounded");
        let stream = Stream {
            origin: self.origin,
            shard: Head::NO_SHARD,
            placement: Head::NO_PLACEMENT,
        };
        let cluster = self.cluster;
        let mut out = begin(&Head { cluster, stream }, HEARTBEAT);
        for number in [self.node.0, self.boot.0, self.clock] {
            out.extend(number.to_le_bytes());
        }
        put_list(&mut out, &self.echoes, |out, echo| {
            for number in [echo.node.0, echo.boot.0, echo.instant] {
                out.extend(number.to_le_bytes());
            }
        });
        put_list(&mut out, &self.closes, |out, close| {
            out.extend(close.shard.0.to_le_bytes());
            out.extend(close.placement.0.to_le_bytes());
            put_reached(out, close.reached);
            out.extend(close.hlc.0.to_le_bytes());
            out.extend(close.behind.unwrap_or(UNDATED).to_le_bytes());
        });
        put_list(&mut out, &self.reports, |out, report| {
            out.extend(report.stream.origin.0.to_le_bytes());
            out.extend(report.stream.shard.0.to_le_bytes());
            out.extend(report.stream.placement.0.to_le_bytes());
            put_reached(out, report.reached);
            out.extend(report.closed.0.to_le_bytes());
        });
        finish(out)
    }
}

fn put_list<T>(out: &mut Vec<u8>, list: &[T], put: impl Fn(&mut Vec<u8>, &T)) {
    out.extend((list.len() as u32).to_le_bytes());
    list.iter().for_each(|one| put(out, one));
}

fn put_reached(out: &mut Vec<u8>, reached: Reached) {
    out.extend(reached.incarnation.0.to_le_bytes());
    out.extend(reached.sequence.0.to_le_bytes());
}

pub(super) fn decode(head: Head, bytes: &[u8]) -> Result<Heartbeat, Malformed> {
    let reader = &mut Reader::new(&bytes[HEAD_BYTES..], FORMAT);
    let heartbeat = Heartbeat {
        cluster: head.cluster,
        origin: head.stream.origin,
        node: NodeId(reader.u64()?),
        boot: BootId(reader.u64()?),
        clock: reader.u64()?,
        echoes: list(reader, LINK_ECHOES, echo)?,
        closes: list(reader, LINK_CLOSES, close)?,
        reports: list(reader, LINK_REPORTS, report)?,
    };
    reader.finish()?;
    Ok(heartbeat)
}

fn list<'a, T>(
    reader: &mut Reader<'a>,
    limit: usize,
    read: impl Fn(&mut Reader<'a>) -> Result<T, Malformed>,
) -> Result<Vec<T>, Malformed> {
    let count = reader.u32()? as usize;
    if count > limit {
        return Err(reader.malformed("one of its lists is longer than it may be"));
    }
    (0..count).map(|_| read(reader)).collect()
}

fn echo(reader: &mut Reader<'_>) -> Result<HeldEcho, Malformed> {
    Ok(HeldEcho {
        node: NodeId(reader.u64()?),
        boot: BootId(reader.u64()?),
        instant: reader.u64()?,
    })
}

fn close(reader: &mut Reader<'_>) -> Result<HeldClose, Malformed> {
    Ok(HeldClose {
        shard: ShardId(reader.u16()?),
        placement: PlacementId(reader.u16()?),
        reached: reached(reader)?,
        hlc: Hlc(reader.u64()?),
        behind: Some(reader.u32()?).filter(|behind| *behind != UNDATED),
    })
}

fn report(reader: &mut Reader<'_>) -> Result<HeldReport, Malformed> {
    Ok(HeldReport {
        stream: Stream {
            origin: RegionId(reader.u16()?),
            shard: ShardId(reader.u16()?),
            placement: PlacementId(reader.u16()?),
        },
        reached: reached(reader)?,
        closed: Hlc(reader.u64()?),
    })
}

fn reached(reader: &mut Reader<'_>) -> Result<Reached, Malformed> {
    Ok(Reached {
        incarnation: Incarnation(reader.u32()?),
        sequence: Sequence(reader.u64()?),
    })
}
