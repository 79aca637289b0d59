//! One log of another region, read on a thread of its own: orders go in, what arrives comes out.
//!
//! A reader that hears nothing for ten seconds is made anew: every partition has heartbeats four times a
//! second, and a broker's client was seen to stand still without an error.

use super::{Arrival, Flow, LogReader, Partition};
use crate::components::Clock;
use parking_lot::Mutex;
use replication::link::From;
use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    sync::Arc,
    thread,
    time::Duration,
};

/// How long one look for records waits.
const WAIT: Duration = Duration::from_millis(20);
/// A reader that is silent for this long is made anew.
const SILENT: Duration = Duration::from_secs(10);
/// What could not be done is tried again after this.
const TRY_AGAIN: Duration = Duration::from_millis(500);

/// What a reader is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadOrder {
    /// Read a partition from there.
    Read(Partition, From),
    /// Let it flow, or wait.
    Flow(Partition, Flow),
    /// Read it no more.
    Stop(Partition),
}

/// What a reader was told since it looked last.
#[derive(Debug, Default)]
pub struct Orders {
    /// The newest for each partition: none to stop.
    pub reads: BTreeMap<Partition, Option<From>>,
    /// Whether partitions flow, where that changed.
    pub flows: BTreeMap<Partition, Flow>,
    ended: bool,
}

/// A log that is read for as long as this lives.
pub struct Reading(Arc<Mutex<Orders>>);

impl Reading {
    /// Tells the reader. A newer order for a partition takes the place of an older one.
    pub fn order(&self, order: ReadOrder) {
        let mut orders = self.0.lock();
        match order {
            ReadOrder::Read(partition, from) => drop(orders.reads.insert(partition, Some(from))),
            ReadOrder::Stop(partition) => drop(orders.reads.insert(partition, None)),
            ReadOrder::Flow(partition, flow) => drop(orders.flows.insert(partition, flow)),
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.lock().ended = true;
    }
}

/// The other end of a [`Reading`]: what a reader is told.
pub struct OrderBook(Arc<Mutex<Orders>>);

impl OrderBook {
    /// What there is; none once the reading ended.
    #[must_use]
    pub fn take(&self) -> Option<Orders> {
        let mut orders = self.0.lock();
        (!orders.ended).then(|| mem::take(&mut *orders))
    }
}

impl Reading {
    /// One that nobody reads for yet.
    #[must_use]
    pub fn new() -> (Self, OrderBook) {
        let orders = Arc::new(Mutex::new(Orders::default()));
        (Self(Arc::clone(&orders)), OrderBook(orders))
    }
}

/// Reads on a thread. `open` makes a reader, or says why not; `sink` takes what arrives, may wait, and
/// says whether to go on.
pub fn read_on_a_thread<R: LogReader + 'static>(
    name: String,
    clock: Arc<dyn Clock>,
    open: impl Fn() -> Result<R, String> + Send + 'static,
    mut sink: impl FnMut(Vec<Arrival>) -> bool + Send + 'static,
) -> Reading {
    let (reading, book) = Reading::new();
    let mut turns = Turns::new(book, clock, open);
    let read = move || {
        while let Some(turn) = turns.next(WAIT) {
            if !turn.arrivals.is_empty() && !sink(turn.arrivals) {
                return;
            }
            thread::sleep(turn.pause);
        }
    };
    thread::Builder::new()
        .name(name)
        .spawn(read)
        .expect("a process can start a thread");
    reading
}

/// What one look for records gave.
#[derive(Debug, Default)]
pub struct Turn {
    /// What arrived.
    pub arrivals: Vec<Arrival>,
    /// How long to wait before the next.
    pub pause: Duration,
}

/// The work of a reader, turn by turn.
pub struct Turns<R, O> {
    book: OrderBook,
    clock: Arc<dyn Clock>,
    open: O,
    reader: Option<R>,
    /// Where each partition goes on.
    next: BTreeMap<Partition, From>,
    /// Those that the reader has to be told of.
    due: BTreeSet<Partition>,
    paused: BTreeSet<Partition>,
    heard_at: u64,
}

impl<R, O> Turns<R, O>
where
    R: LogReader,
    O: Fn() -> Result<R, String>,
{
    /// Nothing is opened before there is something to read.
    #[must_use]
    pub const fn new(book: OrderBook, clock: Arc<dyn Clock>, open: O) -> Self {
        Self {
            book,
            clock,
            open,
            reader: None,
            next: BTreeMap::new(),
            due: BTreeSet::new(),
            paused: BTreeSet::new(),
            heard_at: 0,
        }
    }

    /// Takes orders and looks for records, waiting no longer than `wait`; none once the reading ended.
    pub fn next(&mut self, wait: Duration) -> Option<Turn> {
        let orders = self.book.take()?;
        self.take(orders);
        Some(self.work(wait).unwrap_or_else(|fault| Turn {
            arrivals: vec![Arrival::Trouble(fault)],
            pause: TRY_AGAIN,
        }))
    }

    fn micros(&self) -> u64 {
        self.clock.now().monotonic_micros()
    }

    fn take(&mut self, orders: Orders) {
        for (partition, from) in orders.reads {
            match from {
                Some(from) => {
                    self.next.insert(partition, from);
                    self.due.insert(partition);
                }
                None => {
                    self.next.remove(&partition);
                    self.due.remove(&partition);
                    if let Some(reader) = &mut self.reader {
                        // What still arrives of it is nobody's, and passed over.
                        let _ = reader.set_flow(partition, Flow::Paused);
                    }
                }
            }
        }
        for (partition, flow) in orders.flows {
            match flow {
                Flow::Paused => self.paused.insert(partition),
                Flow::Open => self.paused.remove(&partition),
            };
            if let Some(reader) = &mut self.reader {
                // A partition that is not read yet is told so when it is.
                let _ = reader.set_flow(partition, flow);
            }
        }
    }

    fn work(&mut self, wait: Duration) -> Result<Turn, String> {
        if self.next.is_empty() {
            self.heard_at = self.micros();
            let (arrivals, pause) = (Vec::new(), WAIT);
            return Ok(Turn { arrivals, pause });
        }
        let silent = self.micros().saturating_sub(self.heard_at);
        let stands_still = u128::from(silent) >= SILENT.as_micros();
        if self.reader.is_none() || (stands_still && self.paused.is_empty()) {
            self.reader = Some((self.open)()?);
            self.heard_at = self.micros();
            self.due = self.next.keys().copied().collect();
        }
        let reader = self.reader.as_mut().expect("it was just made");
        while let Some(partition) = self.due.first().copied() {
            let read = reader.read(partition, self.next[&partition]);
            read.map_err(|error| error.to_string())?;
            if self.paused.contains(&partition) {
                let _ = reader.set_flow(partition, Flow::Paused);
            }
            self.due.remove(&partition);
        }
        let arrivals = reader.poll(wait);
        Ok(Turn {
            arrivals: self.note(arrivals),
            pause: Duration::ZERO,
        })
    }

    /// What arrived of partitions that are read, and where they go on.
    fn note(&mut self, arrivals: Vec<Arrival>) -> Vec<Arrival> {
        let mut noted = Vec::with_capacity(arrivals.len());
        for arrival in arrivals {
            match &arrival {
                Arrival::Record {
                    partition,
                    position,
                    ..
                } => {
                    let Some(next) = self.next.get_mut(partition) else {
                        continue;
                    };
                    *next = From::Position(*position);
                    self.heard_at = self.clock.now().monotonic_micros();
                }
                Arrival::PositionLost(_) | Arrival::Trouble(_) => {}
            }
            noted.push(arrival);
        }
        noted
    }
}
