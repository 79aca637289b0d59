//! The part of a stream that is in memory until the transport has it.

use super::{follows, reached};
use crate::{entry::Entry, settings::LINK_WINDOW_BYTES};
use proto::{id::Position, token::Reached};
use std::collections::VecDeque;

#[derive(Debug)]
pub(super) struct Window {
    /// The transport has everything through here.
    delivered: Reached,
    entries: VecDeque<Entry>,
    bytes: usize,
    /// How many of them were sent in this session.
    sent: usize,
    sent_bytes: usize,
    /// Where the log has the last entry that came.
    last_position: Option<Position>,
}

impl Window {
    pub(super) const fn after(mark: Reached) -> Self {
        Self {
            delivered: mark,
            entries: VecDeque::new(),
            bytes: 0,
            sent: 0,
            sent_bytes: 0,
            last_position: None,
        }
    }

    pub(super) const fn delivered(&self) -> Reached {
        self.delivered
    }

    pub(super) const fn last_position(&self) -> Option<Position> {
        self.last_position
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The last entry that is delivered or in memory.
    pub(super) fn last(&self) -> Reached {
        self.entries.back().map_or(self.delivered, reached)
    }

    /// The last entry that was sent in this session, or is delivered.
    pub(super) fn sent(&self) -> Reached {
        let last = self.sent.checked_sub(1);
        last.map_or(self.delivered, |last| reached(&self.entries[last]))
    }

    pub(super) const fn has_room(&self) -> bool {
        self.bytes < LINK_WINDOW_BYTES
    }

    pub(super) fn push(&mut self, entry: Entry) {
        // A driver that reads the log wrongly would have a hole shipped as if nothing were missing.
        assert!(
            follows(self.last(), &entry),
            "{:?} does not follow {:?} in its stream",
            reached(&entry),
            self.last()
        );
        self.bytes += entry.bytes().len();
        self.last_position = Some(entry.header().position);
        self.entries.push_back(entry);
    }

    /// What lies between the delivered and this one was given up.
    pub(super) fn restart_with(&mut self, skip: Entry) {
        self.entries.clear();
        (self.sent, self.sent_bytes) = (0, 0);
        self.bytes = skip.bytes().len();
        self.last_position = Some(skip.header().position);
        self.entries.push_back(skip);
    }

    /// The next entry to send, while less than `limit` is in flight.
    pub(super) fn next_within(&mut self, limit: usize) -> Option<Entry> {
        if self.sent_bytes >= limit {
            return None;
        }
        let entry = self.entries.get(self.sent)?.clone();
        self.sent += 1;
        self.sent_bytes += entry.bytes().len();
        Some(entry)
    }

    /// The transport did not take `from` and what came after it.
    pub(super) fn take_back(&mut self, from: Reached) {
        while self.sent > 0 && reached(&self.entries[self.sent - 1]) >= from {
            self.sent -= 1;
            self.sent_bytes -= self.entries[self.sent].bytes().len();
        }
    }

    /// Whether that is news. What was not sent in this session cannot have been delivered by it.
    pub(super) fn deliver(&mut self, through: Reached) -> bool {
        let before = self.delivered;
        while self.sent > 0 && reached(&self.entries[0]) <= through {
            let entry = self.entries.pop_front().expect("one of them was sent");
            self.delivered = reached(&entry);
            self.bytes -= entry.bytes().len();
            self.sent_bytes -= entry.bytes().len();
            self.sent -= 1;
        }
        self.delivered != before
    }

    /// A new session sends everything after what is delivered, or after what its reader has.
    pub(super) fn rewind(&mut self, from: Option<Reached>) {
        (self.sent, self.sent_bytes) = (0, 0);
        let Some(from) = from else {
            return;
        };
        let is_within = from >= self.delivered && from <= self.last();
        if !is_within {
            *self = Self::after(from);
            return;
        }
        while self
            .entries
            .front()
            .is_some_and(|first| reached(first) <= from)
        {
            let entry = self.entries.pop_front().expect("there is a first one");
            self.bytes -= entry.bytes().len();
        }
        self.delivered = from;
    }
}
