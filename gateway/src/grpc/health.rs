//! `grpc.health.v1`: serving exactly while the process may take traffic.

use crate::Readiness;
use futures::{StreamExt, stream::BoxStream};
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;
use tonic::{Request, Response, Status, async_trait};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus, health_server,
};

/// Names that may be asked for; the empty one is the whole server.
const SERVICES: [&str; 4] = [
    "",
    "atoll.v1.FeatureService",
    "atoll.v1.RegistryService",
    "atoll.v1.AdminService",
];

/// The service.
pub struct Health {
    readiness: watch::Receiver<Readiness>,
}

impl Health {
    /// Follows `readiness`.
    pub fn new(readiness: &watch::Receiver<Readiness>) -> Self {
        Self {
            readiness: readiness.clone(),
        }
    }
}

fn answer(readiness: &Readiness) -> HealthCheckResponse {
    let status = match readiness {
        Readiness::Ready => ServingStatus::Serving,
        Readiness::NotReady(_) => ServingStatus::NotServing,
    };
    HealthCheckResponse {
        status: status.into(),
    }
}

#[async_trait]
impl health_server::Health for Health {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let service = &request.get_ref().service;
        if !SERVICES.contains(&service.as_str()) {
            return Err(Status::not_found(format!(
                "there is no service {service:?}"
            )));
        }
        Ok(Response::new(answer(&self.readiness.borrow())))
    }

    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let known = SERVICES.contains(&request.get_ref().service.as_str());
        let unknown = HealthCheckResponse {
            status: ServingStatus::ServiceUnknown.into(),
        };
        let answers = WatchStream::new(self.readiness.clone())
            .map(move |readiness| Ok(if known { answer(&readiness) } else { unknown }));
        Ok(Response::new(answers.boxed()))
    }
}
