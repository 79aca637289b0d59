//! How far a shard's own streams reach, and through which incarnations they came.
//!
//! Only streams of this region: those of others are numbered by their origin.

use crate::entry::Entry;
use proto::{
    codec::{Malformed, Reader},
    entry::{EntryKind, EntryView},
    id::{Incarnation, PlacementId, Sequence},
};
use std::collections::BTreeMap;

/// An incarnation that ended, and the last sequence of it that was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// The incarnation.
    pub incarnation: Incarnation,
    /// Its last sequence that later ones build on.
    pub kept: Sequence,
}

/// The end of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Head {
    /// The incarnation it is in.
    pub incarnation: Incarnation,
    /// The last sequence given.
    pub sequence: Sequence,
    /// The incarnations before, oldest first.
    pub lineage: Vec<Cut>,
}

impl Head {
    /// The lineage that the next incarnation starts with.
    #[must_use]
    pub fn lineage_with_own(&self) -> Vec<Cut> {
        let own = Cut {
            incarnation: self.incarnation,
            kept: self.sequence,
        };
        self.lineage.iter().copied().chain([own]).collect()
    }
}

/// The extras of a *start* entry.
#[must_use]
pub fn encode_lineage(lineage: &[Cut]) -> Vec<u8> {
    let mut out = Vec::with_capacity(4 + lineage.len() * 12);
    out.extend((lineage.len() as u32).to_le_bytes());
    for cut in lineage {
        out.extend(cut.incarnation.0.to_le_bytes());
        out.extend(cut.kept.0.to_le_bytes());
    }
    out
}

/// Reads the extras of a *start* entry.
pub fn decode_lineage(extras: &[u8]) -> Result<Vec<Cut>, Malformed> {
    let mut reader = Reader::new(extras, "lineage");
    let count = reader.u32()?;
    let mut lineage = Vec::new();
    for _ in 0..count {
        lineage.push(Cut {
            incarnation: Incarnation(reader.u32()?),
            kept: Sequence(reader.u64()?),
        });
    }
    reader.finish()?;
    Ok(lineage)
}

/// The heads of a shard's own streams.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Heads(BTreeMap<PlacementId, Head>);

impl Heads {
    /// Follows an entry that was appended after all before.
    pub fn advance(&mut self, entry: &Entry) {
        let header = entry.header();
        match header.kind {
            EntryKind::Start => {
                let head = Head {
                    incarnation: header.incarnation,
                    sequence: header.sequence,
                    lineage: lineage_of(entry),
                };
                self.0.insert(header.placement, head);
            }
            EntryKind::Rows
            | EntryKind::Reissued
            | EntryKind::End
            | EntryKind::Resume
            | EntryKind::Skip => {
                let head = self.0.entry(header.placement).or_default();
                head.incarnation = header.incarnation;
                head.sequence = header.sequence;
            }
            EntryKind::Remote
            | EntryKind::Merged
            | EntryKind::Epoch
            | EntryKind::LinkPosition
            | EntryKind::Cut
            | EntryKind::State => {}
        }
    }

    /// Puts a head back that a snapshot carried.
    pub fn restore(&mut self, placement: PlacementId, head: Head) {
        self.0.insert(placement, head);
    }

    /// The head of one stream.
    #[must_use]
    pub fn get(&self, placement: PlacementId) -> Option<&Head> {
        self.0.get(&placement)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (PlacementId, &Head)> {
        self.0.iter().map(|(placement, head)| (*placement, head))
    }
}

fn lineage_of(start: &Entry) -> Vec<Cut> {
    let view = EntryView::parse(start.bytes()).expect("an entry's bytes were checked when it came");
    decode_lineage(view.extras()).unwrap_or_default()
}
