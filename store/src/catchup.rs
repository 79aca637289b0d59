//! Reading a shard's log: for backups that are behind, links, and the first answers of requests.

use crate::{body::Body, hint::HintEntry, store::Store};
use bytes::Bytes;
use proto::{
    entry::EntryView,
    id::{Position, ShardId},
};
use std::{io, sync::Arc};

/// What a read of the log found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogRead {
    /// Entries in order, the first at the position asked for.
    Entries(Vec<Bytes>),
    /// The log does not reach further.
    End,
    /// They were compacted away, or are damaged: catch up by snapshot.
    Gone,
}

impl Store {
    /// Reads the entries of `shard` from `from` on, of up to `max_bytes` together but at least one.
    /// The newest come from memory, uncommitted ones among them; older ones from segments. Entries
    /// past the commit point that left memory are found in [`crate::Writer::pending`] alone.
    pub fn read_log(
        &self,
        shard: ShardId,
        from: Position,
        max_bytes: usize,
    ) -> io::Result<LogRead> {
        if let Some(entries) = self.tail.lock().read(shard, from, max_bytes) {
            return Ok(LogRead::Entries(entries));
        }
        let Some(state) = self.state(shard) else {
            return Ok(LogRead::End);
        };
        if from > state.commit.position {
            return Ok(LogRead::End);
        }
        for body in self.bodies.all().iter().filter(|body| !body.is_base) {
            let is_void = body.facts.lock().last_group < state.begun_in_group;
            if is_void {
                continue;
            }
            let entries = entries_of(body, shard)?;
            if let Ok(at) = entries.binary_search_by_key(&from, |entry| entry.position) {
                let read = read_run(body, &entries[at..], max_bytes)?;
                return Ok(if read.is_empty() {
                    LogRead::Gone
                } else {
                    LogRead::Entries(read)
                });
            }
        }
        Ok(LogRead::Gone)
    }
}

/// The committed entries of a shard in a log segment, by position.
fn entries_of(body: &Arc<Body>, shard: ShardId) -> io::Result<Vec<HintEntry>> {
    let (hint, mut entries) = {
        let facts = body.facts.lock();
        let own = facts
            .content
            .entries
            .iter()
            .filter(|entry| entry.shard == shard);
        (facts.hint.clone(), own.copied().collect::<Vec<_>>())
    };
    if let Some(hint) = hint
        && let Some(part) = hint.part(shard)
    {
        entries = hint.entries(part)?;
    }
    entries.sort_by_key(|entry| entry.position);
    Ok(entries)
}

/// Reads neighbouring positions until one is missing, damaged or too much.
fn read_run(body: &Body, entries: &[HintEntry], max_bytes: usize) -> io::Result<Vec<Bytes>> {
    let mut read = Vec::new();
    let mut total = 0;
    let first = entries.first().map_or(Position(0), |entry| entry.position);
    for (entry, position) in entries.iter().zip(first.0..) {
        let length = entry.length as usize;
        if entry.position.0 != position || (!read.is_empty() && total + length > max_bytes) {
            break;
        }
        let mut bytes = vec![0; length];
        body.segment
            .file()?
            .read_at(entry.offset.into(), &mut bytes)?;
        let is_sound = EntryView::parse(&bytes).is_ok_and(|view| {
            view.verify().is_ok()
                && view.header().position == entry.position
                && view.header().shard == entry.shard
        });
        if !is_sound {
            break;
        }
        total += length;
        read.push(Bytes::from(bytes));
    }
    Ok(read)
}
