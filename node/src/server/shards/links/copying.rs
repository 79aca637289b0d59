//! Copies of what another region has, merged page by page. The watermark comes last: until then nothing is
//! claimed.

use super::{Driver, applying::Source};
use bytes::Bytes;
use proto::{
    hlc::Hlc,
    id::{PlacementId, RegionId, ShardId},
    limits::MAX_CLOCK_OFFSET,
    record::RecordView,
    token::Reached,
};
use replication::{
    Event, Remote,
    link::{LinkEvent, StreamMark},
};
use tokio::sync::oneshot;

/// What a link wants a copy of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CopyOrder {
    /// The shard.
    pub shard: ShardId,
    /// Whose stream lacks something.
    pub origin: RegionId,
    /// Its placement.
    pub placement: PlacementId,
}

/// A part of a copy.
pub enum Copied {
    /// Records end to end, each sound.
    Rows(Bytes),
    /// All rows were given: how far the stream was at their source before they were read.
    All {
        /// How far; its position is one of the source's own log.
        mark: StreamMark,
        /// The extras of its last *start*.
        start: Bytes,
    },
}

impl Driver {
    /// Has a copy fetched. One that is under way already is not begun again.
    pub(super) fn order_copy(&self, shard: ShardId, (origin, placement): (RegionId, PlacementId)) {
        let order = CopyOrder {
            shard,
            origin,
            placement,
        };
        tracing::warn!(
            %shard,
            origin = origin.0,
            "what lacks of a stream is not in its region's log any more: a copy is fetched"
        );
        // One that finds no room is ordered again by its link.
        let _ = self.links.copies.try_send(order);
    }

    pub(super) fn copied(
        &mut self,
        order: CopyOrder,
        copied: Copied,
        done: oneshot::Sender<Result<(), String>>,
    ) {
        let stream = (order.origin, order.placement);
        let taken = match copied {
            Copied::Rows(page) => self.merge_page(order.shard, stream, &page),
            Copied::All { mark, start } => self.end_copy(order.shard, stream, mark, start),
        };
        // Who fetched it is gone: the link orders again.
        let _ = done.send(taken);
    }

    fn merge_page(
        &mut self,
        shard: ShardId,
        stream: (RegionId, PlacementId),
        page: &Bytes,
    ) -> Result<(), String> {
        if self.links.receiving(shard, stream).is_none() {
            return Err("the shard is led elsewhere now".into());
        }
        let mut records = Vec::new();
        let (mut rest, mut hlc) = (&page[..], Hlc::ZERO);
        while !rest.is_empty() {
            let record = RecordView::parse(rest).map_err(|error| error.to_string())?;
            hlc = hlc.max(record.version().write_time);
            rest = &rest[record.bytes().len()..];
            records.push(record);
        }
        if hlc.ahead_of(self.now.wall_millis()) > MAX_CLOCK_OFFSET {
            return Err("a stamp is ahead of this node's clock".into());
        }
        let (origin, placement) = stream;
        let source = Source {
            shard,
            origin,
            placement,
            hlc,
        };
        let left = self.append_rows(&source, records.into_iter())?;
        self.append_merged(&source, left)
    }

    fn end_copy(
        &mut self,
        shard: ShardId,
        stream: (RegionId, PlacementId),
        mark: StreamMark,
        start: Bytes,
    ) -> Result<(), String> {
        self.check_appends(shard)?;
        let is_shared = self.links.is_shared();
        let Some(receiving) = self.links.receiving(shard, stream) else {
            return Err("the shard is led elsewhere now".into());
        };
        if mark.reached <= receiving.logged {
            // It came otherwise meanwhile.
            return Ok(());
        }
        let position = if is_shared { 0 } else { mark.position };
        let mark = StreamMark { position, ..mark };
        receiving.logged = mark.reached;
        receiving.refused_until = None;
        receiving.merging = Some(mark);
        let (origin, placement) = stream;
        let remote = Remote::copied(origin, placement, &mark, start);
        self.step(shard, Event::Remote(remote));
        Ok(())
    }

    /// What of another region's stream is committed here by an entry.
    pub(super) fn remote_settled(
        &mut self,
        shard: ShardId,
        stream: (RegionId, PlacementId),
        reached: Reached,
    ) {
        let Some(receiving) = self.links.receiving(shard, stream) else {
            return;
        };
        let merged = receiving.merging.take_if(|mark| mark.reached <= reached);
        let event = match merged {
            Some(mark) => LinkEvent::SnapshotMerged(mark),
            None => LinkEvent::Committed(reached),
        };
        self.step_link(shard, stream, event);
    }
}
