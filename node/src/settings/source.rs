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

/// The sections of names and passwords.
const CREDENTIALS: &str = "credentials";

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
    refuse_passwords(&table).map_err(wrong)?;
    let mut sources = BTreeMap::new();
    name_sources("", &table, &path.display().to_string(), &mut sources);
    for (variable, text) in environment {
        if let Some(key) = key_of(&variable) {
            let value = match key.first().is_some_and(|section| section == CREDENTIALS) {
                // A password of digits is text all the same.
                true => Value::String(text),
                false => value_of(&text),
            };
            let key = set(&mut table, &key, value);
            sources.insert(key, format!("environment {variable}"));
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
        if let Value::Table(values) = values {
            print_section(section, values, sources, &mut out);
        }
    }
    out
}

fn print_section(
    section: &str,
    values: &Table,
    sources: &BTreeMap<String, String>,
    out: &mut String,
) {
    let path = |key: &str| format!("{section}.{key}");
    if values.values().any(|value| !value.is_table()) || values.is_empty() {
        out.push_str(&format!("[{section}]\n"));
    }
    for (key, value) in values {
        if !value.is_table() {
            let source = sources.get(&path(key)).map_or("default", String::as_str);
            out.push_str(&format!("{key} = {value}  # {source}\n"));
        }
    }
    for (key, value) in values {
        if let Value::Table(inner) = value {
            print_section(&path(key), inner, sources, out);
        }
    }
}

/// Settings files are read by many; what is secret stands in files of its own, or in the environment.
fn refuse_passwords(table: &Table) -> Result<(), String> {
    let sections = table.get(CREDENTIALS).and_then(Value::as_table);
    let mut sections = sections.into_iter().flatten();
    let has_password = |section: &Value| section.get("password").is_some();
    match sections.find(|(_, section)| has_password(section)) {
        Some((name, _)) => Err(format!(
            "credentials.{name}.password stands in the file; name a file with it in credentials.{name}.password_file, \
             or set {PREFIX}CREDENTIALS__{}__PASSWORD in the environment",
            name.to_uppercase().replace('-', "_")
        )),
        None => Ok(()),
    }
}

/// Whether two names of a section are one: an environment's have `_` where a file's may have `-`.
pub(super) fn is_same_key(one: &str, other: &str) -> bool {
    one.replace('-', "_") == other.replace('-', "_")
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

/// Sets a key, in the section that is there already where one is the same; gives the key's whole name.
fn set(table: &mut Table, key: &[String], value: Value) -> String {
    match key {
        [] => String::new(),
        [last] => {
            table.insert(last.clone(), value);
            last.clone()
        }
        [section, rest @ ..] => {
            let known = table.keys().find(|known| is_same_key(known, section));
            let section = known.unwrap_or(section).clone();
            let inner = table
                .entry(&section)
                .or_insert_with(|| Value::Table(Table::new()));
            if !inner.is_table() {
                *inner = Value::Table(Table::new());
            }
            let inner = inner.as_table_mut().expect("it was made a table");
            format!("{section}.{}", set(inner, rest, value))
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

    const CREDENTIALS: &str =
        "[credentials.kafka-eu]\nusername = \"atoll\"\npassword_file = \"/etc/atoll/kafka-eu\"\n";

    #[test]
    fn credentials_come_from_the_file_and_the_environment_and_passwords_are_not_printed() {
        let pairs = [
            ("ATOLL_CREDENTIALS__KAFKA_EU__USERNAME", "other"),
            ("ATOLL_CREDENTIALS__KAFKA_EU__PASSWORD", "12345"),
            ("ATOLL_CREDENTIALS__KAFKA_US__USERNAME", "third"),
        ];
        let file = file(&format!("{NODE}{CREDENTIALS}"));
        let (settings, sources): (NodeSettings, _) =
            load(file.path(), environment(&pairs)).unwrap();
        let eu = settings.credentials_named("kafka-eu").unwrap();
        assert_eq!(eu.username.as_deref(), Some("other"));
        assert_eq!(
            eu.password.as_ref().map(|password| password.0.as_str()),
            Some("12345")
        );
        assert_eq!(settings.credentials.len(), 2);
        let us = settings.credentials_named("kafka-us").unwrap();
        assert_eq!(us.username.as_deref(), Some("third"));
        let printed = print(&settings, &sources);
        let expected = "[credentials.kafka-eu]\npassword_file = \"/etc/atoll/kafka-eu\"  # ";
        assert!(printed.contains(expected), "{printed}");
        let expected = "username = \"other\"  # environment ATOLL_CREDENTIALS__KAFKA_EU__USERNAME";
        assert!(printed.contains(expected), "{printed}");
        assert!(!printed.contains("12345"), "{printed}");
    }

    #[test]
    fn a_password_in_a_file_is_refused_with_where_it_goes() {
        let text = format!("{NODE}{CREDENTIALS}password = \"hunter2\"\n");
        let error = load::<NodeSettings>(file(&text).path(), environment(&[])).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("ATOLL_CREDENTIALS__KAFKA_EU__PASSWORD") && !error.contains("hunter2"),
            "{error}"
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
