//! Opening an epoch, and appending in it.

use super::Primary;
use crate::{
    context::Context,
    core::Core,
    effect::{Broken, Effect},
    entry::Entry,
    planted::Bug,
    streams::{Head, encode_lineage},
};
use proto::{
    entry::{EntryBuilder, EntryHeader, EntryKind},
    hlc::{BoundReached, Hlc},
    id::{PlacementId, Sequence},
    request::{RequestId, RequestPart},
};

impl Primary {
    /// Appends the epoch's own entry after the tail that was inherited. Until it is committed,
    /// nothing is: an inherited entry alone could be outvoted by a longer tail of an epoch between.
    pub(super) fn open(
        &mut self,
        core: &mut Core,
        ctx: &mut Context<'_>,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Broken> {
        let now = ctx.now.monotonic;
        // The first entry of an incarnation stands also then: replicas tell by it whose their log is.
        let goes_on = core.log.incarnation() == self.fence.incarnation;
        if goes_on && core.planted.has(Bug::NoEpochEntry) {
            self.opened_at = Some(core.log.end().position);
            self.next_beat = now;
            self.ship_to_all(core, ctx, effects);
            self.advance(core, ctx, effects);
            return Ok(());
        }
        let ended = self.ended_streams(core);
        let Some(stamps) = stamps(ctx, 1 + ended.len(), effects) else {
            return Ok(());
        };
        let header = header(core, EntryKind::Epoch, PlacementId(0), Sequence(0), stamps);
        let entry = Entry::built(header, EntryBuilder::new(header));
        core.append(ctx, entry, effects)?;
        for (place, (placement, head)) in ended.into_iter().enumerate() {
            let stamp = Hlc(stamps.0 + 1 + place as u64);
            let start = self.start(core, placement, Some(&head), stamp);
            core.append(ctx, start, effects)?;
        }
        self.opened_at = Some(header.position);
        self.next_beat = now;
        self.ship_to_all(core, ctx, effects);
        Ok(())
    }

    /// Streams of earlier incarnations, which go on in this one.
    fn ended_streams(&self, core: &Core) -> Vec<(PlacementId, Head)> {
        let ended = |(_, head): &(PlacementId, &Head)| head.incarnation < self.fence.incarnation;
        let heads = core.log.heads().iter().filter(ended);
        heads
            .map(|(placement, head)| (placement, head.clone()))
            .collect()
    }

    /// The first entry of a stream in this incarnation. It names the lineage.
    pub(super) fn start(
        &self,
        core: &Core,
        placement: PlacementId,
        before: Option<&Head>,
        stamp: Hlc,
    ) -> Entry {
        let lineage = before.map_or_else(Vec::new, Head::lineage_with_own);
        let header = header(core, EntryKind::Start, placement, Sequence(1), stamp);
        let builder = EntryBuilder::with_extras(header, &encode_lineage(&lineage));
        Entry::built(header, builder)
    }
}

/// The header of the entry after the log's end. Requests, parts and link positions come on top.
pub(super) fn header(
    core: &Core,
    kind: EntryKind,
    placement: PlacementId,
    sequence: Sequence,
    hlc: Hlc,
) -> EntryHeader {
    let (end, fence) = (core.log.end(), core.fence());
    EntryHeader {
        shard: core.me.shard,
        origin: core.me.region,
        kind,
        epoch: fence.epoch,
        previous_epoch: end.epoch,
        position: end.position.next(),
        incarnation: fence.incarnation,
        placement,
        part: RequestPart(0),
        sequence,
        hlc,
        request: RequestId::NONE,
        link_position: 0,
    }
}

/// The first of `count` stamps in a row, or none while the clock's bound must be raised first.
pub(super) fn stamps(
    ctx: &mut Context<'_>,
    count: usize,
    effects: &mut Vec<Effect>,
) -> Option<Hlc> {
    let mut take = || -> Result<Hlc, BoundReached> {
        let first = ctx.clock.stamp(ctx.now.wall_millis)?;
        for _ in 1..count {
            // The wall clock stands still during a step, so these follow one upon the other.
            ctx.clock.stamp(ctx.now.wall_millis)?;
        }
        Ok(first)
    };
    match take() {
        Ok(first) => Some(first),
        Err(BoundReached { needed }) => {
            effects.push(Effect::RaiseClockBound { above: needed });
            None
        }
    }
}
