//! What reached this region from others, as it comes to a shard's primary: rows that are merged with
//! what stands here, and how far their stream then is.
//!
//! Nothing is judged: admission happened at the origin. An entry of another region's stream, its
//! watermark and its position in the transport are one entry here, so none of them can be ahead of the
//! others.

use crate::link::StreamMark;
use bytes::Bytes;
use proto::{
    entry::EntryKind,
    hlc::Hlc,
    id::{PlacementId, Position, RegionId},
    link::LinkEntry,
    record::Encoded,
    token::Reached,
};

/// Rows of this region's log that were not written here.
#[derive(Debug, Clone)]
pub struct Remote {
    pub(crate) kind: EntryKind,
    pub(crate) origin: RegionId,
    pub(crate) placement: PlacementId,
    pub(crate) reached: Reached,
    pub(crate) hlc: Hlc,
    pub(crate) position: u64,
    pub(crate) extras: Bytes,
    pub(crate) rows: Vec<Encoded>,
}

impl Remote {
    /// An entry of another region's stream; of its rows those that change what stands here. `position`
    /// is where reading goes on after it.
    #[must_use]
    pub fn entry(entry: &LinkEntry, position: u64, rows: Vec<Encoded>) -> Self {
        Self {
            kind: EntryKind::Remote,
            origin: entry.stream().origin,
            placement: entry.stream().placement,
            reached: entry.reached(),
            hlc: entry.hlc(),
            position,
            // What a stream builds on is kept: a token of an earlier incarnation is judged by it.
            extras: Bytes::copy_from_slice(entry.lineage()),
            rows,
        }
    }

    /// Rows of no stream: a snapshot of another region, or the first of an entry that is larger here
    /// than where it was written.
    #[must_use]
    pub fn merged(origin: RegionId, placement: PlacementId, hlc: Hlc, rows: Vec<Encoded>) -> Self {
        Self {
            kind: EntryKind::Merged,
            origin,
            placement,
            reached: Reached::default(),
            hlc,
            position: 0,
            extras: Bytes::new(),
            rows,
        }
    }

    /// How far another region's stream is here once a copy of what a holder has was merged. `start` are
    /// the extras of the stream's last *start*, as the holder has them.
    #[must_use]
    pub fn copied(
        origin: RegionId,
        placement: PlacementId,
        mark: &StreamMark,
        start: Bytes,
    ) -> Self {
        Self {
            kind: EntryKind::Remote,
            origin,
            placement,
            reached: mark.reached,
            hlc: mark.hlc,
            position: mark.position,
            extras: start,
            rows: Vec::new(),
        }
    }

    /// Where reading another region's stream goes on.
    #[must_use]
    pub const fn read_through(origin: RegionId, placement: PlacementId, position: u64) -> Self {
        Self {
            kind: EntryKind::LinkPosition,
            origin,
            placement,
            reached: Reached {
                incarnation: proto::id::Incarnation(0),
                sequence: proto::id::Sequence(0),
            },
            hlc: Hlc::ZERO,
            position,
            extras: Bytes::new(),
            rows: Vec::new(),
        }
    }

    /// How far an own stream was shipped: all of it that stands in the log at or below `through`.
    #[must_use]
    pub const fn shipped(own: RegionId, placement: PlacementId, through: Position) -> Self {
        Self::read_through(own, placement, through.0)
    }
}
