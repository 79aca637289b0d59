//! What became of a write, as text and as JSON; the JSON is that of `POST /v1/write`.

use super::consistency;
use serde_json::{Value as Json, json};
use wire::v1::{Rejected, WriteResponse};

/// Counts over the requests of one command.
#[derive(Debug, Default)]
pub struct WriteTotal {
    accepted: u64,
    superseded: u64,
    rejected: Vec<(u64, Rejected)>,
    unknown: Vec<u64>,
    region: String,
    copies: u32,
    confirmed: Vec<String>,
    token: Vec<u8>,
}

impl WriteTotal {
    /// Adds an answer. `number_of` tells which row of the input a row of the request was.
    pub fn add(&mut self, answer: WriteResponse, number_of: impl Fn(u32) -> u64) {
        self.accepted += answer.accepted;
        self.superseded += answer.superseded;
        self.unknown
            .extend(answer.unknown.iter().map(|row| number_of(*row)));
        let rejected = answer.rejected.into_iter();
        self.rejected
            .extend(rejected.map(|rejected| (number_of(rejected.row), rejected)));
        self.region = answer.region;
        self.copies = answer.copies;
        self.confirmed = answer.confirmed;
        self.token = answer.token.to_vec();
    }

    /// Adds a row that was not sent.
    pub fn reject(&mut self, number: u64, reason: &str, field: &str, message: &str) {
        let rejected = Rejected {
            reason: reason.to_owned(),
            field: field.to_owned(),
            message: message.to_owned(),
            ..Default::default()
        };
        self.rejected.push((number, rejected));
    }

    /// The token of the last answer, which a request after it carries on.
    #[must_use]
    pub fn token(&self) -> &[u8] {
        &self.token
    }

    /// Whether every row is durable.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.rejected.is_empty() && self.unknown.is_empty()
    }

    /// For people.
    #[must_use]
    pub fn show(&self) -> String {
        let mut text = format!(
            "accepted {}, superseded {}, rejected {}",
            self.accepted,
            self.superseded,
            self.rejected.len()
        );
        if !self.unknown.is_empty() {
            text.push_str(&format!(", without an answer {}", self.unknown.len()));
        }
        if !self.region.is_empty() {
            text.push_str(&format!("\nregion {}, copies {}", self.region, self.copies));
        }
        if !self.token.is_empty() {
            text.push_str(&format!("\ntoken {}", consistency::show(&self.token)));
        }
        text
    }

    /// A line for each row that was not taken.
    #[must_use]
    pub fn refusals(&self) -> Vec<String> {
        let rejected = self.rejected.iter().map(|(number, rejected)| {
            let field = if rejected.field.is_empty() {
                String::new()
            } else {
                format!(", {}", rejected.field)
            };
            format!(
                "row {number}{field}: {} [{}]",
                rejected.message, rejected.reason
            )
        });
        let unknown = self.unknown.iter();
        let unknown =
            unknown.map(|number| format!("row {number}: no answer in time; write it again"));
        rejected.chain(unknown).collect()
    }

    /// The body of `POST /v1/write`, with rows by their numbers in the input.
    #[must_use]
    pub fn json(&self) -> Json {
        let rejected = self.rejected.iter().map(|(number, rejected)| {
            json!({
                "row": number,
                "reason": rejected.reason,
                "field": rejected.field,
                "message": rejected.message,
            })
        });
        json!({
            "accepted": self.accepted,
            "superseded": self.superseded,
            "rejected": rejected.collect::<Vec<_>>(),
            "unknown": self.unknown,
            "region": self.region,
            "copies": self.copies,
            "confirmed": self.confirmed,
            "token": consistency::show(&self.token),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_rows_are_told_by_their_place_in_the_input() {
        let mut total = WriteTotal::default();
        let rejected = Rejected {
            row: 1,
            reason: "EVENT_TIME_IN_FUTURE".to_owned(),
            field: "event_time".to_owned(),
            message: "the event is an hour ahead".to_owned(),
            ..Default::default()
        };
        let answer = WriteResponse {
            accepted: 2,
            superseded: 1,
            rejected: vec![rejected],
            region: "eu".to_owned(),
            copies: 2,
            ..Default::default()
        };
        total.add(answer, |row| u64::from(row) + 11);
        assert!(!total.is_whole());
        assert_eq!(
            total.show(),
            "accepted 2, superseded 1, rejected 1\nregion eu, copies 2"
        );
        assert_eq!(
            total.refusals(),
            ["row 12, event_time: the event is an hour ahead [EVENT_TIME_IN_FUTURE]"]
        );
        assert_eq!(total.json()["rejected"][0]["row"], 12);
    }
}
