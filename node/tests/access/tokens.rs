//! Tokens in their life: who may make which, and what a revocation ends.

use super::cluster::{Secured, bearing};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};
use wire::v1::{self, feature_service_client::FeatureServiceClient};

async fn make(secured: &Secured, by: &str, role: &str, project: &str) -> Result<(), Status> {
    let request = v1::CreateTokenRequest {
        grants: vec![v1::Grant {
            role: role.into(),
            project: project.into(),
        }],
        join: role == "join",
        ..Default::default()
    };
    let mut request = request;
    if request.join {
        request.grants.clear();
    }
    secured
        .admin()
        .create_token(bearing(request, by))
        .await
        .map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gives_what_is_not_theirs() {
    let secured = Secured::start().await;
    let of_shop = secured.token("admin", "shop").await;
    assert!(make(&secured, &of_shop, "writer", "shop").await.is_ok());
    for (role, project) in [
        ("reader", ""),
        ("reader", "bank"),
        ("admin", ""),
        ("join", ""),
    ] {
        let refused = make(&secured, &of_shop, role, project).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "{role} {project}");
    }
    assert!(make(&secured, &secured.root, "join", "").await.is_ok());
    let list = |by: String| {
        let mut admin = secured.admin();
        async move {
            let request = bearing(v1::ListTokensRequest {}, &by);
            admin
                .list_tokens(request)
                .await
                .unwrap()
                .into_inner()
                .tokens
        }
    };
    let own = list(of_shop.clone()).await;
    assert!(
        own.iter().all(|token| token.grants[0].project == "shop"),
        "{own:?}"
    );
    let all = list(secured.root.clone()).await;
    assert!(all.len() > own.len());
    // The last administrator stays.
    let root = all
        .iter()
        .find(|token| token.name == "first administrator")
        .unwrap();
    let refused = secured.revoke(&root.id).await.unwrap_err();
    assert!(
        refused.message().contains("last token that administers"),
        "{refused}"
    );
    secured.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_when_its_token_is_revoked() {
    let secured = Secured::start().await;
    let (writer, id) = secured.create("writer", "shop", None).await.unwrap();
    let (batches, stream) = mpsc::channel(4);
    let batch = || v1::WriteRequest {
        project: "shop".into(),
        ..Default::default()
    };
    batches.send(batch()).await.unwrap();
    let mut client = FeatureServiceClient::new(secured.channel.clone());
    let request = bearing(ReceiverStream::new(stream), &writer);
    let mut acks = client.write_stream(request).await.unwrap().into_inner();
    assert!(acks.message().await.unwrap().is_some());
    secured.revoke(&id).await.unwrap();
    // At this gateway at once; others hear it from the metadata.
    let refused = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            batches.send(batch()).await.ok()?;
            if let Err(status) = acks.message().await {
                return Some(status);
            }
        }
    });
    let refused = refused.await.unwrap().unwrap();
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused}");
    secured.node.stop().await;
}
