//! The features of the shop against a computation that looks at all lines anew each time.

use super::{
    customer::{ACTIVITY, PROFILE, part_of_week},
    item::{CATALOG, SALES},
    line::{Line, LineKind, OrderId},
    state::Shop,
    window::SPANS_MICROS,
};
use crate::{client::cell::Cell, demo::data};
use proto::value::Value;
use std::collections::{BTreeMap, BTreeSet};

const MINUTE: i64 = 60_000_000;

fn named(
    features: &[(&'static str, &'static str)],
    cells: &[Cell],
) -> BTreeMap<&'static str, Cell> {
    assert_eq!(features.len(), cells.len());
    features
        .iter()
        .map(|(name, _)| *name)
        .zip(cells.iter().cloned())
        .collect()
}

fn int(value: usize) -> Cell {
    Cell::Value(Value::Int64(i64::try_from(value).unwrap()))
}

fn pounds(mills: i64) -> Cell {
    Cell::Value(Value::Float64(mills as f64 / 1_000.0))
}

fn time(micros: Option<i64>) -> Cell {
    micros.map_or(Cell::Null, |micros| Cell::Value(Value::Timestamp(micros)))
}

/// What a customer's features are, from all their lines so far.
fn naive_customer(lines: &[&Line]) -> BTreeMap<&'static str, Cell> {
    let now = lines.last().unwrap().time_micros;
    let sales: Vec<&&Line> = lines
        .iter()
        .filter(|line| line.kind == LineKind::Sale)
        .collect();
    let mut begun: BTreeMap<OrderId, i64> = BTreeMap::new();
    for line in &sales {
        begun.entry(line.order).or_insert(line.time_micros);
    }
    let mut features = BTreeMap::new();
    for (span, names) in [
        ["orders_24h", "lines_24h", "spend_24h"],
        ["orders_7d", "lines_7d", "spend_7d"],
        ["orders_30d", "lines_30d", "spend_30d"],
    ]
    .iter()
    .enumerate()
    {
        let within = |time: i64| time > now - SPANS_MICROS[span];
        let orders = begun.values().filter(|time| within(**time)).count();
        features.insert(names[0], int(orders));
        features.insert(
            names[1],
            int(sales.iter().filter(|line| within(line.time_micros)).count()),
        );
        let spent = lines
            .iter()
            .filter(|line| within(line.time_micros) && line.kind != LineKind::Correction);
        features.insert(names[2], pounds(spent.map(|line| line.mills()).sum()));
    }
    let returned = lines
        .iter()
        .filter(|line| line.kind == LineKind::Return && line.time_micros > now - SPANS_MICROS[2]);
    features.insert("returns_30d", int(returned.count()));
    features.insert("last_order_at", time(begun.values().max().copied()));
    let basket = last_basket(&sales);
    let items = basket.as_ref().map(|basket| int(basket.len()));
    features.insert("basket_items", items.unwrap_or(Cell::Null));
    let value = basket.map(|basket| basket.iter().map(|line| line.mills()).sum());
    features.insert("basket_value", value.map_or(Cell::Null, pounds));
    let recent = recent_items(&sales);
    features.insert("recent_items", Cell::Value(Value::List(recent)));

    features.insert(
        "country",
        Cell::Value(Value::String(lines.last().unwrap().country.to_string())),
    );
    features.insert("first_order_at", time(begun.values().min().copied()));
    features.insert("orders", int(begun.len()));
    let spent = lines
        .iter()
        .filter(|line| line.kind != LineKind::Correction);
    features.insert("spend", pounds(spent.map(|line| line.mills()).sum()));
    let shares = shares(&sales);
    features.insert("spend_profile", Cell::Value(Value::Float32Vector(shares)));
    features
}

fn last_basket<'a>(sales: &[&&'a Line]) -> Option<Vec<&'a Line>> {
    let last = sales.last()?.order;
    let lines = sales.iter().filter(|line| line.order == last);
    Some(lines.map(|line| **line).collect())
}

fn recent_items(sales: &[&&Line]) -> Vec<Value> {
    let mut recent: Vec<Value> = Vec::new();
    for line in sales.iter().rev() {
        let item = Value::String(line.item.to_string());
        if !recent.contains(&item) && recent.len() < 10 {
            recent.push(item);
        }
    }
    recent
}

fn shares(sales: &[&&Line]) -> Vec<f32> {
    let sum = |part: Option<usize>| -> i64 {
        let lines = sales
            .iter()
            .filter(|line| part.is_none_or(|part| part_of_week(line.time_micros) == part));
        lines.map(|line| line.mills()).sum()
    };
    let share = |part| match sum(None) {
        0 => 0.0,
        total => (sum(Some(part)) as f64 / total as f64) as f32,
    };
    (0..8).map(share).collect()
}

/// What an item's features are, from all its lines so far.
fn naive_item(lines: &[&Line]) -> BTreeMap<&'static str, Cell> {
    let now = lines.last().unwrap().time_micros;
    let sales: Vec<&&Line> = lines
        .iter()
        .filter(|line| line.kind == LineKind::Sale)
        .collect();
    let mut features = BTreeMap::new();
    for (span, names) in [
        ["sales_24h", "units_24h", "revenue_24h"],
        ["sales_7d", "units_7d", "revenue_7d"],
        ["sales_30d", "units_30d", "revenue_30d"],
    ]
    .iter()
    .enumerate()
    {
        let within = |line: &&&Line| line.time_micros > now - SPANS_MICROS[span];
        let sold: Vec<&&Line> = sales.iter().copied().filter(within).collect();
        features.insert(names[0], int(sold.len()));
        let units: i64 = sold.iter().map(|line| line.quantity).sum();
        features.insert(names[1], Cell::Value(Value::Int64(units)));
        let turned_over = lines
            .iter()
            .filter(within)
            .filter(|line| line.kind != LineKind::Correction);
        features.insert(names[2], pounds(turned_over.map(|line| line.mills()).sum()));
    }
    let recent = |line: &&&Line| line.time_micros > now - SPANS_MICROS[2];
    let returned = lines
        .iter()
        .filter(recent)
        .filter(|line| line.kind == LineKind::Return);
    let returned: i64 = returned.map(|line| -line.quantity).sum();
    features.insert("returned_30d", Cell::Value(Value::Int64(returned)));
    let buyers: BTreeSet<i64> = sales
        .iter()
        .copied()
        .filter(recent)
        .filter_map(|line| line.customer)
        .collect();
    features.insert("buyers_30d", int(buyers.len()));
    features.insert(
        "last_sold_at",
        time(sales.last().map(|line| line.time_micros)),
    );
    features.insert(
        "first_sold_at",
        time(sales.first().map(|line| line.time_micros)),
    );
    let description = lines.last().unwrap().description.as_ref();
    features.insert(
        "description",
        description.map_or(Cell::Null, |text| {
            Cell::Value(Value::String(text.to_string()))
        }),
    );
    let descriptions: BTreeSet<_> = lines
        .iter()
        .filter_map(|line| line.description.as_ref())
        .collect();
    features.insert(
        "descriptions",
        Cell::Value(Value::Int32(i32::try_from(descriptions.len()).unwrap())),
    );
    features.insert(
        "unit_price",
        sales
            .last()
            .map_or(Cell::Null, |line| pounds(line.price_mills)),
    );
    features
}

fn features_of(
    shop: &Shop,
    line: &Line,
) -> (
    Option<BTreeMap<&'static str, Cell>>,
    BTreeMap<&'static str, Cell>,
) {
    let customer = line.customer.map(|id| {
        let customer = &shop.customers()[&id];
        let mut features = named(&ACTIVITY, &customer.activity());
        features.extend(named(&PROFILE, &customer.profile()));
        features
    });
    let item = &shop.items()[&line.item];
    let mut features = named(&SALES, &item.sales());
    features.extend(named(&CATALOG, &item.catalog()));
    (customer, features)
}

#[test]
fn features_equal_a_recomputation_over_real_lines() {
    // Two months, so that the windows fill and empty.
    let lines = data::lines().unwrap();
    let until = lines[0].time_micros + 60 * 24 * 60 * MINUTE;
    let lines: Vec<&Line> = lines
        .iter()
        .take_while(|line| line.time_micros < until)
        .collect();
    let mut shop = Shop::default();
    let mut by_customer: BTreeMap<i64, Vec<&Line>> = BTreeMap::new();
    let mut by_item: BTreeMap<&str, Vec<&Line>> = BTreeMap::new();
    let mut checked = 0;
    for (number, line) in lines.iter().copied().enumerate() {
        shop.apply(line, line.time_micros);
        by_item.entry(&line.item).or_default().push(line);
        if let Some(customer) = line.customer {
            by_customer.entry(customer).or_default().push(line);
        }
        if number % 97 != 0 {
            continue;
        }
        let (customer, item) = features_of(&shop, line);
        assert_eq!(item, naive_item(&by_item[&*line.item]), "line {number}");
        if let Some(customer) = customer {
            assert_eq!(
                customer,
                naive_customer(&by_customer[&line.customer.unwrap()]),
                "line {number}"
            );
        }
        checked += 1;
    }
    assert!(checked > 500, "only {checked} lines were checked");
}

fn line(order: u32, kind: LineKind, item: &str, quantity: i64, minute: i64) -> Line {
    Line {
        order: OrderId(order),
        kind,
        item: item.into(),
        description: None,
        quantity,
        price_mills: 1_500,
        time_micros: minute * MINUTE,
        customer: Some(7),
        country: "Finland".into(),
    }
}

fn customer_after(lines: &[Line]) -> BTreeMap<&'static str, Cell> {
    let mut shop = Shop::default();
    lines
        .iter()
        .for_each(|line| shop.apply(line, line.time_micros));
    features_of(&shop, lines.last().unwrap()).0.unwrap()
}

#[test]
fn an_order_is_counted_once_however_many_lines_and_minutes_it_has() {
    let features = customer_after(&[
        line(1, LineKind::Sale, "A", 2, 10),
        line(2, LineKind::Sale, "B", 1, 10),
        line(1, LineKind::Sale, "A", 2, 11),
    ]);
    assert_eq!(features["orders_24h"], int(2));
    assert_eq!(features["basket_items"], int(2));
    assert_eq!(features["basket_value"], pounds(6_000));
    assert_eq!(features["last_order_at"], time(Some(10 * MINUTE)));
}

#[test]
fn a_return_lowers_what_was_spent_and_is_no_order() {
    let features = customer_after(&[
        line(1, LineKind::Sale, "A", 4, 10),
        line(2, LineKind::Return, "A", -3, 20),
    ]);
    assert_eq!(features["spend_24h"], pounds(1_500));
    assert_eq!(features["orders_24h"], int(1));
    assert_eq!(features["returns_30d"], int(1));
}

#[test]
fn who_only_returned_has_no_order_and_says_so_by_null() {
    let features = customer_after(&[line(1, LineKind::Return, "A", -1, 10)]);
    assert_eq!(features["last_order_at"], Cell::Null);
    assert_eq!(features["basket_items"], Cell::Null);
    assert_eq!(features["spend"], pounds(-1_500));
}

#[test]
fn a_line_without_a_customer_counts_for_its_item_alone() {
    let mut shop = Shop::default();
    let unknown = Line {
        customer: None,
        ..line(1, LineKind::Sale, "A", 5, 10)
    };
    shop.apply(&unknown, unknown.time_micros);
    assert!(shop.customers().is_empty());
    let (_, item) = features_of(&shop, &unknown);
    assert_eq!(item["units_24h"], int(5));
    assert_eq!(item["buyers_30d"], int(0));
}

#[test]
fn a_repeated_line_counts_twice() {
    let repeated = line(1, LineKind::Sale, "A", 1, 10);
    let features = customer_after(&[repeated.clone(), repeated]);
    assert_eq!(features["lines_24h"], int(2));
    let Cell::Value(Value::List(recent)) = &features["recent_items"] else {
        panic!("recent_items is a list");
    };
    assert_eq!(recent.len(), 1);
}
