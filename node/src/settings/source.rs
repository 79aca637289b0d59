//! Where settings come from: defaults, then the file, then the environment; and what each came from.

use super::NodeSettings;
use serde::de::DeserializeOwned;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use toml::{Table, Value};

/// Environment variables with this prefix override a node's file: `ATOLL_SECTION__KEY`.
const PREFIX: &str = "ATOLL_";
/// Variables of the client with the same prefix.
const OTHERS: [&str; 5] = [
    "ATOLL_GATEWAY",
    "ATOLL_TOKEN",
    "ATOLL_CA_FILE",
    "ATOLL_CLIENT_CERTIFICATE_FILE",
    "ATOLL_CLIENT_KEY_FILE",
];

/// Settings could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("read settings from {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The text is not TOML, or says what no setting is.
    #[error("settings of {path}: {message}")]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What to change.
        message: String,
    },
}

/// Reads settings from a file, with the environment on top. Returns them with the source of each key.
pub fn load<T: DeserializeOwned>(
    path: &Path,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<(T, BTreeMap<String, String>), SettingsError> {
    let text = std::fs::read_to_string(path).map_err(|source| SettingsError::Read {
        path: path.to_owned(),
        source,
    })?;
    let wrong = |message: String| SettingsError::Wrong {
        path: path.to_owned(),
        message,
    };
    let mut table: Table = toml::from_str(&text).map_err(|error| wrong(one_line(&error)))?;
    let mut sources = BTreeMap::new();
    name_sources("", &table, &path.display().to_string(), &mut sources);
    for (variable, text) in environment {
        if let Some(key) = key_of(&variable) {
            sources.insert(key.join("."), format!("environment {variable}"));
            set(&mut table, &key, value_of(&text));
        }
    }
    let settings = table
        .try_into()
        .map_err(|error: toml::de::Error| wrong(one_line(&error)))?;
    Ok((settings, sources))
}

/// The effective settings as a file, each key with where it came from.
#[must_use]
pub fn print(settings: &NodeSettings, sources: &BTreeMap<String, String>) -> String {
    let table = Table::try_from(settings).expect("settings are a table");
    let mut out = String::new();
    for (section, values) in &table {
        out.push_str(&format!("[{section}]\n"));
        for (key, value) in values.as_table().into_iter().flatten() {
            let source = sources
                .get(&format!("{section}.{key}"))
                .map_or("default", String::as_str);
            out.push_str(&format!("{key} = {value}  # {source}\n"));
        }
    }
    out
}

fn one_line(error: &toml::de::Error) -> String {
    error
        .to_string()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

fn key_of(variable: &str) -> Option<Vec<String>> {
    let rest = variable
        .strip_prefix(PREFIX)
        .filter(|_| !OTHERS.contains(&variable))?;
    rest.contains("__")
        .then(|| rest.split("__").map(str::to_lowercase).collect())
}

/// A value as TOML would read it, else the text itself.
fn value_of(text: &str) -> Value {
    let parsed: Option<Table> = toml::from_str(&format!("value = {text}")).ok();
    parsed
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Value::String(text.to_owned()))
}

fn set(table: &mut Table, key: &[String], value: Value) {
    match key {
        [] => {}
        [last] => {
            table.insert(last.clone(), value);
        }
        [section, rest @ ..] => {
            let inner = table
                .entry(section)
                .or_insert_with(|| Value::Table(Table::new()));
            if !inner.is_table() {
                *inner = Value::Table(Table::new());
            }
            set(
                inner.as_table_mut().expect("it was made a table"),
                rest,
                value,
            );
        }
    }
}

fn name_sources(prefix: &str, table: &Table, source: &str, sources: &mut BTreeMap<String, String>) {
    for (key, value) in table {
        let path = if prefix.is_empty() {
            key.clone()
        } else {
            format!("{prefix}.{key}")
        };
        match value {
            Value::Table(inner) => name_sources(&path, inner, source, sources),
            _ => {
                sources.insert(path, source.to_owned());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{ClusterSettings, Size};
    use std::io::Write;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    const NODE: &str = "[node]\nname = \"eu-1\"\nregion = \"eu\"\ndata_dir = \"/tmp/x\"\n[store]\nmax_bytes = \"1GiB\"\n";

    fn environment(pairs: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into()))
            .collect::<Vec<_>>()
            .into_iter()
    }

    #[test]
    fn the_environment_stands_above_the_file_above_the_defaults() {
        let pairs = [
            ("ATOLL_NODE__NAME", "eu-9"),
            ("ATOLL_GATEWAY", "x"),
            ("ATOLL_CLUSTER__SEEDS", "[\"a:1\"]"),
        ];
        let (settings, sources): (NodeSettings, _) =
            load(file(NODE).path(), environment(&pairs)).unwrap();
        assert_eq!(
            (settings.node.name.as_str(), settings.cluster.seeds.len()),
            ("eu-9", 1)
        );
        assert_eq!(settings.store.max_bytes, Size(1 << 30));
        let printed = print(&settings, &sources);
        assert!(
            printed.contains("name = \"eu-9\"  # environment ATOLL_NODE__NAME"),
            "{printed}"
        );
        assert!(
            printed.contains("index_memory = \"4GiB\"  # default"),
            "{printed}"
        );
    }

    #[test]
    fn an_unknown_key_is_named() {
        let error = load::<NodeSettings>(
            file(&format!("{NODE}colour = 1\n")).path(),
            environment(&[]),
        )
        .unwrap_err();
        assert!(error.to_string().contains("colour"), "{error}");
    }

    #[test]
    fn a_cluster_that_cannot_be_is_refused_with_what_to_change() {
        let text =
            "[cluster]\nname = \"c\"\n[[region]]\nname = \"eu\"\ncopies = 2\nmin_in_sync = 3\n";
        let (settings, _): (ClusterSettings, _) =
            load(file(text).path(), environment(&[])).unwrap();
        assert!(
            settings
                .check()
                .unwrap_err()
                .contains("min_in_sync from 1 to copies")
        );
        assert_eq!(ClusterSettings::single().check(), Ok(()));
    }
}
