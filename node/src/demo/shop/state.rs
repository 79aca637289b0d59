//! All customers and items of the shop, after the lines so far.

use super::{customer::Customer, item::Item, line::Line};
use std::{collections::BTreeMap, sync::Arc};

/// The shop.
#[derive(Debug, Clone, Default)]
pub struct Shop {
    customers: BTreeMap<i64, Customer>,
    items: BTreeMap<Arc<str>, Item>,
}

impl Shop {
    /// Takes a line that happened at `at_micros`. Lines come in the order of those times.
    pub fn apply(&mut self, line: &Line, at_micros: i64) {
        if let Some(customer) = line.customer {
            self.customers
                .entry(customer)
                .or_default()
                .apply(line, at_micros);
        }
        match self.items.get_mut(&line.item) {
            Some(item) => item.apply(line, at_micros),
            None => {
                let item = self.items.entry(Arc::clone(&line.item)).or_default();
                item.apply(line, at_micros);
            }
        }
    }

    /// Who has been seen, in the order of their ids.
    #[must_use]
    pub fn customers(&self) -> &BTreeMap<i64, Customer> {
        &self.customers
    }

    /// What has been seen, in the order of their codes.
    #[must_use]
    pub fn items(&self) -> &BTreeMap<Arc<str>, Item> {
        &self.items
    }
}
