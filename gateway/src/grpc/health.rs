//! `grpc.health.v1`: serving exactly while the process may take traffic.

use crate::{Clients, Readiness};
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
    FEATURES,
    "atoll.v1.RegistryService",
    "atoll.v1.AdminService",
];

/// The service.
pub struct Health {
    readiness: watch::Receiver<Readiness>,
    clients: Clients,
}

impl Health {
    /// Follows `readiness`; features are never served where `clients` are sent elsewhere.
    pub fn new(readiness: &watch::Receiver<Readiness>, clients: Clients) -> Self {
        Self {
            readiness: readiness.clone(),
            clients,
        }
    }
}

/// The service that only gateways serve.
const FEATURES: &str = "atoll.v1.FeatureService";

fn answer(readiness: &Readiness, is_served: Served) -> HealthCheckResponse {
    let status = match (readiness, is_served) {
        (Readiness::Ready, Served::Here) => ServingStatus::Serving,
        (Readiness::Ready, Served::Elsewhere) | (Readiness::NotReady(_), _) => {
            ServingStatus::NotServing
        }
    };
    HealthCheckResponse {
        status: status.into(),
    }
}

/// Where a service is served.
#[derive(Clone, Copy)]
enum Served {
    Here,
    Elsewhere,
}

impl Health {
    fn served(&self, service: &str) -> Served {
        match self.clients {
            Clients::SentElsewhere if service == FEATURES => Served::Elsewhere,
            Clients::SentElsewhere | Clients::Served => Served::Here,
        }
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
        let served = self.served(service);
        Ok(Response::new(answer(&self.readiness.borrow(), served)))
    }

    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let service = request.get_ref().service.as_str();
        let (known, served) = (SERVICES.contains(&service), self.served(service));
        let unknown = HealthCheckResponse {
            status: ServingStatus::ServiceUnknown.into(),
        };
        let answers = WatchStream::new(self.readiness.clone()).map(move |readiness| {
            Ok(if known {
                answer(&readiness, served)
            } else {
                unknown
            })
        });
        Ok(Response::new(answers.boxed()))
    }
}
