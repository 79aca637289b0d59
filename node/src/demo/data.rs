//! The real data, carried by the program itself, so that the demo runs wherever the program does.

use super::shop::line::{Line, LineKind, OrderId};
use anyhow::{Context as _, ensure};
use arrow_array::{
    Array, RecordBatch,
    cast::AsArray,
    types::{Float64Type, Int64Type, TimestampMicrosecondType},
};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

const RETAIL: &[u8] = include_bytes!("../../../examples/data/online_retail.parquet");
const ARTICLES: &[u8] = include_bytes!("../../../examples/data/news_articles.parquet");

const ROWS_DECODED: usize = 8_192;

/// All transaction lines, in the order of their times.
pub fn lines() -> anyhow::Result<Vec<Line>> {
    let mut reader = LineReader::default();
    for batch in batches(RETAIL, ROWS_DECODED).context("read the shop's transactions")? {
        reader.read(&batch.context("read the shop's transactions")?)?;
    }
    // Already in order in the file; features depend on it, so it is not taken on trust. Lines of
    // the same minute keep the order of the till.
    reader.lines.sort_by_key(|line| line.time_micros);
    Ok(reader.lines)
}

/// All articles, as the file has them.
pub fn articles() -> anyhow::Result<Vec<RecordBatch>> {
    batches(ARTICLES, 1_000)?
        .collect::<Result<_, _>>()
        .context("read the articles")
}

fn batches(
    file: &'static [u8],
    rows: usize,
) -> anyhow::Result<impl Iterator<Item = Result<RecordBatch, arrow_schema::ArrowError>>> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(Bytes::from_static(file))?;
    Ok(builder.with_batch_size(rows).build()?)
}

#[derive(Default)]
struct LineReader {
    lines: Vec<Line>,
    texts: BTreeSet<Arc<str>>,
    orders: BTreeMap<String, OrderId>,
}

impl LineReader {
    fn read(&mut self, batch: &RecordBatch) -> anyhow::Result<()> {
        let column = |name: &str| {
            let column = batch.column_by_name(name);
            column.with_context(|| format!("column {name} is missing"))
        };
        let invoices = column("invoice_no")?.as_string::<i32>();
        let items = column("stock_code")?.as_string::<i32>();
        let descriptions = column("description")?.as_string::<i32>();
        let countries = column("country")?.as_string::<i32>();
        let quantities = column("quantity")?.as_primitive::<Int64Type>();
        let prices = column("unit_price")?.as_primitive::<Float64Type>();
        let times = column("invoice_time")?.as_primitive::<TimestampMicrosecondType>();
        let customers = column("customer_id")?.as_primitive::<Int64Type>();
        for row in 0..batch.num_rows() {
            let (invoice, quantity) = (invoices.value(row), quantities.value(row));
            let description = descriptions.is_valid(row).then(|| descriptions.value(row));
            let line = Line {
                order: self.order(invoice),
                kind: LineKind::of(invoice, quantity),
                item: self.text(items.value(row)),
                description: description.map(|text| self.text(text)),
                quantity,
                price_mills: mills(prices.value(row))?,
                time_micros: times.value(row),
                customer: customers.is_valid(row).then(|| customers.value(row)),
                country: self.text(countries.value(row)),
            };
            self.lines.push(line);
        }
        Ok(())
    }

    fn order(&mut self, invoice: &str) -> OrderId {
        if let Some(order) = self.orders.get(invoice) {
            return *order;
        }
        let order = OrderId(u32::try_from(self.orders.len()).expect("fewer invoices than lines"));
        self.orders.insert(invoice.to_owned(), order);
        order
    }

    fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        let text: Arc<str> = text.into();
        self.texts.insert(Arc::clone(&text));
        text
    }
}

/// Prices have at most three decimals, so thousandths hold them exactly.
fn mills(pounds: f64) -> anyhow::Result<i64> {
    let mills = (pounds * 1_000.0).round();
    ensure!(
        mills.abs() < 1e15 && (mills / 1_000.0 - pounds).abs() < 1e-9,
        "the price {pounds} has more than three decimals"
    );
    Ok(mills as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_keep_their_warts() {
        let lines = lines().unwrap();
        assert_eq!(lines.len(), 541_909);
        let count = |is: &dyn Fn(&Line) -> bool| lines.iter().filter(|line| is(line)).count();
        assert_eq!(count(&|line| line.customer.is_none()), 135_080);
        assert_eq!(count(&|line| line.description.is_none()), 1_454);
        assert_eq!(count(&|line| line.kind == LineKind::Return), 9_288);
        assert_eq!(count(&|line| line.kind == LineKind::Correction), 1_336 + 3);
        assert!(lines.is_sorted_by_key(|line| line.time_micros));
        let first = &lines[0];
        assert_eq!(
            (&*first.item, first.price_mills, first.customer),
            ("85123A", 2_550, Some(17_850))
        );
    }

    #[test]
    fn all_articles_are_there_with_their_columns() {
        let batches = articles().unwrap();
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        assert_eq!((rows, batches[0].num_columns()), (9_874, 61));
    }
}
