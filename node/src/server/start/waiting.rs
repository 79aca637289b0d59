//! What a node answers while it does not belong to a cluster yet.

use super::{StartError, edge::listen_at};
use crate::{components::Components, server::listen, settings::NodeSettings};
use gateway::Readiness;
use tokio::{sync::watch, task::JoinHandle};

/// See the module.
pub(super) struct Waiting {
    pub(super) readiness: watch::Sender<Readiness>,
    server: JoinHandle<()>,
}

impl Waiting {
    /// Answers on the HTTP address.
    pub(super) async fn start(
        settings: &NodeSettings,
        components: &Components,
    ) -> Result<Self, StartError> {
        let starting = Readiness::NotReady("the node is starting".into());
        let readiness = watch::Sender::new(starting);
        let http = listen_at(components, "HTTP", settings.listen.http).await?;
        let router = gateway::http::waiting_router(readiness.subscribe());
        let serving = gateway::http::serve(router, listen::Http(http), std::future::pending());
        let server = tokio::spawn(async move { drop(serving.await) });
        Ok(Self { readiness, server })
    }

    /// Lets go of the address.
    pub(super) async fn end(self) {
        self.server.abort();
        // Either way it is gone then.
        let _ = self.server.await;
    }
}
