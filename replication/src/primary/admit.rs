//! Admission of a write: step 2 of the write path. A refused write leaves no trace.

use super::{
    Primary,
    open::{header, stamps},
};
use crate::{
    context::Context,
    core::Core,
    effect::{Broken, Effect},
    entry::Entry,
    planted::Bug,
    requests::Written,
    settings::PENDING_BYTES,
    streams::Head,
    write::{AROUND_ROWS_BYTES, Answer, Order, PreparedRow, Refused, ReplyTo, Write},
};
use proto::{
    entry::{EntryBuilder, EntryHeader, EntryKind},
    hlc::Hlc,
    id::Sequence,
    limits::{ENTRY_BYTES, MAX_CLOCK_OFFSET, ROWS_PER_ENTRY},
    record,
};

impl Primary {
    pub(super) fn write(
        &mut self,
        core: &mut Core,
        ctx: &mut Context<'_>,
        write: Write,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Broken> {
        let to = write.reply_to;
        if self.repeat(core, &write, effects) {
            return Ok(());
        }
        let mut extras = Vec::new();
        write.outcome.encode(&mut extras);
        write.sent.encode(&mut extras);
        if let Err(refused) = self.admit(core, ctx, &write, extras.len()) {
            let answer = Answer::Refused(refused);
            effects.push(Effect::Reply { to, answer });
            return Ok(());
        }
        self.append_write(core, ctx, write, &extras, effects)
    }

    /// A repeated request gets the first answer, once its original is committed. Other rows under the
    /// same id do not.
    fn repeat(&mut self, core: &Core, write: &Write, effects: &mut Vec<Effect>) -> bool {
        let key = (write.request, write.part);
        let to = write.reply_to;
        if let Some(written) = core.log.answer(&key) {
            let answer = if write.sent.contradicts(written.sent) {
                reused(write)
            } else {
                Answer::Written(written.clone())
            };
            effects.push(Effect::Reply { to, answer });
            return true;
        }
        let Some(original) = core.log.pending(&key) else {
            return false;
        };
        if write.sent.contradicts(original.sent()) {
            let answer = reused(write);
            effects.push(Effect::Reply { to, answer });
            return true;
        }
        if core.planted.has(Bug::DuplicateAnsweredBeforeCommit)
            && let Some(written) = Written::of(original)
        {
            let answer = Answer::Written(written);
            effects.push(Effect::Reply { to, answer });
            return true;
        }
        self.wait(original, to);
        true
    }

    fn wait(&mut self, original: &Entry, to: ReplyTo) {
        let position = original.header().position;
        self.waiting.entry(position).or_default().push(to);
    }

    fn admit(
        &self,
        core: &Core,
        ctx: &Context<'_>,
        write: &Write,
        extras: usize,
    ) -> Result<(), Refused> {
        if write.fence != self.fence {
            return Err(Refused::OtherEpoch {
                current: self.fence,
            });
        }
        if core.damaged || self.opened_at.is_none() {
            return Err(Refused::NotReady);
        }
        // Not below what the log has seen, so an id that the table forgot is never admitted.
        let now = ctx.clock.last().millis().max(ctx.now.wall_millis);
        // Whose clock is wrong is open: another primary, or this one later, may well take it.
        if write.request.is_ahead(now, MAX_CLOCK_OFFSET) {
            return Err(Refused::RequestIdAhead);
        }
        if !write.request.is_within_window(now, MAX_CLOCK_OFFSET) {
            return Err(Refused::RequestIdExpired);
        }
        self.check_copies(core, ctx)?;
        let bytes = entry_bytes(write, extras);
        if bytes > ENTRY_BYTES || record_count(write) > ROWS_PER_ENTRY {
            return Err(Refused::TooLarge { bytes });
        }
        let pending_bytes = ctx.budget.pending();
        if pending_bytes + bytes > PENDING_BYTES {
            return Err(Refused::Overloaded { pending_bytes });
        }
        Ok(())
    }

    fn check_copies(&self, core: &Core, ctx: &Context<'_>) -> Result<(), Refused> {
        let Some(configuration) = &core.configuration else {
            return Err(Refused::NotReady);
        };
        let silent = self.silent_in_sync(ctx.now.monotonic).len();
        let in_sync = configuration.in_sync.len() - silent;
        let needed = configuration.min_in_sync.max(1);
        if in_sync < needed {
            return Err(Refused::UnderReplicated { in_sync, needed });
        }
        Ok(())
    }

    fn append_write(
        &mut self,
        core: &mut Core,
        ctx: &mut Context<'_>,
        write: Write,
        extras: &[u8],
        effects: &mut Vec<Effect>,
    ) -> Result<(), Broken> {
        let to = write.reply_to;
        let head = core.log.heads().get(write.placement).cloned();
        let goes_on = |head: &&Head| head.incarnation == self.fence.incarnation;
        let sequence = head.as_ref().filter(goes_on).map(|head| head.sequence);
        let starts = usize::from(sequence.is_none());
        let Some(first) = stamps(ctx, starts + write.rows.len().max(1), effects) else {
            let answer = Answer::Refused(Refused::NotReady);
            effects.push(Effect::Reply { to, answer });
            return Ok(());
        };
        if ctx.clock.last() > write.stamp_at_most {
            let answer = Answer::PrepareAgain;
            effects.push(Effect::Reply { to, answer });
            return Ok(());
        }
        if sequence.is_none() {
            let start = self.start(core, write.placement, head.as_ref(), first);
            core.append(ctx, start, effects)?;
        }
        let sequence = sequence.unwrap_or(Sequence(1)).next();
        let first_row = Hlc(first.0 + starts as u64);
        let entry = self.rows_entry(core, write, extras, sequence, first_row, ctx.clock.last());
        self.wait(&entry, to);
        core.append(ctx, entry, effects)?;
        self.ship_to_all(core, ctx, effects);
        Ok(())
    }

    fn rows_entry(
        &self,
        core: &Core,
        write: Write,
        extras: &[u8],
        sequence: Sequence,
        first: Hlc,
        last: Hlc,
    ) -> Entry {
        let header = EntryHeader {
            part: write.part,
            request: write.request,
            ..header(core, EntryKind::Rows, write.placement, sequence, last)
        };
        let mut builder = EntryBuilder::with_extras(header, extras);
        for (place, row) in write.rows.into_iter().enumerate() {
            push_row(&mut builder, row, Hlc(first.0 + place as u64), &header);
        }
        Entry::built(header, builder)
    }
}

/// Gives a row its stamp and its place: all its records carry the same.
fn push_row(builder: &mut EntryBuilder, row: PreparedRow, stamp: Hlc, header: &EntryHeader) {
    let event_time = match row.order {
        Order::EventTime => None,
        Order::WriteTime => Some(stamp.event_time()),
    };
    for mut encoded in row.records {
        record::stamp(&mut encoded, stamp, event_time);
        record::seal(&mut encoded.bytes, header.position);
        builder.push(&encoded.bytes);
    }
}

fn reused(write: &Write) -> Answer {
    let request = write.request;
    Answer::Refused(Refused::RequestIdReused { request })
}

fn record_count(write: &Write) -> usize {
    write.rows.iter().map(|row| row.records.len()).sum()
}

fn entry_bytes(write: &Write, extras: usize) -> usize {
    let rows: usize = write.rows.iter().map(PreparedRow::bytes).sum();
    AROUND_ROWS_BYTES + extras + rows
}
