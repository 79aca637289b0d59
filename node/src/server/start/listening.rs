//! Where a node listens: all its addresses are taken at the start, so that one which is not free is found
//! at once, not once the node is founded, and is named by its key.

use super::{StartError, io};
use crate::{
    components::{Components, Listener, Socket},
    server::listen::Kept,
    settings::NodeSettings,
};
use std::net::SocketAddr;

/// The addresses that are taken.
pub(super) struct Listening {
    pub(super) grpc: Kept,
    pub(super) http: Kept,
    pub(super) peer: Box<dyn Listener>,
    pub(super) gossip: Box<dyn Socket>,
}

impl Listening {
    /// Those for clients (gRPC, HTTP), for peers, for gossip.
    pub(super) fn apart(self) -> ((Kept, Kept), Box<dyn Listener>, Box<dyn Socket>) {
        ((self.grpc, self.http), self.peer, self.gossip)
    }
}

/// Takes them.
pub(super) async fn listen(
    settings: &NodeSettings,
    components: &Components,
) -> Result<Listening, StartError> {
    let listen = &settings.listen;
    let kept = |listener| Kept::new(listener).map_err(io("look at a listener"));
    let peer = listen_at(components, "peer", listen.peer).await?;
    let grpc = kept(listen_at(components, "grpc", listen.grpc).await?)?;
    let http = kept(listen_at(components, "http", listen.http).await?)?;
    let gossip = components.datagrams.open(listen.gossip).await;
    Ok(Listening {
        grpc,
        http,
        peer,
        gossip: gossip.map_err(io(doing("gossip", listen.gossip)))?,
    })
}

async fn listen_at(
    components: &Components,
    key: &str,
    address: SocketAddr,
) -> Result<Box<dyn Listener>, StartError> {
    let listening = components.network.listen(address).await;
    listening.map_err(io(doing(key, address)))
}

fn doing(key: &str, address: SocketAddr) -> String {
    format!(
        "listen at {address}, which is listen.{key} of the settings; if another process has the port, choose another with --port, or with listen.{key}"
    )
}
