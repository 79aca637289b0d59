//! The side of the node that clients see: its gateway, and where it listens for them.

use super::held::Held;
use crate::{
    components::Components,
    server::{
        admin::Admin,
        confirmations::Confirming,
        definitions::Published,
        edge::{GatewayClock, GatewayEntropy},
        fetch::{Hedges, RemoteShards},
        global::Global,
        listen::{self, Kept},
        metrics,
        registry::Definitions,
        remote_writes::RemoteWrites,
        replicas::Replicas,
        running::Background,
        scans::Scans,
        writes::Writes,
    },
    settings::{FeastCompat, NodeSettings, Role},
};
use gateway::{
    Clients, Gateway, Readiness,
    access::Guard,
    http::{Compat, FeastSettings},
};
use proto::id::ClusterId;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::sync::watch;
use wire::v1::admin_service_server::AdminServiceServer;

/// See the module.
pub(super) struct Edge<'a> {
    settings: &'a NodeSettings,
    components: &'a Components,
    cluster: ClusterId,
    max_offset: Duration,
    guard: Guard,
}

impl<'a> Edge<'a> {
    /// Of a node with these settings, behind `guard`.
    pub(super) fn new(
        (settings, components): (&'a NodeSettings, &'a Components),
        (cluster, global): (ClusterId, &Global),
        guard: Guard,
    ) -> Self {
        Self {
            settings,
            components,
            cluster,
            max_offset: max_offset(global),
            guard,
        }
    }

    /// What the gateway is made of.
    pub(super) fn parts(
        &self,
        held: &Held,
        global: &Arc<Global>,
        catalogs: Arc<Published>,
        (readiness, cluster): (watch::Receiver<Readiness>, Arc<Admin>),
    ) -> gateway::Parts {
        let clock = &self.components.clock;
        let remote = RemoteShards::new(self.cluster, Arc::clone(&held.mesh));
        let hedges = Hedges::default();
        let catch_up = (held.board.clone(), held.progress.clone());
        let mut metrics = metrics::registry(&held.store, catch_up);
        hedges.register(&mut metrics);
        metrics::add_region(&mut metrics, Arc::clone(&cluster));
        let region = held.region.clone();
        gateway::Parts {
            region: held.region.name(),
            catalogs: catalogs.clone(),
            replicas: Arc::new(Replicas::new(
                self.cluster,
                region.clone(),
                (held.own.clone(), remote),
                Arc::clone(clock),
                hedges,
            )),
            writer: Arc::new(self.writer(held, global)),
            scanner: Arc::new(Scans::new(
                Arc::clone(&held.store),
                held.own.clone(),
                held.region.clone(),
                Arc::clone(&held.mesh),
                self.components.place,
            )),
            registry: Arc::new(Definitions::new(Arc::clone(global), catalogs)),
            cluster,
            clock: Arc::new(GatewayClock(Arc::clone(clock))),
            randomness: Arc::new(GatewayEntropy(Arc::clone(&self.components.entropy))),
            guard: self.guard.clone(),
            readiness,
            metrics,
            settings: self.gateway_settings(),
        }
    }

    /// What writes in this region, and waits for others where that is asked for.
    fn writer(&self, held: &Held, global: &Arc<Global>) -> Confirming<Writes> {
        let clock = &self.components.clock;
        let inner = Writes::new(
            self.cluster,
            held.region.clone(),
            (held.inputs.clone(), RemoteWrites(Arc::clone(&held.mesh))),
            Arc::clone(clock),
            self.max_offset,
        );
        Confirming {
            inner,
            cluster: self.cluster,
            region: held.region.clone(),
            own: held.confirmations.clone(),
            mesh: Arc::clone(&held.mesh),
            global: Arc::clone(global),
            clock: Arc::clone(clock),
        }
    }

    fn gateway_settings(&self) -> gateway::Settings {
        let feast = &self.settings.feast;
        let serves = self.settings.node.roles.contains(&Role::Gateway);
        gateway::Settings {
            clients: match serves {
                true => Clients::Served,
                false => Clients::SentElsewhere,
            },
            feast: FeastSettings {
                project: feast.project.as_ref().map(ToString::to_string),
                compat: match feast.compat {
                    FeastCompat::Spec => Compat::Spec,
                    FeastCompat::Python => Compat::Python,
                },
            },
            slow_lookup: self.settings.log.slow_lookup(),
            ..gateway::Settings::default()
        }
    }

    /// Serves clients until the node stops.
    pub(super) fn serve(
        &self,
        (grpc, http): (Kept, Kept),
        gateway: &Arc<Gateway>,
        admin: Arc<Admin>,
        background: &mut Background,
    ) -> (SocketAddr, SocketAddr) {
        let addresses = (grpc.address(), http.address());
        admin.diagnosis.show_metrics_of(gateway);
        let routes =
            gateway::grpc::routes(gateway).add_service(AdminServiceServer::from_arc(admin));
        let router = gateway::http::router(gateway);
        let doors = (self.guard.clone(), Arc::clone(gateway.gate()));
        let (stop_grpc, stop_http) = (background.stopping(), background.stopping());
        background.serve(async move {
            let connections = listen::connections(Box::new(grpc));
            gateway::grpc::serve(routes, doors, connections, stop_grpc).await;
        });
        background.serve(async move {
            if let Err(error) =
                gateway::http::serve(router, listen::Http(Box::new(http)), stop_http).await
            {
                tracing::error!(%error, "the HTTP server ended");
            }
        });
        addresses
    }
}

/// How far clocks may be apart, as the cluster was founded.
fn max_offset(global: &Global) -> Duration {
    let catalog = global.catalog();
    let millis = catalog
        .founding()
        .map(|founding| founding.max_offset_millis);
    millis.map_or(proto::limits::MAX_CLOCK_OFFSET, Duration::from_millis)
}
