//! Pages of a scan as Arrow columns, exactly: join keys, `event_time`, then the features.
//!
//! A value that is not served (a written null, one that was never set, one past its ttl) is null.
//! With times of features, one that was never set has no time.

use super::builder::Builder;
use crate::client::{column::value_at, definition::ViewShape};
use arrow_array::{ArrayRef, RecordBatch, builder::TimestampMicrosecondBuilder};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use proto::{
    types::{Element, Scalar, Type},
    value::Value,
};
use std::sync::Arc;
use wire::v1;

/// The column of a row's event time.
pub const EVENT_TIME: &str = "event_time";
const PRESENT: i32 = v1::ValueStatus::Present as i32;

/// Whether files have a column of event times for each feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeatureTimes {
    /// The row's alone.
    No,
    /// `event_time:FEATURE` for each feature too.
    Yes,
}

/// The columns of a view's files.
#[derive(Debug, Clone)]
pub struct Columns {
    schema: SchemaRef,
    keys: Vec<Scalar>,
    features: Vec<Type>,
    times: FeatureTimes,
}

/// A page is not what it has to be.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// A column lacks a row.
    #[error("a page of the scan lacks values of {0}; use an atoll of the cluster's version")]
    Short(String),
    /// A feature of the page is not one that the export began with.
    #[error("the view changed while it was exported ({0}); begin again")]
    Changed(String),
    /// Arrow refused.
    #[error(transparent)]
    Arrow(#[from] ArrowError),
}

/// Arrow's type of our times.
pub(super) fn micros() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn data_type(ty: Type) -> DataType {
    let scalar = |scalar| match scalar {
        Scalar::Bool => DataType::Boolean,
        Scalar::Int32 => DataType::Int32,
        Scalar::Int64 => DataType::Int64,
        Scalar::Float32 => DataType::Float32,
        Scalar::Float64 => DataType::Float64,
        Scalar::String => DataType::Utf8,
        Scalar::Bytes => DataType::Binary,
        Scalar::Timestamp => micros(),
    };
    let item = |data_type| Arc::new(Field::new("item", data_type, true));
    match ty {
        Type::Scalar(of) => scalar(of),
        Type::List(of) => DataType::List(item(scalar(of))),
        Type::Vector(of, dimension) => {
            let element = match of {
                Element::Float32 => DataType::Float32,
                Element::Float16 => DataType::Float16,
                Element::Int8 => DataType::Int8,
            };
            let dimension = i32::try_from(dimension).expect("vectors have at most 16,384 elements");
            DataType::FixedSizeList(item(element), dimension)
        }
    }
}

impl Columns {
    /// Of a view's rows.
    #[must_use]
    pub fn new(shape: &ViewShape, times: FeatureTimes) -> Self {
        let keys = shape.keys.iter().map(|key| {
            let ty = data_type(Type::Scalar(key.ty));
            Field::new(&key.name, ty, false)
        });
        let event_time = Field::new(EVENT_TIME, micros(), false);
        let features = shape
            .view
            .features
            .iter()
            .map(|feature| Field::new(&feature.name, data_type(feature.ty), true));
        let mut fields: Vec<Field> = keys.chain([event_time]).chain(features).collect();
        if times == FeatureTimes::Yes {
            fields.extend(shape.view.features.iter().map(|feature| {
                Field::new(format!("{EVENT_TIME}:{}", feature.name), micros(), true)
            }));
        }
        Self {
            schema: Arc::new(Schema::new(fields)),
            keys: shape.keys.iter().map(|key| key.ty).collect(),
            features: shape.view.features.iter().map(|it| it.ty).collect(),
            times,
        }
    }

    /// The files' schema.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// A page's rows.
    pub fn batch(&self, page: &v1::ScanPage) -> Result<RecordBatch, PageError> {
        let rows = page.row_count as usize;
        let mut arrays = Vec::with_capacity(self.schema.fields().len());
        for (column, scalar) in page.keys.iter().zip(&self.keys) {
            let mut builder = Builder::new(Type::Scalar(*scalar));
            for row in 0..rows {
                let value = key_at(column, *scalar, row);
                let value = value.ok_or_else(|| PageError::Short(column.name.clone()))?;
                builder.push(Some(&value));
            }
            arrays.push(builder.finish());
        }
        arrays.push(times_array(
            page.event_times_us.iter().map(|micros| Some(*micros)),
        ));
        self.check(page)?;
        for (column, ty) in page.columns.iter().zip(&self.features) {
            let mut builder = Builder::new(*ty);
            for row in 0..rows {
                if status_of(page, column, row) != Some(PRESENT) {
                    builder.push(None);
                    continue;
                }
                let value = value_at(column, row);
                let value = value.ok_or_else(|| PageError::Short(column.feature.clone()))?;
                builder.push(Some(&value));
            }
            arrays.push(builder.finish());
        }
        if self.times == FeatureTimes::Yes {
            let of_column = |column: &v1::Column| {
                let times = page.times.get((column.times as usize).checked_sub(1)?)?;
                Some(times_array(
                    times
                        .micros
                        .iter()
                        .map(|micros| Some(*micros).filter(|micros| *micros != 0)),
                ))
            };
            for column in &page.columns {
                let times = of_column(column);
                arrays.push(times.ok_or_else(|| PageError::Short(column.feature.clone()))?);
            }
        }
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), arrays)?)
    }

    /// A type that was widened meanwhile cannot go into the same files.
    fn check(&self, page: &v1::ScanPage) -> Result<(), PageError> {
        let place = self.keys.len() + 1;
        if page.columns.len() < self.features.len() {
            return Err(PageError::Short("its features".into()));
        }
        for (at, (column, ty)) in page.columns.iter().zip(&self.features).enumerate() {
            let is_same = crate::client::column::type_of(column) == Some(*ty)
                && column.feature == *self.schema.field(place + at).name();
            if !is_same {
                return Err(PageError::Changed(column.feature.clone()));
            }
        }
        Ok(())
    }
}

fn times_array(times: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    let mut builder = TimestampMicrosecondBuilder::new().with_data_type(micros());
    times.for_each(|time| builder.append_option(time));
    Arc::new(builder.finish())
}

fn status_of(page: &v1::ScanPage, column: &v1::Column, row: usize) -> Option<i32> {
    match (column.statuses as usize).checked_sub(1) {
        None => Some(PRESENT),
        // Defaults were not asked for, so a status stands alone.
        Some(place) => page
            .statuses
            .get(place)?
            .get(row)
            .map(|byte| i32::from(*byte)),
    }
}

fn key_at(column: &v1::KeyColumn, scalar: Scalar, row: usize) -> Option<Value> {
    let joined = || {
        let end = *column.ends.get(row)? as usize;
        let start = row
            .checked_sub(1)
            .map_or(Some(0), |before| column.ends.get(before).copied())?;
        column.joined.get(start as usize..end)
    };
    Some(match scalar {
        Scalar::Bool => Value::Bool(*column.ints.get(row)? != 0),
        Scalar::Int32 => Value::Int32(i32::try_from(*column.ints.get(row)?).ok()?),
        Scalar::Int64 => Value::Int64(*column.ints.get(row)?),
        Scalar::Timestamp => Value::Timestamp(*column.ints.get(row)?),
        Scalar::String => Value::String(std::str::from_utf8(joined()?).ok()?.to_owned()),
        Scalar::Bytes => Value::Bytes(joined()?.to_vec()),
        Scalar::Float32 | Scalar::Float64 => return None,
    })
}
