//! A gRPC channel over a component's network.

use hyper_util::rt::TokioIo;
use node::components::Network;
use std::{sync::Arc, time::Duration};
use tonic::transport::{Channel, Endpoint, Error, Uri};
use tower::service_fn;

/// How long opening a connection may take.
const CONNECT_WITHIN: Duration = Duration::from_millis(500);
/// How often an open connection is tried, and how long it may be silent then: what a partition lost
/// a simulated network never sends again, so only a new connection goes on.
const KEEP_ALIVE: Duration = Duration::from_millis(300);
const SILENT_AFTER: Duration = Duration::from_millis(500);

/// A channel to `host:port`, opened by its first call and again whenever it broke.
pub fn channel(network: Arc<dyn Network>, address: &str) -> Result<Channel, Error> {
    let address = address.to_owned();
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?
        .connect_timeout(CONNECT_WITHIN)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(SILENT_AFTER)
        .keep_alive_while_idle(true);
    let connector = service_fn(move |_: Uri| {
        let (network, address) = (Arc::clone(&network), address.clone());
        async move { network.connect(&address).await.map(TokioIo::new) }
    });
    Ok(endpoint.connect_with_connector_lazy(connector))
}
