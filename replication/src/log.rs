//! One replica's log as positions: what is committed, what hangs after it, what is durable.
//!
//! Not the bytes' place on disk: the store appends, cuts and applies in the order of the effects
//! given here. Not who may append: roles decide that.

use crate::{
    base::{Base, Recovered},
    context::Budget,
    effect::{Broken, Effect},
    entry::{Entry, Mark},
    requests::{Key, Written},
    streams::Heads,
};
use proto::{
    entry::EntryKind,
    hlc::Hlc,
    id::{Epoch, Incarnation, Position},
    request::RequestId,
};
use std::collections::{BTreeMap, VecDeque};

/// The number of one write to the store's log. A report of what is written or durable names the ticket through which
/// it holds: a position would not do, for after a cut it may be given a second time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Ticket(pub u64);

#[derive(Debug, Clone)]
struct Appended {
    ticket: Ticket,
    entry: Entry,
}

#[derive(Debug, Default)]
pub(crate) struct Log {
    base: Base,
    tail: VecDeque<Appended>,
    /// Requests in the tail; those of the base are in its table.
    pending: BTreeMap<Key, Position>,
    heads: Heads,
    hlc: Hlc,
    last_ticket: Ticket,
    written: Ticket,
    synced: Ticket,
}

impl Log {
    pub(crate) fn open(recovered: Recovered, budget: &mut Budget) -> Self {
        let base = recovered.base;
        let mut log = Self {
            heads: base.heads.clone(),
            hlc: base.hlc,
            base,
            ..Self::default()
        };
        for entry in recovered.tail {
            log.push(Ticket(0), entry, budget);
        }
        log
    }

    /// The state at the commit point.
    pub(crate) const fn base(&self) -> &Base {
        &self.base
    }

    pub(crate) const fn committed(&self) -> Mark {
        self.base.committed
    }

    /// The last entry, committed or not.
    pub(crate) fn end(&self) -> Mark {
        self.tail
            .back()
            .map_or(self.base.committed, |last| last.entry.mark())
    }

    /// The largest stamp seen in the log, cut entries included: a bound, not a content.
    pub(crate) const fn hlc(&self) -> Hlc {
        self.hlc
    }

    /// The heads at the end of the log, where the next sequences come from.
    pub(crate) const fn heads(&self) -> &Heads {
        &self.heads
    }

    /// The incarnation opened last, committed or not.
    pub(crate) fn incarnation(&self) -> Incarnation {
        let opened = |appended: &&Appended| appended.entry.header().kind == EntryKind::Epoch;
        self.tail
            .iter()
            .rfind(opened)
            .map_or(self.base.incarnation, |last| {
                last.entry.header().incarnation
            })
    }

    /// The epoch at `position`, where this log still knows it: from its commit point on.
    pub(crate) fn epoch_at(&self, position: Position) -> Option<Epoch> {
        if position == self.base.committed.position {
            return Some(self.base.committed.epoch);
        }
        self.entry_at(position).map(|entry| entry.header().epoch)
    }

    fn entry_at(&self, position: Position) -> Option<&Entry> {
        let place = position
            .0
            .checked_sub(self.base.committed.position.0 + 1)
            .and_then(|place| usize::try_from(place).ok())?;
        self.tail.get(place).map(|appended| &appended.entry)
    }

    /// Entries after the commit point, from `position` on.
    pub(crate) fn tail_from(&self, position: Position) -> impl Iterator<Item = &Entry> {
        let first = self.base.committed.position.0 + 1;
        let skip = usize::try_from(position.0.saturating_sub(first)).unwrap_or(usize::MAX);
        self.tail.iter().skip(skip).map(|appended| &appended.entry)
    }

    /// The last position that is on this disk, as far as is known here. What is committed counts, so
    /// it says nothing of entries that were committed in memory before it counted by disk: an entry
    /// after them does.
    pub(crate) fn synced(&self) -> Position {
        self.position_of(self.synced)
    }

    /// The last position that is written, so that this process's end does not take it.
    pub(crate) fn written(&self) -> Position {
        self.position_of(self.written.max(self.synced))
    }

    fn position_of(&self, through: Ticket) -> Position {
        let held = self.tail.partition_point(|own| own.ticket <= through);
        Position(self.base.committed.position.0 + held as u64)
    }

    /// Takes a report of what is on disk.
    pub(crate) fn note_synced(&mut self, through: Ticket) {
        self.synced = self.synced.max(through);
    }

    /// Takes a report of what is written.
    pub(crate) fn note_written(&mut self, through: Ticket) {
        self.written = self.written.max(through);
    }

    /// The first answer to a request, if its entry is committed.
    pub(crate) fn answer(&self, key: &Key) -> Option<&Written> {
        self.base.requests.get(key)
    }

    /// The entry of a request that waits for its commit.
    pub(crate) fn pending(&self, key: &Key) -> Option<&Entry> {
        self.pending
            .get(key)
            .and_then(|position| self.entry_at(*position))
    }

    /// Appends the entry after the last.
    pub(crate) fn append(
        &mut self,
        entry: Entry,
        budget: &mut Budget,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Broken> {
        if entry.previous() != self.end() {
            return Err(Broken::Gap {
                end: self.end(),
                entry: entry.mark(),
            });
        }
        let ticket = self.next_ticket();
        let appended = entry.clone();
        effects.push(Effect::Append { ticket, entry });
        self.push(ticket, appended, budget);
        Ok(())
    }

    fn push(&mut self, ticket: Ticket, entry: Entry, budget: &mut Budget) {
        budget.append(entry.bytes().len());
        self.heads.advance(&entry);
        self.hlc = self.hlc.max(entry.header().hlc);
        let header = entry.header();
        if header.kind == EntryKind::Rows && header.request != RequestId::NONE {
            let key = (header.request, header.part);
            self.pending.insert(key, header.position);
        }
        self.tail.push_back(Appended { ticket, entry });
    }

    /// Makes the entries after `after` void.
    pub(crate) fn cut(
        &mut self,
        after: Position,
        budget: &mut Budget,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Broken> {
        let committed = self.base.committed.position;
        if after < committed {
            return Err(Broken::CutBelowCommit { after, committed });
        }
        let kept = usize::try_from(after.0 - committed.0).unwrap_or(usize::MAX);
        for cut in self.tail.split_off(kept.min(self.tail.len())) {
            let header = cut.entry.header();
            budget.settle(cut.entry.bytes().len());
            self.pending.remove(&(header.request, header.part));
        }
        self.heads = self.base.heads.clone();
        for kept in &self.tail {
            self.heads.advance(&kept.entry);
        }
        let ticket = self.next_ticket();
        effects.push(Effect::Cut { ticket, after });
        Ok(())
    }

    /// Commits through `through`, and gives the entries that this committed.
    pub(crate) fn commit(
        &mut self,
        through: Position,
        budget: &mut Budget,
        effects: &mut Vec<Effect>,
    ) -> Vec<Entry> {
        let mut committed = Vec::new();
        while self.base.committed.position < through {
            let Some(Appended { entry, .. }) = self.tail.pop_front() else {
                break;
            };
            budget.settle(entry.bytes().len());
            self.pending
                .remove(&(entry.header().request, entry.header().part));
            self.base.follow(&entry);
            committed.push(entry);
        }
        if !committed.is_empty() {
            let through = self.base.committed;
            effects.push(Effect::Commit { through });
        }
        committed
    }

    /// Drops everything; the store does too. Only a replica that no commit counts on may.
    pub(crate) fn start_empty(&mut self, budget: &mut Budget, effects: &mut Vec<Effect>) {
        self.release(budget);
        self.pending.clear();
        self.base = Base::default();
        self.heads = Heads::default();
        let ticket = self.next_ticket();
        effects.push(Effect::StartEmpty { ticket });
    }

    /// Drops the tail from memory.
    pub(crate) fn release(&mut self, budget: &mut Budget) {
        for dropped in self.tail.drain(..) {
            budget.settle(dropped.entry.bytes().len());
        }
    }

    /// Takes the state that an installed snapshot carried.
    pub(crate) fn install(&mut self, base: Base) {
        self.heads = base.heads.clone();
        self.hlc = self.hlc.max(base.hlc);
        self.base = base;
    }

    fn next_ticket(&mut self) -> Ticket {
        self.last_ticket.0 += 1;
        self.last_ticket
    }
}
