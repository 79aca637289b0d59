//! What a state machine under Raft is: pure, deterministic, kept in parts.
//!
//! A part is a key and the JSON of one object. Snapshots and the applied state on disk are made
//! of parts, so that a small change writes little and both kinds of file hold the same thing.

use proto::id::Revision;
use serde::{Serialize, de::DeserializeOwned};
use std::{collections::BTreeMap, fmt::Debug};

/// Everything a state machine holds, by key.
pub type Parts = BTreeMap<String, Vec<u8>>;
/// The parts that a step changed; `None` where one is gone.
pub type PartChanges = Vec<(String, Option<Vec<u8>>)>;

/// A state machine: commands in, outcomes out, nothing else.
pub trait StateMachine: Clone + Default + PartialEq + Debug + Send + Sync + 'static {
    /// What it is asked.
    type Command: Command;
    /// What it answers.
    type Outcome: Serialize + DeserializeOwned + Debug + Send + Sync + 'static;

    /// Carries a command out. Equal states and commands give equal states and outcomes, on any
    /// node and at any time.
    fn apply(&mut self, command: Self::Command) -> Self::Outcome;

    /// The number of changes it has seen.
    fn revision(&self) -> Revision;

    /// All of it.
    fn parts(&self) -> Parts {
        let all = Self::default().changes_to(self);
        all.into_iter()
            .filter_map(|(key, value)| Some((key, value?)))
            .collect()
    }

    /// What has to be written over the parts of `self` to hold those of `next`.
    fn changes_to(&self, next: &Self) -> PartChanges;

    /// The machine that the parts hold.
    fn from_parts(parts: &Parts) -> Result<Self, BadPart>;
}

/// A command as it stands in the log: a version byte and JSON.
pub trait Command: Serialize + DeserializeOwned + Debug + Send + Sync + 'static {
    /// The version this program writes, and the newest it reads.
    const VERSION: u8;

    /// The stored form.
    fn encode(&self) -> String {
        let json =
            serde_json::to_string(self).expect("commands are plain data, which JSON can hold");
        format!("{}{json}", char::from(Self::VERSION))
    }

    /// The command of a stored form. What cannot be read must stop the node: to skip a command
    /// that others carry out would let states differ for ever.
    fn decode(text: &str) -> Result<Self, UnknownCommand> {
        let mut chars = text.chars();
        let version = chars.next().map_or(0, u32::from);
        if version == 0 || version > u32::from(Self::VERSION) {
            return Err(UnknownCommand {
                version,
                newest: Self::VERSION,
                fault: "its version is unknown".into(),
            });
        }
        serde_json::from_str(chars.as_str()).map_err(|error| UnknownCommand {
            version,
            newest: Self::VERSION,
            fault: error.to_string(),
        })
    }
}

/// A command in the log that this program cannot carry out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a command of version {version} cannot be carried out ({fault}); this program knows versions up \
     to {newest}, so the node stops: install the version that the other nodes run"
)]
pub struct UnknownCommand {
    version: u32,
    newest: u8,
    fault: String,
}

/// A part that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("part {key:?} of the state cannot be read: {fault}")]
pub struct BadPart {
    key: String,
    fault: String,
}

impl BadPart {
    /// A fault of one part.
    pub fn new(key: &str, fault: impl Into<String>) -> Self {
        Self {
            key: key.to_owned(),
            fault: fault.into(),
        }
    }
}

/// The JSON of a part.
pub(crate) fn part_of<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("state is plain data, which JSON can hold")
}

/// Reads a part.
pub(crate) fn read_part<T: DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T, BadPart> {
    serde_json::from_slice(bytes).map_err(|error| BadPart::new(key, error.to_string()))
}

/// The key of an object in a family of parts. Numbers are padded, so that keys sort as ids do.
pub(crate) fn part_key(family: &str, id: u64) -> String {
    format!("{family}/{id:020}")
}

/// Notes what differs between two maps of objects. Shared objects (`Arc`) compare by pointer first.
pub(crate) fn note_changes<K: Ord, V: Serialize + PartialEq>(
    family: &str,
    number: impl Fn(&K) -> u64,
    old: &BTreeMap<K, V>,
    new: &BTreeMap<K, V>,
    changes: &mut PartChanges,
) {
    for (id, object) in new {
        if old.get(id) != Some(object) {
            changes.push((part_key(family, number(id)), Some(part_of(object))));
        }
    }
    for id in old.keys().filter(|id| !new.contains_key(id)) {
        changes.push((part_key(family, number(id)), None));
    }
}

/// The objects of one family of parts.
pub(crate) fn family<K: Ord, V: DeserializeOwned>(
    parts: &Parts,
    name: &str,
    id: impl Fn(u64) -> Option<K>,
) -> Result<BTreeMap<K, V>, BadPart> {
    let prefix = format!("{name}/");
    let of_family = parts
        .range(prefix.clone()..)
        .take_while(|(key, _)| key.starts_with(&prefix));
    of_family
        .map(|(key, bytes)| {
            let number = key[prefix.len()..].parse().ok().and_then(&id);
            let number = number.ok_or_else(|| BadPart::new(key, "its number is none"))?;
            Ok((number, read_part(key, bytes)?))
        })
        .collect()
}
