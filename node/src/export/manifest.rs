//! What an export says of itself: `manifest.json`, written last, and one note for each shard that is
//! whole, by which a second run goes on.

use serde::{Deserialize, Serialize};

/// The name of the manifest in the export's folder. Without it the export is not complete.
pub const MANIFEST: &str = "manifest.json";
/// The folder of notes while the export is under way.
pub const NOTES: &str = "_whole";
/// The form of both.
const FORMAT: u32 = 1;

/// What is exported; a run of another identity does not go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Of this form.
    format: u32,
    /// The cluster.
    pub cluster: String,
    /// The project.
    pub project: String,
    /// The view, with its version.
    pub view: String,
    /// Rows of earlier events are left out; microseconds since 1970.
    pub since_us: Option<i64>,
    /// The files' columns and their Arrow types.
    pub columns: Vec<(String, String)>,
}

/// A shard that is whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardNote {
    /// What it is a part of.
    pub identity: Identity,
    /// Which part.
    pub part: u32,
    /// The position in the shard's log that its rows show.
    pub position: u64,
    /// The revision of the definitions.
    pub revision: u64,
    /// How many rows it has.
    pub rows: u64,
    /// Its files.
    pub files: Vec<String>,
}

/// A complete export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// What was exported.
    pub identity: Identity,
    /// All rows.
    pub rows: u64,
    /// All files, in order.
    pub files: Vec<String>,
    /// Its shards.
    pub shards: Vec<ManifestShard>,
}

/// One shard of a complete export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestShard {
    /// Which part of the view.
    pub part: u32,
    /// The position in the shard's log that its rows show.
    pub position: u64,
    /// How many rows it has.
    pub rows: u64,
}

impl Identity {
    /// Of this program's form.
    #[must_use]
    pub fn new(
        (cluster, project, view): (String, String, String),
        since_us: Option<i64>,
        columns: Vec<(String, String)>,
    ) -> Self {
        Self {
            format: FORMAT,
            cluster,
            project,
            view,
            since_us,
            columns,
        }
    }
}

impl Manifest {
    /// Of all its shards, in order.
    #[must_use]
    pub fn of(identity: Identity, notes: &[ShardNote]) -> Self {
        let shard = |note: &ShardNote| ManifestShard {
            part: note.part,
            position: note.position,
            rows: note.rows,
        };
        Self {
            identity,
            rows: notes.iter().map(|note| note.rows).sum(),
            files: notes.iter().flat_map(|note| note.files.clone()).collect(),
            shards: notes.iter().map(shard).collect(),
        }
    }
}

/// The name of a shard's note.
#[must_use]
pub fn note_name(part: u32) -> String {
    format!("{NOTES}/{part:05}.json")
}

/// The name of a shard's file.
#[must_use]
pub fn file_name(part: u32, number: usize) -> String {
    format!("part-{part:05}-{number:04}.parquet")
}
