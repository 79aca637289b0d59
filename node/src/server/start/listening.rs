//! Where a node listens: all its addresses are taken at the start, so that one which is not free is found
//! at once, not once the node is founded, and is named by its key.

use super::{StartError, io};
use crate::{
    components::{Components, Home, Listener, Socket},
    security::Seal,
    server::{client_tls::ClientTls, listen::Kept, running::Background},
    settings::NodeSettings,
};
use std::{net::SocketAddr, sync::Arc};

/// The addresses that are taken.
pub(super) struct Listening {
    pub(super) grpc: Kept,
    pub(super) http: Kept,
    pub(super) peer: Box<dyn Listener>,
    pub(super) gossip: Box<dyn Socket>,
    pub(super) tls: Option<ClientTls>,
}

/// Those for clients: gRPC, HTTP, and what their connections begin with.
pub(super) struct ForClients {
    pub(super) grpc: Kept,
    pub(super) http: Kept,
    pub(super) tls: Option<ClientTls>,
}

impl Listening {
    /// Those for clients, for peers, for gossip.
    pub(super) fn apart(self) -> (ForClients, Box<dyn Listener>, Box<dyn Socket>) {
        let clients = ForClients {
            grpc: self.grpc,
            http: self.http,
            tls: self.tls,
        };
        (clients, self.peer, self.gossip)
    }
}

impl ForClients {
    /// Shows what there is, now that the node belongs to a cluster; gives gRPC and HTTP.
    pub(super) fn begin(
        self,
        home: &Arc<dyn Home>,
        background: &mut Background,
    ) -> Result<(Kept, Kept), StartError> {
        if let Some(tls) = self.tls {
            tls.follow(home, background)?;
        }
        Ok((self.grpc, self.http))
    }
}

/// Takes them.
pub(super) async fn listen(
    settings: &NodeSettings,
    components: &Components,
    home: &dyn Home,
) -> Result<Listening, StartError> {
    let listen = &settings.listen;
    let tls = ClientTls::new(settings, home, &components.clock)?;
    let peer = listen_at(components, "peer", listen.peer).await?;
    let mut grpc = listen_at(components, "grpc", listen.grpc).await?;
    let mut http = listen_at(components, "http", listen.http).await?;
    if let Some(tls) = &tls {
        grpc = tls.before_grpc(grpc).map_err(io("look at a listener"))?;
        http = tls.before_http(http).map_err(io("look at a listener"))?;
    }
    let kept = |listener| Kept::new(listener).map_err(io("look at a listener"));
    let (grpc, http) = (kept(grpc)?, kept(http)?);
    let gossip = components.datagrams.open(listen.gossip, &Seal::Open).await;
    Ok(Listening {
        grpc,
        http,
        peer,
        gossip: gossip.map_err(io(doing("gossip", listen.gossip)))?,
        tls,
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
