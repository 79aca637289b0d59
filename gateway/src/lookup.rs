//! A lookup: admit → plan → fetch → gather → respond. Only the third step waits.

pub mod admit;
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
};
use fetch::{Fetch, Fetched, Replicas};
use gather::{Gathered, Wishes};
use proto::{reason::Reason, time::EventTime};
use std::{sync::Arc, time::Duration};
use wire::twin::{self, lookup_request::Select};

/// What answering lookups needs.
pub struct Lookups {
    replicas: Arc<dyn Replicas>,
    clock: Arc<dyn Clock>,
    selections: Selections,
    region: String,
}

impl Lookups {
    /// Answers in the name of `region` from `replicas`.
    #[must_use]
    pub fn new(replicas: Arc<dyn Replicas>, clock: Arc<dyn Clock>, region: String) -> Self {
        Self {
            replicas,
            clock,
            selections: Selections::default(),
            region,
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

    /// Answers one lookup under `catalog`, and says what was selected.
    pub async fn lookup(
        &self,
        catalog: &Catalog,
        request: &twin::LookupRequest,
        deadline: Deadline,
    ) -> Result<(twin::LookupResponse, Arc<Selection>), Failure> {
        let given = admit::admit(request)?;
        let selection = self.select(catalog, &request.project, request.select.as_ref())?;
        let mut plan = plan::plan(&selection, &given, &catalog.sharding)?;
        let fetch = Arc::new(Fetch {
            project: selection.project,
            revision: selection.revision,
            reads: std::mem::take(&mut plan.reads),
            token: request.token.clone(),
            max_staleness: request.max_staleness_us.map(Duration::from_micros),
            deadline,
        });
        let mut fetched = self.fetch(&fetch).await;
        check_token(&fetched)?;
        let now = EventTime::saturating(self.clock.wall_micros());
        let wishes = Wishes {
            defaults: !request.no_defaults,
            event_times: request.event_times,
            names: !request.omit_names,
        };
        let gathered: Gathered =
            gather::gather(&selection, &plan, &fetch.reads, &mut fetched, now, wishes)?;
        let facts = respond::Facts {
            region: &self.region,
            revision: selection.revision,
            row_count: plan.row_count,
            max_staleness: fetch.max_staleness,
        };
        let answer = respond::respond(request.on_stale(), gathered, fetched, facts)?;
        Ok((answer, selection))
    }

    /// Fetches, and adds the own wait to every age: a replica that slept cannot know that it did.
    async fn fetch(&self, fetch: &Arc<Fetch>) -> Fetched {
        let sent = self.clock.monotonic_micros();
        let mut fetched = fetch::fetch(&*self.replicas, fetch).await;
        let waited = Duration::from_micros(self.clock.monotonic_micros().saturating_sub(sent));
        for (_, age) in &mut fetched.staleness {
            *age = age.map(|age| age + waited);
        }
        fetched
    }
}

/// A token that no replica of this cluster can read is a fault of the call: waiting or another
/// replica would not help, as they would with a stale one.
fn check_token(fetched: &Fetched) -> Result<(), Failure> {
    let mut refusals = fetched
        .shards
        .iter()
        .filter_map(|shard| shard.as_ref().err());
    let of_token = refusals.find(|refusal| refusal.reason == Reason::TokenUnknown);
    of_token.map_or(Ok(()), |refusal| Err(refusal.clone().into()))
}
