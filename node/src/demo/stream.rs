//! What happens now: lines in their order at a visible rate, with the present as event time, their
//! features computed and written as they come.

use super::{
    meter::Meter,
    shop::{
        line::{Line, OrderId},
        state::Shop,
    },
    table::{self, ShopTables},
};
use crate::{
    client::gateways::Gateways,
    load::send::{self, Patience},
};
use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval},
};
use wire::v1;

/// How often what has come is written.
const TICK: Duration = Duration::from_millis(50);
/// What was missed in a longer stall is not made up for in a burst.
const LONGEST_TICK: Duration = Duration::from_millis(200);
/// Requests in flight; beyond it the stream waits, as a job would whose sink is slow.
const WINDOW: usize = 8;
/// Far above the number of invoices: when the lines are over they begin again, as new orders.
const ORDERS_PER_ROUND: u32 = 1 << 20;

/// The stream of lines.
#[derive(Debug)]
pub struct Stream {
    lines: Vec<Line>,
    next: usize,
    round: u32,
    shop: Shop,
    tables: ShopTables,
    last_micros: i64,
}

/// A request with what it holds.
struct Tick {
    events: u64,
    request: v1::WriteRequest,
}

impl Stream {
    /// Goes on from `shop` with `lines`.
    #[must_use]
    pub fn new(shop: Shop, lines: Vec<Line>, tables: ShopTables) -> Self {
        Self {
            lines,
            next: 0,
            round: 0,
            shop,
            tables,
            last_micros: 0,
        }
    }

    /// Writes `events_per_second` lines until the task is dropped.
    pub async fn run(
        mut self,
        gateways: Arc<Gateways>,
        meter: Arc<Meter>,
        events_per_second: u32,
    ) -> anyhow::Result<()> {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut in_flight = JoinSet::new();
        let (mut due, mut last) = (0.0, Instant::now());
        loop {
            ticks.tick().await;
            while in_flight.len() >= WINDOW {
                in_flight.join_next().await;
            }
            while in_flight.try_join_next().is_some() {}
            let elapsed = last.elapsed().min(LONGEST_TICK);
            last = Instant::now();
            due += f64::from(events_per_second) * elapsed.as_secs_f64();
            let tick = self.tick(due as usize, now_micros())?;
            if tick.events == 0 {
                continue;
            }
            due -= tick.events as f64;
            in_flight.spawn(write(Arc::clone(&gateways), Arc::clone(&meter), tick));
        }
    }

    /// The next `events` lines, as they happen at `now_micros`, and the rows that they change.
    fn tick(&mut self, events: usize, now_micros: i64) -> anyhow::Result<Tick> {
        let (mut customers, mut items) = (BTreeSet::new(), BTreeSet::new());
        for _ in 0..events {
            let line = self.next_line();
            // Each event has a time of its own, in their order.
            self.last_micros = now_micros.max(self.last_micros + 1);
            self.shop.apply(&line, self.last_micros);
            customers.extend(line.customer);
            items.insert(line.item);
        }
        let customers: Vec<_> = customers
            .iter()
            .map(|id| (*id, &self.shop.customers()[id]))
            .collect();
        let items: Vec<_> = items
            .iter()
            .map(|code| (&**code, &self.shop.items()[code]))
            .collect();
        let mut writes = self.tables.customers(customers.into_iter())?;
        writes.extend(self.tables.items(items.into_iter())?);
        Ok(Tick {
            events: events as u64,
            request: table::request(writes),
        })
    }

    fn next_line(&mut self) -> Line {
        let mut line = self.lines[self.next].clone();
        line.order = OrderId(line.order.0 + self.round * ORDERS_PER_ROUND);
        self.next += 1;
        if self.next == self.lines.len() {
            self.next = 0;
            self.round += 1;
        }
        line
    }
}

async fn write(gateways: Arc<Gateways>, meter: Arc<Meter>, tick: Tick) {
    let patience = Patience {
        deadline: Duration::from_secs(5),
        total: Duration::from_mins(1),
    };
    match send::send(&gateways, tick.request, patience).await {
        Ok(answer) if answer.unknown.is_empty() => {
            let rejected = answer.rejected.len() as u64;
            meter.wrote(tick.events, answer.accepted, rejected, Instant::now());
        }
        Ok(answer) => {
            meter.write_failed(format!(
                "{} rows got no answer in time",
                answer.unknown.len()
            ));
        }
        Err(error) => meter.write_failed(error.to_string()),
    }
}

/// Microseconds since 1970, by this machine's clock.
#[must_use]
pub fn now_micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let micros = since.expect("the clock stands after 1970").as_micros();
    i64::try_from(micros).expect("the clock stands before the year 292,000")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::shop::line::LineKind;

    fn line(order: u32, item: &str, customer: Option<i64>) -> Line {
        Line {
            order: OrderId(order),
            kind: LineKind::Sale,
            item: item.into(),
            description: Some("a thing".into()),
            quantity: 1,
            price_mills: 1_000,
            time_micros: 0,
            customer,
            country: "Finland".into(),
        }
    }

    fn rows_of<'a>(tick: &'a Tick, view: &str) -> &'a v1::ViewRows {
        tick.request
            .writes
            .iter()
            .find(|rows| rows.view == view)
            .unwrap()
    }

    #[test]
    fn a_tick_writes_each_key_once_with_the_present_as_event_time() {
        let lines = vec![
            line(1, "A", Some(7)),
            line(1, "B", Some(7)),
            line(2, "A", None),
        ];
        let mut stream = Stream::new(Shop::default(), lines, ShopTables::new().unwrap());
        let tick = stream.tick(3, 1_000).unwrap();
        assert_eq!(rows_of(&tick, "customer_activity").event_times_us, [1_001]);
        assert_eq!(rows_of(&tick, "item_sales").event_times_us, [1_002, 1_001]);
        let ids: Vec<i64> = rows_of(&tick, "customer_profile").keys[0].ints.clone();
        assert_eq!(ids, [7]);
    }

    #[test]
    fn event_times_rise_even_if_the_clock_does_not() {
        let mut stream = Stream::new(
            Shop::default(),
            vec![line(1, "A", Some(7))],
            ShopTables::new().unwrap(),
        );
        let first = stream.tick(1, 1_000).unwrap();
        let second = stream.tick(1, 500).unwrap();
        assert_eq!(rows_of(&first, "item_sales").event_times_us, [1_000]);
        assert_eq!(rows_of(&second, "item_sales").event_times_us, [1_001]);
    }

    #[test]
    fn lines_begin_again_as_new_orders() {
        let mut stream = Stream::new(
            Shop::default(),
            vec![line(1, "A", Some(7))],
            ShopTables::new().unwrap(),
        );
        let tick = stream.tick(3, 1_000).unwrap();
        let activity = rows_of(&tick, "customer_activity");
        let orders = activity
            .features
            .iter()
            .find(|column| column.feature == "orders_24h");
        assert_eq!(orders.unwrap().i64, [3]);
    }
}
