//! All reads of a history, in the order of their answers, entity key by entity key.

use super::{
    calls::{Calls, Lookup},
    cell::CellHistory,
    reading::{self, Frame, Item},
    report::Report,
    shape::WellFormed,
};
use crate::history::{Bytes, FinalRead, Header, ReadCell, Wanted};
use proto::id::{EntityId, FeatureId, ViewId};
use std::collections::BTreeMap;

/// The rows that live, and are read, together.
type Group = (EntityId, Bytes);

/// The writes and cells of one group.
#[derive(Default)]
struct Rows {
    writes: BTreeMap<ViewId, Vec<usize>>,
    /// Built when first read.
    cells: BTreeMap<(ViewId, FeatureId), CellHistory>,
}

pub fn judge(calls: &Calls<'_>, header: &Header, well: &WellFormed, report: &mut Report) {
    let mut groups = groups(calls, header);
    for (lookup, _) in calls
        .lookups
        .iter()
        .zip(&well.lookups)
        .filter(|(_, well)| **well)
    {
        judge_lookup(lookup, calls, header, &mut groups, report);
    }
    for ((at, read), _) in calls
        .finals
        .iter()
        .zip(&well.finals)
        .filter(|(_, well)| **well)
    {
        judge_final(*at, read, calls, header, &mut groups, report);
    }
}

fn groups(calls: &Calls<'_>, header: &Header) -> BTreeMap<Group, Rows> {
    let mut groups: BTreeMap<Group, Rows> = BTreeMap::new();
    for (place, write) in calls.writes.iter().enumerate() {
        let row = &write.row.row;
        if let Some(rule) = header.view(row.view) {
            let rows = groups.entry((rule.entity, row.key.clone())).or_default();
            rows.writes.entry(row.view).or_default().push(place);
        }
    }
    groups
}

fn judge_lookup(
    lookup: &Lookup<'_>,
    calls: &Calls<'_>,
    header: &Header,
    groups: &mut BTreeMap<Group, Rows>,
    report: &mut Report,
) {
    let frame = Frame {
        header,
        call: Some(lookup.call),
        issued: lookup.issued,
        answered: lookup.answered,
        token: lookup.token.clone().filter(|_| !lookup.values.stale),
        // Times are cut to whole microseconds, so the same one may be on either side.
        claims: claimed_age(lookup)
            .and_then(|age| lookup.issued.checked_sub(age.saturating_add(1))),
        closes: false,
        returned: lookup
            .returned
            .clone()
            .filter(|_| lookup.answered >= calls.lost_before),
    };
    report.judged.token_lookups += usize::from(frame.token.is_some());
    report.judged.claims += usize::from(frame.claims.is_some());
    let mut by_group: BTreeMap<Group, Vec<(&Wanted, &[ReadCell])>> = BTreeMap::new();
    for (wanted, cells) in lookup.asked.wanted.iter().zip(&lookup.values.rows) {
        if let Some(rule) = header.view(wanted.row.view) {
            let group = (rule.entity, wanted.row.key.clone());
            by_group.entry(group).or_default().push((wanted, cells));
        }
    }
    for (group, read) in by_group {
        judge_group(
            &frame,
            groups.entry(group).or_default(),
            &read,
            calls,
            report,
        );
    }
}

/// The claim for writes of any origin, if there is one for all.
fn claimed_age(lookup: &Lookup<'_>) -> Option<u64> {
    let ages = lookup.values.ages.iter().map(|age| age.micros);
    ages.collect::<Option<Vec<u64>>>()?.into_iter().max()
}

fn judge_final(
    at: u64,
    read: &FinalRead,
    calls: &Calls<'_>,
    header: &Header,
    groups: &mut BTreeMap<Group, Rows>,
    report: &mut Report,
) {
    let Some(rule) = header.view(read.wanted.row.view) else {
        return;
    };
    let frame = Frame {
        header,
        call: None,
        issued: read.began.0,
        answered: at,
        token: None,
        claims: None,
        closes: true,
        returned: None,
    };
    let rows = groups
        .entry((rule.entity, read.wanted.row.key.clone()))
        .or_default();
    judge_group(&frame, rows, &[(&read.wanted, &read.cells)], calls, report);
}

fn judge_group(
    frame: &Frame<'_>,
    rows: &mut Rows,
    read: &[(&Wanted, &[ReadCell])],
    calls: &Calls<'_>,
    report: &mut Report,
) {
    let mut reads = BTreeMap::new();
    for (wanted, cells) in read {
        let Some(rule) = frame.header.view(wanted.row.view) else {
            continue;
        };
        for (feature, cell) in wanted.features.iter().zip(*cells) {
            let place = (rule.view, *feature);
            rows.cells.entry(place).or_insert_with(|| {
                let writes = rows.writes.get(&rule.view).into_iter().flatten();
                let writes = writes.map(|place| (*place, &calls.writes[*place]));
                CellHistory::of(rule, *feature, writes, frame.header)
            });
            reads.insert(place, (&wanted.row, rule, cell));
        }
    }
    let mut items: Vec<Item<'_>> = Vec::with_capacity(reads.len());
    for (place, cell) in &mut rows.cells {
        if let Some((row, rule, read)) = reads.get(place).copied() {
            items.push(Item {
                row,
                feature: place.1,
                rule,
                read,
                cell,
            });
        }
    }
    reading::judge(frame, &mut items, report);
}
