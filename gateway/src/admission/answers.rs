//! Answers that callers have not taken yet: how much memory they hold, and when they are given up.
//!
//! A caller of HTTP/2 that opens no window leaves its answers with us, as many as it has calls. They are
//! counted until they are handed to the connection, in slices, so that a connection that takes nothing
//! holds little beyond what is counted. Where they are too many, the oldest go first.
//!
//! A call keeps its place inside until its answer is handed on: a process that makes answers faster than it
//! can send them has too many calls. Only who leaves its answer alone for long gives its place up, since
//! that says nothing about the process.

use super::gate::{Gate, Permit};
use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
};

/// Bytes of answers that wait: room for a few of the largest, or for very many of usual size.
const MOST_BYTES: usize = 512 << 20;
/// For how long an answer is kept for its caller once there is no room for others.
const KEPT_MICROS: u64 = 10_000_000;
/// For how long a call keeps its place while its answer is not taken.
const IN_PLACE_MICROS: u64 = 100_000;
/// What is handed to a connection at once.
const SLICE_BYTES: usize = 64 << 10;

/// The size of an answer that is not made into bytes yet, told by who made it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AnswerBytes(pub usize);

/// See the module.
#[derive(Default)]
pub(crate) struct Answers {
    bytes: AtomicUsize,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    /// By number, so the oldest is the first.
    slots: BTreeMap<u64, Kept>,
    numbers: u64,
    /// Those before this one have given their places up.
    placed_from: u64,
}

struct Kept {
    slot: Arc<Slot>,
    bytes: usize,
    since_micros: u64,
    permit: Option<Permit>,
}

/// Where an answer lies; empty once it was given up.
struct Slot(Mutex<Option<Content>>);

struct Content {
    body: Body,
    /// What came of it and is not handed on yet.
    rest: Bytes,
}

impl Answers {
    /// Whether another answer may be made; to find room, those that nobody took in time are given up.
    pub(crate) fn has_room(&self, now_micros: u64) -> bool {
        if self.bytes.load(Ordering::Relaxed) < MOST_BYTES {
            return true;
        }
        let mut held = self.held.lock();
        while let Some(oldest) = held.slots.first_entry()
            && now_micros.saturating_sub(oldest.get().since_micros) >= KEPT_MICROS
        {
            let kept = oldest.remove();
            *kept.slot.0.lock() = None;
            self.bytes.fetch_sub(kept.bytes, Ordering::Relaxed);
        }
        self.bytes.load(Ordering::Relaxed) < MOST_BYTES
    }

    /// The places of calls whose answers nobody took for long.
    pub(crate) fn places_of_slow(&self, now_micros: u64) -> Vec<Permit> {
        let mut held = self.held.lock();
        let from = held.placed_from;
        let old = held.slots.range_mut(from..).take_while(|(_, kept)| {
            now_micros.saturating_sub(kept.since_micros) >= IN_PLACE_MICROS
        });
        let mut through = None;
        let mut places = Vec::new();
        for (number, kept) in old {
            through = Some(*number);
            places.extend(kept.permit.take());
        }
        held.placed_from = through.map_or(from, |number| number + 1);
        places
    }

    /// Bytes that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    fn keep(
        &self,
        slot: &Arc<Slot>,
        (bytes, permit): (usize, Option<Permit>),
        now_micros: u64,
    ) -> u64 {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let mut held = self.held.lock();
        held.numbers += 1;
        let number = held.numbers;
        let kept = Kept {
            slot: Arc::clone(slot),
            bytes,
            since_micros: now_micros,
            permit,
        };
        held.slots.insert(number, kept);
        number
    }

    fn let_go(&self, number: u64) {
        let kept = self.held.lock().slots.remove(&number);
        if let Some(kept) = kept {
            self.bytes.fetch_sub(kept.bytes, Ordering::Relaxed);
        }
    }
}

/// An answer on its way to its caller.
pub(crate) struct Answer {
    gate: Arc<Gate>,
    number: u64,
    slot: Arc<Slot>,
}

impl Answer {
    /// Counts an answer of so many bytes until it is taken; its call's place is kept until then, but not
    /// for long.
    pub(crate) fn counted(
        gate: &Arc<Gate>,
        (bytes, permit): (usize, Option<Permit>),
        body: Body,
    ) -> Self {
        let content = Content {
            body,
            rest: Bytes::new(),
        };
        let slot = Arc::new(Slot(Mutex::new(Some(content))));
        let counted = (bytes, permit);
        let number = gate.answers().keep(&slot, counted, gate.now_micros());
        Self {
            gate: Arc::clone(gate),
            number,
            slot,
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.gate.answers().let_go(self.number);
    }
}

impl Content {
    fn next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => frame,
                other => return Poll::Ready(other),
            };
            match frame.into_data() {
                Ok(data) => self.rest = data,
                Err(frame) => return Poll::Ready(Some(Ok(frame))),
            }
        }
        let slice = self.rest.split_to(self.rest.len().min(SLICE_BYTES));
        Poll::Ready(Some(Ok(Frame::data(slice))))
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match self.slot.0.lock().as_mut() {
            Some(content) => content.next(context),
            None => Poll::Ready(Some(Err(axum::Error::new(
                "the answer was not taken in time and given up to make room",
            )))),
        }
    }

    fn is_end_stream(&self) -> bool {
        let slot = self.slot.0.lock();
        slot.as_ref()
            .is_some_and(|content| content.rest.is_empty() && content.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let slot = self.slot.0.lock();
        let Some(content) = slot.as_ref() else {
            return SizeHint::default();
        };
        let rest = content.rest.len() as u64;
        let body = content.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower() + rest);
        if let Some(upper) = body.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{admission::Class, edge::Clock, metrics::Refusals};
    use http_body_util::BodyExt as _;
    use std::{sync::atomic::AtomicU64, time::Duration};

    /// A clock whose hands are moved.
    #[derive(Default)]
    pub struct Hands(pub AtomicU64);

    impl Clock for Hands {
        fn monotonic_micros(&self) -> u64 {
            self.0.load(Ordering::Relaxed)
        }

        fn wall_micros(&self) -> u64 {
            0
        }
    }

    #[tokio::test]
    async fn an_answer_is_handed_on_in_slices_and_counted_until_then() {
        let gate = Gate::new(Arc::<Hands>::default(), Refusals::default());
        let whole = vec![7; SLICE_BYTES * 2 + 1];
        let mut answer = Answer::counted(&gate, (whole.len(), None), Body::from(whole.clone()));
        assert_eq!(gate.answers().bytes(), whole.len());
        assert_eq!(answer.size_hint().exact(), Some(whole.len() as u64));
        let mut read = Vec::new();
        while let Some(frame) = answer.frame().await {
            let data = frame.unwrap().into_data().unwrap();
            assert!(data.len() <= SLICE_BYTES);
            read.extend_from_slice(&data);
        }
        assert!(answer.is_end_stream());
        drop(answer);
        assert_eq!((read, gate.answers().bytes()), (whole, 0));
    }

    #[tokio::test]
    async fn a_call_keeps_its_place_until_its_answer_is_taken_but_not_for_long() {
        let clock = Arc::<Hands>::default();
        let gate = Gate::new(Arc::clone(&clock) as Arc<dyn Clock>, Refusals::default());
        let inside = || gate.fill(Class::Lookup).inside;
        let mut answers = Vec::new();
        for _ in 0..3 {
            let permit = gate.enter(Class::Lookup, Duration::MAX).await.unwrap();
            let counted = (10, Some(permit));
            answers.push(Answer::counted(&gate, counted, Body::from("an answer")));
        }
        assert_eq!(inside(), 3);
        answers.pop();
        assert_eq!(inside(), 2);
        clock.0.store(IN_PLACE_MICROS - 1, Ordering::Relaxed);
        drop(gate.answers().places_of_slow(gate.now_micros()));
        assert_eq!(inside(), 2);
        clock.0.store(IN_PLACE_MICROS, Ordering::Relaxed);
        let other = gate.enter(Class::Lookup, Duration::MAX).await.unwrap();
        assert_eq!(inside(), 1, "who asks finds the places of the slow");
        drop((answers, other));
        assert_eq!(inside(), 0, "none left twice");
    }

    #[tokio::test]
    async fn answers_that_nobody_takes_go_once_they_are_in_the_way() {
        let clock = Arc::<Hands>::default();
        let gate = Gate::new(Arc::clone(&clock) as Arc<dyn Clock>, Refusals::default());
        let keep = |bytes| Answer::counted(&gate, (bytes, None), Body::from("an answer"));
        let (mut old, half) = (keep(MOST_BYTES / 2), MOST_BYTES / 2);
        clock.0.store(KEPT_MICROS - 1, Ordering::Relaxed);
        let mut new = keep(half);
        assert!(
            !gate.answers().has_room(gate.now_micros()),
            "none is old yet"
        );
        clock.0.store(KEPT_MICROS, Ordering::Relaxed);
        assert!(gate.answers().has_room(gate.now_micros()));
        assert!(old.frame().await.unwrap().is_err(), "it was given up");
        assert!(new.frame().await.unwrap().is_ok());
        drop((old, new));
        assert_eq!(gate.answers().bytes(), 0, "none is counted twice");
    }
}
