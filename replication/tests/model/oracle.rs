//! What the model knows to be true, and every way in which a replica can contradict it.
//!
//! An entry is committed when a primary says so; from then on its place, its bytes, its sequence and
//! its request are fixed for ever (I8, request ids), and it must not get lost (I3).

use bytes::Bytes;
use proto::{
    entry::{EntryKind, EntryView},
    hlc::Hlc,
    id::{Incarnation, PlacementId, Position, Sequence},
    request::{RequestId, RequestPart},
};
use replication::{Entry, Mark, closes::Close, requests::Written};
use std::collections::BTreeMap;

type InStream = (PlacementId, Incarnation, Sequence);

#[derive(Default)]
pub struct Oracle {
    committed: BTreeMap<Position, (Mark, Bytes)>,
    /// First stamp of each committed entry of a stream.
    streams: BTreeMap<InStream, (Position, Hlc)>,
    requests: BTreeMap<(RequestId, RequestPart), Position>,
    answers: BTreeMap<(RequestId, RequestPart), Written>,
    closes: Vec<Close>,
    /// When writes were acknowledged, with the largest position so far.
    acknowledged: Vec<(u64, Position)>,
}

/// Who commits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum By {
    Primary,
    Follower,
}

impl Oracle {
    pub fn end(&self) -> Position {
        self.committed
            .last_key_value()
            .map_or(Position(0), |(position, _)| *position)
    }

    pub fn acknowledged(&self) -> usize {
        self.answers.len()
    }

    /// A replica applied an entry: from now on its lookups see it.
    pub fn apply(&mut self, by: By, entry: &Entry) -> Result<(), String> {
        let position = entry.header().position;
        if let Some((mark, bytes)) = self.committed.get(&position) {
            return if *mark == entry.mark() && bytes == entry.bytes() {
                Ok(())
            } else {
                let other = entry.mark();
                Err(format!(
                    "I8: {mark:?} was committed, and then {other:?} in its place"
                ))
            };
        }
        let mark = entry.mark();
        if by == By::Follower {
            return Err(format!("I4: {mark:?} can be read and was never committed"));
        }
        if position != self.end().next() {
            return Err(format!("I3: {mark:?} is committed after a gap"));
        }
        self.committed
            .insert(position, (mark, entry.bytes().clone()));
        self.number(entry)
    }

    /// What a replica holds as committed when it opens.
    pub fn holds(&self, mark: Mark) -> Result<(), String> {
        let known = self.committed.get(&mark.position).map(|(known, _)| *known);
        if mark.position == Position(0) || known == Some(mark) {
            Ok(())
        } else {
            Err(format!(
                "I4: {mark:?} is held as committed, known is {known:?}"
            ))
        }
    }

    fn number(&mut self, entry: &Entry) -> Result<(), String> {
        let header = entry.header();
        if header.sequence == Sequence(0) {
            return Ok(());
        }
        let place = (header.placement, header.incarnation, header.sequence);
        let before = Sequence(header.sequence.0 - 1);
        let dense = header.sequence == Sequence(1)
            || self
                .streams
                .contains_key(&(header.placement, header.incarnation, before));
        let stamps = EntryView::parse(entry.bytes())
            .expect("an entry parses")
            .record_count();
        let first = Hlc(header.hlc.0 + 1 - stamps.max(1) as u64);
        let twice = self
            .streams
            .insert(place, (header.position, first))
            .is_some();
        if twice || !dense {
            return Err(format!("I8: {place:?} is given twice or after a gap"));
        }
        for close in &self.closes {
            check_close(close, place, first)?;
        }
        if header.kind == EntryKind::Rows {
            let key = (header.request, header.part);
            if let Some(other) = self.requests.insert(key, header.position) {
                let position = header.position;
                return Err(format!(
                    "a request was carried out at {other} and again at {position}"
                ));
            }
        }
        Ok(())
    }

    /// A caller was told that its write is done.
    pub fn answer(
        &mut self,
        at: u64,
        key: (RequestId, RequestPart),
        written: &Written,
    ) -> Result<(), String> {
        if let Some(first) = self.answers.get(&key) {
            return if first == written {
                Ok(())
            } else {
                Err(format!(
                    "a repeated request got {written:?} after {first:?}"
                ))
            };
        }
        if self.requests.get(&key) != Some(&written.position) {
            let position = written.position;
            return Err(format!(
                "I3: a write is acknowledged at {position} and not committed"
            ));
        }
        self.answers.insert(key, written.clone());
        let largest = self
            .acknowledged
            .last()
            .map_or(Position(0), |(_, position)| *position);
        self.acknowledged.push((at, largest.max(written.position)));
        Ok(())
    }

    /// A close is claimed: by a primary that completed it, or by a replica that counts on it.
    pub fn close(&mut self, close: Close) -> Result<(), String> {
        if self.closes.contains(&close) {
            return Ok(());
        }
        let past = (close.placement, close.incarnation, close.sequence.next());
        for (place, (_, first)) in self.streams.range(past..) {
            check_close(&close, *place, *first)?;
        }
        self.closes.push(close);
        Ok(())
    }

    /// A replica claims to hold everything acknowledged before `instant`.
    pub fn complete(&self, instant: u64, committed: Position) -> Result<(), String> {
        let before = self.acknowledged.partition_point(|(at, _)| *at < instant);
        let owed = before
            .checked_sub(1)
            .map_or(Position(0), |last| self.acknowledged[last].1);
        if owed <= committed {
            return Ok(());
        }
        Err(format!(
            "I14: complete up to {instant} µs without {owed}, at {committed}"
        ))
    }
}

fn check_close(close: &Close, place: InStream, first: Hlc) -> Result<(), String> {
    let (placement, incarnation, sequence) = place;
    let past = placement == close.placement
        && incarnation == close.incarnation
        && sequence > close.sequence;
    if past && first <= close.hlc {
        return Err(format!(
            "I18: {close:?}, and then {sequence} stamped {first}"
        ));
    }
    Ok(())
}
