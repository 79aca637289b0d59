//! Rows of the demo's views as write requests.

use super::{
    definitions,
    shop::{customer::Customer, item::Item},
};
use crate::client::{
    cell::Cell,
    definition::ViewShape,
    request_id,
    rows::{TypedRow, view_rows},
};
use anyhow::Context as _;
use proto::value::Value;
use wire::v1;

/// The views that lines of the shop change.
#[derive(Debug)]
pub struct ShopTables {
    activity: ViewShape,
    profile: ViewShape,
    sales: ViewShape,
    catalog: ViewShape,
}

impl ShopTables {
    /// Reads the definitions.
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self {
            activity: definitions::shape("customer_activity")?,
            profile: definitions::shape("customer_profile")?,
            sales: definitions::shape("item_sales")?,
            catalog: definitions::shape("item_catalog")?,
        })
    }

    /// Both views of some customers.
    pub fn customers<'a>(
        &self,
        customers: impl Iterator<Item = (i64, &'a Customer)> + Clone,
    ) -> anyhow::Result<Vec<v1::ViewRows>> {
        let row = |id: i64, customer: &Customer, cells: Vec<Cell>| TypedRow {
            keys: vec![Value::Int64(id)],
            cells,
            event_time: Some(customer.last_event_at()),
        };
        let activity = customers
            .clone()
            .map(|(id, it)| row(id, it, it.activity()))
            .collect();
        let profile = customers
            .map(|(id, it)| row(id, it, it.profile()))
            .collect();
        Ok(vec![
            rows(&self.activity, activity)?,
            rows(&self.profile, profile)?,
        ])
    }

    /// Both views of some items.
    pub fn items<'a>(
        &self,
        items: impl Iterator<Item = (&'a str, &'a Item)> + Clone,
    ) -> anyhow::Result<Vec<v1::ViewRows>> {
        let row = |code: &str, item: &Item, cells: Vec<Cell>| TypedRow {
            keys: vec![Value::String(code.to_owned())],
            cells,
            event_time: Some(item.last_event_at()),
        };
        let sales = items
            .clone()
            .map(|(code, it)| row(code, it, it.sales()))
            .collect();
        let catalog = items
            .map(|(code, it)| row(code, it, it.catalog()))
            .collect();
        Ok(vec![
            rows(&self.sales, sales)?,
            rows(&self.catalog, catalog)?,
        ])
    }
}

/// Rows of one view.
pub fn rows(shape: &ViewShape, rows: Vec<TypedRow>) -> anyhow::Result<v1::ViewRows> {
    view_rows(&shape.view.name, &shape.keys, &shape.view.features, &rows)
        .with_context(|| format!("rows of view {}", shape.view.name))
}

/// A new request of some writes.
#[must_use]
pub fn request(writes: Vec<v1::ViewRows>) -> v1::WriteRequest {
    v1::WriteRequest {
        project: definitions::PROJECT.to_owned(),
        request_id: request_id::bytes(request_id::draw()),
        writes: writes
            .into_iter()
            .filter(|rows| !rows.event_times_us.is_empty())
            .collect(),
        ..Default::default()
    }
}
