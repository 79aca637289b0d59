//! A customer's features: what they did lately, and what is known of them for good.

use super::{
    line::{Line, LineKind, OrderId, pounds},
    window::{Amounts, Event, Windows},
};
use crate::client::cell::Cell;
use jiff::{Timestamp, civil::Weekday, tz::TimeZone};
use proto::value::Value;
use std::{collections::BTreeMap, sync::Arc};

/// The features of view `customer_activity`, in the order of [`Customer::activity`].
pub const ACTIVITY: [(&str, &str); 14] = [
    ("orders_24h", "int64"),
    ("orders_7d", "int64"),
    ("orders_30d", "int64"),
    ("lines_24h", "int64"),
    ("lines_7d", "int64"),
    ("lines_30d", "int64"),
    ("spend_24h", "float64"),
    ("spend_7d", "float64"),
    ("spend_30d", "float64"),
    ("returns_30d", "int64"),
    ("last_order_at", "timestamp"),
    ("basket_items", "int64"),
    ("basket_value", "float64"),
    ("recent_items", "list<string>"),
];

/// The features of view `customer_profile`, in the order of [`Customer::profile`].
pub const PROFILE: [(&str, &str); 5] = [
    ("country", "string"),
    ("first_order_at", "timestamp"),
    ("orders", "int64"),
    ("spend", "float64"),
    ("spend_profile", "vector<float32, 8>"),
];

/// Items remembered, newest first.
const RECENT_ITEMS: usize = 10;
/// Quarters of the day, on weekdays and on weekends.
const PARTS_OF_WEEK: usize = 8;

/// What is held of one customer.
#[derive(Debug, Clone, Default)]
pub struct Customer {
    windows: Windows,
    /// Lines and thousandths of a pound of each order so far.
    orders: BTreeMap<OrderId, Basket>,
    last_order: Option<OrderId>,
    first_order_at: Option<i64>,
    last_order_at: Option<i64>,
    recent_items: Vec<Arc<str>>,
    country: Option<Arc<str>>,
    mills: i64,
    mills_by_part: [i64; PARTS_OF_WEEK],
    last_event_at: i64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Basket {
    lines: i64,
    mills: i64,
}

impl Customer {
    /// Takes a line of this customer that happened at `at_micros`. Lines come in their order.
    pub fn apply(&mut self, line: &Line, at_micros: i64) {
        self.last_event_at = at_micros;
        self.country = Some(Arc::clone(&line.country));
        let amounts = match line.kind {
            LineKind::Sale => self.sell(line, at_micros),
            LineKind::Return => Amounts {
                return_lines: 1,
                mills: line.mills(),
                ..Amounts::default()
            },
            LineKind::Correction => Amounts::default(),
        };
        self.mills += amounts.mills;
        let event = Event {
            time_micros: at_micros,
            amounts,
            buyer: None,
        };
        self.windows.add(event, |_| {});
    }

    fn sell(&mut self, line: &Line, at_micros: i64) -> Amounts {
        let is_new = !self.orders.contains_key(&line.order);
        if is_new {
            self.last_order_at = Some(at_micros);
            self.first_order_at.get_or_insert(at_micros);
        }
        let basket = self.orders.entry(line.order).or_default();
        basket.lines += 1;
        basket.mills += line.mills();
        self.last_order = Some(line.order);
        self.mills_by_part[part_of_week(line.time_micros)] += line.mills();
        self.recent_items.retain(|item| *item != line.item);
        self.recent_items.insert(0, Arc::clone(&line.item));
        self.recent_items.truncate(RECENT_ITEMS);
        Amounts {
            orders: i64::from(is_new),
            lines: 1,
            mills: line.mills(),
            ..Amounts::default()
        }
    }

    /// When the last event was, which is the event time of the features.
    #[must_use]
    pub fn last_event_at(&self) -> i64 {
        self.last_event_at
    }

    /// View `customer_activity`.
    #[must_use]
    pub fn activity(&self) -> Vec<Cell> {
        let sums = self.windows.sums();
        let basket = self.last_order.map(|order| self.orders[&order]);
        let mut cells = Vec::with_capacity(ACTIVITY.len());
        cells.extend(sums.iter().map(|sum| whole(sum.orders)));
        cells.extend(sums.iter().map(|sum| whole(sum.lines)));
        cells.extend(sums.iter().map(|sum| float(pounds(sum.mills))));
        cells.push(whole(sums[2].return_lines));
        cells.push(time(self.last_order_at));
        cells.push(basket.map_or(Cell::Null, |basket| whole(basket.lines)));
        cells.push(basket.map_or(Cell::Null, |basket| float(pounds(basket.mills))));
        let items = self.recent_items.iter();
        let items = items.map(|item| Value::String(item.to_string()));
        cells.push(Cell::Value(Value::List(items.collect())));
        cells
    }

    /// View `customer_profile`.
    #[must_use]
    pub fn profile(&self) -> Vec<Cell> {
        let orders = i64::try_from(self.orders.len()).expect("orders fit memory");
        vec![
            text(self.country.as_ref()),
            time(self.first_order_at),
            whole(orders),
            float(pounds(self.mills)),
            Cell::Value(Value::Float32Vector(self.spend_profile())),
        ]
    }

    /// The share of what was bought in each part of the week.
    fn spend_profile(&self) -> Vec<f32> {
        let total: i64 = self.mills_by_part.iter().sum();
        let share = |mills: &i64| match total {
            0 => 0.0,
            total => (*mills as f64 / total as f64) as f32,
        };
        self.mills_by_part.iter().map(share).collect()
    }
}

/// 0 to 3 on weekdays, 4 to 7 on weekends, by the quarter of the day in the shop's own time.
#[must_use]
pub fn part_of_week(time_micros: i64) -> usize {
    let time = Timestamp::from_microsecond(time_micros)
        .expect("the till's clock stands in range")
        .to_zoned(TimeZone::UTC);
    let quarter = usize::try_from(time.hour() / 6).expect("hours are not negative");
    match time.weekday() {
        Weekday::Saturday | Weekday::Sunday => 4 + quarter,
        _ => quarter,
    }
}

/// A cell of a whole number.
#[must_use]
pub fn whole(value: i64) -> Cell {
    Cell::Value(Value::Int64(value))
}

/// A cell of a float.
#[must_use]
pub fn float(value: f64) -> Cell {
    Cell::Value(Value::Float64(value))
}

/// A cell of a time, or null.
#[must_use]
pub fn time(micros: Option<i64>) -> Cell {
    micros.map_or(Cell::Null, |micros| Cell::Value(Value::Timestamp(micros)))
}

/// A cell of a text, or null.
#[must_use]
pub fn text(text: Option<&Arc<str>>) -> Cell {
    text.map_or(Cell::Null, |text| {
        Cell::Value(Value::String(text.to_string()))
    })
}
