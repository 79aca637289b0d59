//! Everything that was ever written to one cell, indexed for the questions that reads raise.

use super::{calls::Write, reach::Reach, stand::Contest};
use crate::history::{Change, Datum, Header, OrderBy, ViewRule};
use proto::{id::FeatureId, time::EventTime};
use std::{cmp::Reverse, collections::BTreeMap, rc::Rc};

/// What a write made of the cell.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Content {
    /// Its row was deleted.
    Deleted,
    /// A null was written.
    Null,
    /// A value was written.
    Value(Datum),
}

/// One write, as one cell sees it.
#[derive(Debug)]
pub struct Fact {
    /// What orders it before stamps do: its event time, or 0 where write time orders.
    pub event: u64,
    /// The event time by which it expires, at the earliest and at the latest.
    pub dated: (u64, u64),
    /// No stamp is earlier.
    pub issued: u64,
    /// No stamp is later.
    pub settled: u64,
    /// Since when it must be there.
    pub acknowledged: Option<u64>,
    /// The token given for it.
    pub token: Option<Rc<Reach>>,
    /// What it wrote.
    pub content: Content,
    /// Which write.
    pub write: usize,
}

/// A place in [`CellHistory::facts`].
pub type FactId = usize;

/// A read that tells how far later reads with its token must have come.
#[derive(Debug)]
struct Seen {
    fact: FactId,
    token: Rc<Reach>,
}

/// See the module.
#[derive(Debug)]
pub struct CellHistory {
    /// The latest event first, and of equal events the latest issued first.
    facts: Vec<Fact>,
    by_content: BTreeMap<Content, Vec<FactId>>,
    by_write: BTreeMap<usize, FactId>,
    /// By when they were acknowledged: the first in the order of `facts` until then.
    acknowledged: Vec<(u64, FactId)>,
    /// In the order of `facts`.
    seen: Vec<Seen>,
    /// Decides between two facts.
    pub contest: Contest,
}

impl CellHistory {
    /// Gathers what `writes`, all of one row, did to `feature`.
    pub fn of<'a>(
        rule: &ViewRule,
        feature: FeatureId,
        writes: impl Iterator<Item = (usize, &'a Write<'a>)>,
        header: &Header,
    ) -> Self {
        let facts = writes.filter_map(|(place, write)| fact(place, write, feature, rule, header));
        let mut facts: Vec<Fact> = facts.collect();
        facts.sort_by_key(|fact| Reverse((fact.event, fact.issued)));
        let slack = if header.regions <= 1 {
            0
        } else {
            header.clock_error.saturating_mul(2)
        };
        let contest = Contest::of(rule.columns[usize::from(feature.0)], slack);
        let mut by_content: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (id, fact) in facts.iter().enumerate() {
            by_content.entry(fact.content.clone()).or_default().push(id);
        }
        let by_write = facts
            .iter()
            .enumerate()
            .map(|(id, fact)| (fact.write, id))
            .collect();
        let acknowledged = firsts_by_time(&facts);
        Self {
            facts,
            by_content,
            by_write,
            acknowledged,
            seen: Vec::new(),
            contest,
        }
    }

    /// A fact.
    pub fn fact(&self, id: FactId) -> &Fact {
        &self.facts[id]
    }

    /// All facts that left `content`.
    pub fn with_content(&self, content: &Content) -> &[FactId] {
        self.by_content.get(content).map_or(&[], Vec::as_slice)
    }

    /// All facts that left a value or a null.
    pub fn with_any_content(&self) -> impl Iterator<Item = FactId> + '_ {
        (0..self.facts.len()).filter(|id| self.facts[*id].content != Content::Deleted)
    }

    /// What one write did here, if it touched the cell.
    pub fn of_write(&self, write: usize) -> Option<FactId> {
        self.by_write.get(&write).copied()
    }

    /// The latest of the writes acknowledged no later than `time`.
    pub fn acknowledged_by(&self, time: u64) -> Option<FactId> {
        let count = self.acknowledged.partition_point(|(at, _)| *at <= time);
        self.acknowledged[..count].last().map(|(_, id)| *id)
    }

    /// The latest of the acknowledged writes that `token`, which was answered at `answered`, covers.
    pub fn covered_by(&self, token: &Reach, answered: u64) -> Option<FactId> {
        let covered = |fact: &Fact| {
            // What left later is in no token yet; saying so first spares comparing its token.
            fact.issued <= answered
                && fact.acknowledged.is_some()
                && fact.token.as_ref().is_some_and(|given| token.covers(given))
        };
        self.facts.iter().position(covered)
    }

    /// The latest of what reads showed whose tokens `token` covers.
    pub fn seen_by(&self, token: &Reach) -> Option<FactId> {
        self.seen
            .iter()
            .find(|seen| token.covers(&seen.token))
            .map(|seen| seen.fact)
    }

    /// Tells that a read which got `token` showed `fact` or something later.
    pub fn saw(&mut self, fact: FactId, token: &Rc<Reach>) {
        let start = self.seen.partition_point(|seen| seen.fact < fact);
        let same = self.seen[start..]
            .iter()
            .take_while(|seen| seen.fact == fact);
        // Whoever has seen the new token has seen the known one: nothing new is told.
        if !same.into_iter().any(|seen| token.covers(&seen.token)) {
            self.seen.insert(
                start,
                Seen {
                    fact,
                    token: Rc::clone(token),
                },
            );
        }
    }
}

fn fact(
    place: usize,
    write: &Write<'_>,
    feature: FeatureId,
    rule: &ViewRule,
    header: &Header,
) -> Option<Fact> {
    let content = match &write.row.change {
        Change::Delete => Content::Deleted,
        Change::Set(cells) => {
            let (_, value) = cells.iter().find(|(set, _)| *set == feature)?;
            value.clone().map_or(Content::Null, Content::Value)
        }
    };
    let given = write.row.event_time.micros();
    let wall = |time: u64| header.wall_at_start.saturating_add(time);
    let (event, dated) = match rule.order_by {
        OrderBy::EventTime => (given, (given, given)),
        OrderBy::WriteTime => {
            let earliest = wall(write.issued).saturating_sub(header.clock_error);
            (
                0,
                (
                    earliest,
                    wall(write.settled).saturating_add(header.clock_error),
                ),
            )
        }
    };
    Some(Fact {
        event: EventTime::saturating(event).micros(),
        dated,
        issued: write.issued,
        settled: write.settled,
        acknowledged: write.acknowledged,
        token: write.token.clone(),
        content,
        write: place,
    })
}

/// For each moment of an acknowledgement, the first fact of all acknowledged until then.
fn firsts_by_time(facts: &[Fact]) -> Vec<(u64, FactId)> {
    let times = facts
        .iter()
        .enumerate()
        .filter_map(|(id, fact)| Some((fact.acknowledged?, id)));
    let mut firsts: Vec<(u64, FactId)> = times.collect();
    firsts.sort_unstable();
    let mut first = FactId::MAX;
    for (_, id) in &mut firsts {
        first = first.min(*id);
        *id = first;
    }
    firsts
}
