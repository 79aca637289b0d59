//! A node's disk: a list of records of which a prefix is durable. A crash keeps that and, of the
//! rest, as much of its beginning as chance will have it.

use crate::rng::Rng;
use proto::id::{Position, StoreId};
use replication::{Base, Effect, Entry, Mark, Recovered, Ticket};
use std::collections::BTreeMap;

#[derive(Clone)]
enum Record {
    Append(Entry),
    Cut(Position),
    Commit(Mark),
    Empty,
    Install(Box<Base>),
}

pub struct Disk {
    pub store: StoreId,
    records: Vec<Record>,
    synced: usize,
    syncing: bool,
    written: Ticket,
    /// What the store's log holds now, by position.
    log: BTreeMap<Position, Entry>,
}

impl Disk {
    pub const fn new(store: StoreId) -> Self {
        Self {
            store,
            records: Vec::new(),
            synced: 0,
            syncing: false,
            written: Ticket(0),
            log: BTreeMap::new(),
        }
    }

    /// Carries out what concerns the store.
    pub fn take(&mut self, effect: &Effect) {
        match effect {
            Effect::Append { ticket, entry } => {
                self.log.insert(entry.header().position, entry.clone());
                self.write(*ticket, Record::Append(entry.clone()));
            }
            Effect::Cut { ticket, after } => {
                self.log.split_off(&after.next());
                self.write(*ticket, Record::Cut(*after));
            }
            Effect::StartEmpty { ticket } => {
                self.log.clear();
                self.write(*ticket, Record::Empty);
            }
            Effect::Commit { through } => self.records.push(Record::Commit(*through)),
            Effect::Send { .. }
            | Effect::Reply { .. }
            | Effect::Propose(_)
            | Effect::RaiseClockBound { .. }
            | Effect::ReadLog { .. }
            | Effect::StartSnapshot { .. }
            | Effect::Closed { .. }
            | Effect::Settled(_)
            | Effect::Stop(_) => {}
        }
    }

    fn write(&mut self, ticket: Ticket, record: Record) {
        self.written = ticket;
        self.records.push(record);
    }

    /// An installed snapshot is reported when it is durable.
    pub fn install(&mut self, base: &Base) {
        self.records.push(Record::Install(Box::new(base.clone())));
        self.synced = self.records.len();
    }

    /// Begins a sync, if there is something to sync and none is under way.
    pub fn begin_sync(&mut self) -> Option<(usize, Ticket)> {
        let due = !self.syncing && self.synced < self.records.len();
        self.syncing |= due;
        due.then_some((self.records.len(), self.written))
    }

    /// The last ticket that is written.
    pub const fn written(&self) -> Ticket {
        self.written
    }

    pub fn end_sync(&mut self, records: usize) {
        self.syncing = false;
        self.synced = self.synced.max(records);
    }

    pub fn entry(&self, position: Position) -> Option<&Entry> {
        self.log.get(&position)
    }

    /// Entries from `from` through `to`, if the log still reaches back so far.
    pub fn read(&self, from: Position, to: Position) -> Option<Vec<Entry>> {
        let entries: Vec<_> = self.log.range(from..=to).map(|(_, e)| e.clone()).collect();
        entries
            .first()
            .is_some_and(|first| first.header().position == from)
            .then_some(entries)
    }

    /// Loses what was not synced, but for a part of its beginning.
    pub fn crash(&mut self, rng: &mut Rng) {
        let unsynced = (self.records.len() - self.synced) as u64;
        let kept = rng.between(0, unsynced) as usize;
        self.records.truncate(self.synced + kept);
        self.synced = self.records.len();
        self.syncing = false;
        self.written = Ticket(0);
    }

    /// Reads everything again, as a store does that opens.
    pub fn recover(&mut self) -> Recovered {
        let mut base = Base::default();
        self.log.clear();
        for record in self.records.clone() {
            match record {
                Record::Append(entry) => {
                    self.log.insert(entry.header().position, entry);
                }
                Record::Cut(after) => {
                    self.log.split_off(&after.next());
                }
                Record::Commit(through) => {
                    let from = base.committed.position.next();
                    for (_, entry) in self.log.range(from..=through.position) {
                        base.follow(entry);
                    }
                }
                Record::Empty => {
                    self.log.clear();
                    base = Base::default();
                }
                Record::Install(installed) => base = *installed,
            }
        }
        let tail = self.log.range(base.committed.position.next()..);
        let tail = tail.map(|(_, entry)| entry.clone()).collect();
        Recovered { base, tail }
    }
}
