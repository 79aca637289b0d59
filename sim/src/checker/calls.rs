//! The calls of a history: attempts of one request brought together, answers beside what they answer.

use super::{Unjudgeable, reach::Reach};
use crate::history::{
    Acknowledged, CallId, Change, Event, FinalRead, Header, History, LookupAnswer, LookupAnswered,
    LookupIssued, RowKey, Values, WriteAnswer, WriteIssued, WriteRow,
};
use proto::request::RequestId;
use std::{collections::BTreeMap, rc::Rc};

/// One attempt to write.
#[derive(Debug)]
pub struct Attempt<'a> {
    /// Its call.
    pub call: CallId,
    /// When it left.
    pub issued: u64,
    /// When it was answered, and how.
    pub answer: Option<(u64, &'a WriteAnswer)>,
}

/// All attempts of one request.
#[derive(Debug)]
pub struct Request<'a> {
    /// Its rows.
    pub rows: &'a [WriteRow],
    /// In the order in which they left.
    pub attempts: Vec<Attempt<'a>>,
}

/// One row of a request, as far as it may have happened.
#[derive(Debug)]
pub struct Write<'a> {
    /// What it does.
    pub row: &'a WriteRow,
    /// No stamp of it is earlier than this.
    pub issued: u64,
    /// No stamp of it is later than this; `u64::MAX` without bound.
    pub settled: u64,
    /// Since when it must not be lost, if it must not.
    pub acknowledged: Option<u64>,
    /// The token given for it.
    pub token: Option<Rc<Reach>>,
}

/// A lookup that was answered with values.
#[derive(Debug)]
pub struct Lookup<'a> {
    /// Its call.
    pub call: CallId,
    /// When it left.
    pub issued: u64,
    /// When it was answered.
    pub answered: u64,
    /// What it asked for.
    pub asked: &'a LookupIssued,
    /// What it got.
    pub values: &'a Values,
    /// The token it carried.
    pub token: Option<Rc<Reach>>,
    /// The token it got.
    pub returned: Option<Rc<Reach>>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Calls<'a> {
    /// By id.
    pub requests: BTreeMap<RequestId, Request<'a>>,
    /// Rows that happened or may have.
    pub writes: Vec<Write<'a>>,
    /// In the order in which they were answered.
    pub lookups: Vec<Lookup<'a>>,
    /// Lookups answered with `STALE`.
    pub stale: usize,
    /// Lookups answered with another error.
    pub failed: usize,
    /// When each was answered, and it.
    pub finals: Vec<(u64, &'a FinalRead)>,
    /// What was acknowledged or read before this may be lost.
    pub lost_before: u64,
}

impl<'a> Calls<'a> {
    pub fn of(history: &'a History) -> Result<Self, Unjudgeable> {
        let mut calls = Self::default();
        let mut issued = BTreeMap::new();
        for entry in history.entries() {
            let at = entry.at.0;
            match &entry.event {
                Event::WriteIssued(write) => {
                    issued.insert(write.call, (at, &entry.event));
                    calls.attempt(at, write, history.header())?;
                }
                Event::LookupIssued(lookup) => {
                    check_wanted(lookup, history.header())?;
                    issued.insert(lookup.call, (at, &entry.event));
                }
                Event::WriteAnswered(answered) => {
                    if let Some((_, Event::WriteIssued(write))) = issued.get(&answered.call) {
                        calls.answer(write.request, answered.call, (at, &answered.answer));
                    }
                }
                Event::LookupAnswered(answered) => {
                    if let Some((left, Event::LookupIssued(asked))) = issued.get(&answered.call) {
                        calls.look(*left, at, asked, answered, history.header())?;
                    }
                }
                Event::FinalRead(read) => {
                    check_features(&read.wanted.row, &read.wanted.features, history.header())?;
                    calls.finals.push((at, read));
                }
                Event::LossAccepted => calls.lost_before = calls.lost_before.max(at),
                Event::Primary(_)
                | Event::Committed(_)
                | Event::Shipped(_)
                | Event::Closed(_)
                | Event::Holds(_)
                | Event::Note(_) => {}
            }
        }
        calls.lookups.sort_by_key(|lookup| lookup.answered);
        calls.settle(history.header())?;
        Ok(calls)
    }

    fn attempt(
        &mut self,
        at: u64,
        write: &'a WriteIssued,
        header: &Header,
    ) -> Result<(), Unjudgeable> {
        for row in &write.rows {
            let set: &[_] = match &row.change {
                Change::Set(cells) => cells,
                Change::Delete => &[],
            };
            let features: Vec<_> = set.iter().map(|(feature, _)| *feature).collect();
            check_features(&row.row, &features, header)?;
        }
        let request = self
            .requests
            .entry(write.request)
            .or_insert_with(|| Request {
                rows: &write.rows,
                attempts: Vec::new(),
            });
        if request.rows != write.rows {
            return Err(Unjudgeable::RequestDiffers(write.request));
        }
        request.attempts.push(Attempt {
            call: write.call,
            issued: at,
            answer: None,
        });
        Ok(())
    }

    fn answer(&mut self, request: RequestId, call: CallId, answer: (u64, &'a WriteAnswer)) {
        let attempts = self
            .requests
            .get_mut(&request)
            .map(|request| &mut request.attempts);
        for attempt in attempts
            .into_iter()
            .flatten()
            .filter(|attempt| attempt.call == call)
        {
            attempt.answer = Some(answer);
        }
    }

    fn look(
        &mut self,
        issued: u64,
        answered: u64,
        asked: &'a LookupIssued,
        answer: &'a LookupAnswered,
        header: &Header,
    ) -> Result<(), Unjudgeable> {
        match &answer.answer {
            LookupAnswer::Stale => self.stale += 1,
            LookupAnswer::Failed(_) => self.failed += 1,
            LookupAnswer::Values(values) => self.lookups.push(Lookup {
                call: asked.call,
                issued,
                answered,
                asked,
                values,
                token: Reach::of(asked.token.as_ref(), header.cluster, asked.call)?,
                returned: Reach::of(values.token.as_ref(), header.cluster, asked.call)?,
            }),
        }
        Ok(())
    }

    fn settle(&mut self, header: &Header) -> Result<(), Unjudgeable> {
        for request in self.requests.values() {
            for row in 0..request.rows.len() {
                if let Some(write) = settle_row(request, row, header, self.lost_before)? {
                    self.writes.push(write);
                }
            }
        }
        Ok(())
    }
}

/// What became of one row over all attempts; `None` if it surely never happened.
fn settle_row<'a>(
    request: &Request<'a>,
    row: usize,
    header: &Header,
    lost_before: u64,
) -> Result<Option<Write<'a>>, Unjudgeable> {
    let mut first: Option<(u64, &Acknowledged, CallId)> = None;
    let (mut last_answer, mut rejected, mut refused) = (0, false, 0);
    for attempt in &request.attempts {
        let (at, answer) = attempt
            .answer
            .map_or((u64::MAX, None), |(at, answer)| (at, Some(answer)));
        match answer {
            Some(WriteAnswer::Acknowledged(given)) => match fate_in(given, row) {
                Fate::Durable => {
                    last_answer = last_answer.max(at);
                    if first.is_none_or(|(earlier, ..)| at < earlier) {
                        first = Some((at, given, attempt.call));
                    }
                }
                Fate::Rejected => rejected = true,
                Fate::NotTaken => refused += 1,
                Fate::Unknown => last_answer = u64::MAX,
            },
            Some(WriteAnswer::Refused(_)) => refused += 1,
            Some(WriteAnswer::Unknown(_)) | None => last_answer = u64::MAX,
        }
    }
    // The request table gives every attempt the first answer, so one rejection tells for all.
    if first.is_none() && (rejected || refused == request.attempts.len()) {
        return Ok(None);
    }
    // Across regions a retry may be accepted, and stamped, a second time.
    let settled = match first {
        Some((at, ..)) if header.regions <= 1 => at,
        Some(_) => last_answer,
        None => u64::MAX,
    };
    let token = match first {
        Some((_, given, call)) => Reach::of(given.token.as_ref(), header.cluster, call)?,
        None => None,
    };
    Ok(Some(Write {
        row: &request.rows[row],
        issued: request
            .attempts
            .iter()
            .map(|attempt| attempt.issued)
            .min()
            .unwrap_or(0),
        settled,
        acknowledged: first.map(|(at, ..)| at).filter(|at| *at >= lost_before),
        token,
    }))
}

enum Fate {
    Durable,
    /// For ever, whoever is asked again.
    Rejected,
    /// By this attempt.
    NotTaken,
    Unknown,
}

fn fate_in(given: &Acknowledged, row: usize) -> Fate {
    let mut rejected = given.rejected.iter();
    if let Some(rejected) = rejected.find(|rejected| rejected.row as usize == row) {
        if rejected.is_for_ever() {
            Fate::Rejected
        } else {
            Fate::NotTaken
        }
    } else if given.unknown.iter().any(|unknown| *unknown as usize == row) {
        Fate::Unknown
    } else {
        Fate::Durable
    }
}

fn check_wanted(lookup: &LookupIssued, header: &Header) -> Result<(), Unjudgeable> {
    lookup
        .wanted
        .iter()
        .try_for_each(|wanted| check_features(&wanted.row, &wanted.features, header))
}

fn check_features(
    row: &RowKey,
    features: &[proto::id::FeatureId],
    header: &Header,
) -> Result<(), Unjudgeable> {
    let rule = header
        .view(row.view)
        .ok_or(Unjudgeable::UnknownView(row.view))?;
    match features
        .iter()
        .find(|feature| usize::from(feature.0) >= rule.columns.len())
    {
        Some(feature) => Err(Unjudgeable::UnknownFeature(row.view, *feature)),
        None => Ok(()),
    }
}
