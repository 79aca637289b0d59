//! One read of the views of one entity key: which states of the shard explain it?

use super::{
    cell::{CellHistory, Content, Fact, FactId},
    reach::Reach,
    report::{Invariant, Report},
};
use crate::history::{CallId, Header, OrderBy, ReadCell, RowKey, Status, ViewRule};
use proto::{id::FeatureId, value::Value};
use std::{collections::BTreeSet, rc::Rc};

/// Why a read must contain a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Because {
    Token,
    Seen,
    Claim,
    Final,
    Torn,
    Before,
}

/// What is known of a read as a whole.
#[derive(Debug)]
pub struct Frame<'a> {
    pub header: &'a Header,
    pub call: Option<CallId>,
    pub issued: u64,
    pub answered: u64,
    /// The token it had to honour.
    pub token: Option<Rc<Reach>>,
    /// Everything acknowledged until then is in the answer, as it claims.
    pub claims: Option<u64>,
    /// Whether it closes the run.
    pub closes: bool,
    /// The token it got.
    pub returned: Option<Rc<Reach>>,
}

/// One value of the read, with what is known of its cell.
#[derive(Debug)]
pub struct Item<'a> {
    pub row: &'a RowKey,
    pub feature: FeatureId,
    pub rule: &'a ViewRule,
    pub read: &'a ReadCell,
    pub cell: &'a mut CellHistory,
}

/// What can have given a value: a write, or that there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Explanation {
    Write(FactId),
    Nothing,
}

/// An item and what still explains it.
struct Open<'a, 'b> {
    item: &'b mut Item<'a>,
    left: Vec<Explanation>,
}

/// Judges the items of one read together.
pub fn judge(frame: &Frame<'_>, items: &mut [Item<'_>], report: &mut Report) {
    let mut open = Vec::with_capacity(items.len());
    for item in items {
        report.judged.values += 1;
        if item.read.status == Status::Unavailable {
            unavailable(frame, item, report);
            continue;
        }
        let Some(left) = explained(frame, item, report) else {
            continue;
        };
        if let Some(left) = contained(frame, item, left, report) {
            open.push(Open { item, left });
        }
    }
    agree(frame, &mut open, report);
    remember(frame, open);
}

fn unavailable(frame: &Frame<'_>, item: &Item<'_>, report: &mut Report) {
    report.judged.unavailable += 1;
    if frame.closes {
        complain(
            &[Invariant::I17],
            frame,
            item,
            "UNAVAILABLE after everything was healed",
            report,
        );
    }
}

/// What explains a value alone, or a complaint.
fn explained(frame: &Frame<'_>, item: &Item<'_>, report: &mut Report) -> Option<Vec<Explanation>> {
    let written = written_as_read(frame, item);
    if item.read.status == Status::NotFound {
        let mut left = written;
        left.push(Explanation::Nothing);
        return Some(left);
    }
    if written.is_empty() {
        let nobody = match item.read.status {
            Status::OutsideMaxAge => "nobody wrote anything to this cell before",
            _ => "nobody wrote that before",
        };
        complain(&[Invariant::I4], frame, item, nobody, report);
        return None;
    }
    let fitting = |explanation: &Explanation| match explanation {
        Explanation::Write(id) => may_have_age(frame, item, item.cell.fact(*id)),
        Explanation::Nothing => true,
    };
    let left: Vec<Explanation> = written.into_iter().filter(fitting).collect();
    if left.is_empty() {
        match item.read.status {
            Status::OutsideMaxAge => {
                complain(
                    &[Invariant::I16],
                    frame,
                    item,
                    "no write of it is past its ttl",
                    report,
                );
            }
            _ => complain(&[Invariant::I11], frame, item, "it is past its ttl", report),
        }
        return None;
    }
    Some(left)
}

/// The writes that left before the answer came and gave the cell what was read.
fn written_as_read(frame: &Frame<'_>, item: &Item<'_>) -> Vec<Explanation> {
    let cell = &item.cell;
    let candidates: Vec<FactId> = match (item.read.status, &item.read.value) {
        (Status::Present, Some(value)) => {
            cell.with_content(&Content::Value(value.clone())).to_vec()
        }
        (Status::NullValue, _) => cell.with_content(&Content::Null).to_vec(),
        (Status::NotFound, _) => cell.with_content(&Content::Deleted).to_vec(),
        (Status::OutsideMaxAge, _) => cell.with_any_content().collect(),
        (Status::Present, None) | (Status::Unavailable, _) => Vec::new(),
    };
    let dated_so = |fact: &Fact| match (item.read.status, item.rule.order_by, item.read.event_time)
    {
        // The time of what is not there, and stamps, say nothing about the writer's event time.
        (Status::NotFound, ..) | (_, OrderBy::WriteTime, _) | (.., None) => true,
        (_, OrderBy::EventTime, Some(time)) => fact.event == time.micros(),
    };
    let fits = |id: &FactId| {
        let fact = cell.fact(*id);
        fact.issued <= frame.answered && dated_so(fact)
    };
    candidates
        .into_iter()
        .filter(fits)
        .map(Explanation::Write)
        .collect()
}

/// Whether a value of this fact can have the status it was read with at any `now` that the gateway
/// can have taken.
fn may_have_age(frame: &Frame<'_>, item: &Item<'_>, fact: &Fact) -> bool {
    let (earliest, latest) = frame.now();
    let dated = match (item.rule.order_by, item.read.event_time) {
        (OrderBy::WriteTime, Some(stamp)) => (stamp.micros(), stamp.micros()),
        _ => fact.dated,
    };
    match (item.rule.ttl, item.read.status) {
        (None, status) => status != Status::OutsideMaxAge,
        (Some(ttl), Status::OutsideMaxAge) => dated.0.saturating_add(ttl) < latest,
        (Some(ttl), _) => dated.1.saturating_add(ttl) >= earliest,
    }
}

impl Frame<'_> {
    /// The earliest and the latest wall clock of whoever judged ages for this read.
    fn now(&self) -> (u64, u64) {
        let wall = |time: u64| self.header.wall_at_start.saturating_add(time);
        let error = self.header.clock_error;
        (
            wall(self.issued).saturating_sub(error),
            wall(self.answered).saturating_add(error),
        )
    }
}

/// Keeps the explanations that stand beside what the read must contain, or complains.
fn contained(
    frame: &Frame<'_>,
    item: &Item<'_>,
    left: Vec<Explanation>,
    report: &mut Report,
) -> Option<Vec<Explanation>> {
    let cell = &item.cell;
    let token = frame.token.as_deref();
    let musts = [
        (
            Because::Token,
            token.and_then(|token| cell.covered_by(token, frame.answered)),
        ),
        (Because::Seen, token.and_then(|token| cell.seen_by(token))),
        (
            Because::Claim,
            frame.claims.and_then(|until| cell.acknowledged_by(until)),
        ),
        (
            Because::Final,
            frame
                .closes
                .then(|| cell.acknowledged_by(frame.issued))
                .flatten(),
        ),
    ];
    let mut left = left;
    report.judged.bounded_values += usize::from(musts.iter().any(|(_, must)| must.is_some()));
    for (because, must) in musts {
        let Some(must) = must else { continue };
        left = stand_beside(frame, item, left, (because, must), report)?;
    }
    Some(left)
}

fn stand_beside(
    frame: &Frame<'_>,
    item: &Item<'_>,
    left: Vec<Explanation>,
    (because, must): (Because, FactId),
    report: &mut Report,
) -> Option<Vec<Explanation>> {
    let contained = item.cell.fact(must);
    let stands = |explanation: &Explanation| match explanation {
        Explanation::Write(id) => item.cell.contest.can_show(item.cell.fact(*id), contained),
        // Where a deletion is contained, it, or a later one, is the explanation.
        Explanation::Nothing => may_be_purged(frame, item.rule, contained),
    };
    let still: Vec<Explanation> = left.into_iter().filter(stands).collect();
    if still.is_empty() {
        missing(frame, item, because, contained, report);
        return None;
    }
    Some(still)
}

/// Below the view's floor no data exists: the floor is at most the TTL and the grace ago.
fn may_be_purged(frame: &Frame<'_>, rule: &ViewRule, fact: &Fact) -> bool {
    let (Some(ttl), Some(grace)) = (rule.ttl, rule.purge_after) else {
        return false;
    };
    fact.dated.0.saturating_add(ttl).saturating_add(grace) < frame.now().1
}

fn missing(
    frame: &Frame<'_>,
    item: &Item<'_>,
    because: Because,
    contained: &Fact,
    report: &mut Report,
) {
    let (invariant, why) = match because {
        Because::Token => (Invariant::I5, "its token covers"),
        Because::Seen => (
            Invariant::I6,
            "an earlier read, whose token it carries, showed",
        ),
        Because::Claim => (Invariant::I14, "the claimed staleness includes"),
        Because::Final => (Invariant::I3, "after the run there must be"),
        Because::Torn => (
            Invariant::I4,
            "another value of this read shows the same write,",
        ),
        Because::Before => (
            Invariant::I3,
            "before what this read shows there was acknowledged",
        ),
    };
    let mut broken = vec![invariant];
    match (item.read.status, &contained.content) {
        (Status::NotFound, _) => broken.push(Invariant::I16),
        (_, Content::Deleted) => broken.push(Invariant::I10),
        (_, Content::Null | Content::Value(_)) => {}
    }
    let why = format!("{why} {}", said(contained, item));
    complain(&broken, frame, item, &why, report);
}

/// Lets values explain each other: a write that surely is in the state brings along the rest of its
/// row and, with one region, all that was acknowledged before it left.
fn agree(frame: &Frame<'_>, open: &mut Vec<Open<'_, '_>>, report: &mut Report) {
    let mut shown = BTreeSet::new();
    loop {
        let certain = open.iter().filter_map(|open| match open.left[..] {
            [Explanation::Write(id)] => {
                let fact = open.item.cell.fact(id);
                Some((fact.write, fact.issued))
            }
            _ => None,
        });
        let Some(next) = certain
            .collect::<BTreeSet<_>>()
            .difference(&shown)
            .next()
            .copied()
        else {
            return;
        };
        shown.insert(next);
        open.retain_mut(|open| bring_along(frame, open, next, report));
    }
}

fn bring_along(
    frame: &Frame<'_>,
    open: &mut Open<'_, '_>,
    (write, issued): (usize, u64),
    report: &mut Report,
) -> bool {
    let before = issued.checked_sub(1).filter(|_| frame.header.regions <= 1);
    let musts = [
        (Because::Torn, open.item.cell.of_write(write)),
        (
            Because::Before,
            before.and_then(|until| open.item.cell.acknowledged_by(until)),
        ),
    ];
    for (because, must) in musts {
        let Some(must) = must else { continue };
        let left = std::mem::take(&mut open.left);
        match stand_beside(frame, open.item, left, (because, must), report) {
            Some(left) => open.left = left,
            None => return false,
        }
    }
    true
}

/// Tells later reads, by the token of this one, what they must contain: whichever explanation is
/// true, it is no earlier than the earliest.
fn remember(frame: &Frame<'_>, open: Vec<Open<'_, '_>>) {
    let Some(token) = &frame.returned else { return };
    for Open { item, left } in open {
        let ids = left.iter().map(|explanation| match explanation {
            Explanation::Write(id) => Some(*id),
            Explanation::Nothing => None,
        });
        // The facts stand latest first, so the earliest has the largest place.
        if let Some(earliest) = ids
            .collect::<Option<Vec<_>>>()
            .and_then(|ids| ids.into_iter().max())
        {
            item.cell.saw(earliest, token);
        }
    }
}

fn complain(
    broken: &[Invariant],
    frame: &Frame<'_>,
    item: &Item<'_>,
    why: &str,
    report: &mut Report,
) {
    let read = &item.read;
    let value = match &read.value {
        Some(value) => shown(&Content::Value(value.clone()), item),
        None => String::new(),
    };
    let time = read
        .event_time
        .map_or(String::new(), |time| format!(" of {}", time.micros()));
    let message = format!(
        "{} feature {} was read as {:?} {value}{time}, but {why}",
        item.row, item.feature, read.status
    );
    report.add(broken, frame.answered, frame.call, message);
}

fn said(fact: &Fact, item: &Item<'_>) -> String {
    let what = shown(&fact.content, item);
    format!(
        "{what} of {} (write left at {} us)",
        fact.event, fact.issued
    )
}

fn shown(content: &Content, item: &Item<'_>) -> String {
    match content {
        Content::Deleted => "a deletion".to_owned(),
        Content::Null => "null".to_owned(),
        Content::Value(value) => {
            let ty = item.rule.columns[usize::from(item.feature.0)].ty;
            Value::decode(ty, value.as_slice())
                .map_or_else(|_| value.to_string(), |value| format!("{value:?}"))
        }
    }
}
