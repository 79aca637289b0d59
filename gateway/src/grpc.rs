//! The gRPC edge: services, health and reflection over streams of connections that are handed in.

mod feature;
mod health;
mod patience;
mod registry;
mod serving;
mod status;

pub(crate) use status::timeout;
pub use status::to_status;

use crate::{
    Clients, Gateway, Readiness,
    access::{AccessLayer, Guard},
    admission::{AdmissionLayer, Gate},
};
use proto::limits::MESSAGE_BYTES;
use std::{future::Future, sync::Arc};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
};
use tokio_stream::Stream;
use tonic::service::{Routes, RoutesBuilder};
use tower::Layer as _;
use wire::{
    twin::feature_service_server::FeatureServiceServer,
    v1::registry_service_server::RegistryServiceServer,
};

/// The gateway's services. Others of the process can be added with [`Routes::add_service`].
#[must_use]
pub fn routes(gateway: &Arc<Gateway>) -> Routes {
    let features = FeatureServiceServer::new(feature::Features::new(Arc::clone(gateway)))
        .max_decoding_message_size(MESSAGE_BYTES)
        .max_encoding_message_size(MESSAGE_BYTES);
    let registry = RegistryServiceServer::new(registry::Definitions::new(Arc::clone(gateway)))
        .max_decoding_message_size(MESSAGE_BYTES)
        .max_encoding_message_size(MESSAGE_BYTES);
    let mut routes = RoutesBuilder::default();
    routes
        .add_service(features)
        .add_service(registry)
        .add_service(tonic_health::pb::health_server::HealthServer::new(
            health::Health::new(gateway.readiness(), gateway.clients()),
        ));
    add_reflection(&mut routes);
    routes.routes()
}

/// What a process answers that does not belong to a cluster yet: that it does not serve.
#[must_use]
pub fn waiting_routes(readiness: &watch::Receiver<Readiness>) -> Routes {
    let mut routes = RoutesBuilder::default();
    routes.add_service(tonic_health::pb::health_server::HealthServer::new(
        health::Health::new(readiness, Clients::Served),
    ));
    add_reflection(&mut routes);
    routes.routes()
}

/// Clients find the schema as it is published, not the twin that this server speaks with itself.
fn add_reflection(routes: &mut RoutesBuilder) {
    let builder = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(wire::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let expectation = "the compiled schema describes itself";
    routes
        .add_service(builder().build_v1().expect(expectation))
        .add_service(builder().build_v1alpha().expect(expectation));
}

/// Serves connections until `shutdown`, then lets calls in flight end. Nothing is called past `guard`,
/// and features are not read or written past `gate`.
pub async fn serve<Connection, Fault>(
    routes: Routes,
    (guard, gate): (Guard, Arc<Gate>),
    connections: impl Stream<Item = Result<Connection, Fault>>,
    shutdown: impl Future<Output = ()>,
) where
    Connection: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = AccessLayer(guard).layer(AdmissionLayer(gate).layer(routes.prepare()));
    serving::serve(service, connections, shutdown).await;
}
