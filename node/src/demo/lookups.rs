//! Lookups all the while: one customer with 50 items, one customer with 50 articles, in turn, at a
//! steady rate and timed from when each should have been sent, so that a stall is not hidden.

use super::{
    definitions::{ARTICLE_SERVICE, ITEM_SERVICE, PROJECT},
    meter::{LookupKind, Meter},
};
use crate::client::{gateways::Gateways, key_column::KeyColumnBuilder};
use proto::{types::Scalar, value::Value};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep_until};
use wire::v1::{self, lookup_request::Select};

/// Candidates of one lookup.
pub const CANDIDATES: usize = 50;
/// How long a lookup may take before it counts as failed.
const DEADLINE: Duration = Duration::from_secs(1);
/// One lookup in so many asks for a customer that nobody has seen.
const STRANGERS: u64 = 50;
/// The ids of the shop's customers are all below.
const FIRST_STRANGER: i64 = 1_000_000;

/// What is asked for.
#[derive(Debug)]
pub struct Candidates {
    /// Known customers.
    pub customers: Vec<i64>,
    /// Known items.
    pub items: Vec<String>,
    /// Known articles.
    pub articles: Vec<String>,
}

/// Draws without a pattern; what is drawn need not be unpredictable, only spread.
#[derive(Debug)]
pub struct Draw(u64);

impl Draw {
    /// Begins at a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        let index = self.below(all.len() as u64);
        &all[usize::try_from(index).expect("an index of a slice")]
    }
}

impl Candidates {
    /// A request of one kind.
    pub fn request(&self, kind: LookupKind, rows: usize, draw: &mut Draw) -> v1::LookupRequest {
        let (service, key, candidates) = match kind {
            LookupKind::Items => (ITEM_SERVICE, "stock_code", &self.items),
            LookupKind::Articles => (ARTICLE_SERVICE, "url", &self.articles),
        };
        let customer = if draw.below(STRANGERS) == 0 {
            FIRST_STRANGER + draw.below(1_000).cast_signed()
        } else {
            *draw.one_of(&self.customers)
        };
        let mut shared = KeyColumnBuilder::new("customer_id", Scalar::Int64);
        shared
            .push(&Value::Int64(customer))
            .expect("its type is int64");
        let mut keys = KeyColumnBuilder::new(key, Scalar::String);
        for _ in 0..rows {
            let candidate = draw.one_of(candidates).clone();
            keys.push(&Value::String(candidate))
                .expect("its type is string");
        }
        v1::LookupRequest {
            project: PROJECT.to_owned(),
            select: Some(Select::Service(service.to_owned())),
            shared: vec![shared.finish()],
            rows: vec![keys.finish()],
            omit_names: true,
            ..Default::default()
        }
    }
}

/// Looks up `per_second` times a second over one connection until the task is dropped.
pub async fn run(
    gateways: Gateways,
    candidates: Arc<Candidates>,
    meter: Arc<Meter>,
    per_second: f64,
    seed: u64,
) {
    let every = Duration::from_secs_f64(1.0 / per_second);
    let mut draw = Draw::new(seed);
    let mut due = Instant::now();
    let mut kind = LookupKind::Items;
    loop {
        sleep_until(due).await;
        let request = candidates.request(kind, CANDIDATES, &mut draw);
        match gateways.lookup(request, DEADLINE).await {
            Ok(answer) => meter.looked_up(kind, due.elapsed(), &answer),
            Err(error) => meter.lookup_failed(error.to_string()),
        }
        kind = match kind {
            LookupKind::Items => LookupKind::Articles,
            LookupKind::Articles => LookupKind::Items,
        };
        // A long stall is counted once at its full length, not once for each call it delayed.
        due = (due + every).max(Instant::now().checked_sub(DEADLINE).unwrap_or(due));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::key_column;

    #[test]
    fn a_request_asks_for_one_customer_and_fifty_candidates() {
        let candidates = Candidates {
            customers: vec![17_850],
            items: vec!["85123A".to_owned(), "71053".to_owned()],
            articles: vec!["http://a/".to_owned()],
        };
        let mut draw = Draw::new(1);
        let request = candidates.request(LookupKind::Items, CANDIDATES, &mut draw);
        assert_eq!(request.shared[0].ints.len(), 1);
        let codes = key_column::texts(&request.rows[0]);
        assert_eq!(codes.len(), 50);
        assert!(codes.contains(&"85123A".to_owned()) && codes.contains(&"71053".to_owned()));
    }

    #[test]
    fn now_and_then_a_stranger_is_asked_for() {
        let candidates = Candidates {
            customers: vec![17_850],
            items: vec!["85123A".to_owned()],
            articles: vec!["http://a/".to_owned()],
        };
        let mut draw = Draw::new(7);
        let strangers = (0..1_000)
            .filter(|_| {
                let request = candidates.request(LookupKind::Articles, 1, &mut draw);
                request.shared[0].ints[0] >= FIRST_STRANGER
            })
            .count();
        assert!((5..60).contains(&strangers), "{strangers} of 1,000");
    }
}
