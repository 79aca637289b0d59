//! An item's features: how it sells, and what it is called.

use super::{
    customer::{float, text, time, whole},
    line::{Line, LineKind, pounds},
    window::{Amounts, Event, Windows},
};
use crate::client::cell::Cell;
use proto::value::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The features of view `item_sales`, in the order of [`Item::sales`].
pub const SALES: [(&str, &str); 12] = [
    ("sales_24h", "int64"),
    ("sales_7d", "int64"),
    ("sales_30d", "int64"),
    ("units_24h", "int64"),
    ("units_7d", "int64"),
    ("units_30d", "int64"),
    ("revenue_24h", "float64"),
    ("revenue_7d", "float64"),
    ("revenue_30d", "float64"),
    ("returned_30d", "int64"),
    ("buyers_30d", "int64"),
    ("last_sold_at", "timestamp"),
];

/// The features of view `item_catalog`, in the order of [`Item::catalog`].
pub const CATALOG: [(&str, &str); 4] = [
    ("description", "string"),
    ("descriptions", "int32"),
    ("unit_price", "float64"),
    ("first_sold_at", "timestamp"),
];

/// What is held of one item.
#[derive(Debug, Clone, Default)]
pub struct Item {
    windows: Windows,
    /// Sales of the longest window by customer.
    buyers: BTreeMap<i64, u32>,
    first_sold_at: Option<i64>,
    last_sold_at: Option<i64>,
    description: Option<Arc<str>>,
    descriptions: BTreeSet<Arc<str>>,
    price_mills: Option<i64>,
    last_event_at: i64,
}

impl Item {
    /// Takes a line of this item that happened at `at_micros`. Lines come in their order.
    pub fn apply(&mut self, line: &Line, at_micros: i64) {
        self.last_event_at = at_micros;
        self.description.clone_from(&line.description);
        self.descriptions.extend(line.description.clone());
        let (amounts, buyer) = match line.kind {
            LineKind::Sale => (self.sell(line, at_micros), line.customer),
            LineKind::Return => (give_back(line), None),
            LineKind::Correction => (Amounts::default(), None),
        };
        if let Some(buyer) = buyer {
            *self.buyers.entry(buyer).or_default() += 1;
        }
        let event = Event {
            time_micros: at_micros,
            amounts,
            buyer,
        };
        let buyers = &mut self.buyers;
        self.windows.add(event, |gone| forget(buyers, gone));
    }

    fn sell(&mut self, line: &Line, at_micros: i64) -> Amounts {
        self.first_sold_at.get_or_insert(at_micros);
        self.last_sold_at = Some(at_micros);
        self.price_mills = Some(line.price_mills);
        Amounts {
            lines: 1,
            units: line.quantity,
            mills: line.mills(),
            ..Amounts::default()
        }
    }

    /// When the last event was, which is the event time of the features.
    #[must_use]
    pub fn last_event_at(&self) -> i64 {
        self.last_event_at
    }

    /// View `item_sales`.
    #[must_use]
    pub fn sales(&self) -> Vec<Cell> {
        let sums = self.windows.sums();
        let buyers = i64::try_from(self.buyers.len()).expect("buyers fit memory");
        let mut cells = Vec::with_capacity(SALES.len());
        cells.extend(sums.iter().map(|sum| whole(sum.lines)));
        cells.extend(sums.iter().map(|sum| whole(sum.units)));
        cells.extend(sums.iter().map(|sum| float(pounds(sum.mills))));
        cells.push(whole(sums[2].returned_units));
        cells.push(whole(buyers));
        cells.push(time(self.last_sold_at));
        cells
    }

    /// View `item_catalog`.
    #[must_use]
    pub fn catalog(&self) -> Vec<Cell> {
        let descriptions = i32::try_from(self.descriptions.len()).expect("descriptions fit memory");
        vec![
            text(self.description.as_ref()),
            Cell::Value(Value::Int32(descriptions)),
            self.price_mills
                .map_or(Cell::Null, |mills| float(pounds(mills))),
            time(self.first_sold_at),
        ]
    }
}

fn give_back(line: &Line) -> Amounts {
    Amounts {
        return_lines: 1,
        returned_units: -line.quantity,
        mills: line.mills(),
        ..Amounts::default()
    }
}

fn forget(buyers: &mut BTreeMap<i64, u32>, gone: &Event) {
    let Some(buyer) = gone.buyer else { return };
    if let Some(sales) = buyers.get_mut(&buyer) {
        *sales -= 1;
        if *sales == 0 {
            buyers.remove(&buyer);
        }
    }
}
