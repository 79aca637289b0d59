//! The listening side: connections that other nodes made to this one.

use super::{
    connection::{Reading, next, write_all, write_one},
    frame::{Frame, Hello, Kind},
    mesh::{Handler, Me},
};
use crate::components::{Connection, Listener};
use proto::id::{ClusterId, NodeId};
use std::{io, sync::Arc};
use tokio::{
    io::split,
    sync::{Semaphore, mpsc},
};

/// Calls of one connection that are carried out at the same time; more wait in the connection.
const CALLS_AT_ONCE: usize = 512;
const ANSWERS_QUEUED: usize = 1_024;

/// Takes connections until the listener fails.
pub async fn serve(
    mut listener: Box<dyn Listener>,
    me: Me,
    handler: Arc<dyn Handler>,
) -> io::Result<()> {
    loop {
        let (connection, from) = listener.accept().await?;
        let (me, handler) = (me.clone(), Arc::clone(&handler));
        tokio::spawn(async move {
            if let Err(error) = attend(connection, &me, handler).await {
                tracing::debug!(%from, %error, "connection from a node ended");
            }
        });
    }
}

async fn attend(
    connection: Box<dyn Connection>,
    me: &Me,
    handler: Arc<dyn Handler>,
) -> io::Result<()> {
    let (mut reading, mut writing) = split(connection);
    let first = next(&mut reading).await?;
    let hello = match admit(&first, me) {
        Ok(hello) => hello,
        Err(why) => {
            let mut away = Frame::bare(Kind::TurnedAway);
            away.payload = why.into();
            return write_one(&mut writing, &away).await;
        }
    };
    let mut answer = Frame::bare(Kind::Hello);
    answer.payload = me.hello(hello.node, hello.class).encode();
    write_one(&mut writing, &answer).await?;
    let (answers, mut queue) = mpsc::channel(ANSWERS_QUEUED);
    tokio::select! {
        written = write_all(writing, &mut queue) => written,
        read = take(&mut reading, &hello, &answers, &handler) => read,
    }
}

fn admit(first: &Frame, me: &Me) -> Result<Hello, String> {
    if first.kind != Kind::Hello {
        return Err("a hello was expected".into());
    }
    let hello = Hello::decode(&first.payload).map_err(|error| error.to_string())?;
    let own = me.cluster.named();
    if hello.cluster != own && hello.cluster != ClusterId(0) {
        return Err(match me.cluster.cluster() {
            Some(own) => format!(
                "this node belongs to cluster {own}, not to {}",
                hello.cluster
            ),
            None => "this node belongs to no cluster yet".into(),
        });
    }
    if hello.to != me.node && hello.to != NodeId(0) {
        return Err(format!("this is node {}, not {}", me.node, hello.to));
    }
    Ok(hello)
}

async fn take(
    reading: &mut Reading,
    hello: &Hello,
    answers: &mpsc::Sender<Frame>,
    handler: &Arc<dyn Handler>,
) -> io::Result<()> {
    let from = hello.node;
    let is_stranger = hello.cluster == ClusterId(0);
    let room = Arc::new(Semaphore::new(CALLS_AT_ONCE));
    loop {
        let frame = next(reading).await?;
        let is_meant = !is_stranger || handler.is_open(frame.method);
        match frame.kind {
            Kind::Message | Kind::Call if !is_meant => {
                return Err(io::Error::new(
                    io::ErrorKind::PermissionDenied,
                    "a node without a cluster may only ask to join or to be founded",
                ));
            }
            Kind::Message => handler.message(from, frame.method, frame.payload).await,
            Kind::Call => {
                let permit = Arc::clone(&room)
                    .acquire_owned()
                    .await
                    .expect("the semaphore is never closed");
                let (answers, handler) = (answers.clone(), Arc::clone(handler));
                tokio::spawn(async move {
                    let answer = carry_out(&*handler, from, frame).await;
                    // The connection may be gone; its caller knows by itself.
                    let _ = answers.send(answer).await;
                    drop(permit);
                });
            }
            Kind::Ping => {
                let _ = answers.try_send(Frame::bare(Kind::Pong));
            }
            Kind::Pong => {}
            Kind::Hello | Kind::TurnedAway | Kind::Answer | Kind::Failure => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "a message or call was expected",
                ));
            }
        }
    }
}

async fn carry_out(handler: &dyn Handler, from: NodeId, frame: Frame) -> Frame {
    let (kind, payload) = match handler.call(from, frame.method, frame.payload).await {
        Ok(payload) => (Kind::Answer, payload),
        Err(failure) => (Kind::Failure, failure.0.into()),
    };
    Frame {
        kind,
        method: frame.method,
        call: frame.call,
        payload,
    }
}
