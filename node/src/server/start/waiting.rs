//! What a node answers while it does not belong to a cluster yet: HTTP says what it waits for, the health
//! of gRPC that nothing is served.

use super::listening::Listening;
use crate::{
    components::Components,
    server::{edge::GatewayClock, listen},
};
use gateway::{
    Readiness,
    access::Guard,
    admission::{Gate, Refusals},
    edge::Clock,
};
use std::{sync::Arc, time::Duration};
use tokio::{sync::watch, task::JoinHandle, time::timeout};

/// How long calls in flight get once the node serves.
const END_WITHIN: Duration = Duration::from_secs(1);

/// See the module.
pub(super) struct Waiting {
    pub(super) readiness: watch::Sender<Readiness>,
    stop: watch::Sender<bool>,
    servers: [JoinHandle<()>; 2],
}

impl Waiting {
    /// Answers where clients will be answered later.
    pub(super) fn start(listening: &Listening, components: &Components) -> Self {
        let starting = Readiness::NotReady("the node is starting".into());
        let readiness = watch::Sender::new(starting);
        let stop = watch::Sender::new(false);
        let stopping = || {
            let mut stop = stop.subscribe();
            async move { drop(stop.wait_for(|stop| *stop).await) }
        };
        let http = listen::Http(Box::new(listening.http.clone()));
        let router = gateway::http::waiting_router(readiness.subscribe());
        let http = gateway::http::serve(router, http, stopping());
        let grpc = listen::connections(Box::new(listening.grpc.clone()));
        let routes = gateway::grpc::waiting_routes(&readiness.subscribe());
        let clock: Arc<dyn Clock> = Arc::new(GatewayClock(Arc::clone(&components.clock)));
        let gate = Gate::new(Arc::clone(&clock), Refusals::default());
        let grpc = gateway::grpc::serve(routes, (Guard::new(clock), gate), grpc, stopping());
        let servers = [
            tokio::spawn(async move { drop(http.await) }),
            tokio::spawn(grpc),
        ];
        Self {
            readiness,
            stop,
            servers,
        }
    }

    /// Ends its servers; the addresses stay taken. Clients connect anew, and streams that watch its
    /// health end with what they watch.
    pub(super) async fn end(self) {
        drop(self.readiness);
        self.stop.send_replace(true);
        for mut server in self.servers {
            if timeout(END_WITHIN, &mut server).await.is_err() {
                server.abort();
                // Either way it accepts nothing any more.
                let _ = server.await;
            }
        }
    }
}
