//! A scan: all rows of one view, shard by shard, as a lookup would answer them now.
//!
//! What nobody would be served is left out: deleted rows, rows below the floor, rows of which every
//! value is past its ttl. Pages are bounded, and the next one is read when the last one was taken.

use crate::{
    catalog::{Catalog, Project, ServiceColumn, View},
    failure::Failure,
    lookup::{
        Selection,
        gather::{Wishes, gather_rows},
        staging::Staging,
    },
};
use async_trait::async_trait;
use bytes::Bytes;
use proto::{
    id::{FeatureId, Position, ShardId, ViewId},
    key::Key,
    reason::Reason,
    record::RecordView,
    schema::Schemas,
    shard::{Copies, Sharding},
    time::EventTime,
    types::Scalar,
    value::Value,
};
use std::sync::Arc;
use wire::twin;

/// Where rows are scanned.
#[async_trait]
pub trait Scanner: Send + Sync {
    /// Takes note of all rows of a view in a shard.
    async fn scan(&self, view: ViewId, shard: ShardId) -> Result<Box<dyn Records>, Failure>;
    /// The schemas that records were written under.
    fn schemas(&self) -> Arc<dyn Schemas + Send + Sync>;
}

/// The rows of one view in one shard at one position.
#[async_trait]
pub trait Records: Send {
    /// That position.
    fn applied(&self) -> Position;
    /// The next records, end to end; none at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, Failure>;
}

/// One part of a scan: a shard's rows.
pub struct Scan {
    selection: Selection,
    records: Box<dyn Records>,
    scanner: Arc<dyn Scanner>,
    since: EventTime,
    /// One for all pages: what expires meanwhile is in all of them or in none.
    now: EventTime,
    part: u32,
    parts: u32,
    rows: u64,
    is_done: bool,
}

/// The shards that hold an entity's rows, in order: the parts of a scan.
fn shards(sharding: &Sharding, copies: Copies) -> Vec<ShardId> {
    let is_reference = copies == Copies::EveryNode;
    let all = sharding.all();
    all.filter(|shard| sharding.is_reference(*shard) == is_reference)
        .collect()
}

impl Scan {
    /// Begins one part.
    pub async fn begin(
        catalog: &Catalog,
        request: &twin::ScanRequest,
        scanner: Arc<dyn Scanner>,
        now: EventTime,
    ) -> Result<Self, Failure> {
        let project = catalog.project(&request.project)?;
        let view = project.view(&request.view)?;
        let shards = shards(&catalog.sharding, view.entity.copies);
        let shard = shards.get(request.part as usize).ok_or_else(|| {
            let message = format!("the scan has parts 0 to {}", shards.len() - 1);
            Failure::of_field(Reason::InvalidRequest, "part", message)
        })?;
        Ok(Self {
            selection: selection(catalog, project, view)?,
            records: scanner.scan(view.id, *shard).await?,
            scanner,
            since: EventTime::saturating(request.since_us.unwrap_or_default()),
            now,
            part: request.part,
            parts: shards.len() as u32,
            rows: 0,
            is_done: false,
        })
    }

    /// The next page; the last one says that it is, and has no rows.
    pub async fn next(&mut self) -> Result<Option<twin::ScanPage>, Failure> {
        if self.is_done {
            return Ok(None);
        }
        let Some(records) = self.records.next().await? else {
            self.is_done = true;
            return Ok(Some(twin::ScanPage {
                end: true,
                total_rows: self.rows,
                ..self.page()
            }));
        };
        let page = self.lay_out(&records)?;
        self.rows += u64::from(page.row_count);
        Ok(Some(page))
    }

    fn page(&self) -> twin::ScanPage {
        twin::ScanPage {
            part: self.part,
            parts: self.parts,
            position: self.records.applied().0,
            revision: self.selection.revision.0,
            ..Default::default()
        }
    }

    fn lay_out(&self, records: &[u8]) -> Result<twin::ScanPage, Failure> {
        let selected = &self.selection.views[0];
        let view = &selected.view;
        let oldest = oldest_served(view, self.now).max(self.since);
        let scalars: Vec<Scalar> = view.entity.keys.iter().map(|key| key.ty).collect();
        let mut staging = Staging::with_capacity(Arc::clone(&selected.layout), 0);
        let (mut keys, mut times) = (vec![Vec::new(); scalars.len()], Vec::new());
        let schemas = self.scanner.schemas();
        let mut rest = records;
        while !rest.is_empty() {
            let record = RecordView::parse(rest).map_err(unreadable)?;
            rest = &rest[record.bytes().len()..];
            // A row's version is the largest of its cells': were that too old, all would be.
            let time = record.version().event_time;
            if record.kind().is_tombstone() || time < oldest {
                continue;
            }
            let schema = schemas.schema(view.id, record.schema_version());
            let schema = schema.ok_or_else(|| unreadable("its schema is not known here yet"))?;
            staging.push_record(&record, schema).map_err(unreadable)?;
            let values = Key::from_canonical(record.key()).values(&scalars);
            for (column, value) in keys.iter_mut().zip(values.map_err(unreadable)?) {
                column.push(value);
            }
            times.push(time);
        }
        let wishes = Wishes {
            defaults: false,
            event_times: true,
            names: true,
        };
        let gathered = gather_rows(&self.selection, &mut staging, self.now, wishes)?;
        let names = view.entity.keys.iter().map(|key| key.name.as_str());
        Ok(twin::ScanPage {
            row_count: times.len() as u32,
            keys: names
                .zip(keys)
                .map(|(name, values)| key_column(name, values))
                .collect(),
            columns: gathered.columns,
            statuses: gathered.statuses,
            times: gathered.times,
            event_times_us: vec![words(times.iter().map(|time| time.micros().cast_signed()))],
            ..self.page()
        })
    }
}

/// All features of the view, the deprecated ones too: an export leaves nothing out.
fn selection(catalog: &Catalog, project: &Project, view: &Arc<View>) -> Result<Selection, Failure> {
    let features = view.features.iter().zip(0..);
    let columns: Vec<ServiceColumn> = features
        .map(|(feature, place)| ServiceColumn {
            view: Arc::clone(view),
            feature: FeatureId(place),
            label: feature.name.as_str().into(),
        })
        .collect();
    Selection::new(catalog, project, &columns)
}

fn oldest_served(view: &View, now: EventTime) -> EventTime {
    let cutoff = view.ttl.map_or(EventTime::default(), |ttl| now.minus(ttl));
    cutoff.max(view.floor)
}

fn unreadable(fault: impl std::fmt::Display) -> Failure {
    Failure::new(
        Reason::Damaged,
        format!("a row of the scan cannot be read ({fault}); begin the part again"),
    )
}

fn words(values: impl Iterator<Item = i64>) -> Bytes {
    values
        .flat_map(i64::to_le_bytes)
        .collect::<Vec<u8>>()
        .into()
}

fn key_column(name: &str, values: Vec<Value>) -> twin::KeyColumn {
    let mut column = twin::KeyColumn {
        name: name.to_owned(),
        ..Default::default()
    };
    let (mut ints, mut joined, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    for value in values {
        match value {
            Value::Bool(flag) => ints.push(i64::from(flag)),
            Value::Int32(number) => ints.push(i64::from(number)),
            Value::Int64(number) | Value::Timestamp(number) => ints.push(number),
            Value::String(text) => joined.extend_from_slice(text.as_bytes()),
            Value::Bytes(bytes) => joined.extend_from_slice(&bytes),
            // No key has another type.
            _ => {}
        }
        ends.push(joined.len() as u32);
    }
    if ints.is_empty() {
        column.joined = joined.into();
        column.ends = ends;
    } else {
        column.ints = vec![words(ints.into_iter())];
    }
    column
}
