//! What the gRPC edge serves beside features: health, reflection, the registry.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

mod support;

use proto::reason::Reason;
use support::{World, clients::check_refused};
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use wire::v1;

#[tokio::test]
async fn health_follows_readiness_and_reflection_shows_the_published_schema() {
    use tonic_reflection::pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let world = World::new();
    let channel = world.channel().await;
    let mut health = HealthClient::new(channel.clone());
    let ask = || HealthCheckRequest {
        service: "atoll.v1.FeatureService".into(),
    };
    assert_eq!(health.check(ask()).await.unwrap().into_inner().status, 1);
    world
        .readiness
        .send(gateway::Readiness::NotReady("no cluster yet".into()))
        .unwrap();
    assert_eq!(health.check(ask()).await.unwrap().into_inner().status, 2);

    let ask = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::FileContainingSymbol(
            "atoll.v1.Column".into(),
        )),
    };
    let mut answers = ServerReflectionClient::new(channel)
        .server_reflection_info(tokio_stream::iter([ask]))
        .await
        .unwrap()
        .into_inner();
    let answer = answers
        .message()
        .await
        .unwrap()
        .unwrap()
        .message_response
        .unwrap();
    let MessageResponse::FileDescriptorResponse(files) = answer else {
        panic!("{answer:?}")
    };
    let public = wire::DESCRIPTORS;
    assert!(
        files
            .file_descriptor_proto
            .iter()
            .any(|file| public.windows(file.len()).any(|part| part == file))
    );
}

#[tokio::test]
async fn definitions_are_passed_on_to_the_registry() {
    let world = World::new();
    let mut client = v1::registry_service_client::RegistryServiceClient::new(world.channel().await);
    let files = vec![v1::DefinitionFile {
        name: "shop.yaml".into(),
        text: "project: shop".into(),
    }];
    let plan = client
        .plan(v1::PlanRequest {
            files: files.clone(),
            prune: false,
            expect_revision: None,
        })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(plan.changes[0].object, "shop.yaml");
    let stale = v1::ApplyRequest {
        files,
        prune: false,
        expect_revision: Some(9),
        break_readers: false,
    };
    check_refused(
        client.apply(stale).await,
        Code::Aborted,
        Reason::RevisionChanged,
        "plan again",
    );
    let mut notices = client
        .watch(v1::WatchRequest { after_revision: 4 })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(notices.message().await.unwrap().unwrap().revision, 5);
}

#[tokio::test]
async fn before_there_is_a_cluster_every_call_says_so() {
    let world = World::new();
    world.catalog.clear();
    let mut client = world.client().await;
    let code = Code::Unavailable;
    let lookup = client.lookup(v1::LookupRequest::default()).await;
    check_refused(lookup, code, Reason::NotReady, "no cluster yet");
    let write = client.write(v1::WriteRequest::default()).await;
    check_refused(write, code, Reason::NotReady, "no cluster yet");
    let delete = client.delete(v1::DeleteRequest::default()).await;
    check_refused(delete, code, Reason::NotReady, "no cluster yet");
    let (status, answer) = world
        .post("/v1/lookup", r#"{"project": "shop", "service": "feed"}"#)
        .await;
    assert_eq!(
        (status, &answer["error"]["reason"]),
        (503, &"NOT_READY".into())
    );
}
