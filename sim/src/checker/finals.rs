//! I1 at the end of a run: every replica that survived gives the same answer, and every row that
//! was acknowledged was looked at.

use super::{
    calls::Calls,
    report::{Invariant, Report},
};
use crate::history::{ReadCell, RowKey, Status};
use proto::id::FeatureId;
use std::collections::{BTreeMap, BTreeSet};

pub fn judge(calls: &Calls<'_>, report: &mut Report) {
    let mut first: BTreeMap<(&RowKey, FeatureId), (&str, &ReadCell)> = BTreeMap::new();
    for (at, read) in &calls.finals {
        for (feature, cell) in read.wanted.features.iter().zip(&read.cells) {
            let (other, known) = *first
                .entry((&read.wanted.row, *feature))
                .or_insert((&read.replica, cell));
            if !agree(known, cell) {
                let (row, replica) = (&read.wanted.row, &read.replica);
                let message = format!(
                    "{row} feature {feature} is {} on {other}, but {} on {replica}",
                    said(known),
                    said(cell)
                );
                report.add(&[Invariant::I1], *at, None, message);
            }
        }
    }
    let looked_at: BTreeSet<&RowKey> = first.into_keys().map(|(row, _)| row).collect();
    let acknowledged = calls
        .writes
        .iter()
        .filter(|write| write.acknowledged.is_some());
    let rows: BTreeSet<&RowKey> = acknowledged.map(|write| &write.row.row).collect();
    report.judged.rows_without_final_read = rows.difference(&looked_at).count();
}

/// A value that expires between two reads differs in status alone; each was judged by itself. What
/// is unavailable was complained of.
fn agree(left: &ReadCell, right: &ReadCell) -> bool {
    match (left.status, right.status) {
        (Status::Unavailable, _) | (_, Status::Unavailable) => true,
        (Status::OutsideMaxAge, Status::Present | Status::NullValue)
        | (Status::Present | Status::NullValue, Status::OutsideMaxAge) => true,
        _ => left == right,
    }
}

fn said(cell: &ReadCell) -> String {
    let value = cell
        .value
        .as_ref()
        .map_or(String::new(), |value| format!(" {value}"));
    let time = cell
        .event_time
        .map_or(String::new(), |time| format!(" of {}", time.micros()));
    format!("{:?}{value}{time}", cell.status)
}
