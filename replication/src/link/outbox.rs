//! The sending end of one stream, at the primary of its origin.
//!
//! The shard's log is the outbox; this keeps a window of it in memory. Only committed own entries are
//! shipped, so an entry's number never changes content: what is sent twice, also by a primary that was
//! replaced, repeats a fact. A record counts once the transport confirmed it. After a failed delivery
//! nobody knows which of those under way are there, so a new session sends all of them again.

mod closes;
mod window;

use crate::{
    context::Micros,
    entry::Entry,
    planted::{Bug, Planted},
    settings::{LINK_IN_FLIGHT_BYTES, MESSAGE_BYTES},
};
use closes::Closes;
use proto::{
    entry::EntryKind,
    hlc::Hlc,
    id::{Position, Sequence},
    token::Reached,
};
use window::Window;

/// Who reads what is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// All holders read one copy: what is lost for one of them is said in the stream.
    All,
    /// One holder has a session of its own, and is told by it.
    One,
}

/// One thing that happened.
#[derive(Debug, Clone)]
pub enum OutboxEvent {
    /// The next own entry of the stream is committed, and on the disk of every in-sync member.
    Ready(Entry),
    /// A session of the transport began. A reader of its own says what it has; a shared transport goes
    /// on from the mark.
    Opened {
        /// Rises with each.
        session: u64,
        /// What the reader has.
        from: Option<Reached>,
    },
    /// The transport has everything through this entry for good.
    Delivered {
        /// In which session.
        session: u64,
        /// The last one.
        through: Reached,
    },
    /// The transport was full and did not take this entry, nor any after it.
    Full {
        /// In which session.
        session: u64,
        /// The first one not taken.
        reached: Reached,
    },
    /// A transport that was full has room.
    Room,
    /// What became of entries under way is unknown, or the session ended.
    Failed {
        /// Which.
        session: u64,
    },
    /// The answer to [`OutboxEffect::ReadLog`]: own entries of the stream after `after`, in order.
    LogRead {
        /// As it was asked for.
        after: Reached,
        /// None where the log does not reach back that far.
        entries: Option<Vec<Entry>>,
    },
    /// A close of the stream is done.
    Closed {
        /// The last entry that it covers.
        reached: Reached,
        /// Nothing past it is stamped at or below this.
        hlc: Hlc,
        /// When its round was sent to the replicas.
        sent_at: Micros,
    },
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutboxEffect {
    /// Give an entry to the transport.
    Send {
        /// In this session.
        session: u64,
        /// What.
        entry: Entry,
    },
    /// Drop the session and begin another one.
    Renew,
    /// Read own entries of the stream from the log, about as many bytes, one entry at least.
    ReadLog {
        /// After this one.
        after: Reached,
        /// How much.
        bytes: usize,
    },
    /// Let the backups know: a successor goes on from here.
    ShareMark(Reached),
    /// Append a *skip* to the stream: what was not sent is gone from the log.
    AppendSkip,
    /// Tell the reader of this session that what it lacks is gone from the log.
    TellGone {
        /// Which.
        session: u64,
    },
}

/// A stream of this region on its way to others.
#[derive(Debug)]
pub struct Outbox {
    audience: Audience,
    session: Option<u64>,
    is_full: bool,
    is_reading: bool,
    /// What lacks is gone: nothing is sent before a *skip*, or before another session.
    is_gone: bool,
    window: Window,
    /// The last entry that is ready.
    end: Reached,
    closes: Closes,
    planted: Planted,
}

impl Outbox {
    /// Goes on after `mark`, which the transport is known to have, and knows of entries through `end`.
    #[must_use]
    pub fn new(audience: Audience, mark: Reached, end: Reached) -> Self {
        Self {
            audience,
            session: None,
            is_full: false,
            is_reading: false,
            is_gone: false,
            window: Window::after(mark),
            end,
            closes: Closes::default(),
            planted: Planted::NONE,
        }
    }

    /// Takes a rule out, for a test.
    #[cfg(feature = "planted-bugs")]
    pub const fn plant(&mut self, bug: Bug) {
        self.planted = Planted::with(bug);
    }

    /// Takes one event.
    pub fn step(&mut self, event: OutboxEvent, effects: &mut Vec<OutboxEffect>) {
        match event {
            OutboxEvent::Ready(entry) => self.on_ready(entry),
            OutboxEvent::Opened { session, from } => self.on_opened(session, from),
            OutboxEvent::Delivered { session, through } => {
                self.on_delivered(session, through, effects);
            }
            OutboxEvent::Full { session, reached } => {
                if self.session == Some(session) {
                    self.is_full = true;
                    self.window.take_back(reached);
                }
            }
            OutboxEvent::Room => self.is_full = false,
            OutboxEvent::Failed { session } => self.on_failed(session, effects),
            OutboxEvent::LogRead { after, entries } => self.on_read(after, entries, effects),
            OutboxEvent::Closed {
                reached,
                hlc,
                sent_at,
            } => self.closes.add(reached, hlc, sent_at),
        }
        self.send(effects);
    }

    fn on_ready(&mut self, entry: Entry) {
        let follows = self.window.last() == self.end;
        self.end = reached(&entry);
        if self.is_gone && entry.header().kind == EntryKind::Skip {
            self.is_gone = false;
            self.window.restart_with(entry);
        } else if follows && !self.is_gone && self.window.has_room() {
            self.window.push(entry);
        }
    }

    fn on_opened(&mut self, session: u64, from: Option<Reached>) {
        self.session = Some(session);
        self.is_full = false;
        self.is_gone &= self.audience == Audience::All;
        if self.planted.has(Bug::ProducerGoesOnAfterFailure) {
            return;
        }
        self.window.rewind(from);
        self.is_reading &= from.is_none();
    }

    fn on_delivered(&mut self, session: u64, through: Reached, effects: &mut Vec<OutboxEffect>) {
        if self.session == Some(session) && self.window.deliver(through) {
            self.closes.forget_before(self.window.delivered());
            effects.push(OutboxEffect::ShareMark(self.window.delivered()));
        }
    }

    fn on_failed(&mut self, session: u64, effects: &mut Vec<OutboxEffect>) {
        if self.session == Some(session) {
            self.session = None;
            effects.push(OutboxEffect::Renew);
        }
    }

    fn on_read(
        &mut self,
        after: Reached,
        entries: Option<Vec<Entry>>,
        effects: &mut Vec<OutboxEffect>,
    ) {
        // An answer to a question of an earlier session.
        if !self.is_reading || after != self.window.last() {
            return;
        }
        self.is_reading = false;
        match entries {
            Some(entries) => entries
                .into_iter()
                .take_while(|entry| reached(entry) <= self.end)
                .for_each(|entry| self.window.push(entry)),
            None => self.give_up(effects),
        }
    }

    fn give_up(&mut self, effects: &mut Vec<OutboxEffect>) {
        self.is_gone = true;
        match (self.audience, self.session) {
            (Audience::All, _) => effects.push(OutboxEffect::AppendSkip),
            (Audience::One, Some(session)) => effects.push(OutboxEffect::TellGone { session }),
            (Audience::One, None) => {}
        }
    }

    /// Sends what fits in flight, and reads on where the window ends before the stream does.
    fn send(&mut self, effects: &mut Vec<OutboxEffect>) {
        let Some(session) = self.session.filter(|_| !self.is_full) else {
            return;
        };
        while let Some(entry) = self.window.next_within(LINK_IN_FLIGHT_BYTES) {
            effects.push(OutboxEffect::Send { session, entry });
        }
        let is_short = self.window.last() < self.end && self.window.has_room();
        if is_short && !self.is_reading && !self.is_gone {
            self.is_reading = true;
            let (after, bytes) = (self.window.last(), MESSAGE_BYTES);
            effects.push(OutboxEffect::ReadLog { after, bytes });
        }
    }

    /// What may be told of the stream: the newest close whose entries were given to this session's
    /// transport before, so that a reader who lacks one knows that it is lost. Before the first close
    /// of an incarnation it is how far the stream goes: a reader must learn from something that its
    /// last entry did not come, or an incarnation that closes nothing yet would wait for it for ever.
    #[must_use]
    pub fn said(&self) -> (Reached, Hlc, Option<Micros>) {
        let sent = self.window.sent();
        let close = self.closes.newest_through(sent);
        close
            .filter(|close| close.0.incarnation == sent.incarnation)
            .map_or((sent, Hlc::ZERO, None), |(reached, hlc, sent_at)| {
                (reached, hlc, Some(sent_at))
            })
    }

    /// Where the shard's log has the last entry that came to the window; none before the first.
    #[must_use]
    pub const fn last_position(&self) -> Option<Position> {
        self.window.last_position()
    }

    /// Whether the transport has all that is ready.
    #[must_use]
    pub fn is_through(&self) -> bool {
        self.window.delivered() == self.end
    }

    /// The last entry that is ready.
    #[must_use]
    pub const fn end(&self) -> Reached {
        self.end
    }

    /// What the transport has for good.
    #[must_use]
    pub const fn delivered(&self) -> Reached {
        self.window.delivered()
    }

    /// Entries, and bytes as far as they are in memory, that the transport does not have yet.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.window.bytes()
    }
}

/// An entry's number in its stream.
fn reached(entry: &Entry) -> Reached {
    let header = entry.header();
    Reached {
        incarnation: header.incarnation,
        sequence: header.sequence,
    }
}

/// Whether `entry` comes next in the stream's log after `before`: in its incarnation, or as the first
/// of a later one.
fn follows(before: Reached, entry: &Entry) -> bool {
    let comes = reached(entry);
    if comes.incarnation == before.incarnation {
        comes.sequence == before.sequence.next()
    } else {
        comes.incarnation > before.incarnation && comes.sequence == Sequence(1)
    }
}
