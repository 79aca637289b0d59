//! Step 1 of a write: is the request well formed and within limits? Needs no registry.

use super::{rows::row_count, writer::Ack};
use crate::{
    edge::{Clock, Randomness},
    failure::Failure,
};
use proto::{
    limits::{ROWS_PER_WRITE, TOKEN_BYTES},
    reason::Reason,
    request::RequestId,
};
use wire::twin;

/// The request's id; one is made where the caller gave none.
pub fn request_id(
    given: &[u8],
    clock: &dyn Clock,
    randomness: &dyn Randomness,
) -> Result<RequestId, Failure> {
    if given.is_empty() {
        return Ok(RequestId::make(
            clock.wall_micros() / 1_000,
            randomness.random_u128(),
        ));
    }
    RequestId::from_bytes(given)
        .map_err(|error| Failure::of_field(Reason::InvalidRequest, "request_id", error.to_string()))
}

/// When to answer.
pub fn ack(number: i32) -> Result<Ack, Failure> {
    match twin::Ack::try_from(number) {
        Ok(twin::Ack::Region) => Ok(Ack::Region),
        Ok(twin::Ack::OneOther) => Ok(Ack::OneOther),
        Ok(twin::Ack::All) => Ok(Ack::All),
        Err(_) => Err(Failure::of_field(
            Reason::InvalidRequest,
            "ack",
            "ack is region, one_other or all",
        )),
    }
}

/// Checks a token's size.
pub fn token(token: &[u8]) -> Result<(), Failure> {
    if token.len() <= TOKEN_BYTES {
        return Ok(());
    }
    let message = format!("a token has at most {TOKEN_BYTES} bytes");
    Err(Failure::of_field(Reason::TooLarge, "token", message))
}

/// The rows of each of the request's writes, by their key columns, within the limit.
pub fn row_counts<'a>(
    keys: impl Iterator<Item = &'a [twin::KeyColumn]>,
) -> Result<Vec<usize>, Failure> {
    let counts = keys.map(row_count).collect::<Result<Vec<_>, _>>()?;
    let all: usize = counts.iter().sum();
    if all == 0 {
        return Err(Failure::of_field(
            Reason::InvalidRequest,
            "writes",
            "the request has no rows",
        ));
    }
    if all > ROWS_PER_WRITE {
        let message =
            format!("a write has at most {ROWS_PER_WRITE} rows, and {all} are given; split it");
        return Err(Failure::of_field(Reason::TooManyRows, "writes", message));
    }
    Ok(counts)
}
