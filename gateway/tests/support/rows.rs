//! Rows in memory behind the gateway's two traits: stamped, merged and stored as records.

use super::{TestCatalog, TestClock};
use gateway::{
    catalog::Catalogs,
    edge::{Clock, Moment},
    lookup::{
        fetch::{Fetch, Fetched, GroupRead, GroupRows, Part, Replicas},
        layout::Layout,
        staging::Staging,
    },
    write::writer::{Change, PartOutcome, WriteBatch, WritePart, WriteRow, Writer, Written},
};
use parking_lot::Mutex;
use proto::{
    hlc::Hlc,
    id::{RegionId, SchemaVersion, ShardId, ViewId},
    key::Key,
    limits::MAX_FUTURE,
    merge::merge,
    reason::{Reason, Refusal},
    record::{self, RecordKind, RecordView},
    request::{Rejection, RequestId, RequestPart, WriteOutcome},
    row::{Cell, Row, Slot},
    schema::{Combine, RowSchema},
    time::EventTime,
    version::Version,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::sync::Semaphore;

/// What the shards do to a write.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Mood {
    #[default]
    Willing,
    Refusing(Reason),
    Silent,
}

#[derive(Default)]
struct State {
    rows: BTreeMap<(ViewId, Vec<u8>), (ShardId, SchemaVersion, Row)>,
    schemas: BTreeMap<(ViewId, SchemaVersion), Arc<RowSchema>>,
    answers: BTreeMap<(RequestId, ShardId, RequestPart), WriteOutcome>,
    stamps: u64,
    failed: BTreeSet<ShardId>,
    misshapen: bool,
    mood: Mood,
    staleness: Vec<(String, Option<Duration>)>,
    is_stale: bool,
}

/// How many fetches are let through without being asked for.
const MANY: usize = 1 << 20;

pub struct Rows {
    catalog: Arc<TestCatalog>,
    clock: Arc<TestClock>,
    state: Mutex<State>,
    fetches: Semaphore,
}

impl Rows {
    pub fn new(catalog: Arc<TestCatalog>, clock: Arc<TestClock>) -> Self {
        let rows = Self {
            catalog,
            clock,
            state: Mutex::default(),
            fetches: Semaphore::new(MANY),
        };
        rows.learn_schemas();
        rows
    }

    /// Remembers the schemas of the present catalog, beside those of earlier ones.
    pub fn learn_schemas(&self) {
        let catalog = self.catalog.current().unwrap();
        let mut state = self.state.lock();
        for view in catalog
            .projects
            .values()
            .flat_map(|project| project.views.values().flatten())
        {
            state
                .schemas
                .insert((view.id, view.schema.version()), Arc::clone(&view.schema));
        }
    }

    pub fn learn_schema(&self, schema: RowSchema) {
        self.state
            .lock()
            .schemas
            .insert((schema.view(), schema.version()), Arc::new(schema));
    }

    pub fn put(&self, view: ViewId, key: &Key, shard: ShardId, schema: SchemaVersion, row: Row) {
        self.state
            .lock()
            .rows
            .insert((view, key.as_bytes().to_vec()), (shard, schema, row));
    }

    pub fn fail(&self, shards: impl IntoIterator<Item = ShardId>) {
        self.state.lock().failed = shards.into_iter().collect();
    }

    /// Answers each read with a row too many.
    pub fn answer_misshapen(&self) {
        self.state.lock().misshapen = true;
    }

    pub fn mood(&self, mood: Mood) {
        self.state.lock().mood = mood;
    }

    pub fn staleness(&self, ages: &[(&str, Option<Duration>)], is_stale: bool) {
        let mut state = self.state.lock();
        state.staleness = ages
            .iter()
            .map(|(origin, age)| ((*origin).to_owned(), *age))
            .collect();
        state.is_stale = is_stale;
    }

    /// Holds back all reads until [`Self::go_on`].
    pub fn hold(&self) {
        self.fetches.forget_permits(MANY);
    }

    pub fn go_on(&self) {
        self.fetches.add_permits(MANY);
    }

    pub fn count(&self) -> usize {
        self.state.lock().rows.len()
    }
}

/// Replicas that the shards lie on: each answers with a part of its own.
const NODES: u16 = 3;

#[tonic::async_trait]
impl Replicas for Rows {
    async fn fetch(&self, fetch: Arc<Fetch>) -> Result<Fetched, Refusal> {
        let _permit = self.fetches.acquire().await.unwrap();
        let now = self.clock.monotonic_micros();
        let state = self.state.lock();
        let moment = |age: Duration| Moment(now - age.as_micros() as u64);
        let complete_at = state
            .staleness
            .iter()
            .map(|(origin, age)| (origin.clone(), age.map(moment)));
        let failed = fetch
            .shards
            .iter()
            .filter(|shard| state.failed.contains(*shard));
        let refusal = || Refusal::new(Reason::NoPrimary, "the shard does not answer");
        Ok(Fetched {
            parts: (0..NODES).map(|node| state.part(node, &fetch)).collect(),
            refused: failed.map(|shard| (*shard, refusal())).collect(),
            is_stale: state.is_stale,
            complete_at: complete_at.collect(),
            token: bytes::Bytes::from_static(b"token"),
            attempts: Vec::new(),
        })
    }
}

impl State {
    /// What one node holds of a fetch.
    fn part(&self, node: u16, fetch: &Fetch) -> Part {
        let is_held = |place: &u16| {
            let shard = fetch.shards[usize::from(*place)];
            shard.0 % NODES == node && !self.failed.contains(&shard)
        };
        let rows = |group: &GroupRead| {
            assert_eq!(group.keys.len(), group.hashes.len());
            let keys = group.places.iter().zip(0..);
            let keys: Vec<u32> = keys
                .filter(|(place, _)| is_held(place))
                .map(|(_, key)| key)
                .collect();
            let stage = |layout| self.stage(fetch, group, &keys, layout);
            let views = group.views.iter().map(stage).collect();
            GroupRows { keys, views }
        };
        Part {
            groups: fetch.groups.iter().map(rows).collect(),
        }
    }

    /// Stages each row twice, as a row and as its record, which must come out alike.
    fn stage(
        &self,
        fetch: &Fetch,
        group: &GroupRead,
        keys: &[u32],
        layout: &Arc<Layout>,
    ) -> Staging {
        let mut by_row = Staging::with_capacity(Arc::clone(layout), keys.len());
        let mut by_record = by_row.clone();
        for at in keys {
            let key = group.keys.get(*at as usize);
            let shard = fetch.shards[usize::from(group.places[*at as usize])];
            let Some((written_to, version, row)) = self.rows.get(&(layout.view(), key.to_vec()))
            else {
                by_row.push_absent();
                by_record.push_absent();
                continue;
            };
            assert_eq!(
                *written_to, shard,
                "a key was asked for in another shard than it was written to"
            );
            let schema = &self.schemas[&(layout.view(), *version)];
            by_row.push_row(row, schema).unwrap();
            match record::encode(row, RecordKind::Image, key, schema) {
                Err(record::EncodeError::Empty) => by_record.push_absent(),
                Err(error) => panic!("{error}"),
                Ok(encoded) => {
                    let record = RecordView::parse(&encoded.bytes).unwrap();
                    by_record.push_record(&record, schema).unwrap();
                }
            }
        }
        assert_eq!(by_row, by_record, "a record is staged as its row is");
        let mut bytes = Vec::new();
        by_record.encode(&mut bytes);
        let decoded = Staging::decode(Arc::clone(layout), &bytes).unwrap();
        assert_eq!(
            decoded, by_record,
            "rows from another node are staged as those of this one"
        );
        for cut in [0, bytes.len() / 2, bytes.len() - 1] {
            assert!(
                Staging::decode(Arc::clone(layout), &bytes[..cut]).is_err(),
                "cut rows are refused"
            );
        }
        if self.misshapen {
            by_record.push_absent();
        }
        by_record
    }

    fn write(&mut self, part: &WritePart, batch: &WriteBatch, now: EventTime) -> WriteOutcome {
        let known = (batch.id, part.shard, part.part);
        if let Some(first) = self.answers.get(&known) {
            return first.clone();
        }
        let mut outcome = WriteOutcome::default();
        for row in &part.rows {
            if row.event_time > now.plus(MAX_FUTURE) {
                let message = "the event lies more than 5 minutes ahead";
                let refusal = Refusal::of_field(Reason::EventTimeInFuture, "event_time", message);
                outcome.rejected.push(Rejection {
                    write: row.write,
                    row: row.row,
                    refusal,
                });
                continue;
            }
            outcome.accepted += 1;
            outcome.superseded += u32::from(!self.merge(part.shard, row, batch.slot));
        }
        self.answers.insert(known, outcome.clone());
        outcome
    }

    /// Merges a row in; says whether anything changed.
    fn merge(&mut self, shard: ShardId, written: &WriteRow, slot: RegionId) -> bool {
        self.stamps += 1;
        let version = Version {
            event_time: written.event_time,
            write_time: Hlc(self.stamps),
            origin: RegionId(1),
        };
        let schema = Arc::clone(&self.schemas[&(written.view, written.schema)]);
        let row = delta(&written.change, version, slot, &schema);
        let key = (written.view, written.key.as_bytes().to_vec());
        let before = self.rows.get(&key).cloned().map(|(_, version, row)| {
            let from = &self.schemas[&(written.view, version)];
            row.widened(from, &schema)
        });
        let merged = merge(before.clone().unwrap_or_default(), row, &schema);
        let changed = before.as_ref() != Some(&merged);
        self.rows.insert(key, (shard, written.schema, merged));
        changed
    }
}

fn delta(change: &Change, version: Version, slot: RegionId, schema: &RowSchema) -> Row {
    let Change::Set(cells) = change else {
        return Row::deleted(version);
    };
    let mut row = Row::default();
    for (feature, content) in cells {
        let content = content.clone();
        let cell = match schema.column(*feature).unwrap().combine {
            Combine::Latest => Cell::Latest { version, content },
            _ => Cell::Slots(
                [Slot {
                    region: slot,
                    version,
                    content,
                }]
                .into_iter()
                .collect(),
            ),
        };
        row.set(*feature, cell);
    }
    row
}

#[tonic::async_trait]
impl Writer for Rows {
    async fn write(&self, batch: Arc<WriteBatch>) -> Written {
        let now = EventTime::saturating(self.clock.wall_micros());
        let mut state = self.state.lock();
        let parts = batch.parts.iter().map(|part| match state.mood.clone() {
            Mood::Willing => PartOutcome::Done {
                outcome: state.write(part, &batch, now),
                copies: 2,
            },
            Mood::Silent => PartOutcome::Unknown,
            Mood::Refusing(reason) => PartOutcome::Refused {
                refusal: Refusal::new(
                    reason,
                    "the store is nearly full; add disk, or wait for compaction",
                ),
                retry_after: Some(Duration::from_millis(1_500)),
            },
        });
        let parts = parts.collect();
        Written {
            parts,
            confirmed: vec!["eu".into()],
            token: bytes::Bytes::from_static(b"written"),
        }
    }
}
