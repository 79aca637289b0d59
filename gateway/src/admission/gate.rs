//! The gate: rooms with a clock, and tasks that wait in them.

use super::{
    answers::{Answer, Answers},
    class::Class,
    limit::{Instant, Tuning},
    room::{Asked, Left, Room, Size, Ticket},
    turns::Turns,
};
use crate::{
    edge::Clock,
    failure::Failure,
    metrics::{Method, Refusals},
};
use axum::{
    body::{Body, HttpBody as _},
    http::Response,
};
use parking_lot::Mutex;
use proto::reason::Reason;
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    sync::oneshot,
    time::{Sleep, sleep},
};

/// Lookups wait for a page: who waits longer than this is better served elsewhere.
const LOOKUPS: Size = Size {
    inside: Tuning {
        target_micros: 10_000,
        least: 16,
        most: 512,
    },
    waiting: 512,
    wait_micros: 3_000,
};

/// Writes wait for disks and other nodes most of their time, so that many are inside.
const WRITES: Size = Size {
    inside: Tuning {
        target_micros: 50_000,
        least: 64,
        most: 4_096,
    },
    waiting: 512,
    wait_micros: 20_000,
};

/// Bulk loads see a crowd before others do, and have the patience to wait.
const BULK: Size = Size {
    inside: Tuning {
        target_micros: 20_000,
        least: 4,
        most: 64,
    },
    waiting: 64,
    wait_micros: 500_000,
};

type Told = oneshot::Sender<Turn>;

/// What somebody who waits is told.
#[derive(Debug)]
enum Turn {
    Inside,
    Late,
}

/// One gateway's gate. Calls come in by [`Gate::enter`] and keep their [`Permit`] until they are answered.
pub struct Gate {
    rooms: [Mutex<Room<Told>>; Class::ALL.len()],
    turns: Turns,
    answers: Answers,
    clock: Arc<dyn Clock>,
    refusals: Refusals,
}

/// How full a room is, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fill {
    /// Calls that may be inside.
    pub limit: usize,
    /// Calls that are.
    pub inside: usize,
    /// Calls that wait.
    pub waiting: usize,
}

/// What becomes of a call that comes.
pub(crate) enum Asking {
    /// It is inside.
    Inside(Permit),
    /// Its turn may come.
    Waits(Waiting),
    /// It may not come in now.
    Refused(Failure),
}

impl Gate {
    /// A gate before anybody has come.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, refusals: Refusals) -> Arc<Self> {
        let room = |class| {
            Mutex::new(Room::new(match class {
                Class::Lookup => LOOKUPS,
                Class::Write => WRITES,
                Class::Bulk => BULK,
            }))
        };
        Arc::new(Self {
            rooms: Class::ALL.map(room),
            turns: Turns::default(),
            answers: Answers::default(),
            clock,
            refusals,
        })
    }

    /// Comes with a call that must be answered within `timeout`.
    pub(crate) fn ask(self: &Arc<Self>, class: Class, timeout: Duration) -> Asking {
        let now = self.clock.monotonic_micros();
        let deadline = now.saturating_add(u64::try_from(timeout.as_micros()).unwrap_or(u64::MAX));
        if class == Class::Lookup && !self.answers.has_room(now) {
            let message =
                "answers that nobody takes fill this gateway's memory; read answers as they come";
            let failure = Failure::new(Reason::Overloaded, message);
            return self.refuse(class, failure.retry_after(Duration::from_secs(1)));
        }
        drop(self.answers.places_of_slow(now));
        let mut turn = None;
        let wait = || {
            let (tell, told) = oneshot::channel();
            turn = Some(told);
            tell
        };
        let asked = self.room(class).lock().ask(now, deadline, wait);
        match (asked, turn) {
            (Asked::Entered, _) => Asking::Inside(self.permit(class, now, deadline)),
            (Asked::Waits(ticket), Some(turn)) => Asking::Waits(Waiting {
                gate: Arc::clone(self),
                class,
                ticket,
                deadline_micros: deadline,
                turn: Some(turn),
                until: Box::pin(sleep(Duration::from_micros(
                    ticket.until_micros().saturating_sub(now),
                ))),
            }),
            (Asked::Waits(_), None) => {
                self.refuse(class, Failure::internal("nobody would be told"))
            }
            (Asked::Full(retry_micros), _) => self.refuse(class, full(class, retry_micros)),
        }
    }

    /// Comes with a call and waits for its turn.
    pub async fn enter(
        self: &Arc<Self>,
        class: Class,
        timeout: Duration,
    ) -> Result<Permit, Failure> {
        match self.ask(class, timeout) {
            Asking::Inside(permit) => Ok(permit),
            Asking::Waits(waiting) => waiting.await,
            Asking::Refused(failure) => Err(failure),
        }
    }

    /// Does what a call that was let in asks for, once it is its turn. Fails where its time is over by then.
    pub(crate) async fn work<W: Future>(
        &self,
        permit: &Permit,
        work: W,
    ) -> Result<W::Output, Failure> {
        let begun = async {
            permit.begin()?;
            Ok(work.await)
        };
        self.turns.take(begun).await
    }

    fn refuse(&self, class: Class, failure: Failure) -> Asking {
        self.count_refused(class, &failure);
        Asking::Refused(failure)
    }

    fn count_refused(&self, class: Class, failure: &Failure) {
        let method = match class {
            Class::Lookup => Method::Lookup,
            Class::Write | Class::Bulk => Method::Write,
        };
        self.refusals.refused(method, failure);
    }

    /// How full a class's room is.
    #[must_use]
    pub fn fill(&self, class: Class) -> Fill {
        let room = self.room(class).lock();
        Fill {
            limit: room.limit(),
            inside: room.inside(),
            waiting: room.waiting(),
        }
    }

    /// Counts an answer until its caller has taken it.
    pub(crate) fn count(
        self: &Arc<Self>,
        permit: Permit,
        answer: Response<Body>,
    ) -> Response<Body> {
        let Some(bytes) = answer.body().size_hint().exact() else {
            return answer;
        };
        let counted = (bytes as usize, Some(permit));
        answer.map(|body| Body::new(Answer::counted(self, counted, body)))
    }

    /// Answers that callers have not taken yet.
    pub(crate) fn answers(&self) -> &Answers {
        &self.answers
    }

    /// Microseconds of the clock that deadlines are on.
    pub(crate) fn now_micros(&self) -> u64 {
        self.clock.monotonic_micros()
    }

    fn room(&self, class: Class) -> &Mutex<Room<Told>> {
        &self.rooms[class as usize]
    }

    fn permit(self: &Arc<Self>, class: Class, let_in_micros: u64, deadline_micros: u64) -> Permit {
        Permit {
            gate: Arc::clone(self),
            class,
            let_in_micros,
            deadline_micros,
        }
    }

    fn leave(&self, class: Class, let_in_micros: u64) {
        let now = Instant {
            at_micros: self.clock.monotonic_micros(),
            busy_micros: self.clock.busy_micros(),
        };
        let stayed_micros = now.at_micros.saturating_sub(let_in_micros);
        let left = self.room(class).lock().leave(now, stayed_micros);
        let mut gone = tell(left);
        while gone > 0 {
            gone -= 1;
            let left = self.room(class).lock().go(now.at_micros);
            gone += tell(left);
        }
    }
}

/// Tells those whose waiting ended, and gives how many are gone though it was their turn.
fn tell(left: Left<Told>) -> usize {
    for told in left.late {
        let _ = told.send(Turn::Late);
    }
    let entered = left.entered.into_iter();
    entered
        .filter_map(|told| told.send(Turn::Inside).err())
        .count()
}

fn full(class: Class, retry_micros: u64) -> Failure {
    let message = format!(
        "this gateway has more {} calls than it can work on; come back later, or go to another gateway",
        class.as_str()
    );
    Failure::new(Reason::Overloaded, message).retry_after(Duration::from_micros(retry_micros))
}

/// A call's place inside, until its answer is on its way; it leaves when this is dropped.
pub struct Permit {
    gate: Arc<Gate>,
    class: Class,
    let_in_micros: u64,
    deadline_micros: u64,
}

impl Permit {
    /// Says that the call is begun now. Fails where its time was over before.
    pub(crate) fn begin(&self) -> Result<(), Failure> {
        let now = self.gate.clock.monotonic_micros();
        if now < self.deadline_micros {
            return Ok(());
        }
        let failure = late();
        self.gate.count_refused(self.class, &failure);
        Err(failure)
    }
}

fn late() -> Failure {
    let message =
        "the deadline passed before the call was begun; give it more time, or send fewer at once";
    Failure::new(Reason::Deadline, message)
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.gate.leave(self.class, self.let_in_micros);
    }
}

/// A call that waits for its turn.
pub(crate) struct Waiting {
    gate: Arc<Gate>,
    class: Class,
    ticket: Ticket,
    deadline_micros: u64,
    /// None once it was told.
    turn: Option<oneshot::Receiver<Turn>>,
    until: Pin<Box<Sleep>>,
}

impl Waiting {
    fn come_in(&self) -> Permit {
        let now = self.gate.clock.monotonic_micros();
        self.gate.permit(self.class, now, self.deadline_micros)
    }

    /// It was not its turn while it waited, or before its deadline.
    fn in_vain(&self) -> Failure {
        let failure = if self.gate.clock.monotonic_micros() < self.deadline_micros {
            let retry_micros = self.gate.room(self.class).lock().retry_micros();
            full(self.class, retry_micros)
        } else {
            late()
        };
        self.gate.count_refused(self.class, &failure);
        failure
    }
}

impl Future for Waiting {
    type Output = Result<Permit, Failure>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(turn) = &mut self.turn else {
            return Poll::Ready(Err(Failure::internal("a call waited twice")));
        };
        let Poll::Ready(told) = Pin::new(turn).poll(context) else {
            return self
                .until
                .as_mut()
                .poll(context)
                .map(|()| Err(self.in_vain()));
        };
        self.turn = None;
        Poll::Ready(match told {
            Ok(Turn::Inside) => Ok(self.come_in()),
            Ok(Turn::Late) => Err(self.in_vain()),
            Err(_) => Err(Failure::internal("the gate is gone")),
        })
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let Some(mut turn) = self.turn.take() else {
            return;
        };
        let waited = self.gate.room(self.class).lock().give_up(self.ticket);
        // Its turn came while it went: what was told in between is heard here or by who told it.
        turn.close();
        if !waited && matches!(turn.try_recv(), Ok(Turn::Inside)) {
            drop(self.come_in());
        }
    }
}

#[cfg(test)]
mod tests;
