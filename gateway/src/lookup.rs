//! A lookup: admit → plan → fetch → gather → respond. Only the third step waits.

pub mod admit;
pub mod course;
mod select;

pub mod layout;
pub mod staging;

pub mod plan;

pub mod fetch;

mod combine;
pub mod gather;
pub mod respond;

pub use select::{EntityGroup, SelectedColumn, SelectedView, Selection, Selections};

use crate::{
    catalog::Catalog,
    edge::{Clock, Deadline},
    failure::Failure,
    trace::Trace,
};
use course::Course;
use fetch::{Fetch, Replicas};
use gather::{Gathered, Wishes};
use proto::time::EventTime;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use wire::twin::{self, lookup_request::Select};

/// One lookup, answered.
pub struct LookedUp {
    /// The answer.
    pub answer: twin::LookupResponse,
    /// What was selected.
    pub selection: Arc<Selection>,
    /// What was done.
    pub course: Course,
    /// Of some lookups: how old a row of each view was that was served, by the view's place in the selection.
    pub ages: Vec<(usize, Duration)>,
}

/// What answering lookups needs.
pub struct Lookups {
    replicas: Arc<dyn Replicas>,
    clock: Arc<dyn Clock>,
    selections: Selections,
    region: String,
    count: AtomicUsize,
}

/// Of so many lookups one tells how old its rows are.
const AGES_OF_ONE_IN: usize = 8;

impl Lookups {
    /// Answers in the name of `region` from `replicas`.
    #[must_use]
    pub fn new(replicas: Arc<dyn Replicas>, clock: Arc<dyn Clock>, region: String) -> Self {
        Self {
            replicas,
            clock,
            selections: Selections::default(),
            region,
            count: AtomicUsize::new(0),
        }
    }

    /// Which features a request's project and service or features stand for.
    pub(crate) fn select(
        &self,
        catalog: &Catalog,
        project: &str,
        select: Option<&Select>,
    ) -> Result<Arc<Selection>, Failure> {
        self.selections.select(catalog, project, select)
    }

    /// Answers one lookup under `catalog`, and says what was selected and done.
    pub async fn lookup(
        &self,
        catalog: &Catalog,
        request: &twin::LookupRequest,
        (deadline, trace): (Deadline, Option<Trace>),
    ) -> Result<LookedUp, Failure> {
        let began = self.clock.monotonic_micros();
        let given = admit::admit(request)?;
        let selection = self.select(catalog, &request.project, request.select.as_ref())?;
        let mut plan = plan::plan(&selection, &given, &catalog.sharding)?;
        let fetch = Arc::new(Fetch {
            project: selection.project,
            revision: selection.revision,
            shards: std::mem::take(&mut plan.shards),
            groups: std::mem::take(&mut plan.groups),
            token: request.token.clone(),
            max_staleness: request.max_staleness_us.map(Duration::from_micros),
            deadline,
            trace,
        });
        let mut course = Course::default();
        let planned = self.clock.monotonic_micros();
        let mut fetched = self.replicas.fetch(Arc::clone(&fetch)).await?;
        let came = self.clock.monotonic_micros();
        course.attempts = std::mem::take(&mut fetched.attempts);
        for (shard, refusal) in &fetched.refused {
            tracing::debug!(%shard, reason = %refusal.reason, "no rows: {refusal}");
        }
        let mut rows = fetch::fit(std::mem::take(&mut fetched.parts), &fetch);
        let now = EventTime::saturating(self.clock.wall_micros());
        let wishes = Wishes {
            defaults: !request.no_defaults,
            event_times: request.event_times,
            names: !request.omit_names,
        };
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let ages = match number % AGES_OF_ONE_IN {
            0 => gather::ages(&selection, &rows, now, number / AGES_OF_ONE_IN),
            _ => Vec::new(),
        };
        let gathered: Gathered = gather::gather(&selection, &plan, &mut rows, now, wishes)?;
        let facts = respond::Facts {
            region: &self.region,
            revision: selection.revision,
            row_count: plan.row_count,
            max_staleness: fetch.max_staleness,
            // Read last: a replica or gateway that slept cannot know that it did.
            now_micros: self.clock.monotonic_micros(),
        };
        let answer = respond::respond(request.on_stale(), gathered, fetched, facts)?;
        course.rows = answer.row_count;
        course.shards = fetch.shards.len();
        course.keys = fetch.groups.iter().map(|group| group.keys.len()).sum();
        course.views = fetch.groups.iter().map(|group| group.views.len()).sum();
        course.planned_micros = planned.saturating_sub(began);
        course.fetched_micros = came.saturating_sub(planned);
        course.gathered_micros = self.clock.monotonic_micros().saturating_sub(came);
        Ok(LookedUp {
            answer,
            selection,
            course,
            ages,
        })
    }
}
