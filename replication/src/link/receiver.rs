//! The receiving end of one stream: what becomes of what arrives, and what may be said of the stream.
//!
//! ```text
//! REPLAY ── first age ──▸ LIVE ── gap ──▸ GAP ── 10 s ──▸ SNAPSHOT
//!    ▴                      │              │                 │
//!    └──────────────────────┴── entry n+1 ─┴──── merged ─────┘      HELD from any: an entry that cannot
//!                                                                   be taken yet; nothing passes it
//! ```
//!
//! It belongs to one primary of one epoch: a later one starts from what its log has. Rows of the stream
//! are served in every state; how old they can be is known in LIVE alone.

mod gap;
mod mark;
mod state;

pub use mark::StreamMark;
pub use state::{LinkState, Obstacle};

use super::{
    freshness::{Covering, Freshness},
    order::{Order, judge},
};
use crate::{
    context::{Micros, Now},
    planted::{Bug, Planted},
    settings::{LINK_PENDING_BYTES, POSITION_INTERVAL},
};
use proto::{
    entry::EntryKind, hlc::Hlc, limits::MAX_CLOCK_OFFSET, link::LinkEntry, token::Reached,
};
use state::{Evidence, State};
use std::collections::VecDeque;

/// One thing that happened. A position says where reading goes on after what arrived.
#[derive(Debug, Clone)]
pub enum LinkEvent {
    /// An entry of the stream arrived.
    Entry {
        /// What arrived.
        entry: LinkEntry,
        /// The position after it.
        position: u64,
        /// Why its rows cannot be taken, if they cannot: views and schemas are the driver's to know.
        obstacle: Option<Obstacle>,
    },
    /// A close of the stream arrived.
    Close {
        /// As this node understands it.
        close: Covering,
        /// The position after it.
        position: u64,
    },
    /// A whole record of the stream arrived that only a later release can read.
    Newer,
    /// Something arrived that could not be read; whose it was is not known.
    Unreadable,
    /// What is to be read next is in the transport no more.
    PositionLost,
    /// The transport was made anew: positions mean nothing, reading begins at its start.
    TransportRenewed,
    /// The shard's log is committed here through this entry of the stream.
    Committed(Reached),
    /// What was handed over last was not appended. The log has the stream through this entry.
    Refused(Reached),
    /// Views, schemas or regions became known.
    CatalogChanged,
    /// A snapshot was merged and is committed, watermarks and all.
    SnapshotMerged(StreamMark),
    /// Time passed.
    Tick,
}

/// Where to read a stream from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// A position.
    Position(u64),
    /// What was put into the transport at this wall clock or later.
    Millis(u64),
    /// All there is.
    Start,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkEffect {
    /// Append the rows, the watermark and the position as one entry of the shard's log, or say that it
    /// was refused.
    Apply {
        /// The entry.
        entry: LinkEntry,
        /// The position after it.
        position: u64,
    },
    /// Append the position alone: retention must not pass by a link without traffic.
    LogPosition(u64),
    /// Read the stream anew.
    Read(From),
    /// Let nothing more arrive for now.
    Pause,
    /// Let more arrive.
    Resume,
    /// Merge a snapshot of a holder that is ahead of this one.
    FetchSnapshot,
}

#[derive(Debug)]
struct Offered {
    /// Of the stream's mark once it is committed.
    mark: StreamMark,
    bytes: usize,
}

/// A stream of another region as its receiving primary sees it.
#[derive(Debug)]
pub struct Link {
    state: State,
    /// Handed over to be appended, through here.
    offered: Reached,
    /// Committed here.
    mark: StreamMark,
    in_flight: VecDeque<Offered>,
    pending_bytes: usize,
    is_paused: bool,
    freshness: Freshness,
    read_through: u64,
    logged_at: Micros,
    planted: Planted,
}

impl Link {
    /// Goes on from what the shard's log has, committed or not: a primary commits its tail before
    /// anything else. Reads the transport from there.
    pub fn open(
        logged: StreamMark,
        committed: Reached,
        now: Now,
        effects: &mut Vec<LinkEffect>,
    ) -> Self {
        effects.push(LinkEffect::Read(logged.start()));
        let mut link = Self {
            state: State::Replay,
            offered: logged.reached,
            mark: StreamMark {
                reached: committed,
                ..logged
            },
            in_flight: VecDeque::new(),
            pending_bytes: 0,
            is_paused: false,
            freshness: Freshness::default(),
            read_through: logged.position,
            logged_at: now.monotonic,
            planted: Planted::NONE,
        };
        if committed != logged.reached {
            link.offer(logged, 0);
        }
        link
    }

    /// Takes a rule out, for a test.
    #[cfg(feature = "planted-bugs")]
    pub const fn plant(&mut self, bug: Bug) {
        self.planted = Planted::with(bug);
    }

    /// Takes one event.
    pub fn step(&mut self, now: Now, event: LinkEvent, effects: &mut Vec<LinkEffect>) {
        match event {
            LinkEvent::Entry {
                entry,
                position,
                obstacle,
            } => self.on_entry(now, entry, position, obstacle, effects),
            LinkEvent::Close { close, position } => self.on_close(now, close, position, effects),
            LinkEvent::Newer => self.hold(Obstacle::NewerRecord),
            LinkEvent::Unreadable => self.open_gap(now, effects),
            LinkEvent::PositionLost => self.on_position_lost(now, effects),
            LinkEvent::TransportRenewed => self.start_over(now, effects),
            LinkEvent::Committed(through) => self.on_committed(through, effects),
            LinkEvent::Refused(logged) => self.on_refused(logged, effects),
            LinkEvent::CatalogChanged => self.release(effects),
            LinkEvent::SnapshotMerged(mark) => self.on_merged(mark, effects),
            LinkEvent::Tick => self.tick(now, effects),
        }
    }

    fn on_entry(
        &mut self,
        now: Now,
        entry: LinkEntry,
        position: u64,
        obstacle: Option<Obstacle>,
        effects: &mut Vec<LinkEffect>,
    ) {
        if matches!(self.state, State::Held(_)) {
            return;
        }
        match judge(self.offered, &entry, self.planted) {
            Order::Known => self.note_read(position),
            Order::Gap => self.open_gap_before(now, entry.reached(), effects),
            Order::Lost => self.ask_for_snapshot(now, Evidence::Proof, effects),
            Order::Next => {
                let ahead = entry.hlc().ahead_of(now.wall_millis) > MAX_CLOCK_OFFSET;
                let clock = ahead.then(|| Obstacle::ClockAhead(entry.hlc()));
                match obstacle.or(clock) {
                    Some(_) if self.planted.has(Bug::HeldEntrySkipped) => {
                        self.offered = entry.reached();
                    }
                    Some(obstacle) => self.hold(obstacle),
                    None => self.apply(entry, position, effects),
                }
            }
        }
    }

    fn apply(&mut self, entry: LinkEntry, position: u64, effects: &mut Vec<LinkEffect>) {
        // What a gap hid is being read again; it is known to be whole by the next close alone. So it
        // is in a new incarnation, whose origin closes nothing before it knows what was lost.
        let begins = entry.kind() == EntryKind::Start;
        if begins || self.state != State::Live {
            self.state = State::Replay;
        }
        let mark = StreamMark {
            reached: entry.reached(),
            hlc: entry.hlc(),
            position,
        };
        self.offer(mark, entry.bytes().len());
        self.note_read(position);
        effects.push(LinkEffect::Apply { entry, position });
        if self.pending_bytes > LINK_PENDING_BYTES && !self.is_paused {
            self.is_paused = true;
            effects.push(LinkEffect::Pause);
        }
    }

    fn offer(&mut self, mark: StreamMark, bytes: usize) {
        self.offered = mark.reached;
        self.pending_bytes += bytes;
        self.in_flight.push_back(Offered { mark, bytes });
    }

    fn on_close(
        &mut self,
        now: Now,
        close: Covering,
        position: u64,
        effects: &mut Vec<LinkEffect>,
    ) {
        if matches!(self.state, State::Held(_)) {
            return;
        }
        self.freshness.hear(close);
        // The entries of a close are put into the transport before it.
        if close.reached > self.offered {
            self.open_gap_before(now, close.reached, effects);
        } else {
            self.note_read(position);
        }
        let committed = if self.planted.has(Bug::CloseBeforeCommit) {
            self.offered
        } else {
            self.mark.reached
        };
        self.settle(committed);
    }

    fn on_committed(&mut self, through: Reached, effects: &mut Vec<LinkEffect>) {
        while let Some(first) = self.in_flight.front()
            && first.mark.reached <= through
        {
            self.mark.position = first.mark.position;
            self.mark.hlc = self.mark.hlc.max(first.mark.hlc);
            self.pending_bytes -= first.bytes;
            self.in_flight.pop_front();
        }
        self.resume_below_half(effects);
        self.reach(through);
    }

    fn resume_below_half(&mut self, effects: &mut Vec<LinkEffect>) {
        if self.is_paused && self.pending_bytes <= LINK_PENDING_BYTES / 2 {
            self.is_paused = false;
            effects.push(LinkEffect::Resume);
        }
    }

    fn reach(&mut self, through: Reached) {
        if through.incarnation > self.mark.reached.incarnation {
            self.freshness.reopen();
        }
        self.mark.reached = self.mark.reached.max(through);
        self.settle(self.mark.reached);
    }

    fn settle(&mut self, committed: Reached) {
        if self.freshness.settle(committed) && self.state.ends_by_close() {
            self.state = State::Live;
        }
    }

    /// The log did not take it: the stream is read again from what the log has.
    fn on_refused(&mut self, logged: Reached, effects: &mut Vec<LinkEffect>) {
        while let Some(last) = self.in_flight.back()
            && last.mark.reached > logged
        {
            self.pending_bytes -= last.bytes;
            self.in_flight.pop_back();
        }
        if !self.planted.has(Bug::OfferedTakenForLogged) {
            self.offered = self.offered.min(logged.max(self.mark.reached));
        }
        self.read_again(effects);
        self.resume_below_half(effects);
    }

    /// From after the last entry that the log has.
    fn read_again(&mut self, effects: &mut Vec<LinkEffect>) {
        self.state = State::Replay;
        let last = self.in_flight.back().map(|last| last.mark.position);
        let position = last.unwrap_or(self.mark.position);
        self.read_through = position;
        effects.push(LinkEffect::Read(From::Position(position)));
    }

    fn hold(&mut self, obstacle: Obstacle) {
        self.state = State::Held(obstacle);
    }

    fn release(&mut self, effects: &mut Vec<LinkEffect>) {
        if matches!(self.state, State::Held(_)) {
            self.read_again(effects);
        }
    }

    fn on_merged(&mut self, mark: StreamMark, effects: &mut Vec<LinkEffect>) {
        let is_ahead = mark.reached > self.offered;
        if !is_ahead && !self.planted.has(Bug::OlderSnapshotTaken) {
            return;
        }
        self.in_flight.clear();
        self.pending_bytes = 0;
        self.resume_below_half(effects);
        self.offered = mark.reached;
        self.mark.position = mark.position;
        self.mark.hlc = self.mark.hlc.max(mark.hlc);
        self.reach(mark.reached);
        self.read_again(effects);
        if mark.position == 0 {
            // The holder does not know positions of this transport.
            effects.pop();
            effects.push(LinkEffect::Read(self.mark.start_by_time()));
        }
    }

    fn note_read(&mut self, position: u64) {
        if matches!(self.state, State::Replay | State::Live) {
            self.read_through = position;
        }
    }

    fn tick(&mut self, now: Now, effects: &mut Vec<LinkEffect>) {
        match self.state {
            State::Held(Obstacle::ClockAhead(hlc))
                if hlc.ahead_of(now.wall_millis) <= MAX_CLOCK_OFFSET =>
            {
                self.release(effects);
            }
            State::Gap(_) | State::Snapshot { .. } => self.press_on(now, effects),
            State::Replay | State::Live => self.log_position(now, effects),
            State::Held(_) => {}
        }
    }

    fn log_position(&mut self, now: Now, effects: &mut Vec<LinkEffect>) {
        let is_due = now.monotonic.since(self.logged_at) >= POSITION_INTERVAL;
        if !is_due || !self.in_flight.is_empty() {
            return;
        }
        self.logged_at = now.monotonic;
        let position = self.read_through;
        if position != self.mark.position {
            self.mark.position = position;
            effects.push(LinkEffect::LogPosition(position));
        }
    }

    /// An age such that everything acknowledged at the origin longer ago is committed here; None is
    /// *unknown*.
    #[must_use]
    pub fn age(&self, now: Now) -> Option<Micros> {
        if self.planted.has(Bug::AgeFromWallClock) {
            let age = now.wall_millis.saturating_sub(self.closed().millis());
            return (self.closed() > Hlc::ZERO).then_some(Micros(age * 1_000));
        }
        let age = self.freshness.age(now.monotonic);
        age.filter(|_| self.state == State::Live)
    }

    /// Nothing of the stream still to come is stamped at or below this.
    #[must_use]
    pub const fn closed(&self) -> Hlc {
        self.freshness.closed()
    }

    /// How far the stream is committed here, and so what may be reported.
    #[must_use]
    pub const fn committed(&self) -> Reached {
        self.mark.reached
    }

    /// For people, metrics and readiness.
    #[must_use]
    pub const fn state(&self) -> LinkState {
        self.state.shown()
    }
}
