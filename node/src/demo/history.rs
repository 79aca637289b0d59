//! What was before the demo: the shop's first months, moved in time as a whole so that they end when
//! the demo starts, computed at once and loaded as the latest row of each key.

use super::{
    article,
    shop::{line::Line, state::Shop},
    table::{self, ShopTables},
};
use crate::{
    client::gateways::Gateways,
    load::send::{self, Patience},
};
use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use wire::v1;

/// Lines before this are history, the others are streamed: 2011-09-01, by the till's clock.
const STREAM_BEGINS: i64 = 1_314_835_200_000_000;
/// Keys of one request.
const KEYS_PER_REQUEST: usize = 500;
/// Requests in flight.
const WINDOW: usize = 4;

/// The shop as the demo begins, and what then happens.
#[derive(Debug)]
pub struct Beginning {
    /// After all history.
    pub shop: Shop,
    /// What is streamed, in order.
    pub to_come: Vec<Line>,
    /// How many lines were history.
    pub lines: usize,
    /// The day on which the history began, before it was moved.
    pub first_day: String,
}

/// Computes the history, moved so that its last line is `now_micros`.
#[must_use]
pub fn compute(mut lines: Vec<Line>, now_micros: i64) -> Beginning {
    let split = lines.partition_point(|line| line.time_micros < STREAM_BEGINS);
    let to_come = lines.split_off(split);
    let last = lines.last().map_or(now_micros, |line| line.time_micros);
    let shift = now_micros - last;
    let mut shop = Shop::default();
    for line in &lines {
        shop.apply(line, line.time_micros + shift);
    }
    let first = lines.first().map_or(0, |line| line.time_micros);
    let first_day = Timestamp::from_microsecond(first).map_or_else(
        |_| String::new(),
        |time| time.strftime("%Y-%m-%d").to_string(),
    );
    Beginning {
        shop,
        to_come,
        lines: lines.len(),
        first_day,
    }
}

/// What was loaded.
#[derive(Debug)]
pub struct Loaded {
    /// Rows, all views together.
    pub rows: u64,
    /// All articles.
    pub urls: Vec<String>,
}

/// Loads the latest row of every customer and item, and all articles.
pub async fn load(gateways: &Gateways, shop: &Shop, tables: &ShopTables) -> anyhow::Result<Loaded> {
    let mut requests = Vec::new();
    let customers: Vec<_> = shop.customers().iter().map(|(id, it)| (*id, it)).collect();
    for part in customers.chunks(KEYS_PER_REQUEST) {
        requests.push(table::request(tables.customers(part.iter().copied())?));
    }
    let items: Vec<_> = shop
        .items()
        .iter()
        .map(|(code, it)| (&**code, it))
        .collect();
    for part in items.chunks(KEYS_PER_REQUEST) {
        requests.push(table::request(tables.items(part.iter().copied())?));
    }
    let (urls, articles) = article::all()?;
    requests.extend(articles.into_iter().map(|rows| table::request(vec![rows])));

    let rows = stream::iter(requests)
        .map(|request| write(gateways, request))
        .buffer_unordered(WINDOW)
        .try_fold(0, |sum, rows| async move { Ok(sum + rows) })
        .await?;
    Ok(Loaded { rows, urls })
}

async fn write(gateways: &Gateways, request: v1::WriteRequest) -> anyhow::Result<u64> {
    let answer = send::send(gateways, request, Patience::default())
        .await
        .context("load the history")?;
    if let Some(rejected) = answer.rejected.first() {
        anyhow::bail!(
            "a row of the history was rejected: {} ({} {})",
            rejected.message,
            rejected.reason,
            rejected.field
        );
    }
    anyhow::ensure!(
        answer.unknown.is_empty(),
        "rows of the history got no answer in time"
    );
    Ok(answer.accepted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::{data, shop::item::Item};

    #[test]
    fn history_ends_now_and_keeps_its_distances() {
        let lines = data::lines().unwrap();
        let all = lines.len();
        let now = 1_795_000_000_000_000;
        let beginning = compute(lines, now);
        assert_eq!(beginning.lines + beginning.to_come.len(), all);
        assert!(
            beginning.to_come.len() > 150_000,
            "too little is left to stream"
        );
        let last = beginning
            .shop
            .items()
            .values()
            .map(Item::last_event_at)
            .max();
        assert_eq!(last, Some(now));
        assert_eq!(beginning.first_day, "2010-12-01");
    }
}
