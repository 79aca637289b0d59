//! Join keys into the key columns of a request.

use bytes::{Bytes, BytesMut};
use proto::{
    types::{Scalar, Type},
    value::{Value, WrongType},
};
use wire::v1;

/// Collects one join key over the rows of a request.
#[derive(Debug)]
pub struct KeyColumnBuilder {
    ty: Scalar,
    column: v1::KeyColumn,
    joined: BytesMut,
}

impl KeyColumnBuilder {
    /// An empty column of the join key `name`.
    #[must_use]
    pub fn new(name: &str, ty: Scalar) -> Self {
        let column = v1::KeyColumn {
            name: name.to_owned(),
            ..Default::default()
        };
        Self {
            ty,
            column,
            joined: BytesMut::new(),
        }
    }

    /// Adds a row's key. One of another type, or one that no key can have, is refused and adds
    /// nothing.
    pub fn push(&mut self, value: &Value) -> Result<(), WrongType> {
        match (self.ty, value) {
            (Scalar::Bool, Value::Bool(value)) => self.column.ints.push(i64::from(*value)),
            (Scalar::Int32, Value::Int32(value)) => self.column.ints.push(i64::from(*value)),
            (Scalar::Int64, Value::Int64(value)) | (Scalar::Timestamp, Value::Timestamp(value)) => {
                self.column.ints.push(*value);
            }
            (Scalar::String, Value::String(value)) => self.push_joined(value.as_bytes()),
            (Scalar::Bytes, Value::Bytes(value)) => self.push_joined(value),
            (ty, value) => {
                return Err(WrongType {
                    expected: Type::Scalar(ty),
                    given: value.kind(),
                });
            }
        }
        Ok(())
    }

    /// The column.
    #[must_use]
    pub fn finish(mut self) -> v1::KeyColumn {
        self.column.joined = self.joined.freeze();
        self.column
    }

    fn push_joined(&mut self, bytes: &[u8]) {
        self.joined.extend_from_slice(bytes);
        let end = u32::try_from(self.joined.len()).expect("a request's limit is far below 4 GiB");
        self.column.ends.push(end);
    }
}

/// The keys as text, for tables: what was asked for, said back.
#[must_use]
pub fn texts(column: &v1::KeyColumn) -> Vec<String> {
    if !column.ints.is_empty() {
        return column.ints.iter().map(ToString::to_string).collect();
    }
    if !column.strings.is_empty() {
        return column.strings.clone();
    }
    let mut start = 0;
    let pieces = column.ends.iter().map(|end| {
        let piece = column.joined.slice(start..*end as usize);
        start = *end as usize;
        piece
    });
    let pieces: Vec<Bytes> = pieces.chain(column.blobs.iter().cloned()).collect();
    pieces
        .iter()
        .map(|piece| String::from_utf8_lossy(piece).into_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_texts_have_a_form_each() {
        let mut ids = KeyColumnBuilder::new("customer_id", Scalar::Int64);
        ids.push(&Value::Int64(17_850)).unwrap();
        assert!(ids.push(&Value::String("17850".into())).is_err());
        assert_eq!(texts(&ids.finish()), ["17850"]);

        let mut codes = KeyColumnBuilder::new("stock_code", Scalar::String);
        for code in ["85123A", "", "71053"] {
            codes.push(&Value::String(code.into())).unwrap();
        }
        let column = codes.finish();
        assert_eq!(column.ends, [6, 6, 11]);
        assert_eq!(texts(&column), ["85123A", "", "71053"]);
    }

    #[test]
    fn floats_are_no_keys() {
        let mut column = KeyColumnBuilder::new("f", Scalar::Float64);
        assert!(column.push(&Value::Float64(1.0)).is_err());
    }
}
