//! Where an entry belongs in its stream, as far as the stream is here.

use crate::{
    planted::{Bug, Planted},
    streams::decode_lineage,
};
use proto::{
    entry::EntryKind,
    id::{Incarnation, Sequence},
    link::LinkEntry,
    token::Reached,
};

/// What an entry is to a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// It is here, or of an incarnation that ended.
    Known,
    /// It is the next one.
    Next,
    /// Something before it did not come.
    Gap,
    /// Something before it will never come: the origin gave it up.
    Lost,
}

/// Judges an entry by the last one that was handed over.
pub(super) fn judge(here: Reached, entry: &LinkEntry, planted: Planted) -> Order {
    let comes = entry.reached();
    if comes <= here {
        return Order::Known;
    }
    if is_next(here, entry, planted) {
        return Order::Next;
    }
    match entry.kind() {
        EntryKind::Skip if planted.has(Bug::SkipPassedOver) => Order::Next,
        EntryKind::Skip => Order::Lost,
        _ if planted.has(Bug::GapPassedOver) => Order::Next,
        _ => Order::Gap,
    }
}

fn is_next(here: Reached, entry: &LinkEntry, planted: Planted) -> bool {
    let comes = entry.reached();
    if comes.incarnation == here.incarnation {
        return comes.sequence == here.sequence.next();
    }
    // Sequences begin anew: only the first entry of an incarnation says what it builds on.
    entry.kind() == EntryKind::Start
        && comes.sequence == Sequence(1)
        && (planted.has(Bug::CutIgnored) || builds_on(here, entry.lineage()))
}

/// Whether all that a lineage keeps of the incarnation before is here. A lineage that names a later
/// incarnation in between was never followed.
fn builds_on(here: Reached, lineage: &[u8]) -> bool {
    match decode_lineage(lineage) {
        Ok(cuts) => match cuts.last() {
            None => here.incarnation == Incarnation(0),
            Some(cut) => cut.incarnation == here.incarnation && cut.kept <= here.sequence,
        },
        Err(_) => false,
    }
}
