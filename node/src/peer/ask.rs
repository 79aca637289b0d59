//! One call to an address, over a connection of its own: what a node says before it knows whom it
//! speaks to.

use super::{
    connection::{PING_EVERY, Reading, Writing, next, write_one},
    frame::{Class, Failure, Frame, Kind},
    lane::{check_answer, greet},
    mesh::{CallError, Me},
};
use crate::components::Network;
use bytes::Bytes;
use proto::id::NodeId;
use std::{io, time::Duration};
use tokio::{
    io::split,
    time::{sleep, timeout},
};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nothing was asked.
    #[error("{0}")]
    Unreachable(io::Error),
    /// It was asked.
    #[error(transparent)]
    Call(#[from] CallError),
}

/// Calls whoever answers at `address`.
pub async fn ask(
    network: &dyn Network,
    me: &Me,
    address: &str,
    method: u8,
    payload: Bytes,
    within: Duration,
) -> Result<(NodeId, Bytes), AskError> {
    let asked = timeout(within, call(network, me, address, method, payload)).await;
    asked.unwrap_or(Err(AskError::Call(CallError::Deadline)))
}

async fn call(
    network: &dyn Network,
    me: &Me,
    address: &str,
    method: u8,
    payload: Bytes,
) -> Result<(NodeId, Bytes), AskError> {
    let unreachable = AskError::Unreachable;
    let connection = network.connect(address).await.map_err(unreachable)?;
    let secured = me.security.connect(connection).await;
    let (connection, proof) = secured.map_err(unreachable)?;
    let (mut reading, mut writing) = split(connection);
    let hello = me.hello(NodeId(0), Class::Metadata);
    let welcome = greet(&mut reading, &mut writing, &hello).await;
    let welcome = welcome.map_err(unreachable)?;
    let node = check_answer(&welcome, &hello, &proof).map_err(unreachable)?;
    let broken = |_| AskError::Call(CallError::Broken);
    let frame = Frame {
        kind: Kind::Call,
        method,
        call: 1,
        payload,
    };
    write_one(&mut writing, &frame).await.map_err(broken)?;
    let answered = tokio::select! {
        answered = answer(&mut reading) => answered,
        gone = ping(&mut writing) => Err(gone),
    };
    Ok((node, answered?))
}

async fn answer(reading: &mut Reading) -> Result<Bytes, CallError> {
    loop {
        let frame = next(reading).await.map_err(|_| CallError::Broken)?;
        match frame.kind {
            Kind::Answer => return Ok(frame.payload),
            Kind::Failure => {
                let text = String::from_utf8_lossy(&frame.payload).into_owned();
                return Err(CallError::Failed(Failure(text)));
            }
            Kind::Ping | Kind::Pong => {}
            Kind::Hello | Kind::TurnedAway | Kind::Message | Kind::Call => {
                return Err(CallError::Broken);
            }
        }
    }
}

/// Says that this side still waits, or the other would take it for dead; ends when it cannot.
async fn ping(writing: &mut Writing) -> CallError {
    loop {
        sleep(PING_EVERY).await;
        if write_one(writing, &Frame::bare(Kind::Ping)).await.is_err() {
            return CallError::Broken;
        }
    }
}
