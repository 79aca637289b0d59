//! The listening side: connections that other nodes made to this one.

use super::{
    connection::{Reading, Writing, next_within, write_all, write_one},
    frame::{FRAME_BYTES, Frame, Hello, Kind},
    mesh::{Handler, Me, Stranger},
};
use crate::{
    components::{Connection, Listener},
    security::{Met, Proof},
};
use proto::id::{ClusterId, NodeId};
use std::{io, sync::Arc};
use tokio::{
    io::split,
    sync::{Semaphore, mpsc},
};

/// Calls of one connection that are carried out at the same time; more wait in the connection.
const CALLS_AT_ONCE: usize = 512;
const ANSWERS_QUEUED: usize = 1_024;
/// The same for one that is no member: it asks one thing.
const CALLS_OF_STRANGERS: usize = 2;
/// What one may say before it is known to be a member.
const STRANGERS_BYTES: usize = 256 << 10;
/// What a plain connection hears where the cluster is secured.
const PLAIN: &str = "the node belongs to a cluster that is secured, and is spoken to without TLS; a node joins with a token in cluster.join_token_file (`atoll token create --role join`)";

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
    let (connection, proof) = match me.security.accept(connection).await? {
        Met::Secured(connection, proof) => (connection, proof),
        Met::Plain(connection) => {
            let (mut reading, mut writing) = split(connection);
            // What it said is read, or closing would throw the answer away.
            let _ = next_within(&mut reading, STRANGERS_BYTES).await;
            return turn_away(&mut writing, PLAIN.into()).await;
        }
    };
    let (mut reading, mut writing) = split(connection);
    let first = next_within(&mut reading, STRANGERS_BYTES).await?;
    let (hello, standing) = match admit(&first, me, &proof) {
        Ok(admitted) => admitted,
        Err(why) => return turn_away(&mut writing, why).await,
    };
    let mut answer = Frame::bare(Kind::Hello);
    answer.payload = me.hello(hello.node, hello.class).encode();
    write_one(&mut writing, &answer).await?;
    let (answers, mut queue) = mpsc::channel(ANSWERS_QUEUED);
    tokio::select! {
        written = write_all(writing, &mut queue) => written,
        read = take(&mut reading, (hello.node, standing), &answers, &handler) => read,
    }
}

async fn turn_away(writing: &mut Writing, why: String) -> io::Result<()> {
    let mut away = Frame::bare(Kind::TurnedAway);
    away.payload = why.into();
    write_one(writing, &away).await
}

/// What the other side is.
#[derive(Clone, Copy)]
enum Standing {
    Member,
    Stranger(Stranger),
}

impl Standing {
    fn of(hello: &Hello, proof: &Proof) -> Self {
        match (hello.cluster, proof) {
            (ClusterId(0), Proof::Nothing) => Self::Stranger(Stranger::Unknown),
            (ClusterId(0), Proof::Word | Proof::Certificate(..)) => {
                Self::Stranger(Stranger::Believed)
            }
            (_, Proof::Word | Proof::Nothing | Proof::Certificate(..)) => Self::Member,
        }
    }

    fn limits(self) -> (usize, usize) {
        match self {
            Self::Member => (FRAME_BYTES, CALLS_AT_ONCE),
            Self::Stranger(_) => (STRANGERS_BYTES, CALLS_OF_STRANGERS),
        }
    }
}

fn admit(first: &Frame, me: &Me, proof: &Proof) -> Result<(Hello, Standing), String> {
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
    let standing = Standing::of(&hello, proof);
    if matches!(standing, Standing::Member) && !proof.is_of(hello.node) {
        return Err(format!(
            "node {} shows no certificate of its own; it joins with a token in cluster.join_token_file",
            hello.node
        ));
    }
    if hello.to != me.node && hello.to != NodeId(0) {
        return Err(format!("this is node {}, not {}", me.node, hello.to));
    }
    Ok((hello, standing))
}

async fn take(
    reading: &mut Reading,
    (from, standing): (NodeId, Standing),
    answers: &mpsc::Sender<Frame>,
    handler: &Arc<dyn Handler>,
) -> io::Result<()> {
    let (most_bytes, most_calls) = standing.limits();
    let room = Arc::new(Semaphore::new(most_calls));
    loop {
        let frame = next_within(reading, most_bytes).await?;
        let is_meant = match standing {
            Standing::Member => true,
            Standing::Stranger(stranger) => handler.is_open_to(stranger, frame.method),
        };
        match frame.kind {
            Kind::Message | Kind::Call if !is_meant => {
                return Err(io::Error::new(
                    io::ErrorKind::PermissionDenied,
                    "one that is no member may only ask to join or to be founded",
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
