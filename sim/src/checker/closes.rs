//! I18, as primaries and disks tell it: past the sequence of a close that is done, nothing of the stream
//! is stamped at or below its HLC, whoever is primary then.
//!
//! An entry of several rows is known by its last stamp, so one that is undercut by its first rows
//! alone is let pass.

use super::report::{Invariant, Report};
use crate::history::{Closed, Event, History};
use proto::{
    hlc::Hlc,
    id::{Incarnation, Sequence, Stream},
};
use std::collections::BTreeMap;

/// The stamps of a stream's entries, in the order of their sequences.
type Stamps = BTreeMap<(Stream, Incarnation), BTreeMap<Sequence, Hlc>>;

pub fn judge(history: &History, report: &mut Report) {
    let mut stamps = Stamps::new();
    for entry in history.entries() {
        if let Event::Shipped(said) = &entry.event
            && let Some(hlc) = said.hlc
        {
            let stream = stamps.entry((said.stream, said.incarnation)).or_default();
            stream.insert(said.sequence, hlc);
        }
    }
    for entry in history.entries() {
        let Event::Closed(close) = &entry.event else {
            continue;
        };
        report.judged.records += 1;
        if let Some(message) = undercut(&stamps, close) {
            report.add(&[Invariant::I18], entry.at.0, None, message);
        }
    }
}

fn undercut(stamps: &Stamps, close: &Closed) -> Option<String> {
    let stream = stamps.get(&(close.stream, close.incarnation))?;
    let mut past = stream.range(close.sequence.next()..);
    let (sequence, hlc) = past.find(|(_, hlc)| **hlc <= close.hlc)?;
    let Stream { origin, shard, .. } = close.stream;
    Some(format!(
        "{} closed origin {origin} shard {shard} at sequence {} and HLC {}, and sequence {sequence} is \
         stamped {hlc}",
        close.by, close.sequence, close.hlc
    ))
}
