//! Arrow arrays in the making, one for each of our types.

use super::columns::micros;
use arrow_array::{
    ArrayRef,
    builder::{
        ArrayBuilder, BinaryBuilder, BooleanBuilder, FixedSizeListBuilder, Float16Builder,
        Float32Builder, Float64Builder, Int8Builder, Int32Builder, Int64Builder, ListBuilder,
        StringBuilder, TimestampMicrosecondBuilder,
    },
};
use proto::{
    types::{Element, Scalar, Type},
    value::Value,
};
use std::{any::Any, sync::Arc};

/// Does the same with the builder of whatever type.
macro_rules! each {
    ($any:expr, $builder:ident => $done:expr) => {
        match $any {
            Self::Bool($builder) => $done,
            Self::Int8($builder) => $done,
            Self::Int32($builder) => $done,
            Self::Int64($builder) => $done,
            Self::Float16($builder) => $done,
            Self::Float32($builder) => $done,
            Self::Float64($builder) => $done,
            Self::String($builder) => $done,
            Self::Bytes($builder) => $done,
            Self::Timestamp($builder) => $done,
        }
    };
}

/// An array of one type in the making.
pub(super) enum Builder {
    Scalar(ScalarBuilder),
    List(ListBuilder<ScalarBuilder>),
    Vector(FixedSizeListBuilder<ScalarBuilder>, usize),
}

/// An array of scalars in the making.
pub(super) enum ScalarBuilder {
    Bool(BooleanBuilder),
    Int8(Int8Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float16(Float16Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    String(StringBuilder),
    Bytes(BinaryBuilder),
    Timestamp(TimestampMicrosecondBuilder),
}

impl Builder {
    /// An empty one.
    pub(super) fn new(ty: Type) -> Self {
        match ty {
            Type::Scalar(scalar) => Self::Scalar(ScalarBuilder::of_scalar(scalar)),
            Type::List(scalar) => Self::List(ListBuilder::new(ScalarBuilder::of_scalar(scalar))),
            Type::Vector(element, dimension) => {
                let items = match element {
                    Element::Float32 => ScalarBuilder::Float32(Float32Builder::new()),
                    Element::Float16 => ScalarBuilder::Float16(Float16Builder::new()),
                    Element::Int8 => ScalarBuilder::Int8(Int8Builder::new()),
                };
                let length = i32::try_from(dimension).expect("at most 16,384 elements");
                Self::Vector(FixedSizeListBuilder::new(items, length), dimension as usize)
            }
        }
    }

    /// Adds a value of the type, or a null.
    pub(super) fn push(&mut self, value: Option<&Value>) {
        match self {
            Self::Scalar(builder) => builder.push(value),
            Self::List(builder) => {
                if let Some(Value::List(items)) = value {
                    items
                        .iter()
                        .for_each(|item| builder.values().push(Some(item)));
                }
                builder.append(value.is_some());
            }
            Self::Vector(builder, dimension) => {
                match value {
                    Some(Value::Float32Vector(items)) => items
                        .iter()
                        .for_each(|item| builder.values().push(Some(&Value::Float32(*item)))),
                    Some(Value::Float16Vector(items)) => {
                        if let ScalarBuilder::Float16(values) = builder.values() {
                            items.iter().for_each(|item| values.append_value(*item));
                        }
                    }
                    Some(Value::Int8Vector(items)) => {
                        if let ScalarBuilder::Int8(values) = builder.values() {
                            items.iter().for_each(|item| values.append_value(*item));
                        }
                    }
                    _ => (0..*dimension).for_each(|_| builder.values().push(None)),
                }
                builder.append(value.is_some());
            }
        }
    }

    /// The array.
    pub(super) fn finish(self) -> ArrayRef {
        match self {
            Self::Scalar(mut builder) => builder.finish(),
            Self::List(mut builder) => Arc::new(builder.finish()),
            Self::Vector(mut builder, _) => Arc::new(builder.finish()),
        }
    }
}

impl ScalarBuilder {
    fn of_scalar(scalar: Scalar) -> Self {
        match scalar {
            Scalar::Bool => Self::Bool(BooleanBuilder::new()),
            Scalar::Int32 => Self::Int32(Int32Builder::new()),
            Scalar::Int64 => Self::Int64(Int64Builder::new()),
            Scalar::Float32 => Self::Float32(Float32Builder::new()),
            Scalar::Float64 => Self::Float64(Float64Builder::new()),
            Scalar::String => Self::String(StringBuilder::new()),
            Scalar::Bytes => Self::Bytes(BinaryBuilder::new()),
            Scalar::Timestamp => {
                Self::Timestamp(TimestampMicrosecondBuilder::new().with_data_type(micros()))
            }
        }
    }

    /// Adds a value of the builder's type, or a null. The type was compared before the first row.
    fn push(&mut self, value: Option<&Value>) {
        match (self, value) {
            (Self::Bool(builder), Some(Value::Bool(value))) => builder.append_value(*value),
            (Self::Int32(builder), Some(Value::Int32(value))) => builder.append_value(*value),
            (Self::Int64(builder), Some(Value::Int64(value))) => builder.append_value(*value),
            (Self::Float32(builder), Some(Value::Float32(value))) => builder.append_value(*value),
            (Self::Float64(builder), Some(Value::Float64(value))) => builder.append_value(*value),
            (Self::String(builder), Some(Value::String(value))) => builder.append_value(value),
            (Self::Bytes(builder), Some(Value::Bytes(value))) => builder.append_value(value),
            (Self::Timestamp(builder), Some(Value::Timestamp(value))) => {
                builder.append_value(*value);
            }
            (builder, _) => builder.push_null(),
        }
    }

    fn push_null(&mut self) {
        each!(self, builder => builder.append_null());
    }
}

impl ArrayBuilder for ScalarBuilder {
    fn len(&self) -> usize {
        each!(self, builder => builder.len())
    }

    fn finish(&mut self) -> ArrayRef {
        each!(self, builder => Arc::new(builder.finish()))
    }

    fn finish_cloned(&self) -> ArrayRef {
        each!(self, builder => Arc::new(builder.finish_cloned()))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn into_box_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
