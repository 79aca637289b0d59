//! Rows of a Parquet file, in bounded batches.

use super::{
    arrow_value,
    binding::{Binding, Place, Target},
    row::{self, Raw, RowFault, SourceRow, no_event_time},
    source::ReadError,
};
use crate::client::{cell::BadValue, rows::TypedRow};
use arrow_array::RecordBatch;
use arrow_schema::DataType;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use proto::types::Type;
use std::{fs::File, sync::Arc};

/// Rows decoded at once: enough to be quick, few enough that wide rows stay within memory.
const ROWS_DECODED: usize = 1_024;

/// An open Parquet file.
#[derive(Debug)]
pub struct ParquetSource {
    binding: Binding,
    targets: Vec<Target>,
    batches: ParquetRecordBatchReader,
    batch: Option<Arc<RecordBatch>>,
    /// Within the batch.
    next: usize,
    /// Of the file, from 0.
    row: u64,
    rows: u64,
}

impl ParquetSource {
    /// Opens the file and judges all its columns.
    pub fn open(file: File, mut binding: Binding, first_row: u64) -> Result<Self, ReadError> {
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(damaged)?;
        let fields = builder.schema().fields().clone();
        let columns: Vec<String> = fields.iter().map(|field| field.name().clone()).collect();
        let targets = binding.settle(&columns)?;
        let types = fields.iter().map(|field| field.data_type());
        check_types(&binding, &columns, types, &targets)?;
        let rows = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or_default();
        let passed_over = usize::try_from(first_row).unwrap_or(usize::MAX);
        let batches = builder
            .with_batch_size(ROWS_DECODED)
            .with_offset(passed_over)
            .build()
            .map_err(damaged)?;
        Ok(Self {
            binding,
            targets,
            batches,
            batch: None,
            next: 0,
            row: first_row,
            rows,
        })
    }

    /// The settled binding.
    #[must_use]
    pub fn binding(&self) -> &Binding {
        &self.binding
    }

    /// How many rows the file has.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The next row; `None` at the file's end.
    pub fn next_row(&mut self) -> Result<Option<SourceRow>, ReadError> {
        let Some(batch) = self.current_batch()? else {
            return Ok(None);
        };
        let index = self.next;
        self.next += 1;
        self.row += 1;
        Ok(Some(SourceRow {
            number: self.row,
            read: self.read(&batch, index),
            raw: Raw::Arrow(batch, index),
        }))
    }

    fn current_batch(&mut self) -> Result<Option<Arc<RecordBatch>>, ReadError> {
        let is_used_up = |batch: &Arc<RecordBatch>| self.next >= batch.num_rows();
        if self.batch.as_ref().is_none_or(is_used_up) {
            let next = self.batches.next().transpose().map_err(damaged)?;
            self.batch = next.map(Arc::new);
            self.next = 0;
        }
        Ok(self.batch.clone())
    }

    fn read(&self, batch: &RecordBatch, index: usize) -> Result<TypedRow, RowFault> {
        let mut row = row::empty(&self.binding);
        for (target, array) in self.targets.iter().zip(batch.columns()) {
            if target.event_time {
                let unit = self.binding.event_time.unit;
                let fault =
                    |bad: BadValue| RowFault::of_value(&self.binding.event_time.column, &bad);
                let micros = arrow_value::read_event_time(array, index, unit).map_err(fault)?;
                row.event_time = Some(micros.ok_or_else(|| no_event_time(&self.binding))?);
            }
            let Some(place) = target.value else { continue };
            let value = arrow_value::read(array, index, type_at(&self.binding, place))
                .map_err(|bad| RowFault::of_value(self.binding.name_of(place), &bad))?;
            row::set(&mut row, &self.binding, place, value)?;
        }
        Ok(row)
    }
}

fn type_at(binding: &Binding, place: Place) -> Type {
    match place {
        Place::Key(index) => Type::Scalar(binding.keys[index].ty),
        Place::Feature(index) => binding.features[index].ty,
    }
}

fn damaged(error: impl std::fmt::Display) -> ReadError {
    ReadError::Damaged(error.to_string())
}

/// All columns whose types cannot become the view's, said at once.
fn check_types<'a>(
    binding: &Binding,
    columns: &[String],
    types: impl Iterator<Item = &'a DataType>,
    targets: &[Target],
) -> Result<(), ReadError> {
    let mut faults = Vec::new();
    for ((column, data_type), target) in columns.iter().zip(types).zip(targets) {
        if target.event_time
            && let Err(why) = arrow_value::admits_event_time(data_type, binding.event_time.unit)
        {
            faults.push(format!("column {column} ({data_type}) {why}"));
        }
        if let Some(place) = target.value
            && !arrow_value::admits(data_type, type_at(binding, place))
        {
            let (name, ty) = (binding.name_of(place), type_at(binding, place));
            faults.push(format!(
                "column {column} is {data_type}, and {name} is {ty}"
            ));
        }
    }
    if faults.is_empty() {
        return Ok(());
    }
    faults.push(
        "cast the columns in the source, or define the features with the columns' types".to_owned(),
    );
    Err(ReadError::ColumnTypes(faults.join("; ")))
}
