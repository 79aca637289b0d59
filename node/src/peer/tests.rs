//! Two nodes on loopback.

use super::{
    Class, Failure, Handler, Mesh, Stranger, ask,
    mesh::{CallError, Me, Membership},
    serve,
};
use crate::{
    components::{Network, TcpNetwork},
    security::Security,
};
use async_trait::async_trait;
use bytes::Bytes;
use proto::id::{BootId, ClusterId, NodeId};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::sync::mpsc;

mod security;

const WAIT: Duration = Duration::from_secs(20);
/// What a node without a cluster may call.
const OPEN: u8 = 3;
/// What it may call if it has shown a certificate.
const BELIEVED: u8 = 5;
/// What takes longer than a connection may be silent.
const SLOW: u8 = 4;

struct Recorder(mpsc::UnboundedSender<String>);

#[async_trait]
impl Handler for Recorder {
    async fn message(&self, from: NodeId, method: u8, payload: Bytes) {
        let _ = self.0.send(format!("{from} said {method} {payload:?}"));
    }

    async fn call(&self, _: NodeId, method: u8, payload: Bytes) -> Result<Bytes, Failure> {
        match method {
            1 => Ok(payload.iter().rev().copied().collect()),
            2 => std::future::pending().await,
            OPEN | BELIEVED => Ok("welcome".into()),
            SLOW => {
                tokio::time::sleep(super::connection::SILENT_AFTER * 2).await;
                Ok("at last".into())
            }
            _ => Err(Failure("no such method".into())),
        }
    }

    fn is_open_to(&self, stranger: Stranger, method: u8) -> bool {
        method == OPEN || method == BELIEVED && stranger == Stranger::Believed
    }

    fn up(&self, node: NodeId, class: Class) {
        let _ = self.0.send(format!("{node} up {class:?}"));
    }

    fn down(&self, node: NodeId, class: Class) {
        let _ = self.0.send(format!("{node} down {class:?}"));
    }
}

fn me(cluster: u128, node: u64) -> Me {
    let membership = Membership::default();
    if cluster != 0 {
        membership.join(ClusterId(cluster));
    }
    Me {
        cluster: membership,
        node: NodeId(node),
        boot: BootId(node),
        security: Security::default(),
    }
}

async fn server(
    me: Me,
    heard: mpsc::UnboundedSender<String>,
) -> (String, tokio::task::JoinHandle<()>) {
    let listener = TcpNetwork
        .listen("127.0.0.1:0".parse().unwrap())
        .await
        .unwrap();
    let address = listener.address().unwrap().to_string();
    let task = tokio::spawn(async move {
        serve(listener, me, Arc::new(Recorder(heard)))
            .await
            .unwrap();
    });
    (address, task)
}

fn mesh(me: Me, peer: &str, heard: mpsc::UnboundedSender<String>) -> Mesh {
    let mesh = Mesh::new(me, Arc::new(TcpNetwork), Arc::new(Recorder(heard)));
    mesh.know(BTreeMap::from([(NodeId(2), peer.to_owned())]));
    mesh
}

#[tokio::test]
async fn calls_are_answered_and_messages_arrive() {
    let (there, mut heard_there) = mpsc::unbounded_channel();
    let (here, mut heard_here) = mpsc::unbounded_channel();
    let (address, _server) = server(me(1, 2), there).await;
    let mesh = mesh(me(1, 1), &address, here);
    let call = |method, text: &'static str| {
        mesh.call(NodeId(2), Class::Request, method, Bytes::from(text), WAIT)
    };
    assert_eq!(call(1, "abc").await, Ok(Bytes::from("cba")));
    assert_eq!(
        call(9, "").await,
        Err(CallError::Failed(Failure("no such method".into())))
    );
    assert_eq!(
        heard_here.recv().await.unwrap(),
        "0000000000000002 up Request"
    );
    mesh.send(NodeId(2), Class::Request, 7, Bytes::from("hi"));
    assert_eq!(
        heard_there.recv().await.unwrap(),
        "0000000000000001 said 7 b\"hi\""
    );
    let hung = mesh
        .call(
            NodeId(2),
            Class::Request,
            2,
            Bytes::new(),
            Duration::from_millis(20),
        )
        .await;
    assert_eq!(hung, Err(CallError::Deadline));
}

#[tokio::test]
async fn a_node_of_another_cluster_and_a_wrong_address_are_turned_away() {
    let (there, _heard) = mpsc::unbounded_channel();
    let (address, _server) = server(me(1, 2), there).await;
    let (here, mut heard) = mpsc::unbounded_channel();
    let stranger = mesh(me(5, 1), &address, here.clone());
    let refused = stranger
        .call(
            NodeId(2),
            Class::Request,
            1,
            Bytes::new(),
            Duration::from_millis(300),
        )
        .await;
    assert_ne!(refused, Ok(Bytes::new()));
    let lost = mesh(me(1, 1), &address, here);
    lost.know(BTreeMap::from([(NodeId(3), address)]));
    let refused = lost
        .call(
            NodeId(3),
            Class::Request,
            1,
            Bytes::new(),
            Duration::from_millis(300),
        )
        .await;
    assert_ne!(refused, Ok(Bytes::new()));
    assert_eq!(
        lost.call(NodeId(4), Class::Request, 1, Bytes::new(), WAIT)
            .await,
        Err(CallError::Unknown)
    );
    assert!(heard.try_recv().is_err(), "neither lane ever opened");
}

#[tokio::test]
async fn a_lane_that_opened_before_its_node_joined_names_the_cluster_once_it_has() {
    let (there, _heard) = mpsc::unbounded_channel();
    let (address, _server) = server(me(1, 2), there).await;
    let (here, _heard_here) = mpsc::unbounded_channel();
    let own = me(0, 1);
    let mesh = mesh(own.clone(), &address, here);
    let call = || mesh.call(NodeId(2), Class::Metadata, 1, Bytes::from("abc"), WAIT);
    assert_ne!(
        call().await,
        Ok(Bytes::from("cba")),
        "strangers are not answered"
    );
    own.cluster.join(ClusterId(1));
    let answered = async {
        while call().await != Ok(Bytes::from("cba")) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(WAIT, answered).await.unwrap();
}

#[tokio::test]
async fn a_lane_opens_again_after_it_broke() {
    let (there, _heard) = mpsc::unbounded_channel();
    let (address, server_task) = server(me(1, 2), there.clone()).await;
    let (here, mut heard) = mpsc::unbounded_channel();
    let mesh = mesh(me(1, 1), &address, here);
    mesh.send(NodeId(2), Class::Replication, 0, Bytes::new());
    assert_eq!(
        heard.recv().await.unwrap(),
        "0000000000000002 up Replication"
    );
    server_task.abort();
    let _ = server_task.await;
    // The accepted connection outlives its listener; the next node at the address turns it away.
    mesh.know(BTreeMap::new());
    let (address, _server) = server(me(1, 2), there).await;
    mesh.know(BTreeMap::from([(NodeId(2), address)]));
    assert_eq!(
        mesh.call(NodeId(2), Class::Replication, 1, Bytes::from("x"), WAIT)
            .await,
        Ok(Bytes::from("x"))
    );
}

#[tokio::test]
async fn a_node_without_a_cluster_may_only_ask_to_join() {
    let (there, _heard) = mpsc::unbounded_channel();
    let (address, _server) = server(me(1, 2), there).await;
    let stranger = me(0, 1);
    let call = |method| ask(&TcpNetwork, &stranger, &address, method, Bytes::new(), WAIT);
    let (node, answer) = call(OPEN).await.unwrap();
    assert_eq!((node, answer), (NodeId(2), Bytes::from("welcome")));
    assert!(call(1).await.is_err());
    stranger.cluster.join(ClusterId(1));
    assert_eq!(call(1).await.unwrap().1, Bytes::new());
}

#[tokio::test]
async fn a_question_may_take_longer_than_a_connection_may_be_silent() {
    let (there, _heard) = mpsc::unbounded_channel();
    let (address, _server) = server(me(1, 2), there).await;
    let asked = ask(&TcpNetwork, &me(1, 1), &address, SLOW, Bytes::new(), WAIT).await;
    assert_eq!(asked.unwrap().1, Bytes::from("at last"));
}
