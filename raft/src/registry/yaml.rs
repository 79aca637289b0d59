//! Reads definition files from YAML text and says where a fault lies: file, line, what to change.
//!
//! The only place that knows YAML. What it gives is checked against itself, not yet against the
//! registry.

use super::{
    check::{self, Path, Step},
    definition::DefinitionFile,
};
use proto::reason::{Reason, Refusal};
use serde::{Deserialize, Deserializer, de};
use serde_saphyr::{NonFiniteFloatPolicy, Options, Spanned};
use std::{collections::BTreeMap, fmt};

/// A definition file's text; larger ones are split into several files.
pub const FILE_BYTES: usize = 4 << 20;
/// The model needs 6; YAML nested deeper is a mistake or an attack.
const DEPTH: usize = 16;
const DOCUMENTS: usize = 256;

/// A definition file that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {}{message}", field_prefix(.field))]
pub struct DefinitionError {
    /// The file's name as the caller gave it.
    pub file: String,
    /// The line, from 1.
    pub line: u64,
    /// The path of the field at fault; empty where the text is no YAML of the right form.
    pub field: String,
    /// What is wrong and what to change.
    pub message: String,
}

fn field_prefix(field: &str) -> String {
    if field.is_empty() {
        String::new()
    } else {
        format!("{field}: ")
    }
}

impl From<DefinitionError> for Refusal {
    fn from(error: DefinitionError) -> Self {
        Self::of_field(
            Reason::InvalidDefinition,
            error.field.clone(),
            error.to_string(),
        )
    }
}

/// Reads all documents of one file.
pub fn parse_yaml(name: &str, text: &str) -> Result<Vec<DefinitionFile>, DefinitionError> {
    let error = |line, field, message| DefinitionError {
        file: name.to_owned(),
        line,
        field,
        message,
    };
    if text.len() > FILE_BYTES {
        let message = format!(
            "the file has {} bytes and {FILE_BYTES} are allowed; split it",
            text.len()
        );
        return Err(error(1, String::new(), message));
    }
    let files: Vec<DefinitionFile> = serde_saphyr::from_multiple_with_options(text, options())
        .map_err(|fault| {
            let line = fault
                .location()
                .map_or(1, |location| location.line())
                .max(1);
            error(line, String::new(), in_words(&fault))
        })?;
    if files.is_empty() {
        return Err(error(
            1,
            String::new(),
            "the file defines nothing; it begins with project: NAME".into(),
        ));
    }
    for (document, file) in files.iter().enumerate() {
        if let Some(fault) = check::faults(file).into_iter().next() {
            let line = line_of(text, document, &fault.path);
            return Err(error(line, Path(&fault.path).to_string(), fault.message));
        }
    }
    Ok(files)
}

fn options() -> Options {
    let mut options = Options::default();
    options.with_snippet = false;
    options.strict_booleans = true;
    options.non_finite_float_policy = NonFiniteFloatPolicy::PassThrough;
    if let Some(budget) = &mut options.budget {
        budget.max_depth = DEPTH;
        budget.flow_nesting_limit = DEPTH;
        budget.max_documents = DOCUMENTS;
        budget.max_total_scalar_bytes = FILE_BYTES;
        // Aliases may save typing, not blow up memory.
        budget.max_recorded_anchor_bytes = FILE_BYTES;
    }
    options
}

/// The library's message without its own mention of the place, which we give in our form.
fn in_words(fault: &serde_saphyr::Error) -> String {
    let text = fault.without_snippet().to_string();
    let text = text.lines().next().unwrap_or_default();
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text.to_owned(),
    }
}

/// The line of the element that `path` leads to, or of the nearest one around it.
fn line_of(text: &str, document: usize, path: &[Step]) -> u64 {
    let trees: Result<Vec<Spanned<Tree>>, _> =
        serde_saphyr::from_multiple_with_options(text, options());
    let Some(mut node) = trees.ok().and_then(|trees| trees.into_iter().nth(document)) else {
        return 1;
    };
    for step in path {
        let inner = match (node.value, step) {
            (Tree::Map(mut fields), Step::Field(name)) => fields.remove(*name),
            (Tree::List(items), Step::Index(index)) => items.into_iter().nth(*index),
            _ => None,
        };
        match inner {
            Some(inner) => node = inner,
            None => return node.referenced.line().max(1),
        }
        // A missing field is reported where the thing that lacks it begins.
    }
    node.referenced.line().max(1)
}

/// YAML of any form with its places: read a second time, only when a fault has to be located.
enum Tree {
    Map(BTreeMap<String, Spanned<Tree>>),
    List(Vec<Spanned<Tree>>),
    Leaf,
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> de::Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Leaf)
    }

    fn visit_none<E>(self) -> Result<Tree, E> {
        Ok(Tree::Leaf)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Tree, E> {
        Ok(Tree::Leaf)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Tree, E> {
        Ok(Tree::Leaf)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Tree, E> {
        Ok(Tree::Leaf)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Tree, E> {
        Ok(Tree::Leaf)
    }

    fn visit_str<E>(self, _: &str) -> Result<Tree, E> {
        Ok(Tree::Leaf)
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut fields: A) -> Result<Tree, A::Error> {
        let mut map = BTreeMap::new();
        while let Some((name, value)) = fields.next_entry()? {
            map.insert(name, value);
        }
        Ok(Tree::Map(map))
    }
}
