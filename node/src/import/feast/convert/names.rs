//! Names as Atoll takes them. A changed one is told once, with everything else that a person must know.

use proto::{limits::NAME_BYTES, name::Name};

/// Names, and what there was to say.
#[derive(Debug, Default)]
pub struct Names {
    /// A line each, in the order in which they came up.
    pub notes: Vec<String>,
}

impl Names {
    /// Says something, once.
    pub fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Atoll's name of `what`, which Feast calls `given`.
    pub fn of(&mut self, what: &str, given: &str) -> String {
        if Name::new(given).is_ok() {
            return given.to_owned();
        }
        let letter = |character: char| match character.to_ascii_lowercase() {
            plain if plain.is_ascii_lowercase() || plain.is_ascii_digit() => plain,
            _ => '_',
        };
        let mut name: String = given.chars().map(letter).collect();
        if !name.starts_with(|first: char| first.is_ascii_lowercase()) {
            name.insert(0, 'x');
        }
        name.truncate(NAME_BYTES);
        if Name::new(&name).is_err() {
            // The one word that no feature may have.
            name.push('_');
        }
        self.note(format!(
            "{what} {given:?} is named {name:?} here; clients must use that"
        ));
        name
    }
}
