//! One transaction line, as the shop's till recorded it.

use std::sync::Arc;

/// An invoice, by the order in which they first appear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct OrderId(pub u32);

/// What a line is, by its invoice's number and its quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineKind {
    /// Something was sold.
    Sale,
    /// Something came back: the invoice cancels another.
    Return,
    /// The stock or the books were corrected; nobody bought or brought anything.
    Correction,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its invoice.
    pub order: OrderId,
    /// What it is.
    pub kind: LineKind,
    /// The item's stock code.
    pub item: Arc<str>,
    /// What the till called the item.
    pub description: Option<Arc<str>>,
    /// Pieces; negative where they came back.
    pub quantity: i64,
    /// Thousandths of a pound for a piece.
    pub price_mills: i64,
    /// Microseconds since 1970, by the till's clock, to the minute.
    pub time_micros: i64,
    /// Who it was, where that is known.
    pub customer: Option<i64>,
    /// Where the customer lives.
    pub country: Arc<str>,
}

impl Line {
    /// What the line turned over, in thousandths of a pound; negative where money went back.
    #[must_use]
    pub fn mills(&self) -> i64 {
        self.quantity * self.price_mills
    }
}

impl LineKind {
    /// Tells the kind.
    #[must_use]
    pub fn of(invoice: &str, quantity: i64) -> Self {
        if invoice.starts_with('C') {
            Self::Return
        } else if quantity > 0 && invoice.starts_with(|first: char| first.is_ascii_digit()) {
            Self::Sale
        } else {
            Self::Correction
        }
    }
}

/// Thousandths of a pound as pounds, for a feature.
#[must_use]
pub fn pounds(mills: i64) -> f64 {
    mills as f64 / 1_000.0
}
