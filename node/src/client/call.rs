//! The calls themselves, one function each, over [`Gateways`].

use super::{
    fault::Fault,
    gateways::{CallError, Gateways},
};
use proto::limits::MESSAGE_BYTES;
use std::time::Duration;
use tonic::transport::Channel;
use wire::v1::{
    self, admin_service_client::AdminServiceClient, feature_service_client::FeatureServiceClient,
    registry_service_client::RegistryServiceClient,
};

/// How long a call of a person's command may take.
pub const COMMAND_DEADLINE: Duration = Duration::from_secs(10);
/// How long a change of the registry may take: it waits for the global group.
pub const CHANGE_DEADLINE: Duration = Duration::from_secs(30);

fn features(channel: Channel) -> FeatureServiceClient<Channel> {
    FeatureServiceClient::new(channel)
        .max_decoding_message_size(MESSAGE_BYTES)
        .max_encoding_message_size(MESSAGE_BYTES)
}

fn registry(channel: Channel) -> RegistryServiceClient<Channel> {
    RegistryServiceClient::new(channel)
        .max_decoding_message_size(MESSAGE_BYTES)
        .max_encoding_message_size(MESSAGE_BYTES)
}

fn admin(channel: Channel) -> AdminServiceClient<Channel> {
    AdminServiceClient::new(channel).max_decoding_message_size(MESSAGE_BYTES)
}

macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident: $client:ident($request:ident) -> $answer:ident;)*) => {
        impl Gateways {$(
            $(#[$doc])*
            pub async fn $name(
                &self,
                request: v1::$request,
                deadline: Duration,
            ) -> Result<v1::$answer, CallError> {
                self.call(request, deadline, |channel, request| async move {
                    $client(channel).$name(request).await
                })
                .await
            }
        )*}
    };
}

calls! {
    /// Features of one shared entity and any number of rows.
    lookup: features(LookupRequest) -> LookupResponse;
    /// Rows of one or several views. Safe to repeat with the same request id.
    write: features(WriteRequest) -> WriteResponse;
    /// Rows deleted. Safe to repeat with the same request id.
    delete: features(DeleteRequest) -> WriteResponse;
    /// The difference between definition files and the registry.
    plan: registry(PlanRequest) -> PlanResponse;
    /// Carries that difference out.
    apply: registry(ApplyRequest) -> ApplyResponse;
    /// One object of the registry.
    get: registry(GetRequest) -> RegistryObject;
    /// Objects of a project, or the projects.
    list: registry(ListRequest) -> ListResponse;
    /// What was changed, newest first.
    history: registry(HistoryRequest) -> HistoryResponse;
    /// Makes the definitions of an earlier revision those of a new one.
    rollback: registry(RollbackRequest) -> ApplyResponse;
    /// What that would do.
    plan_rollback: registry(RollbackRequest) -> PlanResponse;
    /// Nodes and groups.
    status: admin(StatusRequest) -> StatusResponse;
    /// The shard map.
    shards: admin(ShardsRequest) -> ShardsResponse;
    /// The regions, and their gateways.
    list_regions: admin(ListRegionsRequest) -> ListRegionsResponse;
    /// Whether all replicas have the same rows.
    audit: admin(AuditRequest) -> AuditResponse;
    /// How far reads can be behind each region.
    lag: admin(LagRequest) -> LagResponse;
    /// Goes on without what no copy holds any more.
    recover: admin(RecoverRequest) -> RecoverResponse;
    /// Makes a token.
    create_token: admin(CreateTokenRequest) -> CreateTokenResponse;
    /// Ends a token.
    revoke_token: admin(RevokeTokenRequest) -> RevokeTokenResponse;
    /// Tokens, without their secrets.
    list_tokens: admin(ListTokensRequest) -> ListTokensResponse;
    /// Changes what a project may ask for.
    set_quota: admin(SetQuotaRequest) -> SetQuotaResponse;
    /// What projects may ask for.
    list_quotas: admin(ListQuotasRequest) -> ListQuotasResponse;
    /// What administrators did.
    audit_log: admin(AuditLogRequest) -> AuditLogResponse;
    /// What a node shows of itself to somebody who looks for a fault.
    diagnose: admin(DiagnoseRequest) -> DiagnoseResponse;
    /// Empties a node, or takes that back.
    drain_node: admin(DrainNodeRequest) -> NodeOperation;
    /// Takes a node out of the region.
    remove_node: admin(RemoveNodeRequest) -> NodeOperation;
}

/// Pages of a scan as they come.
#[derive(Debug)]
pub struct Pages {
    stream: tonic::Streaming<v1::ScanPage>,
    gateway: String,
}

impl Gateways {
    /// Begins a part of a scan.
    pub async fn scan(
        &self,
        request: v1::ScanRequest,
        deadline: Duration,
    ) -> Result<Pages, CallError> {
        let begun = self.call(request, deadline, |channel, request| async move {
            features(channel).scan(request).await
        });
        Ok(Pages {
            stream: begun.await?,
            gateway: self.preferred().to_string(),
        })
    }
}

impl Pages {
    /// The next page; none at the end. Each may take so long.
    pub async fn next(&mut self, within: Duration) -> Result<Option<v1::ScanPage>, CallError> {
        let broken = |cause: String| CallError::Unreachable {
            addresses: self.gateway.clone(),
            cause,
        };
        match tokio::time::timeout(within, self.stream.message()).await {
            Ok(Ok(page)) => Ok(page),
            Err(_) => Err(broken("no page came in time".to_owned())),
            Ok(Err(status)) => {
                let fault = Fault::of(&status);
                // A stream that broke says nothing that a gateway of ours would.
                match fault.known_reason() {
                    Some(_) => Err(fault.into()),
                    None => Err(broken(status.message().to_owned())),
                }
            }
        }
    }
}
