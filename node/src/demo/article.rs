//! Articles: all 58 numbers of each, dated by its url.

use super::{data, definitions, table};
use crate::{
    client::{cell::Cell, definition::ViewShape, rows::TypedRow},
    load::arrow_value,
};
use anyhow::Context as _;
use arrow_array::RecordBatch;
use jiff::{civil::Date, tz::TimeZone};
use proto::{
    types::{Scalar, Type},
    value::Value,
};
use wire::v1;

/// All articles in requests of bounded size, and their urls.
pub fn all() -> anyhow::Result<(Vec<String>, Vec<v1::ViewRows>)> {
    let shape = definitions::shape("article_features")?;
    let (mut urls, mut writes) = (Vec::new(), Vec::new());
    for batch in data::articles()? {
        let rows = rows(&shape, &batch)?;
        urls.extend(rows.iter().filter_map(|row| match row.keys.first() {
            Some(Value::String(url)) => Some(url.clone()),
            _ => None,
        }));
        writes.push(table::rows(&shape, rows)?);
    }
    Ok((urls, writes))
}

fn rows(shape: &ViewShape, batch: &RecordBatch) -> anyhow::Result<Vec<TypedRow>> {
    let schema = batch.schema();
    let fields = schema.fields().iter();
    let places: Vec<(usize, Type)> = shape
        .view
        .features
        .iter()
        .map(|feature| {
            // The data spells some of its columns in capitals.
            let is_it = |name: &str| name.eq_ignore_ascii_case(&feature.name);
            let place = fields.clone().position(|field| is_it(field.name()));
            let place = place.with_context(|| format!("the articles have no {}", feature.name))?;
            Ok((place, feature.ty))
        })
        .collect::<anyhow::Result<_>>()?;
    let urls = batch
        .column_by_name("url")
        .context("the articles have no url")?;
    (0..batch.num_rows())
        .map(|row| {
            let key = arrow_value::read(urls, row, Type::Scalar(Scalar::String))?;
            let Value::String(url) = &key else {
                anyhow::bail!("an article has no url");
            };
            let event_time = dated(url).with_context(|| format!("{url} has no date"))?;
            let cells = places.iter().map(|(place, ty)| {
                arrow_value::read(batch.column(*place), row, *ty).map(Cell::Value)
            });
            Ok(TypedRow {
                cells: cells.collect::<Result<_, _>>()?,
                keys: vec![key],
                event_time: Some(event_time),
            })
        })
        .collect()
}

/// The day in a url such as `http://host/2013/01/08/title/`, at its beginning in UTC.
#[must_use]
pub fn dated(url: &str) -> Option<i64> {
    let parts: Vec<&str> = url.split('/').collect();
    parts.windows(3).find_map(|parts| {
        let [year, month, day] = parts else {
            return None;
        };
        let is_date = year.len() == 4 && month.len() == 2 && day.len() == 2;
        let date = is_date.then(|| {
            Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()
        })??;
        let midnight = date.to_zoned(TimeZone::UTC).ok()?;
        Some(midnight.timestamp().as_microsecond())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_article_is_dated_by_its_url() {
        let url = "http://mashable.com/2013/01/08/artist-drone-pilots-craigslist-fbi/";
        assert_eq!(dated(url), Some(1_357_603_200_000_000));
        assert_eq!(dated("http://host/2013/13/08/title/"), None);
        assert_eq!(dated("http://host/title/"), None);
    }

    #[test]
    fn every_article_has_all_its_numbers_and_a_date() {
        let (urls, writes) = all().unwrap();
        assert_eq!(urls.len(), 9_874);
        let rows: usize = writes.iter().map(|rows| rows.event_times_us.len()).sum();
        assert_eq!(rows, 9_874);
        for rows in &writes {
            assert_eq!(rows.features.len(), 58);
            assert!(rows.features.iter().all(|column| column.cells.is_empty()));
        }
        let first = &writes[0].features;
        assert_eq!(
            (first[0].feature.as_str(), first[0].i64[0]),
            ("n_tokens_title", 12)
        );
        let topic = first
            .iter()
            .find(|column| column.feature == "lda_00")
            .unwrap();
        assert_eq!(topic.f64[0].to_bits(), 0.033_832_148_f64.to_bits());
    }
}
