//! A gateway for tests of clients: it answers over real connections, keeps rows in memory by the
//! newest event time, remembers request ids, and fails where a test tells it to.

use super::{cell::Cell, column, gateway::GatewayAddress, gateways::Gateways, key_column};
use bytes::Bytes;
use futures::stream::BoxStream;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
};
use tokio::{net::TcpListener, task::JoinHandle};
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};
use tonic_types::{ErrorDetails, StatusExt};
use wire::v1::{
    self,
    admin_service_server::{AdminService, AdminServiceServer},
    feature_service_server::{FeatureService, FeatureServiceServer},
    registry_service_server::{RegistryService, RegistryServiceServer},
};

/// What befalls a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mishap {
    /// It is refused before anything happens, and may be tried again.
    Overloaded,
    /// It is done, and the answer is lost.
    AnswerLost,
    /// It is done, and the answer says that its first row has none yet.
    FirstRowUnknown,
    /// Its id was forgotten.
    IdExpired,
    /// It is refused for good.
    Refused,
}

/// A row as it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredRow {
    /// Of the row.
    pub event_time: i64,
    /// By feature.
    pub cells: BTreeMap<String, Cell>,
}

/// What was written, and what is to go wrong.
#[derive(Debug, Default)]
pub struct TestState {
    /// By view and keys.
    pub rows: BTreeMap<(String, Vec<String>), StoredRow>,
    /// Ids of all requests that were taken, in order, repeats included.
    pub request_ids: Vec<Bytes>,
    /// For the next requests, one each; `None` lets one pass.
    pub mishaps: VecDeque<Option<Mishap>>,
    /// Keys whose rows are rejected.
    pub rejected_keys: Vec<String>,
    /// Definitions by object and name.
    pub definitions: BTreeMap<(String, String), String>,
    answers: BTreeMap<Bytes, v1::WriteResponse>,
}

/// A running gateway.
#[derive(Debug)]
pub struct TestGateway {
    /// Where it answers.
    pub address: GatewayAddress,
    /// What it holds.
    pub state: Arc<Mutex<TestState>>,
    server: JoinHandle<()>,
}

impl TestGateway {
    /// Starts one with an entity and a view.
    pub async fn start(entity: &str, view: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string().parse().unwrap();
        let mut state = TestState::default();
        for (object, definition) in [("entity", entity), ("view", view)] {
            let parsed: serde_json::Value = serde_json::from_str(definition).unwrap();
            let name = parsed["name"].as_str().unwrap().to_owned();
            state
                .definitions
                .insert((object.to_owned(), name), definition.to_owned());
        }
        let state = Arc::new(Mutex::new(state));
        let service = Service(Arc::clone(&state));
        let server = Server::builder()
            .add_service(
                FeatureServiceServer::new(service.clone()).max_decoding_message_size(64 << 20),
            )
            .add_service(RegistryServiceServer::new(service.clone()))
            .add_service(AdminServiceServer::new(service))
            .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)));
        let server = tokio::spawn(async move { server.await.unwrap() });
        Self {
            address,
            state,
            server,
        }
    }

    /// A connection to it.
    pub fn connect(&self) -> Arc<Gateways> {
        Arc::new(Gateways::new(std::slice::from_ref(&self.address), None).unwrap())
    }

    /// Tells what goes wrong next.
    pub fn plan(&self, mishaps: impl IntoIterator<Item = Option<Mishap>>) {
        self.state.lock().unwrap().mishaps = mishaps.into_iter().collect();
    }

    /// What was written of one key.
    pub fn row(&self, view: &str, keys: &[&str]) -> Option<StoredRow> {
        let keys = keys.iter().map(|&key| key.to_owned()).collect();
        self.state
            .lock()
            .unwrap()
            .rows
            .get(&(view.to_owned(), keys))
            .cloned()
    }

    /// How many rows are held.
    pub fn count(&self) -> usize {
        self.state.lock().unwrap().rows.len()
    }
}

impl Drop for TestGateway {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[derive(Debug, Clone)]
struct Service(Arc<Mutex<TestState>>);

impl TestState {
    fn write(&mut self, request: &v1::WriteRequest) -> v1::WriteResponse {
        if let Some(answer) = self.answers.get(&request.request_id) {
            return answer.clone();
        }
        let mut answer = v1::WriteResponse {
            request_id: request.request_id.clone(),
            region: "local".to_owned(),
            copies: 1,
            ..Default::default()
        };
        for (write, rows) in request.writes.iter().enumerate() {
            for row in 0..rows.event_times_us.len() {
                self.write_row(rows, write, row, &mut answer);
            }
        }
        self.answers
            .insert(request.request_id.clone(), answer.clone());
        answer
    }

    fn write_row(
        &mut self,
        rows: &v1::ViewRows,
        write: usize,
        row: usize,
        answer: &mut v1::WriteResponse,
    ) {
        let keys: Vec<String> = rows
            .keys
            .iter()
            .map(|column| key_column::texts(column)[row].clone())
            .collect();
        if self.rejected_keys.contains(&keys[0]) {
            answer.rejected.push(v1::Rejected {
                write: u32::try_from(write).unwrap(),
                row: u32::try_from(row).unwrap(),
                reason: "TOO_LARGE".to_owned(),
                field: "note".to_owned(),
                message: "the cell is above its limit".to_owned(),
            });
            return;
        }
        answer.accepted += 1;
        let event_time = rows.event_times_us[row];
        let stored = self
            .rows
            .entry((rows.view.clone(), keys))
            .or_insert_with(|| StoredRow {
                event_time,
                cells: BTreeMap::new(),
            });
        if stored.event_time > event_time {
            answer.superseded += 1;
            return;
        }
        stored.event_time = event_time;
        for feature in &rows.features {
            let state = feature.cells.get(row).copied().unwrap_or(1);
            let cell = match state {
                0 => continue,
                1 => Cell::Value(column::value_at(feature, row).unwrap()),
                _ => Cell::Null,
            };
            stored.cells.insert(feature.feature.clone(), cell);
        }
    }
}

fn refused(code: tonic::Code, reason: &str) -> Status {
    let mut details = ErrorDetails::new();
    details.set_error_info(reason, "atoll", std::collections::HashMap::new());
    Status::with_error_details(code, format!("refused for {reason}"), details)
}

#[tonic::async_trait]
impl FeatureService for Service {
    type WriteStreamStream = BoxStream<'static, Result<v1::WriteAck, Status>>;

    async fn write(
        &self,
        request: Request<v1::WriteRequest>,
    ) -> Result<Response<v1::WriteResponse>, Status> {
        let request = request.into_inner();
        let mut state = self.0.lock().unwrap();
        state.request_ids.push(request.request_id.clone());
        match state.mishaps.pop_front().flatten() {
            None => Ok(Response::new(state.write(&request))),
            Some(Mishap::Overloaded) => Err(refused(tonic::Code::ResourceExhausted, "OVERLOADED")),
            Some(Mishap::IdExpired) => Err(refused(
                tonic::Code::FailedPrecondition,
                "REQUEST_ID_EXPIRED",
            )),
            Some(Mishap::Refused) => Err(refused(tonic::Code::InvalidArgument, "WRONG_TYPE")),
            Some(Mishap::AnswerLost) => {
                state.write(&request);
                Err(refused(tonic::Code::DeadlineExceeded, "DEADLINE"))
            }
            Some(Mishap::FirstRowUnknown) => {
                let mut answer = state.write(&request);
                answer.accepted -= 1;
                answer.unknown = vec![0];
                Ok(Response::new(answer))
            }
        }
    }

    async fn lookup(
        &self,
        _: Request<v1::LookupRequest>,
    ) -> Result<Response<v1::LookupResponse>, Status> {
        Err(Status::unimplemented("not part of these tests"))
    }

    async fn write_stream(
        &self,
        _: Request<tonic::Streaming<v1::WriteRequest>>,
    ) -> Result<Response<Self::WriteStreamStream>, Status> {
        Err(Status::unimplemented("not part of these tests"))
    }

    async fn delete(
        &self,
        _: Request<v1::DeleteRequest>,
    ) -> Result<Response<v1::WriteResponse>, Status> {
        Err(Status::unimplemented("not part of these tests"))
    }

    type ScanStream = BoxStream<'static, Result<v1::ScanPage, Status>>;

    async fn scan(
        &self,
        _: Request<v1::ScanRequest>,
    ) -> Result<Response<Self::ScanStream>, Status> {
        Err(Status::unimplemented("not part of these tests"))
    }
}

#[tonic::async_trait]
impl RegistryService for Service {
    type WatchStream = BoxStream<'static, Result<v1::RevisionNotice, Status>>;

    async fn get(
        &self,
        request: Request<v1::GetRequest>,
    ) -> Result<Response<v1::RegistryObject>, Status> {
        let request = request.into_inner();
        let state = self.0.lock().unwrap();
        let definition = state
            .definitions
            .get(&(request.object.clone(), request.name.clone()));
        let definition =
            definition.ok_or_else(|| refused(tonic::Code::NotFound, "UNKNOWN_VIEW"))?;
        Ok(Response::new(v1::RegistryObject {
            object: request.object,
            project: request.project,
            name: request.name,
            definition: definition.clone(),
            ..Default::default()
        }))
    }

    async fn plan(
        &self,
        _: Request<v1::PlanRequest>,
    ) -> Result<Response<v1::PlanResponse>, Status> {
        Err(Status::unimplemented("not part of these tests"))
    }

    async fn apply(
        &self,
        _: Request<v1::ApplyRequest>,
    ) -> Result<Response<v1::ApplyResponse>, Status> {
        Err(Status::unimplemented("not part of these tests"))
    }

    async fn list(
        &self,
        _: Request<v1::ListRequest>,
    ) -> Result<Response<v1::ListResponse>, Status> {
        Err(Status::unimplemented("not part of these tests"))
    }

    async fn watch(
        &self,
        _: Request<v1::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("not part of these tests"))
    }

    async fn history(
        &self,
        _: Request<v1::HistoryRequest>,
    ) -> Result<Response<v1::HistoryResponse>, Status> {
        Err(Status::unimplemented("not part of these tests"))
    }

    async fn rollback(
        &self,
        _: Request<v1::RollbackRequest>,
    ) -> Result<Response<v1::ApplyResponse>, Status> {
        Err(Status::unimplemented("not part of these tests"))
    }

    async fn plan_rollback(
        &self,
        _: Request<v1::RollbackRequest>,
    ) -> Result<Response<v1::PlanResponse>, Status> {
        Err(Status::unimplemented("not part of these tests"))
    }
}

#[tonic::async_trait]
impl AdminService for Service {
    async fn status(
        &self,
        _: Request<v1::StatusRequest>,
    ) -> Result<Response<v1::StatusResponse>, Status> {
        Ok(Response::new(v1::StatusResponse {
            cluster_id: "test".to_owned(),
            ..Default::default()
        }))
    }

    async fn shards(
        &self,
        _: Request<v1::ShardsRequest>,
    ) -> Result<Response<v1::ShardsResponse>, Status> {
        Err(Status::unimplemented("not part of these tests"))
    }

    async fn list_regions(
        &self,
        _: Request<v1::ListRegionsRequest>,
    ) -> Result<Response<v1::ListRegionsResponse>, Status> {
        Err(Status::unimplemented("not part of these tests"))
    }

    async fn audit(
        &self,
        _: Request<v1::AuditRequest>,
    ) -> Result<Response<v1::AuditResponse>, Status> {
        Err(Status::unimplemented("not part of these tests"))
    }

    async fn lag(&self, _: Request<v1::LagRequest>) -> Result<Response<v1::LagResponse>, Status> {
        Err(Status::unimplemented("not part of these tests"))
    }

    async fn recover(
        &self,
        _: Request<v1::RecoverRequest>,
    ) -> Result<Response<v1::RecoverResponse>, Status> {
        Err(Status::unimplemented("not part of these tests"))
    }

    async fn create_token(
        &self,
        _: Request<v1::CreateTokenRequest>,
    ) -> Result<Response<v1::CreateTokenResponse>, Status> {
        Err(Status::unimplemented("not part of these tests"))
    }

    async fn revoke_token(
        &self,
        _: Request<v1::RevokeTokenRequest>,
    ) -> Result<Response<v1::RevokeTokenResponse>, Status> {
        Err(Status::unimplemented("not part of these tests"))
    }

    async fn list_tokens(
        &self,
        _: Request<v1::ListTokensRequest>,
    ) -> Result<Response<v1::ListTokensResponse>, Status> {
        Err(Status::unimplemented("not part of these tests"))
    }

    async fn set_quota(
        &self,
        _: Request<v1::SetQuotaRequest>,
    ) -> Result<Response<v1::SetQuotaResponse>, Status> {
        Err(Status::unimplemented("not part of these tests"))
    }

    async fn list_quotas(
        &self,
        _: Request<v1::ListQuotasRequest>,
    ) -> Result<Response<v1::ListQuotasResponse>, Status> {
        Err(Status::unimplemented("not part of these tests"))
    }

    async fn audit_log(
        &self,
        _: Request<v1::AuditLogRequest>,
    ) -> Result<Response<v1::AuditLogResponse>, Status> {
        Err(Status::unimplemented("not part of these tests"))
    }

    async fn diagnose(
        &self,
        _: Request<v1::DiagnoseRequest>,
    ) -> Result<Response<v1::DiagnoseResponse>, Status> {
        Err(Status::unimplemented("not part of these tests"))
    }

    async fn drain_node(
        &self,
        _: Request<v1::DrainNodeRequest>,
    ) -> Result<Response<v1::NodeOperation>, Status> {
        Err(Status::unimplemented("not part of these tests"))
    }

    async fn remove_node(
        &self,
        _: Request<v1::RemoveNodeRequest>,
    ) -> Result<Response<v1::NodeOperation>, Status> {
        Err(Status::unimplemented("not part of these tests"))
    }
}
