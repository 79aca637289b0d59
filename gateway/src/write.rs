//! A write: admit → rows → group → write → merge. Only the fourth step waits.

pub mod admit;
mod column;
pub mod group;
pub mod merge;
pub mod rows;
pub mod writer;

use crate::{
    catalog::{Catalog, Project, View},
    edge::{Clock, Deadline, Randomness},
    failure::Failure,
};
use bytes::Bytes;
use proto::{
    id::RegionId,
    reason::Reason,
    request::{Rejection, RequestId},
    time::EventTime,
};
use rows::{ReadRows, Reader};
use std::sync::Arc;
use wire::twin::{self, delete_request::What};
use writer::{Ack, WriteBatch, Writer, Written};

/// What taking writes needs.
pub struct Writes {
    writer: Arc<dyn Writer>,
    clock: Arc<dyn Clock>,
    randomness: Arc<dyn Randomness>,
    region: String,
}

/// What holds for a whole request.
struct Terms {
    id: RequestId,
    ack: Ack,
    token: Bytes,
    slot: RegionId,
    deadline: Deadline,
    rows_of_writes: Vec<usize>,
}

impl Writes {
    /// Takes writes in the name of `region` and hands them to `writer`.
    #[must_use]
    pub fn new(
        writer: Arc<dyn Writer>,
        clock: Arc<dyn Clock>,
        randomness: Arc<dyn Randomness>,
        region: String,
    ) -> Self {
        Self {
            writer,
            clock,
            randomness,
            region,
        }
    }

    /// Takes one write under `catalog`, without the rows that the edge `set_aside`.
    pub async fn write(
        &self,
        catalog: &Catalog,
        request: &twin::WriteRequest,
        set_aside: Vec<Rejection>,
        deadline: Deadline,
    ) -> Result<twin::WriteResponse, Failure> {
        admit::token(&request.token)?;
        let terms = Terms {
            id: admit::request_id(&request.request_id, &*self.clock, &*self.randomness)?,
            ack: admit::ack(request.ack)?,
            token: request.token.clone(),
            slot: self.slot(catalog, &request.slot)?,
            deadline,
            rows_of_writes: admit::row_counts(
                request.writes.iter().map(|rows| rows.keys.as_slice()),
            )?,
        };
        let project = catalog.project(&request.project)?;
        let reader = self.reader(catalog, project);
        let mut rows = ReadRows::without(set_aside);
        for (write, of_view) in (0..).zip(&request.writes) {
            reader.read_writes(write, of_view, &mut rows)?;
        }
        self.carry_out(catalog, project, rows, terms).await
    }

    /// Takes one deletion under `catalog`, without the rows that the edge `set_aside`.
    pub async fn delete(
        &self,
        catalog: &Catalog,
        request: &twin::DeleteRequest,
        set_aside: Vec<Rejection>,
        deadline: Deadline,
    ) -> Result<twin::WriteResponse, Failure> {
        let project = catalog.project(&request.project)?;
        let views = deleted_views(project, request.what.as_ref())?;
        let terms = Terms {
            id: admit::request_id(&request.request_id, &*self.clock, &*self.randomness)?,
            ack: admit::ack(request.ack)?,
            token: Bytes::new(),
            slot: self.slot(catalog, "")?,
            deadline,
            rows_of_writes: admit::row_counts(views.iter().map(|_| request.keys.as_slice()))?,
        };
        let reader = self.reader(catalog, project);
        let mut rows = ReadRows::without(set_aside);
        for (write, view) in (0..).zip(views) {
            reader.read_deletes(write, view, &request.keys, request.event_time_us, &mut rows)?;
        }
        self.carry_out(catalog, project, rows, terms).await
    }

    fn reader<'a>(&self, catalog: &'a Catalog, project: &'a Project) -> Reader<'a> {
        Reader {
            catalog,
            project,
            now: EventTime::saturating(self.clock.wall_micros()),
        }
    }

    fn slot(&self, catalog: &Catalog, given: &str) -> Result<RegionId, Failure> {
        let name = if given.is_empty() {
            &self.region
        } else {
            given
        };
        catalog.region(name, "slot")
    }

    async fn carry_out(
        &self,
        catalog: &Catalog,
        project: &Project,
        rows: ReadRows,
        terms: Terms,
    ) -> Result<twin::WriteResponse, Failure> {
        let ReadRows {
            placed, rejected, ..
        } = rows;
        let Terms {
            id,
            ack,
            token,
            slot,
            deadline,
            rows_of_writes,
        } = terms;
        let parts = group::group(placed);
        let batch = Arc::new(WriteBatch {
            project: project.id,
            revision: catalog.revision,
            id,
            ack,
            token,
            slot,
            deadline,
            parts,
        });
        let written = if batch.parts.is_empty() {
            nothing_written()
        } else {
            self.writer.write(Arc::clone(&batch)).await
        };
        let sent = merge::Sent {
            id,
            parts: &batch.parts,
            rows_of_writes: &rows_of_writes,
            rejected,
            region: &self.region,
        };
        merge::merge(sent, written)
    }
}

fn nothing_written() -> Written {
    Written {
        parts: Vec::new(),
        confirmed: Vec::new(),
        token: Bytes::new(),
    }
}

/// The views that a deletion names: one, or all versions of all views of an entity.
fn deleted_views<'a>(
    project: &'a Project,
    what: Option<&What>,
) -> Result<Vec<&'a Arc<View>>, Failure> {
    match what {
        None => Err(Failure::new(
            Reason::InvalidRequest,
            "name a view or an entity",
        )),
        Some(What::View(reference)) => Ok(vec![project.view(reference)?]),
        Some(What::Entity(name)) => {
            let entity = project.entity(name)?.id;
            let views = project
                .views
                .values()
                .flatten()
                .filter(|view| view.entity.id == entity);
            Ok(views.collect())
        }
    }
}
