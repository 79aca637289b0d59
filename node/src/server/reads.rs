//! Read path, step 3 on a node: rows out of its own store, for its own gateway and for others.

use gateway::lookup::{
    fetch::{GroupRead, ShardRead, ShardRows},
    layout::Layout,
    staging::Staging,
};
use parking_lot::Mutex;
use proto::{
    id::ShardId,
    reason::{Reason, Refusal},
    record::RecordView,
    schema::Schemas,
};
use raft::registry::Catalog;
use std::{collections::BTreeMap, sync::Arc};
use store::{Copy, Plan, ReadRequest, RowState, Run, Store};

/// Staging areas that are kept for the next read.
const STAGINGS_KEPT: usize = 64;

/// Reads rows of one store.
pub struct Reader {
    store: Arc<Store>,
    kept: Mutex<Vec<store::Staging>>,
}

/// What one read of a store looks up: a request for each key of each view, in the order of the
/// answer.
struct Requests<'a> {
    rows: Vec<ReadRequest<'a>>,
    plans: Vec<Plan>,
}

impl Reader {
    /// A reader of `store`.
    #[must_use]
    pub fn new(store: Arc<Store>) -> Self {
        Self {
            store,
            kept: Mutex::default(),
        }
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Reads what is in memory; none if something has to come from the disk, which
    /// [`Self::read`] waits for.
    pub fn read_cached(
        &self,
        reads: &[&ShardRead],
        catalog: &Catalog,
    ) -> Option<Vec<Result<ShardRows, Refusal>>> {
        let requests = Requests::of(reads);
        let mut staged = self.kept.lock().pop().unwrap_or_default();
        self.store
            .read_cached(&requests.rows, &requests.plans, &mut staged);
        let rows = (!staged.is_waiting()).then(|| self.answer(reads, &staged, catalog));
        self.keep(staged);
        rows
    }

    /// Reads, waiting for the disk where it must.
    pub fn read(&self, reads: &[&ShardRead], catalog: &Catalog) -> Vec<Result<ShardRows, Refusal>> {
        let requests = Requests::of(reads);
        let mut staged = self.kept.lock().pop().unwrap_or_default();
        self.store
            .read_batch(&requests.rows, &requests.plans, &mut staged);
        let rows = self.answer(reads, &staged, catalog);
        self.keep(staged);
        rows
    }

    fn keep(&self, staged: store::Staging) {
        let mut kept = self.kept.lock();
        if kept.len() < STAGINGS_KEPT {
            kept.push(staged);
        }
    }

    fn answer(
        &self,
        reads: &[&ShardRead],
        staged: &store::Staging,
        catalog: &Catalog,
    ) -> Vec<Result<ShardRows, Refusal>> {
        let present: BTreeMap<ShardId, ()> = staged
            .applied()
            .iter()
            .map(|(shard, _)| (*shard, ()))
            .collect();
        let mut at = 0;
        let answer_one = |read: &&ShardRead| {
            let groups = read
                .groups
                .iter()
                .map(|group| answer_group(group, staged, &mut at, catalog))
                .collect();
            if present.contains_key(&read.shard) {
                return Ok(ShardRows { groups });
            }
            let message = format!("this node does not hold shard {}", read.shard);
            Err(Refusal::new(Reason::NotReady, message))
        };
        reads.iter().map(answer_one).collect()
    }
}

impl<'a> Requests<'a> {
    fn of(reads: &'a [&'a ShardRead]) -> Self {
        let mut requests = Self {
            rows: Vec::new(),
            plans: Vec::new(),
        };
        for read in reads {
            for group in &read.groups {
                for view in &group.views {
                    requests.add(read.shard, group, view);
                }
            }
        }
        requests
    }

    fn add(&mut self, shard: ShardId, group: &'a GroupRead, layout: &Layout) {
        let wanted = Plan {
            view: layout.view(),
            copy: copy_of(layout),
        };
        let known = self.plans.iter().position(|plan| *plan == wanted);
        let plan = known.unwrap_or_else(|| {
            self.plans.push(wanted);
            self.plans.len() - 1
        });
        let plan = u16::try_from(plan).expect("a lookup names at most 4,096 features");
        let rows = group.keys.iter().zip(&group.hashes).map(|(key, hash)| {
            let hash = hash.with_view(layout.view());
            ReadRequest {
                shard,
                plan,
                hash,
                key,
            }
        });
        self.rows.extend(rows);
    }
}

/// Runs of bytes where all columns have fixed widths; otherwise the whole record.
fn copy_of(layout: &Layout) -> Copy {
    if !layout.is_all_runs() {
        return Copy::Record;
    }
    let place = |at: usize| u32::try_from(at).expect("a row is limited to 900 KiB");
    let run = |run: &gateway::lookup::layout::Run| Run {
        source: place(run.from.start),
        target: place(run.to.start),
        length: place(run.from.len()),
    };
    Copy::Runs {
        schema: layout.schema().version(),
        runs: layout.runs().iter().map(run).collect(),
        stride: place(layout.row_bytes()),
    }
}

fn answer_group(
    group: &GroupRead,
    staged: &store::Staging,
    at: &mut usize,
    catalog: &Catalog,
) -> Vec<Staging> {
    let answer_view = |layout: &Arc<Layout>| {
        let mut rows = Staging::with_capacity(Arc::clone(layout), group.keys.len());
        for _ in 0..group.keys.len() {
            push_row(&mut rows, staged, *at, catalog);
            *at += 1;
        }
        rows
    };
    group.views.iter().map(answer_view).collect()
}

/// A row that cannot be read is unavailable, never absent.
fn push_row(rows: &mut Staging, staged: &store::Staging, at: usize, catalog: &Catalog) {
    let row = &staged.rows()[at];
    match row.state {
        RowState::Missing | RowState::Deleted => rows.push_absent(),
        RowState::Damaged | RowState::Cold => rows.push_unavailable(),
        RowState::Found if rows.layout().is_all_runs() => {
            let version = row.version.expect("a row that was found has a version");
            rows.push_runs(staged.cells(at), version.event_time);
        }
        RowState::Found | RowState::Slow => {
            let record = staged
                .record(at)
                .expect("rows that are not copied by runs keep their record");
            push_record(rows, &record, catalog);
        }
    }
}

fn push_record(rows: &mut Staging, record: &RecordView<'_>, catalog: &Catalog) {
    let Some(schema) = catalog.schema(record.view(), record.schema_version()) else {
        tracing::warn!(view = %record.view(), schema = %record.schema_version(), "a row of an unknown schema");
        rows.push_unavailable();
        return;
    };
    if let Err(error) = rows.push_record(record, schema) {
        tracing::error!(view = %record.view(), %error, "a row does not fit its schema");
        rows.push_unavailable();
    }
}
