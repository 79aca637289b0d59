//! A lookup's answer as a table and as JSON; the JSON is that of `POST /v1/lookup`.

use super::{consistency, output::table};
use crate::client::{column, key_column, value_json, value_text};
use serde_json::{Map, Value as Json, json};
use std::time::Duration;
use wire::v1::{Column, KeyColumn, LookupResponse, ValueStatus};

/// The bit of a status byte that says that the default was filled in.
const DEFAULTED: u8 = 16;

/// One value of the answer.
struct Place<'a> {
    column: &'a Column,
    row: usize,
    status: &'static str,
    defaulted: bool,
    event_time: Option<i64>,
}

/// All values of a column.
fn places<'a>(answer: &'a LookupResponse, column: &'a Column) -> impl Iterator<Item = Place<'a>> {
    let index = |place: u32| (place as usize).checked_sub(1);
    let rows = if column.shared {
        1
    } else {
        answer.row_count as usize
    };
    let statuses = index(column.statuses).and_then(|index| answer.statuses.get(index));
    let times = index(column.times).and_then(|index| answer.times.get(index));
    (0..rows).map(move |row| {
        let byte = statuses.map_or(ValueStatus::Present as u8, |bytes| {
            bytes.get(row).copied().unwrap_or_default()
        });
        let status = ValueStatus::try_from(i32::from(byte & !DEFAULTED));
        let micros = times.and_then(|times| times.micros.get(row).copied());
        Place {
            column,
            row,
            status: status.unwrap_or(ValueStatus::Unspecified).as_str_name(),
            defaulted: byte & DEFAULTED != 0,
            event_time: micros.filter(|micros| *micros != 0),
        }
    })
}

impl Place<'_> {
    fn has_value(&self) -> bool {
        self.defaulted || self.status == ValueStatus::Present.as_str_name()
    }

    fn json(&self) -> Json {
        let value = self
            .has_value()
            .then(|| column::value_at(self.column, self.row));
        value
            .flatten()
            .map_or(Json::Null, |value| value_json::render(&value))
    }

    fn text(&self) -> String {
        let value = self
            .has_value()
            .then(|| column::value_at(self.column, self.row));
        value
            .flatten()
            .map_or_else(|| "-".to_owned(), |value| value_text::show(&value))
    }

    fn shown_status(&self) -> String {
        let more = if self.defaulted { ", default" } else { "" };
        format!("{}{more}", self.status)
    }
}

/// A line per value, so that any number of features and rows fits a terminal.
#[must_use]
pub fn show(
    answer: &LookupResponse,
    shared: &[KeyColumn],
    rows: &[KeyColumn],
    event_times: bool,
) -> String {
    let shared = keys_of(shared, 0);
    let mut lines = Vec::new();
    for column in &answer.columns {
        for place in places(answer, column) {
            let key = if column.shared {
                shared.clone()
            } else {
                keys_of(rows, place.row)
            };
            let time = place
                .event_time
                .map_or_else(|| "-".to_owned(), value_text::format_micros);
            lines.push((
                column.shared,
                place.row,
                [
                    key,
                    column.feature.clone(),
                    place.text(),
                    place.shown_status(),
                    time,
                ],
            ));
        }
    }
    // Row by row, the shared entity first, in the service's order within.
    lines.sort_by_key(|(shared, row, _)| (!shared, *row));
    let lines = lines.into_iter().map(|(_, _, line)| line);
    let text = if event_times {
        table(["key", "feature", "value", "status", "event time"], lines)
    } else {
        let without_time =
            lines.map(|[key, feature, value, status, _]| [key, feature, value, status]);
        table(["key", "feature", "value", "status"], without_time)
    };
    format!("{text}\n\n{}", circumstances(answer))
}

fn circumstances(answer: &LookupResponse) -> String {
    let stale = if answer.stale { ", stale" } else { "" };
    let ages: Vec<String> = answer
        .staleness
        .iter()
        .map(|age| {
            format!(
                "{} {}",
                age.origin,
                age.micros.map_or_else(|| "unknown".to_owned(), seconds)
            )
        })
        .collect();
    format!(
        "region {}, revision {}{stale}, staleness {}\ntoken {}",
        answer.region,
        answer.revision,
        ages.join(", "),
        consistency::show(&answer.token)
    )
}

fn keys_of(columns: &[KeyColumn], row: usize) -> String {
    let texts = columns.iter().map(|column| {
        let value = key_column::texts(column)
            .into_iter()
            .nth(row)
            .unwrap_or_default();
        format!("{}={value}", column.name)
    });
    texts.collect::<Vec<_>>().join(" ")
}

/// The body of `POST /v1/lookup`.
#[must_use]
pub fn json(answer: &LookupResponse) -> Json {
    let features: Vec<Json> = answer
        .columns
        .iter()
        .map(|column| feature(answer, column))
        .collect();
    let origins: Map<String, Json> = answer
        .staleness
        .iter()
        .map(|age| {
            (
                age.origin.clone(),
                age.micros.map(seconds).map_or(Json::Null, Json::from),
            )
        })
        .collect();
    let ages: Option<Vec<u64>> = answer.staleness.iter().map(|age| age.micros).collect();
    let worst = ages.and_then(|ages| ages.into_iter().max()).map(seconds);
    json!({
        "rows": answer.row_count,
        "features": features,
        "region": answer.region,
        "revision": answer.revision,
        "stale": answer.stale,
        "staleness": { "worst": worst, "origins": origins },
        "token": consistency::show(&answer.token),
    })
}

fn feature(answer: &LookupResponse, column: &Column) -> Json {
    let places: Vec<Place<'_>> = places(answer, column).collect();
    let ty = column::type_of(column).map_or_else(|| "unspecified".to_owned(), |ty| ty.to_string());
    let mut feature = Map::new();
    feature.insert("name".to_owned(), column.feature.clone().into());
    feature.insert("type".to_owned(), ty.into());
    if column.shared {
        feature.insert("shared".to_owned(), true.into());
    }
    feature.insert(
        "values".to_owned(),
        places.iter().map(Place::json).collect(),
    );
    feature.insert(
        "statuses".to_owned(),
        places.iter().map(|place| place.status).collect(),
    );
    let defaulted = places.iter().filter(|place| place.defaulted);
    let defaulted: Vec<usize> = defaulted.map(|place| place.row).collect();
    if !defaulted.is_empty() {
        feature.insert("defaulted".to_owned(), defaulted.into());
    }
    if column.times != 0 {
        let times = places
            .iter()
            .map(|place| place.event_time.map(value_text::format_micros));
        feature.insert("event_times".to_owned(), times.collect());
    }
    feature.into()
}

fn seconds(micros: u64) -> String {
    let span = Duration::from_micros(micros);
    let text = format!("{}.{:06}", span.as_secs(), span.subsec_micros());
    format!("{}s", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use wire::v1::{OriginStaleness, Times, Type};

    fn answer() -> LookupResponse {
        let orders = Column {
            feature: "customer_activity:orders_30d".to_owned(),
            shared: true,
            r#type: Type::Int64.into(),
            i64: vec![4],
            ..Default::default()
        };
        let views = Column {
            feature: "item_popularity:views_10m".to_owned(),
            r#type: Type::Int64.into(),
            statuses: 1,
            times: 1,
            i64: vec![120, 0, 7],
            ..Default::default()
        };
        LookupResponse {
            columns: vec![orders, views],
            statuses: vec![Bytes::from_static(&[1, 5, 3 + 16])],
            times: vec![Times {
                micros: vec![1_000_000, 0, 0],
            }],
            row_count: 3,
            region: "eu".to_owned(),
            revision: 42,
            staleness: vec![
                OriginStaleness {
                    origin: "eu".to_owned(),
                    micros: Some(8_000),
                },
                OriginStaleness {
                    origin: "us".to_owned(),
                    micros: None,
                },
            ],
            token: Bytes::from_static(b"\xff\x00"),
            ..Default::default()
        }
    }

    #[test]
    fn json_is_the_body_of_the_http_answer() {
        let expected = json!({
            "rows": 3,
            "features": [
                { "name": "customer_activity:orders_30d", "type": "int64", "shared": true, "values": [4], "statuses": ["PRESENT"] },
                { "name": "item_popularity:views_10m", "type": "int64", "values": [120, null, 7],
                  "statuses": ["PRESENT", "UNAVAILABLE", "NOT_FOUND"], "defaulted": [2],
                  "event_times": ["1970-01-01T00:00:01Z", null, null] }
            ],
            "region": "eu", "revision": 42, "stale": false,
            "staleness": { "worst": null, "origins": { "eu": "0.008s", "us": null } },
            "token": "/wA=",
        });
        assert_eq!(json(&answer()), expected);
    }

    #[test]
    fn the_table_has_a_line_per_value_row_by_row() {
        let shared = [KeyColumn {
            name: "customer_id".to_owned(),
            ints: vec![17_850],
            ..Default::default()
        }];
        let rows = [KeyColumn {
            name: "stock_code".to_owned(),
            strings: ["85123A", "71053", "84406B"].map(str::to_owned).to_vec(),
            ..Default::default()
        }];
        let text = show(&answer(), &shared, &rows, false);
        let words = |line: usize| {
            text.lines()
                .nth(line)
                .unwrap()
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(
            words(1),
            "customer_id=17850 customer_activity:orders_30d 4 PRESENT"
        );
        assert_eq!(
            words(3),
            "stock_code=71053 item_popularity:views_10m - UNAVAILABLE"
        );
        assert_eq!(
            words(4),
            "stock_code=84406B item_popularity:views_10m 7 NOT_FOUND, default"
        );
        assert!(text.contains("staleness eu 0.008s, us unknown"), "{text}");
    }
}
