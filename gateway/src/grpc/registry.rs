//! `RegistryService` over gRPC: calls are passed on, failures become statuses.

use super::status::to_status;
use crate::{
    Gateway,
    access::{Caller, Note},
};
use futures::{StreamExt, stream::BoxStream};
use std::sync::Arc;
use tonic::{Request, Response, Status, async_trait};
use wire::v1::{
    ApplyRequest, ApplyResponse, GetRequest, HistoryRequest, HistoryResponse, ListRequest,
    ListResponse, PlanRequest, PlanResponse, RegistryObject, RevisionNotice, RollbackRequest,
    WatchRequest, registry_service_server::RegistryService,
};

/// The service.
pub struct Definitions {
    gateway: Arc<Gateway>,
}

impl Definitions {
    /// Answers from `gateway`.
    pub fn new(gateway: Arc<Gateway>) -> Self {
        Self { gateway }
    }
}

#[async_trait]
impl RegistryService for Definitions {
    async fn plan(&self, request: Request<PlanRequest>) -> Result<Response<PlanResponse>, Status> {
        let caller = Caller::asking(&request);
        let answer = self
            .gateway
            .registry()
            .plan(&caller, request.into_inner())
            .await;
        answer.map(Response::new).map_err(to_status)
    }

    async fn apply(
        &self,
        request: Request<ApplyRequest>,
    ) -> Result<Response<ApplyResponse>, Status> {
        let caller = Caller::asking(&request);
        Note::beside(&request).write(crate::registry::names_of(&request.get_ref().files));
        let answer = self
            .gateway
            .registry()
            .apply(&caller, request.into_inner())
            .await;
        answer.map(Response::new).map_err(to_status)
    }

    async fn get(&self, request: Request<GetRequest>) -> Result<Response<RegistryObject>, Status> {
        let caller = Caller::asking(&request);
        let answer = self
            .gateway
            .registry()
            .get(&caller, request.into_inner())
            .await;
        answer.map(Response::new).map_err(to_status)
    }

    async fn list(&self, request: Request<ListRequest>) -> Result<Response<ListResponse>, Status> {
        let caller = Caller::asking(&request);
        let answer = self
            .gateway
            .registry()
            .list(&caller, request.into_inner())
            .await;
        answer.map(Response::new).map_err(to_status)
    }

    type WatchStream = BoxStream<'static, Result<RevisionNotice, Status>>;

    async fn watch(
        &self,
        request: Request<WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let (caller, guard) = (Caller::asking(&request), self.gateway.guard().clone());
        let notices = self.gateway.registry().watch(request.into_inner());
        // A caller whose token ends meanwhile hears so instead of the next notice.
        let notices =
            notices.map(move |notice| guard.still(&caller).map(|()| notice).map_err(to_status));
        Ok(Response::new(notices.boxed()))
    }

    async fn history(
        &self,
        request: Request<HistoryRequest>,
    ) -> Result<Response<HistoryResponse>, Status> {
        let answer = self.gateway.registry().history(request.into_inner()).await;
        answer.map(Response::new).map_err(to_status)
    }

    async fn rollback(
        &self,
        request: Request<RollbackRequest>,
    ) -> Result<Response<ApplyResponse>, Status> {
        let caller = Caller::asking(&request);
        Note::beside(&request).write(format!("to revision {}", request.get_ref().revision));
        let answer = self
            .gateway
            .registry()
            .rollback(&caller, request.into_inner())
            .await;
        answer.map(Response::new).map_err(to_status)
    }

    async fn plan_rollback(
        &self,
        request: Request<RollbackRequest>,
    ) -> Result<Response<PlanResponse>, Status> {
        let registry = self.gateway.registry();
        let answer = registry.plan_rollback(request.into_inner()).await;
        answer.map(Response::new).map_err(to_status)
    }
}
