//! What `--file` names: a file, or all files of an export, on this machine or in an object store.
//!
//! An object is copied to this machine while it is loaded; one at a time, and gone afterwards.

use super::source::Format;
use crate::{
    export::manifest::{MANIFEST, Manifest},
    objects::{self, Place, PlaceError},
};
use std::path::{Path, PathBuf};
use tempfile::TempPath;

/// A file that is to be loaded.
#[derive(Debug)]
pub enum Named {
    /// Of this machine.
    Here(PathBuf),
    /// Of a store.
    There(Place),
}

/// A file that can be read.
#[derive(Debug)]
pub struct Readable {
    /// Where it is.
    pub path: PathBuf,
    /// What is kept about it has this name and an ending.
    pub beside: PathBuf,
    /// Its copy on this machine, if it is one.
    _copy: Option<TempPath>,
}

/// The name leads to no file.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// The store.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The machine.
    #[error("cannot read {}: {cause}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A folder that is no export.
    #[error(
        "{0} holds no complete export: {MANIFEST} is missing or cannot be read; name one file, or end the export first"
    )]
    NoExport(String),
}

/// All files that a name stands for, in order.
pub async fn find(file: &Path) -> Result<Vec<Named>, FilesError> {
    let text = file.to_string_lossy();
    match objects::local(&text) {
        Some(path) => find_here(&path),
        None if objects::is_url(&text) => find_there(&text).await,
        None => find_here(file),
    }
}

fn find_here(path: &Path) -> Result<Vec<Named>, FilesError> {
    let folder = match path.file_name() {
        Some(name) if name == MANIFEST => path.parent().unwrap_or(Path::new(".")),
        _ if path.is_dir() => path,
        _ => return Ok(vec![Named::Here(path.to_owned())]),
    };
    let no_export = || FilesError::NoExport(folder.display().to_string());
    let text = std::fs::read(folder.join(MANIFEST)).map_err(|_| no_export())?;
    let manifest = manifest(&text).ok_or_else(no_export)?;
    let files = manifest.files.iter();
    Ok(files.map(|name| Named::Here(folder.join(name))).collect())
}

async fn find_there(url: &str) -> Result<Vec<Named>, FilesError> {
    let url = url.trim_end_matches('/');
    let folder = url.strip_suffix(&format!("/{MANIFEST}"));
    if folder.is_none() && Format::of(Path::new(url)).is_ok() {
        return Ok(vec![Named::There(Place::open(url)?)]);
    }
    let folder = Place::open(folder.unwrap_or(url))?;
    let text = folder.join(MANIFEST).get().await?;
    let manifest = text.as_deref().and_then(manifest);
    let manifest = manifest.ok_or_else(|| FilesError::NoExport(folder.url().to_owned()))?;
    let files = manifest.files.iter();
    Ok(files.map(|name| Named::There(folder.join(name))).collect())
}

fn manifest(text: &[u8]) -> Option<Manifest> {
    serde_json::from_slice(text).ok()
}

impl Named {
    /// The file's name as people know it.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::Here(path) => path.display().to_string(),
            Self::There(place) => place.url().to_owned(),
        }
    }

    /// The file on this machine.
    pub async fn fetch(&self) -> Result<Readable, FilesError> {
        let place = match self {
            Self::Here(path) => {
                return Ok(Readable {
                    path: path.clone(),
                    beside: path.clone(),
                    _copy: None,
                });
            }
            Self::There(place) => place,
        };
        let name = place.url().rsplit('/').next().unwrap_or_default();
        let copy = tempfile::Builder::new()
            .suffix(&format!("-{name}"))
            .tempfile();
        let io = |cause| FilesError::Io {
            path: std::env::temp_dir(),
            cause,
        };
        let copy = copy.map_err(io)?;
        place.download(copy.as_file()).await?;
        let copy = copy.into_temp_path();
        Ok(Readable {
            path: copy.to_path_buf(),
            beside: PathBuf::from(name),
            _copy: Some(copy),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_folder_stands_for_the_files_of_its_manifest() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("file://{}", folder.path().display());
        for name in [folder.path(), Path::new(&url)] {
            let error = find(name).await.unwrap_err().to_string();
            assert!(error.contains("no complete export"), "{error}");
        }
        let identity = serde_json::json!({ "format": 1, "cluster": "c", "project": "p", "view": "v@1", "since_us": null, "columns": [] });
        let manifest = serde_json::json!({ "identity": identity, "rows": 2, "files": ["b.parquet", "a.parquet"], "shards": [] });
        std::fs::write(folder.path().join(MANIFEST), manifest.to_string()).unwrap();
        for name in [
            folder.path().to_owned(),
            folder.path().join(MANIFEST),
            PathBuf::from(url),
        ] {
            let found = find(&name).await.unwrap();
            let shown: Vec<String> = found.iter().map(Named::shown).collect();
            let expected = ["b.parquet", "a.parquet"].map(|it| folder.path().join(it));
            assert_eq!(shown, expected.map(|path| path.display().to_string()));
        }
        let one = find(Path::new("rows.csv")).await.unwrap();
        assert_eq!(one[0].fetch().await.unwrap().beside, Path::new("rows.csv"));
    }
}
