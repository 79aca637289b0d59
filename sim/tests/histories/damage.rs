//! Damage done to a history of a correct cluster: each function returns the history that a certain
//! bug would have left, or nothing where this history has no place for it.

use super::model::{CLOCK_ERROR, PROBE, Run, WALL, apply, cells};
use proto::{id::FeatureId, reason::Reason};
use sim::history::{
    Bytes, Change, Datum, Event, LookupAnswer, LookupAnswered, ReadCell, RejectedRow, RowKey,
    Status, Values, Wanted, WriteAnswer, WriteAnswered,
};
use std::collections::{BTreeMap, BTreeSet};

pub type Damage = fn(&Run) -> Option<Run>;

/// A lookup that was answered with values, and where its answer stands.
struct Answered<'a> {
    place: usize,
    issued: u64,
    wanted: &'a [Wanted],
    token: Option<&'a Bytes>,
    values: &'a Values,
}

fn lookups(run: &Run) -> Vec<Answered<'_>> {
    let mut issued = BTreeMap::new();
    let mut found = Vec::new();
    for (place, entry) in run.entries.iter().enumerate() {
        match &entry.event {
            Event::LookupIssued(lookup) => drop(issued.insert(lookup.call, (entry.at.0, lookup))),
            Event::LookupAnswered(LookupAnswered {
                call,
                answer: LookupAnswer::Values(values),
            }) => {
                let (issued, lookup) = issued[call];
                let (wanted, token) = (&lookup.wanted[..], lookup.token.as_ref());
                found.push(Answered {
                    place,
                    issued,
                    wanted,
                    token,
                    values,
                });
            }
            _ => {}
        }
    }
    found
}

impl Answered<'_> {
    /// Each value with its row and feature, and its place in the answer.
    fn cells(&self) -> impl Iterator<Item = (&RowKey, FeatureId, &ReadCell, (usize, usize))> {
        self.wanted
            .iter()
            .zip(&self.values.rows)
            .enumerate()
            .flat_map(|(row, (wanted, cells))| {
                let pairs = wanted.features.iter().zip(cells).enumerate();
                pairs.map(move |(column, (feature, cell))| {
                    (&wanted.row, *feature, cell, (row, column))
                })
            })
    }
}

fn values_at(run: &mut Run, place: usize) -> &mut Values {
    match &mut run.entries[place].event {
        Event::LookupAnswered(LookupAnswered {
            answer: LookupAnswer::Values(values),
            ..
        }) => values,
        _ => unreachable!("the place is that of an answer"),
    }
}

/// Requests that were acknowledged.
fn acknowledged(run: &Run) -> BTreeSet<proto::request::RequestId> {
    let mut requests = BTreeMap::new();
    let mut found = BTreeSet::new();
    for entry in &run.entries {
        match &entry.event {
            Event::WriteIssued(write) => drop(requests.insert(write.call, write.request)),
            Event::WriteAnswered(WriteAnswered {
                call,
                answer: WriteAnswer::Acknowledged(_),
            }) => {
                found.insert(requests[call]);
            }
            _ => {}
        }
    }
    found
}

pub fn drop_an_acknowledged_write(run: &Run) -> Option<Run> {
    let known = acknowledged(run);
    let candidates = run
        .log
        .iter()
        .enumerate()
        .filter(|(_, entry)| known.contains(&entry.request));
    // What was written last is most likely to be seen at the end.
    for (place, _) in candidates.rev().take(40) {
        let mut state = BTreeMap::new();
        let others = run
            .log
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != place);
        others.for_each(|(_, entry)| apply(entry, &mut state));
        let mut damaged = run.clone();
        let mut differs = false;
        for entry in &mut damaged.entries {
            let Event::FinalRead(read) = &mut entry.event else {
                continue;
            };
            let now = WALL + read.began.0;
            let less = cells(state.get(&read.wanted.row), &read.wanted, now);
            // Of equal event times the order of stamps cannot always be seen from outside.
            differs |= read.cells.iter().zip(&less).any(|(before, after)| {
                before.event_time > after.event_time && before.event_time.is_some()
            });
            read.cells = less;
        }
        if differs {
            return Some(damaged);
        }
    }
    None
}

/// A value of the column's type that no client writes.
fn never_written(cell: &ReadCell) -> Datum {
    match cell.value.as_ref().map(|value| value.as_slice().len()) {
        Some(8) => Bytes::of(&(-7_i64).to_le_bytes()),
        _ => Bytes::of(b"written by nobody"),
    }
}

pub fn change_a_value(run: &Run) -> Option<Run> {
    let lookups = lookups(run);
    let (lookup, (row, column), cell) = lookups.iter().find_map(|lookup| {
        let (.., cell, place) = lookup
            .cells()
            .find(|(_, _, cell, _)| cell.status == Status::Present)?;
        Some((lookup, place, cell))
    })?;
    let mut damaged = run.clone();
    values_at(&mut damaged, lookup.place).rows[row][column].value = Some(never_written(cell));
    Some(damaged)
}

pub fn swap_two_reads(run: &Run) -> Option<Run> {
    let lookups = lookups(run);
    for (place, first) in lookups.iter().enumerate() {
        // The second carries the very token that the first got.
        let later = &lookups[place + 1..];
        let mut carrying = later
            .iter()
            .filter(|second| second.token.is_some() && second.token == first.values.token.as_ref());
        let pair = carrying.find_map(|second| {
            if second.values.stale {
                return None;
            }
            first.cells().find_map(|(row, feature, early, at)| {
                let (.., late, then) = second
                    .cells()
                    .find(|other| (other.0, other.1) == (row, feature))?;
                let rises = early.event_time.is_some() && late.event_time > early.event_time;
                rises.then_some((second.place, at, then))
            })
        });
        if let Some((second, (row, column), (other_row, other_column))) = pair {
            let mut damaged = run.clone();
            let early = values_at(&mut damaged, first.place).rows[row][column].clone();
            let late = std::mem::replace(
                &mut values_at(&mut damaged, second).rows[other_row][other_column],
                early,
            );
            values_at(&mut damaged, first.place).rows[row][column] = late;
            return Some(damaged);
        }
    }
    None
}

pub fn resurrect(run: &Run) -> Option<Run> {
    let known = acknowledged(run);
    let rows = || {
        let entries = run
            .log
            .iter()
            .filter(|entry| known.contains(&entry.request));
        entries.flat_map(|entry| &entry.rows).map(|(row, _)| row)
    };
    let mut damaged = run.clone();
    let reads = damaged
        .entries
        .iter_mut()
        .filter_map(|entry| match &mut entry.event {
            Event::FinalRead(read) if read.wanted.row.view == PROBE.notes => Some(read),
            _ => None,
        });
    for read in reads {
        let of_row = || rows().filter(|row| row.row == read.wanted.row);
        let last = of_row().map(|row| row.event_time).max();
        let is_last = |row: &&proto::time::EventTime| Some(**row) == last;
        let mut lasts = of_row().filter(|row| is_last(&&row.event_time));
        let deleted = lasts.all(|row| row.change == Change::Delete);
        for (place, cell) in read.cells.iter_mut().enumerate() {
            let feature = FeatureId(place as u16);
            let older = of_row().find_map(|row| match &row.change {
                Change::Set(cells) if Some(row.event_time) < last => {
                    let (_, value) = cells.iter().find(|(set, _)| *set == feature)?;
                    Some((value.clone()?, row.event_time))
                }
                _ => None,
            });
            if let Some((value, time)) =
                older.filter(|_| deleted && cell.status == Status::NotFound)
            {
                let (value, event_time) = (Some(value), Some(time));
                *cell = ReadCell {
                    status: Status::Present,
                    value,
                    event_time,
                };
                return Some(damaged);
            }
        }
    }
    None
}

pub fn show_an_expired_value(run: &Run) -> Option<Run> {
    let ttl = PROBE.ttl.as_micros() as u64;
    for lookup in lookups(run) {
        for (key, feature, cell, (row, column)) in lookup.cells() {
            let Some(time) = cell
                .event_time
                .filter(|_| cell.status == Status::OutsideMaxAge)
            else {
                continue;
            };
            let surely = time.micros() + ttl + CLOCK_ERROR < WALL + lookup.issued;
            let written = run
                .log
                .iter()
                .flat_map(|entry| &entry.rows)
                .find_map(|(write, _)| {
                    let Change::Set(cells) = &write.change else {
                        return None;
                    };
                    let same = write.row == *key && write.event_time == time;
                    let (_, value) = cells.iter().find(|(set, _)| same && *set == feature)?;
                    value.clone()
                });
            if let Some(value) = written.filter(|_| surely) {
                let mut damaged = run.clone();
                let cell = &mut values_at(&mut damaged, lookup.place).rows[row][column];
                (cell.status, cell.value) = (Status::Present, Some(value));
                return Some(damaged);
            }
        }
    }
    None
}

/// Keys that no request deletes: what is acknowledged there stays.
fn never_deleted(run: &Run) -> impl Fn(&RowKey) -> bool {
    let writes = run.entries.iter().filter_map(|entry| match &entry.event {
        Event::WriteIssued(write) => Some(&write.rows),
        _ => None,
    });
    let deleted = writes.flatten().filter(|row| row.change == Change::Delete);
    let deleted: BTreeSet<RowKey> = deleted.map(|row| row.row.clone()).collect();
    move |row| !deleted.contains(row)
}

pub fn claim_less_staleness(run: &Run) -> Option<Run> {
    let never_deleted = never_deleted(run);
    let lookups = lookups(run);
    let lagging = lookups.iter().find(|lookup| {
        let written_before = |row: &RowKey, feature: FeatureId| {
            run.entries.iter().take(lookup.place).any(|entry| {
                matches!(&entry.event, Event::WriteIssued(write) if write.rows.iter().any(|written| {
                    written.row == *row
                        && matches!(&written.change, Change::Set(cells)
                            if cells.iter().any(|(set, _)| *set == feature))
                        && is_acknowledged_before(run, write.request, lookup.issued)
                }))
            })
        };
        let mut missed = lookup.cells().filter(|(_, _, cell, _)| cell.status == Status::NotFound);
        lookup.token.is_none()
            && missed.any(|(row, feature, ..)| never_deleted(row) && written_before(row, feature))
    })?;
    let mut damaged = run.clone();
    values_at(&mut damaged, lagging.place).ages[0].micros = Some(0);
    Some(damaged)
}

fn is_acknowledged_before(run: &Run, request: proto::request::RequestId, time: u64) -> bool {
    let calls: BTreeSet<_> = run
        .entries
        .iter()
        .filter_map(|entry| match &entry.event {
            Event::WriteIssued(write) if write.request == request => Some(write.call),
            _ => None,
        })
        .collect();
    run.entries.iter().any(|entry| match &entry.event {
        Event::WriteAnswered(WriteAnswered {
            call,
            answer: WriteAnswer::Acknowledged(_),
        }) => entry.at.0 + 1 < time && calls.contains(call),
        _ => false,
    })
}

pub fn tell_a_failure_as_a_miss(run: &Run) -> Option<Run> {
    let never_deleted = never_deleted(run);
    let lookups = lookups(run);
    for (place, lookup) in lookups.iter().enumerate() {
        if lookup.token.is_none() || lookup.values.stale {
            continue;
        }
        // An earlier answer with this very token had the value, so it provably exists.
        let before = lookups[..place]
            .iter()
            .filter(|other| other.values.token.as_ref() == lookup.token);
        let known: BTreeSet<_> = before
            .flat_map(Answered::cells)
            .filter(|(_, _, cell, _)| cell.status == Status::Present)
            .map(|(row, feature, ..)| (row, feature))
            .collect();
        let miss = lookup
            .cells()
            .find(|(row, feature, ..)| never_deleted(row) && known.contains(&(*row, *feature)));
        if let Some((.., (row, column))) = miss {
            let mut damaged = run.clone();
            let missing = ReadCell {
                status: Status::NotFound,
                value: None,
                event_time: None,
            };
            values_at(&mut damaged, lookup.place).rows[row][column] = missing;
            return Some(damaged);
        }
    }
    None
}

pub fn answer_a_retry_otherwise(run: &Run) -> Option<Run> {
    let mut requests = BTreeMap::new();
    let mut answered = BTreeSet::new();
    for (place, entry) in run.entries.iter().enumerate() {
        match &entry.event {
            Event::WriteIssued(write) => drop(requests.insert(write.call, write.request)),
            Event::WriteAnswered(WriteAnswered {
                call,
                answer: WriteAnswer::Acknowledged(given),
            }) if !answered.insert(requests[call]) => {
                let mut other = given.clone();
                other.rejected.push(RejectedRow {
                    row: 0,
                    reason: Reason::TooLarge,
                });
                let answer = WriteAnswer::Acknowledged(other);
                let mut damaged = run.clone();
                damaged.entries[place].event = Event::WriteAnswered(WriteAnswered {
                    call: *call,
                    answer,
                });
                return Some(damaged);
            }
            _ => {}
        }
    }
    None
}

pub fn differ_on_one_replica(run: &Run) -> Option<Run> {
    let mut damaged = run.clone();
    let found = damaged
        .entries
        .iter_mut()
        .rev()
        .find_map(|entry| match &mut entry.event {
            Event::FinalRead(read) => read
                .cells
                .iter_mut()
                .find(|cell| cell.status == Status::Present),
            _ => None,
        });
    let cell = found?;
    cell.value = Some(never_written(cell));
    Some(damaged)
}
