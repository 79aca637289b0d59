//! Reads definition files from YAML text and says where a fault lies: file, line, column,
//! what to change.
//!
//! The only place that knows YAML. What it gives is checked against itself, not yet against the
//! registry.

mod tree;

use super::{
    check::{self, Path, Step},
    definition::{DefinitionFile, ViewDefinition},
};
use proto::{
    nearby,
    reason::{Reason, Refusal},
};
use serde_saphyr::{Error, Location, NonFiniteFloatPolicy, Options, Spanned};
use tree::Tree;

/// A definition file's text; larger ones are split into several files.
pub const FILE_BYTES: usize = 4 << 20;
/// The model needs 6; YAML nested deeper is a mistake or an attack.
const DEPTH: usize = 16;
const DOCUMENTS: usize = 256;
/// Line and column of a text's first character.
const START: (u64, u64) = (1, 1);

/// A definition file that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {}{message}", field_prefix(.field))]
pub struct DefinitionError {
    /// The file's name as the caller gave it.
    pub file: String,
    /// The line, from 1.
    pub line: u64,
    /// The column, from 1.
    pub column: u64,
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
    let error = |(line, column), field, message| DefinitionError {
        file: name.to_owned(),
        line,
        column,
        field,
        message,
    };
    if text.len() > FILE_BYTES {
        let message = format!(
            "the file has {} bytes and {FILE_BYTES} are allowed; split it",
            text.len()
        );
        return Err(error(START, String::new(), message));
    }
    let files: Vec<DefinitionFile> = serde_saphyr::from_multiple_with_options(text, options())
        .map_err(|fault| {
            let place = fault
                .location()
                .map_or(START, |location| place_of(&location));
            error(place, String::new(), in_words(&fault))
        })?;
    if files.is_empty() {
        return Err(error(
            START,
            String::new(),
            "the file defines nothing; it begins with project: NAME".into(),
        ));
    }
    for (document, file) in files.iter().enumerate() {
        if let Some(fault) = check::faults(file).into_iter().next() {
            let place = find(text, document, &fault.path);
            return Err(error(place, Path(&fault.path).to_string(), fault.message));
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

/// The library's message in our words, without its own mention of the place.
fn in_words(fault: &Error) -> String {
    let fault = fault.without_snippet();
    match fault {
        Error::SerdeUnknownField {
            field, expected, ..
        } => {
            let hint = nearby::hint(field, expected.iter().copied(), "fields here");
            return format!("there is no field {field} here; {hint}");
        }
        Error::SerdeUnknownVariant {
            variant, expected, ..
        } => {
            let hint = nearby::hint(variant, expected.iter().copied(), "words here");
            return format!("{variant:?} cannot stand here; {hint}");
        }
        Error::SerdeMissingField { field, .. } => {
            return format!("field {field} is missing here; add it");
        }
        Error::DuplicateMappingKey { key, .. } => {
            let key = key.as_deref().unwrap_or("a field");
            return format!("{key} is given twice; remove one");
        }
        _ => {}
    }
    let text = fault.to_string();
    let text = text.lines().next().unwrap_or_default();
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text.to_owned(),
    }
}

/// Where an object stands that a plan speaks of, such as `view activity@1` or `service feed`.
#[must_use]
pub fn place_of_object(text: &str, object: &str) -> Option<(u64, u64)> {
    let files: Vec<DefinitionFile> =
        serde_saphyr::from_multiple_with_options(text, options()).ok()?;
    for (document, file) in files.iter().enumerate() {
        let named = |list: &'static str, place: Option<usize>| {
            place.map(|place| [Step::Field(list), Step::Index(place)])
        };
        let entities = &mut file.entities.iter();
        let entity = entities.position(|entity| object == format!("entity {}", entity.name));
        let views = &mut file.views.iter();
        let view = views.position(|view| is_of_view(object, view));
        let services = &mut file.services.iter();
        let service = services.position(|service| object == format!("service {}", service.name));
        let path = named("entities", entity)
            .or_else(|| named("views", view))
            .or_else(|| named("services", service));
        if let Some(path) = path {
            return Some(find(text, document, &path));
        }
    }
    None
}

/// Whether an object is a view's version or one of its features.
fn is_of_view(object: &str, view: &ViewDefinition) -> bool {
    let label = format!("{}@{}", view.name, view.version);
    let named = object
        .strip_prefix("view ")
        .or_else(|| object.strip_prefix("feature "));
    named.is_some_and(|named| named.split(':').next() == Some(&label))
}

/// The place of the element that `path` leads to, or of the nearest one around it.
fn find(text: &str, document: usize, path: &[Step]) -> (u64, u64) {
    let trees: Result<Vec<Spanned<Tree>>, _> =
        serde_saphyr::from_multiple_with_options(text, options());
    let Some(mut node) = trees.ok().and_then(|trees| trees.into_iter().nth(document)) else {
        return START;
    };
    for step in path {
        let inner = match (node.value, step) {
            (Tree::Map(mut fields), Step::Field(name)) => fields.remove(*name),
            (Tree::List(items), Step::Index(index)) => items.into_iter().nth(*index),
            _ => None,
        };
        match inner {
            Some(inner) => node = inner,
            None => return place_of(&node.referenced),
        }
        // A missing field is reported where the thing that lacks it begins.
    }
    place_of(&node.referenced)
}

fn place_of(location: &Location) -> (u64, u64) {
    (location.line().max(1), location.column().max(1))
}
