//! The load as a whole: several batches in flight, each noted before it is sent and after its answer.

use super::{
    batch::{Batch, BatchLimits, Batcher},
    binding::{BindError, Binding},
    pace::Pace,
    progress::Progress,
    rejects::{MayReplace, Rejects},
    row::{Raw, RowFault},
    send::{self, Patience},
    source::{Source, SourceError},
    state::{Counts, LoadIdentity, LoadState, SentBatch, StateError},
};
use crate::client::{
    definition::{OrderBy, ViewShape},
    gateways::{CallError, Gateways},
    request_id,
};
use proto::request::RequestId;
use std::{
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::{task::JoinSet, time::Instant};
use wire::v1;

/// What is to be loaded, and how.
#[derive(Debug)]
pub struct LoadPlan {
    /// The view with its join keys.
    pub shape: ViewShape,
    /// The view as it is named in requests.
    pub view: String,
    /// The file.
    pub file: PathBuf,
    /// How its columns lead to the view.
    pub binding: Binding,
    /// Where one request ends.
    pub limits: BatchLimits,
    /// Requests in flight.
    pub window: usize,
    /// How long a request is repeated.
    pub patience: Patience,
    /// The rate, where there is one.
    pub rows_per_second: Option<f64>,
    /// Where rejected rows go.
    pub rejects: PathBuf,
    /// Where progress is kept.
    pub state: PathBuf,
    /// The load's identity: a second run with the same goes on.
    pub identity: LoadIdentity,
    /// Whether an earlier run's progress is thrown away.
    pub restart: bool,
    /// Whether nothing is shown.
    pub quiet: bool,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Summary {
    /// What became of all rows, those of earlier runs included.
    pub counts: Counts,
    /// Rows that an earlier run had done.
    pub resumed_after: u64,
    /// The number of the last row that is done.
    pub done: u64,
    /// How long this run took.
    pub took: Duration,
    /// Whether it was stopped before the file's end.
    pub interrupted: bool,
}

impl Summary {
    /// This file and the next one.
    #[must_use]
    pub fn and(self, next: &Self) -> Self {
        Self {
            counts: Counts {
                accepted: self.counts.accepted + next.counts.accepted,
                superseded: self.counts.superseded + next.counts.superseded,
                rejected: self.counts.rejected + next.counts.rejected,
            },
            resumed_after: self.resumed_after + next.resumed_after,
            done: self.done + next.done,
            took: self.took + next.took,
            interrupted: next.interrupted,
        }
    }
}

/// Why a load stopped. Its progress is kept, so the same command goes on.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Its columns.
    #[error(transparent)]
    Columns(#[from] BindError),
    /// The progress.
    #[error(transparent)]
    State(#[from] StateError),
    /// The rejects file.
    #[error("cannot write rejected rows to {}: {cause}; name another file with --rejects", path.display())]
    Rejects {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The cluster refused a batch as a whole, or did not answer for too long.
    #[error("rows {first} to {last} were not taken: {cause}; the same command goes on from there")]
    Refused {
        /// The first row of the batch.
        first: u64,
        /// The last.
        last: u64,
        /// What was said.
        cause: CallError,
    },
    /// Some rows of a batch never got an answer.
    #[error(
        "{rows} of rows {first} to {last} got no answer in time; the same command goes on from there"
    )]
    Unknown {
        /// How many.
        rows: usize,
        /// The first row of the batch.
        first: u64,
        /// The last.
        last: u64,
    },
}

struct Run {
    plan: LoadPlan,
    gateways: Arc<Gateways>,
    state: LoadState,
    batcher: Batcher,
    /// Batches that an earlier run cut, in their order.
    earlier: VecDeque<SentBatch>,
    rejects: Rejects,
    progress: Progress,
    pace: Pace,
    in_flight: JoinSet<(Batch, Result<v1::WriteResponse, CallError>)>,
}

/// Loads the file, or what is left of it, until its end or until `stop` is ready.
pub async fn run(
    plan: LoadPlan,
    gateways: Arc<Gateways>,
    stop: impl Future<Output = ()>,
) -> Result<Summary, LoadError> {
    let began = Instant::now();
    let mut run = Run::open(plan, gateways)?;
    let resumed_after = run.state.done;
    tokio::pin!(stop);
    let mut stopped = false;
    let mut exhausted = false;
    // After a batch that was not taken nothing more is sent, but what is in flight gets its answer:
    // it is done then, and need not be sent again.
    let mut refused = None;
    loop {
        while !stopped && !exhausted && refused.is_none() && run.in_flight.len() < run.window() {
            tokio::select! {
                biased;
                () = &mut stop => stopped = true,
                more = run.send_next() => exhausted = !more?,
            }
        }
        if run.in_flight.is_empty() {
            break;
        }
        tokio::select! {
            biased;
            () = &mut stop, if !stopped => stopped = true,
            Some(done) = run.in_flight.join_next() => {
                let (batch, outcome) = done.expect("sending does not panic and is not aborted");
                if let Err(error) = run.take(batch, outcome) {
                    refused.get_or_insert(error);
                }
            }
        }
    }
    if let Some(error) = refused {
        return Err(error);
    }
    run.end(!exhausted)?;
    Ok(Summary {
        counts: run.state.counts,
        resumed_after,
        done: run.state.done,
        took: began.elapsed(),
        interrupted: !exhausted,
    })
}

impl Run {
    fn open(plan: LoadPlan, gateways: Arc<Gateways>) -> Result<Self, LoadError> {
        let earlier = if plan.restart {
            None
        } else {
            LoadState::read(&plan.state, &plan.identity)?
        };
        let rejects = match (&earlier, plan.restart) {
            (Some(earlier), _) => Rejects::go_on(&plan.rejects, earlier.rejects_bytes),
            (None, true) => Rejects::begin(&plan.rejects, MayReplace::Yes),
            (None, false) => Rejects::begin(&plan.rejects, MayReplace::No),
        };
        let rejects = rejects.map_err(|cause| rejects_error(&plan.rejects, cause))?;
        let state =
            earlier.unwrap_or_else(|| LoadState::begin(plan.identity.clone(), now_micros()));
        let source = Source::open(&plan.file, plan.binding.clone(), state.done)?;
        let progress = Progress::new(source.rows(), plan.quiet);
        let view = plan.view.clone();
        let batcher = Batcher::new(
            source,
            view,
            plan.limits,
            state.event_time_micros,
            state.done,
        );
        state.write(&plan.state)?;
        Ok(Self {
            pace: Pace::new(plan.rows_per_second, Instant::now()),
            earlier: state.batches.clone().into(),
            in_flight: JoinSet::new(),
            plan,
            gateways,
            state,
            batcher,
            rejects,
            progress,
        })
    }

    /// Where the later write wins, order is part of the data: one batch after the other.
    fn window(&self) -> usize {
        match self.plan.shape.view.order_by {
            OrderBy::EventTime => self.plan.window,
            OrderBy::WriteTime => 1,
        }
    }

    /// Sends the next batch; false at the file's end. A batch that an earlier run had an answer
    /// for is passed over.
    async fn send_next(&mut self) -> Result<bool, LoadError> {
        let earlier = self.earlier.front().cloned();
        let Some(batch) = self
            .batcher
            .next(earlier.as_ref().map(|batch| batch.last))?
        else {
            return Ok(false);
        };
        self.earlier.pop_front();
        if earlier.as_ref().is_some_and(|batch| batch.answered) {
            return Ok(true);
        }
        let id = earlier
            .and_then(|batch| batch.usable_id(now_millis()))
            .unwrap_or_else(request_id::draw);
        self.state.sent(batch.last, id);
        self.state.write(&self.plan.state)?;
        self.pace.wait(batch.sent.len()).await;
        self.spawn(batch, id);
        Ok(true)
    }

    fn spawn(&mut self, mut batch: Batch, id: RequestId) {
        let gateways = Arc::clone(&self.gateways);
        let patience = self.plan.patience;
        let rows = batch.rows.take();
        let request = rows.map(|rows| send::request(&self.plan.shape.project, rows, id));
        self.in_flight.spawn(async move {
            let outcome = match request {
                Some(request) => send::send(&gateways, request, patience).await,
                None => Ok(v1::WriteResponse::default()),
            };
            (batch, outcome)
        });
    }

    /// Keeps what became of a batch's rows.
    fn take(
        &mut self,
        batch: Batch,
        outcome: Result<v1::WriteResponse, CallError>,
    ) -> Result<(), LoadError> {
        let (first, last) = (batch.after + 1, batch.last);
        let answer = outcome.map_err(|cause| LoadError::Refused { first, last, cause })?;
        if !answer.unknown.is_empty() {
            let rows = answer.unknown.len();
            return Err(LoadError::Unknown { rows, first, last });
        }
        let counts = Counts {
            accepted: answer.accepted,
            superseded: answer.superseded,
            rejected: (batch.faults.len() + answer.rejected.len()) as u64,
        };
        self.keep_rejects(&batch, &answer)
            .map_err(|cause| rejects_error(&self.plan.rejects, cause))?;
        self.state.rejects_bytes = self.rejects.bytes();
        self.state.answered(last, counts);
        self.state.write(&self.plan.state)?;
        self.progress.show(self.state.done, self.state.counts);
        Ok(())
    }

    fn keep_rejects(&mut self, batch: &Batch, answer: &v1::WriteResponse) -> io::Result<()> {
        for (number, raw, fault) in &batch.faults {
            self.rejects.add(*number, raw, fault)?;
        }
        for rejected in &answer.rejected {
            if let Some((number, raw)) = batch.sent.get(rejected.row as usize) {
                self.rejects.add(*number, raw, &fault_of(rejected))?;
            } else {
                // An answer about a row that was not sent is kept all the same.
                let nothing = Raw::Json("null".to_owned());
                self.rejects
                    .add(batch.last, &nothing, &fault_of(rejected))?;
            }
        }
        self.rejects.flush()
    }

    fn end(&mut self, interrupted: bool) -> Result<(), LoadError> {
        self.progress.end();
        if interrupted {
            return Ok(());
        }
        // Done: the same command loads the file again, from its beginning.
        std::fs::remove_file(&self.plan.state).map_err(|cause| {
            StateError::Io {
                path: self.plan.state.clone(),
                cause,
            }
            .into()
        })
    }
}

fn fault_of(rejected: &v1::Rejected) -> RowFault {
    RowFault {
        reason: rejected.reason.clone(),
        field: rejected.field.clone(),
        message: rejected.message.clone(),
    }
}

fn rejects_error(path: &Path, cause: io::Error) -> LoadError {
    LoadError::Rejects {
        path: path.to_owned(),
        cause,
    }
}

fn now_micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let since = since.expect("the clock stands after 1970");
    i64::try_from(since.as_micros()).expect("the clock stands before the year 292,000")
}

fn now_millis() -> u64 {
    u64::try_from(now_micros() / 1_000).expect("the clock stands after 1970")
}
