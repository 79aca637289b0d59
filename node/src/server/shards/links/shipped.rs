//! How far own streams are shipped, and what of the log is read for them. Written down from time to time as
//! a position of the log itself: a successor goes on there, and the log is held back from there on.

use super::{Driver, replication_now, sending::Sending};
use proto::{
    entry::EntryView,
    id::{PlacementId, Position, Sequence, ShardId},
    token::Reached,
};
use replication::{
    Entry, Event, Micros, Remote,
    link::{Audience, Outbox},
    settings::POSITION_INTERVAL,
    streams::decode_lineage,
};
use store::LogRead;

/// A stream that shipped nothing notes how far it is once the log went on by so much.
const IDLE_ENTRIES: u64 = 4_096;
/// What another region was sent is kept for this long at least.
const KEPT_AFTER_SENT: Micros = Micros(60_000_000);
/// A *skip* that does not come is asked for again: the clock's bound may have been in the way.
const SKIP_AGAIN: Micros = Micros(2_000_000);

impl Driver {
    /// Goes on after what is known to be shipped.
    pub(super) fn open_sending(&mut self, shard: ShardId, placement: PlacementId) -> Sending {
        let stream = (self.place.region, placement);
        let mark = self
            .writer
            .store()
            .stream(shard, stream)
            .unwrap_or_default();
        let head = self
            .replicas
            .get(&shard)
            .and_then(|replica| replica.head(placement));
        let end = head.map_or_else(Reached::default, |head| Reached {
            incarnation: head.incarnation,
            sequence: head.sequence,
        });
        let shipped = Position(mark.link_position);
        let now = replication_now(self.now).monotonic;
        self.holds
            .ships(self.writer.store(), (shard, placement), shipped.next());
        // Where others read this log itself, there is nothing to go on with.
        let mark = if self.links.is_shared() {
            self.shipped(shard, placement, shipped, end)
        } else {
            end
        };
        Sending {
            outbox: Outbox::new(Audience::All, mark, end),
            read_through: shipped,
            shipped_through: shipped,
            logged_through: shipped,
            logged_at: now,
            sent_through: (shipped, now),
            owes_skip: None,
        }
    }

    /// The last entry of a stream at or below a position: the one before the first after it.
    fn shipped(
        &self,
        shard: ShardId,
        placement: PlacementId,
        through: Position,
        end: Reached,
    ) -> Reached {
        let mut from = through.next();
        loop {
            match self.own_after(shard, placement, from) {
                // What lies there is gone: asked for again by the outbox, which then says so.
                None => return Reached::default(),
                Some((entries, read)) => match entries.first() {
                    Some(first) => return before(first),
                    None if read < from => return end,
                    None => from = read.next(),
                },
            }
        }
    }

    /// Own entries of a stream in a stretch of the log that begins at `from`, and the position that it
    /// ends with, which lies before `from` where there is no more; none where the log does not reach
    /// back so far.
    fn own_after(
        &self,
        shard: ShardId,
        placement: PlacementId,
        from: Position,
    ) -> Option<(Vec<Entry>, Position)> {
        let bytes = replication::settings::MESSAGE_BYTES;
        let committed = self
            .replicas
            .get(&shard)
            .map(|replica| replica.committed().position);
        let committed = committed.unwrap_or_default();
        if from > committed {
            return Some((Vec::new(), Position(from.0 - 1)));
        }
        let read = match self.writer.store().read_log(shard, from, bytes) {
            Ok(LogRead::Entries(read)) if !read.is_empty() => read,
            Ok(LogRead::Entries(_) | LogRead::End) => {
                return Some((Vec::new(), Position(from.0 - 1)));
            }
            Ok(LogRead::Gone) => return None,
            Err(error) => {
                tracing::warn!(%shard, %error, "read the log for other regions");
                return None;
            }
        };
        let last = Position(from.0 + read.len() as u64 - 1);
        let region = self.place.region;
        let entries = read
            .into_iter()
            .filter_map(|bytes| Entry::received(bytes).ok());
        let is_own = |entry: &Entry| {
            let header = entry.header();
            header.origin == region
                && header.placement == placement
                && header.sequence > Sequence(0)
                && header.position <= committed
        };
        Some((entries.filter(is_own).collect(), last))
    }

    /// The stream's entries after those that were read; none where the log does not reach back.
    pub(super) fn read_on(&mut self, shard: ShardId, placement: PlacementId) -> Option<Vec<Entry>> {
        loop {
            let sending = self.links.sending(shard, placement)?;
            let in_window = sending.outbox.last_position();
            let from = in_window
                .map_or(sending.read_through, |last| last.max(sending.read_through))
                .next();
            let (entries, read) = self.own_after(shard, placement, from)?;
            let sending = self.links.sending(shard, placement)?;
            // What is pushed may be less than what was read: its end is known by the window alone.
            if !entries.is_empty() || read < from {
                return Some(entries);
            }
            sending.read_through = read;
        }
    }

    /// Writes down how far streams are shipped: a successor, or this node after a restart, goes on from
    /// there.
    pub(super) fn log_shipped(&mut self) {
        let now = replication_now(self.now).monotonic;
        let all = self.links.shards.iter().flat_map(|(shard, links)| {
            let placements = links.sending.keys();
            placements.map(|placement| (*shard, *placement))
        });
        let all: Vec<_> = all.collect();
        for (shard, placement) in all {
            self.log_shipped_of(shard, placement, now);
        }
    }

    /// Where each region reads this log itself, what was sent to all some time ago counts as shipped: what
    /// is on its way, or was lost there since, is read again.
    fn note_sent(&mut self, shard: ShardId, placement: PlacementId, now: Micros) {
        if self.links.is_shared() {
            return;
        }
        let others = self.links.streams.others();
        let regions = others.filter(|(_, other)| *other == placement).count();
        let Some(sent) = self.links.board.sent_to((shard, placement), regions) else {
            return;
        };
        let Some(sending) = self.links.sending(shard, placement) else {
            return;
        };
        let (before, at) = sending.sent_through;
        if now.since(at) >= KEPT_AFTER_SENT {
            sending.shipped_through = sending.shipped_through.max(before);
            sending.sent_through = (sent, now);
        }
    }

    fn log_shipped_of(&mut self, shard: ShardId, placement: PlacementId, now: Micros) {
        let is_shared = self.links.is_shared();
        let replica = self
            .replicas
            .get(&shard)
            .filter(|replica| replica.appends());
        let Some(committed) = replica.map(|replica| replica.committed().position) else {
            return;
        };
        let own = self.place.region;
        self.note_sent(shard, placement, now);
        let Some(sending) = self.links.sending(shard, placement) else {
            return;
        };
        if sending
            .owes_skip
            .is_some_and(|at| now.since(at) >= SKIP_AGAIN)
        {
            self.append_skip(shard, placement);
            return;
        }
        if now.since(sending.logged_at) < POSITION_INTERVAL {
            return;
        }
        let shipped = sending.shipped_through > sending.logged_through;
        let is_through = is_shared && sending.outbox.is_through();
        let is_far = committed.0 > sending.logged_through.0 + IDLE_ENTRIES;
        if !(shipped || is_through && is_far) {
            return;
        }
        let through = if is_through {
            committed
        } else {
            sending.shipped_through
        };
        (sending.logged_through, sending.logged_at) = (through, now);
        self.holds
            .ships(self.writer.store(), (shard, placement), through.next());
        let remote = Remote::shipped(own, placement, through);
        self.step(shard, Event::Remote(remote));
    }
}

/// The entry before this one in its stream.
fn before(entry: &Entry) -> Reached {
    let header = entry.header();
    if header.sequence > Sequence(1) {
        return Reached {
            incarnation: header.incarnation,
            sequence: Sequence(header.sequence.0 - 1),
        };
    }
    let view = EntryView::parse(entry.bytes()).expect("entries are checked when they come");
    let cuts = decode_lineage(view.extras()).unwrap_or_default();
    cuts.last().map_or_else(Reached::default, |cut| Reached {
        incarnation: cut.incarnation,
        sequence: cut.kept,
    })
}
