//! What is not read again because it is settled: entries in segments with hint files, and what came
//! with a snapshot.

use super::replay::{Found, Work};
use crate::{
    body::Body, error::OpenError, hint::HintEntry, pending::start_of, state::Condition,
    store::Store,
};
use bytes::Bytes;
use proto::{
    entry::{EntryHeader, EntryKind, EntryView},
    id::{Position, Sequence, ShardId},
};
use std::{collections::BTreeSet, io, sync::Arc};

/// A committed entry as far as a shard's state needs it.
struct Noted {
    header: EntryHeader,
    /// The extras of a *start*, of this region or another.
    start: Option<Bytes>,
}

impl Found {
    /// Takes note of entries in settled segments that were committed after the last state was
    /// written, and so of the true commit points.
    pub(super) fn note_settled(&mut self, store: &Store) -> Result<(), OpenError> {
        for (id, work) in &mut self.shards {
            let mut settled = Vec::new();
            for body in store.bodies.all() {
                let read = settled_of(&body, *id, work, &mut settled);
                read.map_err(OpenError::while_doing("reading a hint file"))?;
            }
            work.note_committed(settled);
        }
        Ok(())
    }

    /// Reads what snapshots brought along. A shard whose file is lost needs a new copy: it could not
    /// tell a repeated request from a new one.
    pub(super) fn read_carried(
        &mut self,
        store: &Store,
    ) -> Result<Vec<(ShardId, Bytes)>, OpenError> {
        let mut read = Vec::new();
        for (id, work) in &mut self.shards {
            let Some(carried) = work.state.carried else {
                continue;
            };
            let content = carried.read(&store.directory);
            match content.map_err(OpenError::while_doing("reading what a snapshot brought"))? {
                Some(content) => read.push((*id, content)),
                None => work.quarantine(),
            }
        }
        Ok(read)
    }
}

/// Adds a settled segment's entries of one shard past its commit point.
fn settled_of(
    body: &Arc<Body>,
    shard: ShardId,
    work: &mut Work,
    settled: &mut Vec<Noted>,
) -> io::Result<()> {
    let Some(hint) = body.facts.lock().hint.clone() else {
        return Ok(());
    };
    let noted = work.state.commit.position;
    let is_valid = hint.span.last_group >= work.state.begun_in_group;
    let part = hint
        .part(shard)
        .filter(|part| is_valid && part.entries > 0 && part.largest > noted);
    let Some(part) = part else {
        return Ok(());
    };
    for entry in hint.entries(part)? {
        let Some(header) = entry.header().filter(|_| entry.position > noted) else {
            continue;
        };
        let mut start = None;
        let begins = match header.kind {
            EntryKind::Start => true,
            EntryKind::Remote => header.sequence == Sequence(1),
            _ => false,
        };
        if begins {
            start = start_in(body, &entry)?;
            if start.is_none() {
                work.quarantine();
            }
        }
        settled.push(Noted { header, start });
    }
    Ok(())
}

/// The extras of a *start* in a settled segment; none where it cannot be read as it was written.
fn start_in(body: &Body, entry: &HintEntry) -> io::Result<Option<Bytes>> {
    let mut bytes = vec![0; entry.length as usize];
    let file = body.segment.file()?;
    file.read_at(entry.offset.into(), &mut bytes)?;
    let is_sound = EntryView::parse(&bytes).is_ok_and(|view| {
        view.verify().is_ok()
            && view.header().position == entry.position
            && view.header().shard == entry.shard
    });
    Ok(is_sound.then(|| start_of(&bytes)).flatten())
}

impl Work {
    /// Sorts the entries into committed and pending. `settled` are committed by being settled.
    fn note_committed(&mut self, mut settled: Vec<Noted>) {
        let largest = settled.iter().map(|entry| entry.header.position).max();
        self.commit = self.commit.max(largest.unwrap_or_default());
        let read = self
            .entries
            .iter()
            .filter(|entry| entry.header.position <= self.commit);
        let mut noted: Vec<Noted> = read
            .map(|entry| Noted {
                header: entry.header,
                start: entry.start(),
            })
            .collect();
        let positions: BTreeSet<Position> =
            noted.iter().map(|entry| entry.header.position).collect();
        settled.retain(|entry| !positions.contains(&entry.header.position));
        noted.extend(settled);
        noted.sort_by_key(|entry| entry.header.position);
        let before = self.state.commit.position;
        for entry in noted {
            if entry.header.position > before {
                self.state.note_commit(&entry.header, entry.start);
            }
        }
        if self.state.commit.position < self.commit {
            // The commit point is known, the entries up to it are not all there.
            self.quarantine();
        }
    }

    /// Its rows may not be used, nor be taken for all there are.
    pub(super) fn quarantine(&mut self) {
        if self.state.condition == Condition::Whole {
            self.state.condition = Condition::Quarantined;
        }
    }
}
