//! Who is let in where nodes show certificates: real sockets, real handshakes.

use super::{BELIEVED, OPEN, WAIT, me, mesh, server};
use crate::{
    components::{Clock, SystemClock, TcpNetwork},
    peer::{AskError, CallError, Class, Me, ask},
    security::{Asks, Authority, Identity, Security, signing_key},
};
use bytes::Bytes;
use proto::id::{ClusterId, NodeId};
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc;

const CLUSTER: u128 = 1;

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

fn now() -> u64 {
    SystemClock.now().wall_millis()
}

/// A node with papers of `authority`, signed at a time.
fn papers(authority: &Authority, cluster: u128, node: u64, signed_at: u64) -> Identity {
    let (key, public_key) = signing_key().unwrap();
    let asks = Asks {
        node: NodeId(node),
        public_key,
        names: Vec::new(),
    };
    let papers = authority.papers(ClusterId(cluster), &asks, signed_at);
    Identity {
        key,
        papers: papers.unwrap(),
    }
}

fn showing(cluster: u128, node: u64, identity: &Identity) -> Me {
    let me = Me {
        security: Security::default(),
        ..me(cluster, node)
    };
    me.security.show(identity, &clock()).unwrap();
    me
}

/// What node 1 hears when it calls node 2.
async fn call(caller: Me, callee: Me) -> Result<Bytes, CallError> {
    let (there, _heard) = mpsc::unbounded_channel();
    let (here, _own) = mpsc::unbounded_channel();
    let (address, _server) = server(callee, there).await;
    let mesh = mesh(caller, &address, here);
    mesh.call(
        NodeId(2),
        Class::Request,
        1,
        Bytes::from("abc"),
        Duration::from_secs(5),
    )
    .await
}

/// Why a node is not let in, as it is told.
async fn refusal(caller: Me, callee: Me, method: u8) -> String {
    let (there, _heard) = mpsc::unbounded_channel();
    let (address, _server) = server(callee, there).await;
    let asked = ask(&TcpNetwork, &caller, &address, method, Bytes::new(), WAIT).await;
    match asked {
        Err(AskError::Unreachable(error)) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn nodes_of_one_authority_speak_with_each_other() {
    let authority = Authority::make().unwrap();
    let one = showing(CLUSTER, 1, &papers(&authority, CLUSTER, 1, now()));
    let two = showing(CLUSTER, 2, &papers(&authority, CLUSTER, 2, now()));
    assert_eq!(call(one, two).await, Ok(Bytes::from("cba")));
}

#[tokio::test]
async fn a_node_of_another_cluster_is_refused_by_both_sides() {
    let (ours, theirs) = (Authority::make().unwrap(), Authority::make().unwrap());
    // Even one that claims to be of this cluster, under another authority.
    let stranger = || showing(CLUSTER, 1, &papers(&theirs, CLUSTER, 1, now()));
    let own = || showing(CLUSTER, 2, &papers(&ours, CLUSTER, 2, now()));
    assert!(call(stranger(), own()).await.is_err());
    let why = refusal(stranger(), own(), 1).await;
    assert!(why.contains("of another cluster"), "{why}");
    // One that trusts this cluster's authority and shows the other's papers: the callee refuses it.
    let mut mixed = papers(&theirs, CLUSTER, 1, now());
    mixed.papers.authority = ours.certificate().unwrap();
    let why = refusal(showing(CLUSTER, 1, &mixed), own(), 1).await;
    assert!(
        why.contains("this node's certificate is of another cluster"),
        "{why}"
    );
}

#[tokio::test]
async fn an_expired_certificate_is_refused_by_both_sides() {
    let authority = Authority::make().unwrap();
    let long_ago = now() - 40 * 24 * 3_600_000;
    let expired = || showing(CLUSTER, 1, &papers(&authority, CLUSTER, 1, long_ago));
    let own = || showing(CLUSTER, 2, &papers(&authority, CLUSTER, 2, now()));
    let why = refusal(expired(), own(), 1).await;
    assert!(why.contains("this node's certificate has expired"), "{why}");
    let why = refusal(own(), expired(), 1).await;
    assert!(why.contains("its certificate has expired"), "{why}");
}

#[tokio::test]
async fn nobody_takes_the_name_of_another_node() {
    let authority = Authority::make().unwrap();
    let other = papers(&authority, CLUSTER, 3, now());
    let own = || showing(CLUSTER, 2, &papers(&authority, CLUSTER, 2, now()));
    let why = refusal(showing(CLUSTER, 1, &other), own(), 1).await;
    assert!(why.contains("shows no certificate of its own"), "{why}");
    // Nor does the one that answers.
    let one = showing(CLUSTER, 1, &papers(&authority, CLUSTER, 1, now()));
    let why = refusal(one, showing(CLUSTER, 2, &other), 1).await;
    assert!(why.contains("shows another certificate"), "{why}");
}

#[tokio::test]
async fn without_a_certificate_a_node_may_ask_to_join_and_nothing_else() {
    let authority = Authority::make().unwrap();
    let own = || showing(CLUSTER, 2, &papers(&authority, CLUSTER, 2, now()));
    let identity = papers(&authority, CLUSTER, 1, now());
    let trusting = |cluster| {
        let me = Me {
            security: Security::default(),
            ..me(cluster, 1)
        };
        let certificate = &identity.papers.authority;
        me.security
            .trust_pem(ClusterId(CLUSTER), certificate, &clock())
            .unwrap();
        me
    };
    let (there, _heard) = mpsc::unbounded_channel();
    let (address, _server) = server(own(), there).await;
    let welcome = ask(
        &TcpNetwork,
        &trusting(0),
        &address,
        OPEN,
        Bytes::new(),
        WAIT,
    )
    .await;
    assert_eq!(welcome.unwrap().1, Bytes::from("welcome"));
    for more in [1, BELIEVED] {
        let me = trusting(0);
        let asked = ask(&TcpNetwork, &me, &address, more, Bytes::new(), WAIT).await;
        let is_broken = matches!(asked, Err(AskError::Call(CallError::Broken)));
        assert!(is_broken, "{more}: {asked:?}");
    }
    // One that has its certificate asks for the way, before it belongs anywhere.
    let new = showing(0, 1, &papers(&authority, CLUSTER, 1, now()));
    let way = ask(&TcpNetwork, &new, &address, BELIEVED, Bytes::new(), WAIT).await;
    assert_eq!(way.unwrap().1, Bytes::from("welcome"));
    let why = refusal(trusting(CLUSTER), own(), OPEN).await;
    assert!(why.contains("cluster.join_token_file"), "{why}");
}

#[tokio::test]
async fn a_node_without_a_certificate_lets_nobody_in() {
    let authority = Authority::make().unwrap();
    let lacking = Me {
        security: Security::default(),
        ..me(CLUSTER, 2)
    };
    let certificate = authority.certificate().unwrap();
    let trusts = lacking
        .security
        .trust_pem(ClusterId(CLUSTER), &certificate, &clock());
    trusts.unwrap();
    for caller in [
        me(CLUSTER, 1),
        showing(CLUSTER, 1, &papers(&authority, CLUSTER, 1, now())),
    ] {
        let (there, _heard) = mpsc::unbounded_channel();
        let (address, _server) = server(lacking.clone(), there).await;
        let asked = ask(&TcpNetwork, &caller, &address, 1, Bytes::new(), WAIT).await;
        assert!(matches!(asked, Err(AskError::Unreachable(_))), "{asked:?}");
    }
}

#[tokio::test]
async fn plain_and_secured_nodes_say_what_keeps_them_apart() {
    let authority = Authority::make().unwrap();
    let secured = |node| showing(CLUSTER, node, &papers(&authority, CLUSTER, node, now()));
    let why = refusal(me(CLUSTER, 1), secured(2), 1).await;
    assert!(
        why.contains("a cluster that is secured") && why.contains("join_token_file"),
        "{why}"
    );
    let (there, _heard) = mpsc::unbounded_channel();
    let (address, _server) = server(me(CLUSTER, 2), there).await;
    let asked = ask(&TcpNetwork, &secured(1), &address, 1, Bytes::new(), WAIT).await;
    assert!(matches!(asked, Err(AskError::Unreachable(_))), "{asked:?}");
}
