//! What a primary knows of one other replica, in one epoch.

use crate::{
    configuration::{Member, Standing},
    context::{Budget, Micros},
    message::Ack,
    settings::{SILENT_AFTER, STALLED_AFTER},
};
use proto::id::{BootId, Position};
use std::collections::VecDeque;

/// How entries get to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    /// From the tail, as they are appended.
    Streaming,
    /// A read of the log is under way.
    Reading,
    /// A snapshot is under way.
    Snapshot,
    /// Its stream is broken.
    Down,
}

/// How far taking it into the in-sync set has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Growth {
    /// Nothing waits for it.
    None,
    /// Commits and closes need it; it is proposed when it holds all through `position` and promised
    /// `round`, which is sent after it became needed.
    Needed { position: Position, round: u64 },
    /// It is proposed. It stays needed until another epoch is seen: the proposal may still win.
    Proposed,
}

/// Its own clock, as it told it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    pub(super) boot: BootId,
    pub(super) clock: Micros,
    pub(super) at: Micros,
}

#[derive(Debug)]
pub(super) struct Peer {
    pub(super) member: Member,
    pub(super) standing: Standing,
    pub(super) boot: Option<BootId>,
    pub(super) flow: Flow,
    pub(super) growth: Growth,
    pub(super) session: u32,
    /// The next position to send.
    pub(super) next: Position,
    /// Durable there, acknowledged in this epoch and session.
    pub(super) durable: Position,
    pub(super) promised: u64,
    pub(super) told: Option<Told>,
    /// It lacks what this primary's log cannot give it any more.
    pub(super) is_lost: bool,
    heard_at: Micros,
    /// Since when it made no progress although it lacks something.
    behind_since: Option<Micros>,
    sent: VecDeque<(Position, usize)>,
    rewound: Option<(Position, Micros)>,
}

impl Peer {
    pub(super) fn new(
        member: Member,
        standing: Standing,
        session: u32,
        next: Position,
        now: Micros,
        before: Option<&Self>,
    ) -> Self {
        let before = before.filter(|before| before.member == member);
        let is_down = before.is_some_and(|before| before.flow == Flow::Down);
        Self {
            member,
            standing,
            boot: before.and_then(|before| before.boot),
            flow: if is_down { Flow::Down } else { Flow::Streaming },
            growth: Growth::None,
            session,
            next,
            durable: Position(0),
            promised: 0,
            told: before.and_then(|before| before.told),
            is_lost: false,
            heard_at: before.map_or(now, |before| before.heard_at),
            behind_since: None,
            sent: VecDeque::new(),
            rewound: None,
        }
    }

    /// Whether commits and closes wait for it.
    pub(super) fn is_needed(&self) -> bool {
        match self.standing {
            Standing::InSync => true,
            Standing::Joining => self.growth != Growth::None,
            Standing::Observing => false,
        }
    }

    /// Whether it answers nothing, makes no progress, or cannot.
    pub(super) fn is_silent(&self, now: Micros) -> bool {
        let stalled = |since| now.since(since) >= STALLED_AFTER;
        self.is_lost
            || now.since(self.heard_at) >= SILENT_AFTER
            || self.behind_since.is_some_and(stalled)
    }

    pub(super) fn hear(&mut self, now: Micros) {
        self.heard_at = now;
    }

    /// An answer came: its stream stands, whatever was heard of it before. Where the answer is an old
    /// one, the next message finds the gap.
    pub(super) fn stand(&mut self) {
        if self.flow == Flow::Down {
            self.flow = Flow::Streaming;
        }
    }

    /// Starts all waiting anew: this process itself stood still.
    pub(super) fn forgive(&mut self, now: Micros) {
        self.heard_at = now;
        self.behind_since = self.behind_since.map(|_| now);
    }

    /// Takes an acknowledgement; all in it is cumulative.
    pub(super) fn acknowledge(&mut self, ack: &Ack, now: Micros, budget: &mut Budget) {
        self.boot = Some(ack.boot);
        self.promised = self.promised.max(ack.promised);
        let fresher = |told: &Told| told.boot != ack.boot || told.clock <= ack.clock;
        if self.told.as_ref().is_none_or(fresher) {
            self.told = Some(Told {
                boot: ack.boot,
                clock: ack.clock,
                at: now,
            });
        }
        if ack.durable > self.durable {
            self.durable = ack.durable;
            self.behind_since = self.behind_since.map(|_| now);
        }
        self.next = self.next.max(self.durable.next());
        while let Some((position, bytes)) = self.sent.front().copied() {
            if position > self.durable {
                break;
            }
            budget.arrived(self.member.node, bytes);
            self.sent.pop_front();
        }
    }

    /// Notes whether it lacks something of a log that ends at `end`.
    pub(super) fn compare(&mut self, end: Position, now: Micros) {
        self.behind_since = if self.durable < end {
            self.behind_since.or(Some(now))
        } else {
            None
        };
    }

    /// Notes that an entry of `bytes` was sent.
    pub(super) fn sent(&mut self, position: Position, bytes: usize, budget: &mut Budget) {
        self.sent.push_back((position, bytes));
        self.next = position.next();
        budget.send(self.member.node, bytes);
    }

    /// Sends again from `resume`. Gives false where that was just done: several messages in flight
    /// find the same gap.
    pub(super) fn rewind(
        &mut self,
        resume: Position,
        now: Micros,
        pause: Micros,
        budget: &mut Budget,
    ) -> bool {
        let resume = resume.max(self.durable.next());
        let just_done = |(position, at): (Position, Micros)| {
            position == resume && self.next > resume && now.since(at) < pause
        };
        if self.rewound.is_some_and(just_done) {
            return false;
        }
        self.release(budget);
        self.rewound = Some((resume, now));
        self.next = resume;
        true
    }

    /// Opens a new session: what it acknowledged before counts for nothing.
    pub(super) fn open_session(&mut self, session: u32, budget: &mut Budget) {
        self.release(budget);
        self.session = session;
        self.flow = Flow::Snapshot;
        self.growth = Growth::None;
        self.durable = Position(0);
        self.promised = 0;
        self.rewound = None;
    }

    /// Gives back what is in flight.
    pub(super) fn release(&mut self, budget: &mut Budget) {
        for (_, bytes) in self.sent.drain(..) {
            budget.arrived(self.member.node, bytes);
        }
    }
}
