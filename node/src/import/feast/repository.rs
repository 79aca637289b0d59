//! `feature_store.yaml`: which project a Feast repository is, and where its registry lies.

use serde::Deserialize;
use std::path::{Path, PathBuf};

/// What of `feature_store.yaml` matters.
#[derive(Debug, Deserialize)]
struct File {
    project: String,
    registry: Registry,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Registry {
    Path(String),
    Described {
        path: String,
        #[serde(default)]
        registry_type: Option<String>,
    },
}

/// Where the definitions of a Feast repository are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// Feast's name of the project.
    pub project: String,
    /// The registry's file.
    pub registry: PathBuf,
}

/// Why the repository cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    /// The file is not one of Feast's.
    #[error("is not a feature_store.yaml: {0}")]
    Malformed(String),
    /// The registry is somewhere else.
    #[error(
        "its registry is {0}; only files can be read: run feast apply with registry: data/registry.db, and import that"
    )]
    NoFile(String),
}

impl Repository {
    /// Reads the text of the file at `path`; the registry's path is taken from its folder.
    pub fn parse(text: &str, path: &Path) -> Result<Self, RepositoryError> {
        let file: File = serde_saphyr::from_str(text)
            .map_err(|error| RepositoryError::Malformed(error.to_string()))?;
        let (registry, kind) = match file.registry {
            Registry::Path(path) => (path, None),
            Registry::Described {
                path,
                registry_type,
            } => (path, registry_type),
        };
        let is_file = kind.as_deref().is_none_or(|kind| kind == "file");
        if !is_file || registry.contains("://") {
            let what = kind.filter(|_| !is_file).unwrap_or(registry);
            return Err(RepositoryError::NoFile(what));
        }
        let folder = path.parent().unwrap_or(Path::new(""));
        Ok(Self {
            project: file.project,
            registry: folder.join(registry),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&str, &str>) {
        let found = Repository::parse(text, Path::new("repo/feature_store.yaml"));
        match (found, expected) {
            (Ok(found), Ok(path)) => assert_eq!(found.registry, Path::new(path)),
            (Err(error), Err(words)) => assert!(error.to_string().contains(words), "{error}"),
            (found, expected) => panic!("{found:?} and not {expected:?}"),
        }
    }

    #[test]
    fn a_registry_is_a_file_beside_its_repository() {
        check(
            "project: shop\nregistry: data/registry.db\n",
            Ok("repo/data/registry.db"),
        );
        check(
            "project: shop\nregistry: { path: /a/r.db, cache_ttl_seconds: 60 }\n",
            Ok("/a/r.db"),
        );
        check(
            "project: shop\nregistry: { registry_type: sql, path: x }\n",
            Err("is sql; only files"),
        );
        check(
            "project: shop\nregistry: s3://a/r.db\n",
            Err("is s3://a/r.db; only files"),
        );
        check(
            "registry: data/registry.db\n",
            Err("not a feature_store.yaml"),
        );
    }
}
