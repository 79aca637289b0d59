//! Join keys as they came in a request, read by the type that the entity gives them.
//!
//! Faults of a column's form refuse the request; a single value's faults are told row by row, since
//! a write keeps its other rows.

use crate::catalog::Entity;
use bytes::Bytes;
use proto::{
    id::{ProjectId, ShardId},
    key::{Key, KeyError},
    reason::{Reason, Refusal},
    shard::Sharding,
    types::Scalar,
};
use wire::{codec::joined, twin};

/// One join key's values over all rows.
#[derive(Debug)]
pub struct KeyValues<'a> {
    name: &'a str,
    ty: Scalar,
    parts: Parts<'a>,
}

#[derive(Debug)]
enum Parts<'a> {
    /// 8 bytes each.
    Numbers(Bytes),
    /// One piece each.
    Pieces(&'a [Bytes]),
    /// End to end.
    Joined(&'a Bytes, &'a [u32]),
}

/// Which of a key column's forms is filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Nothing,
    Ints,
    Strings,
    Blobs,
    Joined,
}

impl Form {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Ints => "ints",
            Self::Strings => "strings",
            Self::Blobs => "blobs",
            Self::Joined => "joined",
        }
    }
}

/// How many values the column has, whatever its type.
pub fn count(column: &twin::KeyColumn) -> Result<usize, Refusal> {
    Ok(match form(column)? {
        Form::Nothing => 0,
        Form::Ints => {
            let bytes: usize = column.ints.iter().map(Bytes::len).sum();
            if !bytes.is_multiple_of(8) {
                return Err(invalid(column, "its ints are cut within a number"));
            }
            bytes / 8
        }
        Form::Strings => column.strings.len(),
        Form::Blobs => column.blobs.len(),
        Form::Joined => {
            let rising = column.ends.is_sorted();
            let last = column.ends.last().copied().unwrap_or(0) as usize;
            if !rising || last != column.joined.len() {
                return Err(invalid(
                    column,
                    "its ends do not rise to the length of joined",
                ));
            }
            column.ends.len()
        }
    })
}

fn form(column: &twin::KeyColumn) -> Result<Form, Refusal> {
    let filled = [
        (Form::Ints, !column.ints.is_empty()),
        (Form::Strings, !column.strings.is_empty()),
        (Form::Blobs, !column.blobs.is_empty()),
        (
            Form::Joined,
            !column.joined.is_empty() || !column.ends.is_empty(),
        ),
    ];
    let mut forms = filled
        .into_iter()
        .filter(|(_, filled)| *filled)
        .map(|(form, _)| form);
    let first = forms.next().unwrap_or(Form::Nothing);
    if forms.next().is_some() {
        return Err(invalid(
            column,
            "more than one of ints, strings, blobs and joined is filled",
        ));
    }
    Ok(first)
}

fn invalid(column: &twin::KeyColumn, fault: &str) -> Refusal {
    Refusal::of_field(
        Reason::InvalidRequest,
        column.name.clone(),
        format!("join key {}: {fault}", column.name),
    )
}

/// The values of a column for a join key of type `ty`. [`count`] has approved its form.
pub fn values(column: &twin::KeyColumn, ty: Scalar) -> Result<KeyValues<'_>, Refusal> {
    let form = form(column)?;
    let parts = match (ty, form) {
        (_, Form::Nothing) => Parts::Pieces(&[]),
        (Scalar::Bool | Scalar::Int32 | Scalar::Int64 | Scalar::Timestamp, Form::Ints) => {
            Parts::Numbers(joined(&column.ints))
        }
        (Scalar::String, Form::Strings) => Parts::Pieces(&column.strings),
        (Scalar::Bytes, Form::Blobs) => Parts::Pieces(&column.blobs),
        (Scalar::String | Scalar::Bytes, Form::Joined) => {
            Parts::Joined(&column.joined, &column.ends)
        }
        _ => {
            let message = format!(
                "join key {} is {}, and {} are given",
                column.name,
                ty.as_str(),
                form.as_str()
            );
            return Err(Refusal::of_field(
                Reason::WrongType,
                column.name.clone(),
                message,
            ));
        }
    };
    Ok(KeyValues {
        name: &column.name,
        ty,
        parts,
    })
}

impl KeyValues<'_> {
    /// Adds the value of `row` to `key`.
    pub fn push(&self, row: usize, key: &mut Key) -> Result<(), Refusal> {
        match &self.parts {
            Parts::Numbers(bytes) => {
                let number =
                    i64::from_le_bytes(*bytes[row * 8..].first_chunk().expect("rows were counted"));
                self.push_number(number, key)
            }
            Parts::Pieces(pieces) => self.push_run(&pieces[row], key),
            Parts::Joined(bytes, ends) => {
                let start = if row == 0 { 0 } else { ends[row - 1] as usize };
                self.push_run(&bytes[start..ends[row] as usize], key)
            }
        }
    }

    fn push_number(&self, number: i64, key: &mut Key) -> Result<(), Refusal> {
        let fits = match self.ty {
            Scalar::Bool => matches!(number, 0 | 1),
            Scalar::Int32 => i32::try_from(number).is_ok(),
            _ => true,
        };
        if !fits {
            let message = format!(
                "join key {} is {}, and {number} is none",
                self.name,
                self.ty.as_str()
            );
            return Err(Refusal::of_field(Reason::WrongType, self.name, message));
        }
        key.push_number(number)
            .map_err(|error| self.refusal(&error))
    }

    fn push_run(&self, bytes: &[u8], key: &mut Key) -> Result<(), Refusal> {
        if self.ty == Scalar::Bytes {
            return key.push_bytes(bytes).map_err(|error| self.refusal(&error));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| {
            let message = format!(
                "join key {} is a string, and a value is not UTF-8",
                self.name
            );
            Refusal::of_field(Reason::WrongType, self.name, message)
        })?;
        key.push_string(text).map_err(|error| self.refusal(&error))
    }

    fn refusal(&self, error: &KeyError) -> Refusal {
        let reason = match error {
            KeyError::WrongType { .. } => Reason::WrongType,
            KeyError::TooLong => Reason::TooLarge,
        };
        Refusal::of_field(reason, self.name, error.to_string())
    }
}

/// What finds the shard of an entity's keys.
#[derive(Debug, Clone, Copy)]
pub struct Locator<'a> {
    /// The project.
    pub project: ProjectId,
    /// The entity.
    pub entity: &'a Entity,
    /// How keys spread.
    pub sharding: &'a Sharding,
}

impl Locator<'_> {
    /// The key whose parts `push` adds, and its shard.
    pub fn locate<E>(
        &self,
        push: impl Fn(usize, &mut Key) -> Result<(), E>,
    ) -> Result<(Key, ShardId), E> {
        let mut key = Key::new();
        for part in 0..self.entity.keys.len() {
            push(part, &mut key)?;
        }
        let shard = |by: &Key| self.sharding.shard_of(self.project, by, self.entity.copies);
        if self.entity.is_sharded_by_whole_key() {
            let shard = shard(&key);
            return Ok((key, shard));
        }
        let mut by = Key::new();
        for part in &self.entity.shard_by {
            push(*part, &mut by)?;
        }
        Ok((key, shard(&by)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::JoinKey;
    use proto::{
        id::EntityId,
        name::Name,
        shard::{Copies, ShardHash},
    };
    use std::collections::BTreeSet;

    fn ints(numbers: &[i64]) -> twin::KeyColumn {
        let bytes: Vec<u8> = numbers
            .iter()
            .flat_map(|number| number.to_le_bytes())
            .collect();
        twin::KeyColumn {
            name: "id".into(),
            ints: vec![bytes.into()],
            ..Default::default()
        }
    }

    #[test]
    fn every_form_of_a_string_column_gives_the_same_keys() {
        let strings = twin::KeyColumn {
            name: "id".into(),
            strings: vec!["a".into(), "bc".into()],
            ..Default::default()
        };
        let joined = twin::KeyColumn {
            name: "id".into(),
            joined: "abc".into(),
            ends: vec![1, 3],
            ..Default::default()
        };
        for row in 0..2 {
            let [mut left, mut right] = [Key::new(), Key::new()];
            values(&strings, Scalar::String)
                .unwrap()
                .push(row, &mut left)
                .unwrap();
            values(&joined, Scalar::String)
                .unwrap()
                .push(row, &mut right)
                .unwrap();
            assert_eq!(left, right);
        }
        assert_eq!((count(&strings), count(&joined)), (Ok(2), Ok(2)));
    }

    #[test]
    fn a_column_of_the_wrong_form_is_refused() {
        let refused = values(&ints(&[1]), Scalar::String).unwrap_err();
        assert_eq!(refused.message, "join key id is string, and ints are given");
        let mut both = ints(&[1]);
        both.blobs.push(Bytes::new());
        assert!(count(&both).unwrap_err().message.contains("more than one"));
        let cut = twin::KeyColumn {
            joined: "abc".into(),
            ends: vec![2, 1],
            ..Default::default()
        };
        assert_eq!(count(&cut).unwrap_err().reason, Reason::InvalidRequest);
    }

    #[test]
    fn a_number_out_of_its_type_is_told_for_its_row() {
        let column = ints(&[5, 1 << 40]);
        let keys = values(&column, Scalar::Int32).unwrap();
        assert!(keys.push(0, &mut Key::new()).is_ok());
        let refused = keys.push(1, &mut Key::new()).unwrap_err();
        assert_eq!(
            (refused.reason, refused.field.as_str()),
            (Reason::WrongType, "id")
        );
    }

    #[test]
    fn a_key_lives_beside_what_is_sharded_by_the_same_values() {
        let join_key = |name: &str, ty| JoinKey {
            name: Name::new(name).unwrap(),
            ty,
        };
        let customer = join_key("customer_id", Scalar::Int64);
        let entity = |keys: Vec<JoinKey>, shard_by: &[usize]| Entity {
            id: EntityId(1),
            name: Name::new("e").unwrap(),
            keys,
            shard_by: shard_by.to_vec(),
            copies: Copies::Sharded,
        };
        let alone = entity(vec![customer], &[0]);
        let keys = vec![
            join_key("item", Scalar::String),
            join_key("customer_id", Scalar::Int64),
        ];
        let pair = entity(keys, &[1]);
        let sharding = Sharding {
            shards: 64,
            seed: 1,
            algorithm: ShardHash::Xxh3Multiply,
        };
        let locator = |entity| Locator {
            project: ProjectId(1),
            entity,
            sharding: &sharding,
        };
        let mut shards = BTreeSet::new();
        for number in 0..20 {
            let push_customer = |_: usize, key: &mut Key| key.push_number(number);
            let (_, shard) = locator(&alone).locate(push_customer).unwrap();
            let push_pair = |part: usize, key: &mut Key| match part {
                0 => key.push_string("item"),
                _ => key.push_number(number),
            };
            let (key, beside) = locator(&pair).locate(push_pair).unwrap();
            assert_eq!(shard, beside);
            assert_eq!(key.as_bytes()[0], 2, "the key keeps the entity's order");
            shards.insert(shard);
        }
        assert!(
            shards.len() > 10,
            "customers spread over shards: {shards:?}"
        );
    }
}
