//! The log of a history, and the handle by which clients of one harness write it together.

use super::{
    data::Micros,
    data::TokenBytes,
    event::{
        CallId, Entry, Event, LookupAnswer, LookupAnswered, LookupIssued, Wanted, WriteAnswer,
        WriteAnswered, WriteIssued, WriteRow,
    },
    header::Header,
};
use proto::request::RequestId;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// How large a history may grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Events.
    pub events: usize,
    /// Cells written and read, which take most of the memory.
    pub cells: usize,
}

impl Default for Limits {
    /// About 2 GiB of memory when full.
    fn default() -> Self {
        Self {
            events: 4_000_000,
            cells: 32_000_000,
        }
    }
}

/// An event cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The limit is reached.
    #[error(
        "the history is full at {events} events and {cells} cells; end the load here, or raise its limits"
    )]
    Full {
        /// Its events.
        events: usize,
        /// Its cells.
        cells: usize,
    },
    /// The answer has no call.
    #[error("call {} is answered but not open; record each call once before its one answer", .0.0)]
    NotOpen(CallId),
    /// The call's number was used before.
    #[error("call {} is issued twice; give each attempt a number of its own", .0.0)]
    IssuedTwice(CallId),
    /// Time ran backwards.
    #[error("call {} is answered before it is issued; use one clock for the whole history", .0.0)]
    BeforeItsCall(CallId),
}

/// A history. Events are only ever added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    header: Header,
    entries: Vec<Entry>,
    limits: Limits,
    cells: usize,
    next_call: u64,
    /// When each call was issued; `None` once it is answered.
    calls: BTreeMap<CallId, Option<Micros>>,
}

impl History {
    /// An empty history.
    #[must_use]
    pub const fn new(header: Header, limits: Limits) -> Self {
        Self {
            header,
            entries: Vec::new(),
            limits,
            cells: 0,
            next_call: 0,
            calls: BTreeMap::new(),
        }
    }

    /// A history of the given events: read from a file, or made by hand.
    pub fn of(
        header: Header,
        entries: impl IntoIterator<Item = Entry>,
    ) -> Result<Self, RecordError> {
        let unlimited = Limits {
            events: usize::MAX,
            cells: usize::MAX,
        };
        let mut history = Self::new(header, unlimited);
        for entry in entries {
            history.push(entry.at, entry.event)?;
        }
        Ok(history)
    }

    /// What the judge must know.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The events in the order in which they were recorded.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// A number for the next call.
    pub const fn next_call(&mut self) -> CallId {
        self.next_call += 1;
        CallId(self.next_call)
    }

    /// Adds an event. When the history is full it takes answers still, and no new call: each answer
    /// then closes a call that was there.
    pub fn push(&mut self, at: Micros, event: Event) -> Result<(), RecordError> {
        self.follow_calls(at, &event)?;
        self.cells = self.cells.saturating_add(cells_of(&event));
        self.entries.push(Entry { at, event });
        Ok(())
    }

    fn follow_calls(&mut self, at: Micros, event: &Event) -> Result<(), RecordError> {
        match event {
            Event::WriteIssued(WriteIssued { call, .. })
            | Event::LookupIssued(LookupIssued { call, .. }) => self.issue(at, *call),
            Event::WriteAnswered(WriteAnswered { call, .. })
            | Event::LookupAnswered(LookupAnswered { call, .. }) => self.answer(at, *call),
            Event::FinalRead(_)
            | Event::Primary(_)
            | Event::Committed(_)
            | Event::Shipped(_)
            | Event::Closed(_)
            | Event::Holds(_)
            | Event::LossAccepted
            | Event::Note(_) => Ok(()),
        }
    }

    fn issue(&mut self, at: Micros, call: CallId) -> Result<(), RecordError> {
        if self.entries.len() >= self.limits.events || self.cells >= self.limits.cells {
            return Err(RecordError::Full {
                events: self.entries.len(),
                cells: self.cells,
            });
        }
        // Numbers need not rise: calls of several harness threads may be recorded out of order.
        if self.calls.contains_key(&call) {
            return Err(RecordError::IssuedTwice(call));
        }
        self.calls.insert(call, Some(at));
        self.next_call = self.next_call.max(call.0);
        Ok(())
    }

    fn answer(&mut self, at: Micros, call: CallId) -> Result<(), RecordError> {
        match self.calls.get_mut(&call) {
            None | Some(None) => Err(RecordError::NotOpen(call)),
            Some(Some(issued)) if at < *issued => Err(RecordError::BeforeItsCall(call)),
            Some(open) => {
                *open = None;
                Ok(())
            }
        }
    }
}

fn cells_of(event: &Event) -> usize {
    match event {
        Event::WriteIssued(write) => write.rows.len(),
        Event::LookupIssued(lookup) => lookup.wanted.len(),
        Event::LookupAnswered(LookupAnswered {
            answer: LookupAnswer::Values(values),
            ..
        }) => values.rows.iter().map(Vec::len).sum(),
        Event::FinalRead(read) => read.cells.len(),
        _ => 0,
    }
}

/// A history that several clients write; clones write the same one.
#[derive(Debug, Clone)]
pub struct Recorder(Arc<Mutex<History>>);

impl Recorder {
    /// Begins a history.
    #[must_use]
    pub fn new(header: Header, limits: Limits) -> Self {
        Self(Arc::new(Mutex::new(History::new(header, limits))))
    }

    fn with<T>(&self, verb: impl FnOnce(&mut History) -> T) -> T {
        // A client that panicked between two events left the log whole.
        verb(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A write is about to leave.
    pub fn write_issued(
        &self,
        at: Micros,
        request: RequestId,
        rows: Vec<WriteRow>,
        token: Option<TokenBytes>,
    ) -> Result<CallId, RecordError> {
        self.with(|history| {
            let call = history.next_call();
            history.push(
                at,
                Event::WriteIssued(WriteIssued {
                    call,
                    request,
                    rows,
                    token,
                }),
            )?;
            Ok(call)
        })
    }

    /// The answer to a write came.
    pub fn write_answered(
        &self,
        at: Micros,
        call: CallId,
        answer: WriteAnswer,
    ) -> Result<(), RecordError> {
        self.event(at, Event::WriteAnswered(WriteAnswered { call, answer }))
    }

    /// A lookup is about to leave.
    pub fn lookup_issued(
        &self,
        at: Micros,
        wanted: Vec<Wanted>,
        token: Option<TokenBytes>,
    ) -> Result<CallId, RecordError> {
        self.with(|history| {
            let call = history.next_call();
            history.push(
                at,
                Event::LookupIssued(LookupIssued {
                    call,
                    wanted,
                    token,
                }),
            )?;
            Ok(call)
        })
    }

    /// The answer to a lookup came.
    pub fn lookup_answered(
        &self,
        at: Micros,
        call: CallId,
        answer: LookupAnswer,
    ) -> Result<(), RecordError> {
        self.event(at, Event::LookupAnswered(LookupAnswered { call, answer }))
    }

    /// Anything else.
    pub fn event(&self, at: Micros, event: Event) -> Result<(), RecordError> {
        self.with(|history| history.push(at, event))
    }

    /// The history so far.
    #[must_use]
    pub fn snapshot(&self) -> History {
        self.with(|history| history.clone())
    }
}
