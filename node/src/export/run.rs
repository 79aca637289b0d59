//! The export as a whole: shard after shard, each begun again where it breaks off.

use super::{
    columns::{Columns, FeatureTimes, PageError},
    manifest::{Identity, MANIFEST, Manifest, ShardNote, file_name, note_name},
    parts::Parts,
};
use crate::{
    client::{
        definition::ViewShape,
        gateways::{CallError, Gateways},
    },
    objects::{Place, PlaceError},
};
use arrow_schema::Field;
use bytes::Bytes;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use wire::v1;

/// How often a shard is begun again before the run gives up.
const ATTEMPTS: u32 = 5;
/// What is waited before it is, at first; twice as long each time.
const PAUSE: Duration = Duration::from_millis(250);
/// How long the gateway may take for a page.
const PAGE_WITHIN: Duration = Duration::from_secs(30);

/// What is to be exported, and where to.
#[derive(Debug)]
pub struct ExportPlan {
    /// The view with its join keys.
    pub shape: ViewShape,
    /// The folder.
    pub to: Place,
    /// The cluster's id.
    pub cluster: String,
    /// Rows of earlier events are left out.
    pub since_us: Option<i64>,
    /// Whether each feature has its own event time.
    pub times: FeatureTimes,
    /// Where a file ends.
    pub file_bytes: usize,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// The manifest.
    pub manifest: Manifest,
    /// Shards that an earlier run had made whole.
    pub resumed: usize,
    /// Bytes of the files of this run.
    pub bytes: u64,
    /// How long this run took.
    pub took: Duration,
}

/// Why an export stopped. What is whole is kept, so the same command goes on.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The place.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// Another export is there.
    #[error("{url} holds {what}; export to another folder, or remove that one")]
    Taken {
        /// The folder.
        url: String,
        /// What is there.
        what: &'static str,
    },
    /// The cluster.
    #[error("part {part} was not exported: {cause}; the same command goes on from there")]
    Refused {
        /// The part.
        part: u32,
        /// What was said.
        cause: CallError,
    },
    /// A stream ended without its end.
    #[error("part {part} broke off again and again; the same command goes on from there")]
    BrokeOff {
        /// The part.
        part: u32,
    },
    /// A page.
    #[error(transparent)]
    Page(#[from] PageError),
    /// Parquet.
    #[error("cannot write Parquet: {0}")]
    Parquet(#[from] parquet::errors::ParquetError),
}

/// Why one attempt at a shard ended.
enum Broken {
    /// It may be begun again.
    Again(CallError),
    /// The stream ended before its end was said.
    Short,
    /// It may not.
    For(ExportError),
}

impl<E: Into<ExportError>> From<E> for Broken {
    fn from(error: E) -> Self {
        Self::For(error.into())
    }
}

struct Run<'a> {
    plan: ExportPlan,
    gateways: &'a Gateways,
    columns: Columns,
    identity: Identity,
    bytes: u64,
}

/// Exports the view; `progress` is told of each shard: how many of how many, and rows so far.
pub async fn run(
    plan: ExportPlan,
    gateways: &Gateways,
    mut progress: impl FnMut(u32, u32, u64),
) -> Result<Summary, ExportError> {
    let began = Instant::now();
    let columns = Columns::new(&plan.shape, plan.times);
    let view = &plan.shape.view;
    let named = (
        plan.cluster.clone(),
        plan.shape.project.clone(),
        format!("{}@{}", view.name, view.version),
    );
    let described = |field: &Arc<Field>| (field.name().clone(), field.data_type().to_string());
    let described = columns.schema().fields().iter().map(described).collect();
    let identity = Identity::new(named, plan.since_us, described);
    let mut run = Run {
        plan,
        gateways,
        columns,
        identity,
        bytes: 0,
    };
    let mut notes = run.earlier().await?;
    let resumed = notes.len();
    let mut parts = None;
    let mut part = 0;
    while parts.is_none_or(|parts| part < parts) {
        let known = notes.iter().any(|note| note.part == part);
        if !known || parts.is_none() {
            let (note, of) = run.part(part, known).await?;
            parts = Some(of);
            notes.extend(note);
        }
        part += 1;
        let rows = notes.iter().map(|note| note.rows).sum();
        progress(part, parts.unwrap_or(part), rows);
    }
    notes.sort_by_key(|note| note.part);
    let manifest = Manifest::of(run.identity.clone(), &notes);
    run.write(MANIFEST, json(&manifest)).await?;
    for note in &notes {
        run.plan.to.join(&note_name(note.part)).delete().await?;
    }
    Ok(Summary {
        manifest,
        resumed,
        bytes: run.bytes,
        took: began.elapsed(),
    })
}

fn json(value: &impl serde::Serialize) -> Bytes {
    let text = serde_json::to_vec_pretty(value).expect("notes are plain data");
    text.into()
}

impl Run<'_> {
    /// The shards that an earlier run of the same export made whole.
    async fn earlier(&self) -> Result<Vec<ShardNote>, ExportError> {
        let to = &self.plan.to;
        let taken = |what| ExportError::Taken {
            url: to.url().to_owned(),
            what,
        };
        let names = to.names().await?;
        if names.iter().any(|name| name == MANIFEST) {
            return Err(taken("a complete export"));
        }
        let mut notes = Vec::new();
        for name in names.iter().filter(|name| name.ends_with(".json")) {
            let text = to.join(name).get().await?.unwrap_or_default();
            let note: Option<ShardNote> = serde_json::from_slice(&text).ok();
            match note.filter(|note| note.identity == self.identity) {
                Some(note) => notes.push(note),
                None => return Err(taken("what another export began")),
            }
        }
        Ok(notes)
    }

    async fn write(&mut self, name: &str, bytes: Bytes) -> Result<(), PlaceError> {
        self.bytes += bytes.len() as u64;
        self.plan.to.join(name).put(bytes).await
    }

    /// One shard, and how many there are. One that is known already is only asked for that number.
    async fn part(
        &mut self,
        part: u32,
        is_known: bool,
    ) -> Result<(Option<ShardNote>, u32), ExportError> {
        let mut pause = PAUSE;
        for attempt in 1.. {
            match self.attempt(part, is_known).await {
                Ok(done) => return Ok(done),
                Err(Broken::For(error)) => return Err(error),
                Err(Broken::Again(cause)) if attempt == ATTEMPTS || !cause.is_retryable() => {
                    return Err(ExportError::Refused { part, cause });
                }
                Err(Broken::Short) if attempt == ATTEMPTS => break,
                Err(Broken::Again(_) | Broken::Short) => {}
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        Err(ExportError::BrokeOff { part })
    }

    async fn attempt(
        &mut self,
        part: u32,
        is_known: bool,
    ) -> Result<(Option<ShardNote>, u32), Broken> {
        let view = &self.plan.shape.view;
        let request = v1::ScanRequest {
            project: self.plan.shape.project.clone(),
            view: format!("{}@{}", view.name, view.version),
            part,
            since_us: self.plan.since_us.map(i64::cast_unsigned),
        };
        let pages = self.gateways.scan(request, PAGE_WITHIN).await;
        let mut pages = pages.map_err(Broken::Again)?;
        let mut files = Parts::new(Arc::clone(self.columns.schema()), self.plan.file_bytes);
        let mut names = Vec::new();
        let mut rows = 0;
        while let Some(page) = pages.next(PAGE_WITHIN).await.map_err(Broken::Again)? {
            if is_known {
                return Ok((None, page.parts));
            }
            if page.end {
                if rows != page.total_rows {
                    return Err(Broken::Short);
                }
                let last = files.finish().map_err(ExportError::from)?;
                self.keep(last, part, &mut names).await?;
                let note = ShardNote {
                    identity: self.identity.clone(),
                    part,
                    position: page.position,
                    revision: page.revision,
                    rows,
                    files: names,
                };
                self.write(&note_name(part), json(&note)).await?;
                return Ok((Some(note), page.parts));
            }
            rows += u64::from(page.row_count);
            let batch = self.columns.batch(&page)?;
            let full = files.add(&batch).map_err(ExportError::from)?;
            self.keep(full, part, &mut names).await?;
        }
        Err(Broken::Short)
    }

    async fn keep(
        &mut self,
        file: Option<Bytes>,
        part: u32,
        names: &mut Vec<String>,
    ) -> Result<(), PlaceError> {
        if let Some(file) = file {
            let name = file_name(part, names.len());
            self.write(&name, file).await?;
            names.push(name);
        }
        Ok(())
    }
}
