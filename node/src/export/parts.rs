//! Files of bounded size: rows go in, whole Parquet files come out.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use bytes::Bytes;
use parquet::{
    arrow::ArrowWriter, basic::Compression, errors::ParquetError,
    file::properties::WriterProperties,
};

/// A file ends when it has about so many bytes: one is in memory while it is written.
pub const FILE_BYTES: usize = 64 << 20;
/// Rows of a row group, of which the encoded part is in memory as well.
const ROWS_PER_GROUP: usize = 64 << 10;

/// Collects rows into files.
pub struct Parts {
    schema: SchemaRef,
    limit: usize,
    writer: Option<ArrowWriter<Vec<u8>>>,
}

impl Parts {
    /// Files of `schema` that end at about `limit` bytes.
    #[must_use]
    pub fn new(schema: SchemaRef, limit: usize) -> Self {
        Self {
            schema,
            limit,
            writer: None,
        }
    }

    /// Adds rows; gives a file where it is full.
    pub fn add(&mut self, rows: &RecordBatch) -> Result<Option<Bytes>, ParquetError> {
        if rows.num_rows() == 0 {
            return Ok(None);
        }
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => self.begin()?,
        };
        writer.write(rows)?;
        let is_full = writer.bytes_written() + writer.in_progress_size() >= self.limit;
        self.writer = Some(writer);
        if is_full { self.finish() } else { Ok(None) }
    }

    /// The last file, if there are rows for one.
    pub fn finish(&mut self) -> Result<Option<Bytes>, ParquetError> {
        match self.writer.take() {
            Some(writer) => writer.into_inner().map(|bytes| Some(bytes.into())),
            None => Ok(None),
        }
    }

    /// Forgets what was added since the last file.
    pub fn discard(&mut self) {
        self.writer = None;
    }

    fn begin(&self) -> Result<ArrowWriter<Vec<u8>>, ParquetError> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_max_row_group_row_count(Some(ROWS_PER_GROUP))
            .build();
        ArrowWriter::try_new(Vec::new(), self.schema.clone(), Some(properties))
    }
}
