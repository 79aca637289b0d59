//! Nodes that join a secured cluster: with a token, once; and what they say where they may not.

use super::cluster::{Secured, bearing, free_port};
use node::{
    client::tls::Trust,
    components::Components,
    server::{self, Running, StartError, single},
    settings::NodeSettings,
};
use std::{path::Path, time::Duration};
use tonic::transport::Endpoint;
use wire::v1::{self, admin_service_client::AdminServiceClient};

async fn join_token(secured: &Secured) -> String {
    let request = v1::CreateTokenRequest {
        join: true,
        ..Default::default()
    };
    let request = bearing(request, &secured.root);
    let made = secured.admin().create_token(request).await.unwrap();
    made.into_inner().token
}

/// A second node of the cluster, with `token` in its file.
fn second(secured: &Secured, dir: &Path, token: Option<&str>) -> NodeSettings {
    let (mut settings, _) = single::settings(&dir.join("data"), free_port());
    let peer = (secured.node.grpc.ip(), secured.node.grpc.port() + 2);
    settings.node.name = "local-2".into();
    settings.cluster.seeds = vec![format!("{}:{}", peer.0, peer.1)];
    settings.cluster.join_token_file = token.map(|token| {
        let file = dir.join("join");
        std::fs::write(&file, token).unwrap();
        file
    });
    settings
}

async fn start(settings: NodeSettings) -> Result<Running, StartError> {
    server::start(settings, Components::of_this_machine()).await
}

/// What a node that does not get in says at `/readyz`.
async fn why_not(settings: NodeSettings, words: &str) {
    let http = settings.listen.http;
    let said = async {
        loop {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let asked = tokio::task::spawn_blocking(move || {
                std::net::TcpStream::connect(http).ok()?;
                let refusal = super::raw::http(http, ("GET", "/readyz"), None, "");
                refusal.0.map(|(_, message)| message)
            });
            let message = asked.await.unwrap().unwrap_or_default();
            if message.contains(words) {
                return message;
            }
        }
    };
    tokio::select! {
        started = start(settings) => panic!("it got in: {:?}", started.map(|_| ())),
        said = tokio::time::timeout(Duration::from_secs(60), said) => drop(said.expect(words)),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_joins_with_a_token_and_no_other_joins_with_the_same() {
    let secured = Secured::start().await;
    let token = join_token(&secured).await;
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let joined = start(second(&secured, dir.path(), Some(&token)))
        .await
        .unwrap();
    // Gossip is authenticated, so to be reachable says that datagrams with good tags came through.
    let channel = Endpoint::from_shared(format!("http://{}", joined.grpc)).unwrap();
    let mut admin = AdminServiceClient::new(channel.connect().await.unwrap());
    let both = async {
        loop {
            let request = bearing(v1::StatusRequest {}, &secured.root);
            let nodes = admin
                .status(request)
                .await
                .map(|status| status.into_inner().nodes);
            let nodes = nodes.unwrap_or_default();
            if nodes.iter().filter(|node| node.reachable).count() == 2 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), both)
        .await
        .expect("both nodes are reachable");
    let used = second(&secured, other.path(), Some(&token));
    why_not(used, "was used by node").await;
    joined.stop().await;
    secured.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_a_good_token_stays_outside_and_says_why() {
    let (secured, elsewhere) = (Secured::start().await, Secured::start().await);
    let dir = tempfile::tempdir().unwrap();
    why_not(
        second(&secured, dir.path(), None),
        "joins with a token in cluster.join_token_file",
    )
    .await;
    // A token of another cluster brings that one's authority: this cluster shows it nothing that it trusts.
    let foreign = join_token(&elsewhere).await;
    let dir = tempfile::tempdir().unwrap();
    why_not(
        second(&secured, dir.path(), Some(&foreign)),
        "of another cluster",
    )
    .await;
    let dir = tempfile::tempdir().unwrap();
    let refused = start(second(&secured, dir.path(), Some("atoll_x"))).await;
    let why = refused.err().unwrap().to_string();
    assert!(why.contains("it is no join token"), "{why}");
    secured.node.stop().await;
    elsewhere.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_others_reach_starts_with_tls_or_says_what_to_change() {
    let dir = tempfile::tempdir().unwrap();
    let (mut settings, mut founding) = single::settings(dir.path(), free_port());
    let port = settings.listen.grpc.port();
    settings.listen.grpc = ([0, 0, 0, 0], port).into();
    let components = Components::of_this_machine;
    let start = |settings, founding| server::start_single(settings, founding, components());
    let why = start(settings.clone(), founding.clone())
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(
        why.contains("listen.grpc") && why.contains("[tls]"),
        "{why}"
    );
    // With TLS for clients, the cluster must not be open either.
    settings.tls = Some(node::settings::Tls::default());
    founding.cluster.secure = Some(false);
    let why = start(settings.clone(), founding.clone())
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(why.contains("cluster.secure = true"), "{why}");
    // Left out, it is secured by itself, and shows clients a certificate of its authority.
    founding.cluster.secure = None;
    let node = start(settings, founding).await.unwrap();
    let secrets = dir.path().join("secrets");
    let gateway = format!("https://localhost:{port}").parse().unwrap();
    let authority = std::fs::read_to_string(secrets.join("authority.pem")).unwrap();
    let token = std::fs::read_to_string(secrets.join("first-admin-token")).unwrap();
    let trusting = node::client::gateways::Gateways::trusting;
    let trust = |authority| Trust {
        authorities: Some(authority),
        shown: None,
    };
    let gateways = trusting(&[gateway], Some(token.trim()), &trust(authority)).unwrap();
    let within = Duration::from_secs(20);
    let tokens = gateways
        .list_tokens(v1::ListTokensRequest {}, within)
        .await
        .unwrap();
    assert_eq!(tokens.tokens.len(), 1);
    // Who trusts another authority does not speak to it.
    let elsewhere = Secured::start().await;
    let other = elsewhere.authority();
    let gateway = format!("https://localhost:{port}").parse().unwrap();
    let gateways = trusting(&[gateway], Some(token.trim()), &trust(other)).unwrap();
    let refused = gateways
        .list_tokens(v1::ListTokensRequest {}, within)
        .await
        .unwrap_err();
    assert!(
        refused.to_string().contains("no gateway answers"),
        "{refused}"
    );
    elsewhere.node.stop().await;
    node.stop().await;
    // Secrets are for their owner alone.
    for file in std::fs::read_dir(&secrets).unwrap() {
        use std::os::unix::fs::PermissionsExt;
        let file = file.unwrap();
        assert_eq!(
            file.metadata().unwrap().permissions().mode() & 0o077,
            0,
            "{:?}",
            file.path()
        );
    }
}
