//! I16, the form of answers: one status per requested value, and no value without one that allows it.

use super::{
    calls::{Calls, Lookup},
    report::{Invariant, Report},
};
use crate::history::{FinalRead, Header, ReadCell, RowKey, Status, Wanted};
use proto::{id::FeatureId, value::Value};

/// Which answers have a form that can be judged further, in the order of the calls.
#[derive(Debug)]
pub struct WellFormed {
    /// Of lookups.
    pub lookups: Vec<bool>,
    /// Of final reads.
    pub finals: Vec<bool>,
}

pub fn judge(calls: &Calls<'_>, header: &Header, report: &mut Report) -> WellFormed {
    report.judged.lookups = calls.lookups.len();
    report.judged.stale = calls.stale;
    report.judged.failed_lookups = calls.failed;
    report.judged.final_reads = calls.finals.len();
    let mut well = |at, call, fault: Option<String>| {
        let whole = fault.is_none();
        if let Some(message) = fault {
            report.add(&[Invariant::I16], at, call, message);
        }
        whole
    };
    let lookups = &calls.lookups;
    WellFormed {
        lookups: lookups
            .iter()
            .map(|lookup| well(lookup.answered, Some(lookup.call), fault_of(lookup, header)))
            .collect(),
        finals: calls
            .finals
            .iter()
            .map(|(at, read)| well(*at, None, fault_of_final(read, header)))
            .collect(),
    }
}

fn fault_of(lookup: &Lookup<'_>, header: &Header) -> Option<String> {
    let (wanted, rows) = (&lookup.asked.wanted, &lookup.values.rows);
    if wanted.len() != rows.len() {
        return Some(format!(
            "{} rows were asked for, {} answered",
            wanted.len(),
            rows.len()
        ));
    }
    wanted
        .iter()
        .zip(rows)
        .find_map(|(wanted, cells)| fault_in_row(wanted, cells, header))
}

fn fault_of_final(read: &FinalRead, header: &Header) -> Option<String> {
    fault_in_row(&read.wanted, &read.cells, header)
        .map(|fault| format!("final read of {}: {fault}", read.replica))
}

fn fault_in_row(wanted: &Wanted, cells: &[ReadCell], header: &Header) -> Option<String> {
    if wanted.features.len() != cells.len() {
        let (asked, given) = (wanted.features.len(), cells.len());
        return Some(format!(
            "{}: {asked} values were asked for, {given} answered",
            wanted.row
        ));
    }
    let mut pairs = wanted.features.iter().zip(cells);
    pairs.find_map(|(feature, cell)| {
        let fault = fault_in_cell(&wanted.row, *feature, cell, header)?;
        Some(format!("{} feature {feature}: {fault}", wanted.row))
    })
}

fn fault_in_cell(
    row: &RowKey,
    feature: FeatureId,
    cell: &ReadCell,
    header: &Header,
) -> Option<String> {
    let rule = header.view(row.view)?;
    let ty = rule.columns[usize::from(feature.0)].ty;
    let default = rule
        .defaults
        .iter()
        .find(|(of, _)| *of == feature)
        .map(|(_, value)| value);
    match (cell.status, &cell.value) {
        (Status::Present, None) => Some("PRESENT, but no value".to_owned()),
        (Status::Present, Some(value)) => Value::decode(ty, value.as_slice())
            .err()
            .map(|error| format!("the value is no {ty}: {error}")),
        (Status::NotFound, Some(value)) if Some(value) != default => Some(format!(
            "NOT_FOUND with value {value}, which is not the view's default"
        )),
        (Status::NullValue | Status::OutsideMaxAge | Status::Unavailable, Some(value)) => {
            Some(format!("{:?} with value {value}", cell.status))
        }
        (Status::NotFound | Status::NullValue | Status::OutsideMaxAge | Status::Unavailable, _) => {
            None
        }
    }
}
