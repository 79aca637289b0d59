//! Read path, step 3 on a node: rows out of its own store, for its own gateway and for others.

use gateway::lookup::{
    fetch::{Fetch, GroupRead, GroupRows, Part},
    layout::Layout,
    staging::Staging,
};
use parking_lot::Mutex;
use proto::{record::RecordView, schema::Schemas};
use raft::registry::Catalog;
use std::sync::Arc;
use store::{Copy, Plan, ReadRequest, RowState, Run, Store};

/// Staging areas that are kept for the next read.
const STAGINGS_KEPT: usize = 64;

/// Reads rows of one store.
pub struct Reader {
    store: Arc<Store>,
    kept: Mutex<Vec<store::Staging>>,
}

/// The keys of a fetch that are to be read: for each group their numbers, rising.
pub struct Wanted(Vec<Vec<u32>>);

/// What a store gave.
pub struct Read {
    /// The rows of the shards that it holds.
    pub part: Part,
    /// Which of the fetch's shards those are, by place.
    pub is_held: Vec<bool>,
}

/// What one read of a store looks up: by group, view and key, in this order.
struct Requests<'a> {
    rows: Vec<ReadRequest<'a>>,
    plans: Vec<Plan>,
}

impl Wanted {
    /// The keys of some shards, which are asked for by their place in the fetch.
    pub fn of(fetch: &Fetch, is_wanted: impl Fn(u16) -> bool) -> Self {
        let of_group = |group: &GroupRead| {
            let keys = group.places.iter().zip(0..);
            keys.filter(|(place, _)| is_wanted(**place))
                .map(|(_, key)| key)
                .collect()
        };
        Self(fetch.groups.iter().map(of_group).collect())
    }

    /// The keys' numbers, by group.
    pub fn groups(&self) -> &[Vec<u32>] {
        &self.0
    }
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
    pub fn read_cached(&self, fetch: &Fetch, wanted: &Wanted, catalog: &Catalog) -> Option<Read> {
        let requests = Requests::of(fetch, wanted);
        let mut staged = self.kept.lock().pop().unwrap_or_default();
        self.store
            .read_cached(&requests.rows, &requests.plans, &mut staged);
        let read = (!staged.is_waiting()).then(|| answer(fetch, wanted, &staged, catalog));
        self.keep(staged);
        read
    }

    /// Reads, waiting for the disk where it must.
    pub fn read(&self, fetch: &Fetch, wanted: &Wanted, catalog: &Catalog) -> Read {
        let requests = Requests::of(fetch, wanted);
        let mut staged = self.kept.lock().pop().unwrap_or_default();
        self.store
            .read_batch(&requests.rows, &requests.plans, &mut staged);
        let read = answer(fetch, wanted, &staged, catalog);
        self.keep(staged);
        read
    }

    fn keep(&self, staged: store::Staging) {
        let mut kept = self.kept.lock();
        if kept.len() < STAGINGS_KEPT {
            kept.push(staged);
        }
    }
}

impl<'a> Requests<'a> {
    fn of(fetch: &'a Fetch, wanted: &Wanted) -> Self {
        let mut requests = Self {
            rows: Vec::new(),
            plans: Vec::new(),
        };
        for (group, keys) in fetch.groups.iter().zip(&wanted.0) {
            for layout in &group.views {
                requests.add(fetch, group, keys, layout);
            }
        }
        requests
    }

    fn add(&mut self, fetch: &Fetch, group: &'a GroupRead, keys: &[u32], layout: &Layout) {
        let plan = u16::try_from(self.plans.len()).expect("a lookup names at most 4,096 features");
        self.plans.push(Plan {
            view: layout.view(),
            copy: copy_of(layout),
        });
        let rows = keys.iter().map(|key| {
            let at = *key as usize;
            ReadRequest {
                shard: fetch.shards[usize::from(group.places[at])],
                plan,
                hash: group.hashes[at].with_view(layout.view()),
                key: group.keys.get(at),
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

fn answer(fetch: &Fetch, wanted: &Wanted, staged: &store::Staging, catalog: &Catalog) -> Read {
    let applied = staged.applied();
    let is_held = |shard| {
        applied
            .binary_search_by_key(shard, |(held, _)| *held)
            .is_ok()
    };
    let is_held: Vec<bool> = fetch.shards.iter().map(is_held).collect();
    let mut at = 0;
    let groups = fetch.groups.iter().zip(&wanted.0);
    let groups = groups.map(|(group, keys)| {
        let is_here = |key: &u32| is_held[usize::from(group.places[*key as usize])];
        let view = |layout: &Arc<Layout>| {
            let mut rows = Staging::with_capacity(Arc::clone(layout), keys.len());
            for key in keys {
                if is_here(key) {
                    push_row(&mut rows, staged, at, catalog);
                }
                at += 1;
            }
            rows
        };
        GroupRows {
            views: group.views.iter().map(view).collect(),
            keys: keys.iter().copied().filter(is_here).collect(),
        }
    });
    Read {
        part: Part {
            groups: groups.collect(),
        },
        is_held,
    }
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
