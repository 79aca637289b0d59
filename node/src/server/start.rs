//! Starting a node: from its directory and its disk over its groups and shards to its listeners.

use super::{
    admin::Admin,
    data_dir::{DataDir, DataDirError},
    definitions::Published,
    edge::{GatewayClock, GatewayEntropy},
    global::Global,
    hlc_bound::HlcBound,
    listen, metadata,
    peers::{Groups, Peers, RaftOverMesh},
    reads::Reader,
    region::RegionView,
    regional::Regional,
    registry::Definitions,
    replicas::Replicas,
    running::{Background, Running},
    shards::{self, Board, Driver, Outbox, Parts, Place},
    writes::Writes,
};
use crate::{
    components::Components,
    peer::{self, Me, Mesh},
    settings::{ClusterSettings, NodeSettings, Role},
};
use gateway::Gateway;
use proto::{
    hlc::Clock as HlcClock,
    id::{BootId, ClusterId, NodeId, StoreId},
};
use std::{
    net::SocketAddr,
    sync::Arc,
};
use store::{
    Recovered, Store, Writer,
    disk::{Disk, RealDisk},
};
use tokio::sync::{mpsc, watch};
use wire::v1::admin_service_server::AdminServiceServer;

/// A node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The directory.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The store.
    #[error("open the store: {0}")]
    Store(#[from] store::OpenError),
    /// A file of the node.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done.
        doing: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The metadata.
    #[error(transparent)]
    Metadata(#[from] metadata::MetadataError),
    /// A setting cannot be.
    #[error("{0}")]
    Setting(String),
    /// What the store holds contradicts itself.
    #[error("recover the shards: {0}")]
    Recover(String),
}

pub(super) fn io(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> StartError {
    let doing = doing.into();
    move |source| StartError::Io { doing, source }
}

/// What a node finds in its directory.
struct Found {
    dir: DataDir,
    disk: Arc<dyn Disk>,
    store: (Arc<Store>, Writer, Recovered),
    store_id: StoreId,
    bound: HlcBound,
    clock: HlcClock,
}

/// Starts a node of a cluster that `founding` describes, which it founds if there is none yet in
/// its directory.
pub async fn start_single(
    settings: NodeSettings,
    founding: ClusterSettings,
    components: Components,
) -> Result<Running, StartError> {
    check(&settings, &founding)?;
    let found = open(&settings, &components)?;
    let cluster = match found.dir.cluster()? {
        Some(cluster) => cluster,
        None => ClusterId(components.entropy.bits()),
    };
    found.dir.bind_to(cluster)?;
    let node = found.dir.node();
    let boot = BootId(components.entropy.id());
    let (inputs, queue) = mpsc::channel(shards::run::QUEUE_INPUTS);
    let groups = Arc::new(Groups::default());
    let handler = Arc::new(Peers::new(Arc::clone(&groups), inputs.clone()));
    let me = Me { cluster, node, boot };
    let mesh = Arc::new(Mesh::new(me, Arc::clone(&components.network), handler.clone()));
    let peer_listener = listen_at(&components, "peer", settings.listen.peer).await?;
    let mut background = Background::default();
    background.spawn(async move { drop(peer::serve(peer_listener, me, handler).await) });

    let metadata = metadata::Start {
        settings: &settings,
        founding: &founding,
        components: &components,
        disk: Arc::clone(&found.disk),
        dir: &found.dir,
        network: Arc::new(RaftOverMesh(Arc::clone(&mesh))),
        me,
        store: found.store_id,
    };
    let metadata = metadata.run(&groups).await?;
    let global = Arc::new(Global::new(metadata.global.clone(), Arc::clone(&components.clock)));

    let (proposals, proposed) = mpsc::unbounded_channel();
    let (store, writer, recovered) = found.store;
    let region = metadata.region;
    let place = Place { region, node, store: found.store_id, boot };
    let recovered = shards::of_store(&store, recovered.shards, region).map_err(StartError::Recover)?;
    let board = Board::default();
    let driver = Driver::new(Parts {
        place,
        writer,
        clock: found.clock,
        bound: found.bound,
        recovered,
        catalog: global.catalog(),
        outbox: Outbox::new(Arc::clone(&mesh)),
        proposals,
        now: components.clock.now(),
        board: board.clone(),
    });
    let (ended, end) = watch::channel(None);
    let tell = move |fault: Option<String>| drop(ended.send(Some(fault)));
    shards::run::start(driver, (inputs.clone(), queue), Arc::clone(&components.clock), components.place, tell);
    background.spawn(shards::run::tick(inputs.clone()));
    let regional = Regional {
        group: metadata.regional.clone(),
        node,
        boot,
        shards: inputs.clone(),
        clock: Arc::clone(&components.clock),
    };
    let placements = regional.start(proposed);
    background.keep_store(Arc::clone(&store), board.clone(), components.place);

    let view = RegionView::new(node, region, settings.node.region.to_string(), placements);
    let published = Published::follow(&global, inputs.clone(), &mut background);
    let readiness = super::readiness::follow(view.clone(), board.clone(), &mut background);
    let clock = Arc::new(GatewayClock(Arc::clone(&components.clock)));
    let gateway = Arc::new(Gateway::new(gateway::Parts {
        region: view.name(),
        catalogs: published,
        replicas: Arc::new(Replicas::new(
            cluster,
            view.clone(),
            (Reader::new(Arc::clone(&store)), board.clone()),
            &global,
            &components,
        )),
        writer: Arc::new(Writes::new(
            cluster,
            view.clone(),
            inputs.clone(),
            Arc::clone(&components.clock),
            founding.cluster.max_offset.0,
        )),
        registry: Arc::new(Definitions::new(Arc::clone(&global))),
        clock,
        randomness: Arc::new(GatewayEntropy(Arc::clone(&components.entropy))),
        readiness: readiness.clone(),
        metrics: super::metrics::registry(&store),
        settings: gateway::Settings::default(),
    }));
    let admin = Admin {
        global: Arc::clone(&global),
        regional: metadata.regional.clone(),
        region: view,
        board,
        store,
    };
    let (grpc, http) = serve_clients(&settings, &components, (&gateway, admin), &mut background).await?;
    Ok(Running { grpc, http, readiness, inputs, end, background, groups: metadata, dir: found.dir })
}

fn check(settings: &NodeSettings, founding: &ClusterSettings) -> Result<(), StartError> {
    founding.check().map_err(StartError::Setting)?;
    if !settings.node.roles.contains(&Role::Node) {
        return Err(StartError::Setting("node.roles must contain \"node\" for a single node".into()));
    }
    match settings.listen.first_open() {
        Some((key, address)) if !settings.listen.insecure_open => Err(StartError::Setting(format!(
            "listen.{key} is {address}, which others can reach without TLS and access control; listen on \
             loopback, or set listen.insecure_open = true if the network around it is closed"
        ))),
        Some(_) | None => Ok(()),
    }
}

fn open(settings: &NodeSettings, components: &Components) -> Result<Found, StartError> {
    let dir = DataDir::open(&settings.node.data_dir, NodeId(components.entropy.id()))?;
    let disk = RealDisk::open(&settings.node.data_dir).map_err(io("open the data directory"))?;
    let disk: Arc<dyn Disk> = Arc::new(disk);
    let store = Store::open(Arc::clone(&disk), store_settings(settings))?;
    let store_id = dir.store(StoreId(components.entropy.id()))?;
    let (bound, start) = HlcBound::open(Arc::clone(&disk)).map_err(io("read the clock's bound"))?;
    let mut clock = HlcClock::starting_at(start);
    clock.observe(store.0.largest_hlc());
    Ok(Found { dir, disk, store, store_id, bound, clock })
}

fn store_settings(settings: &NodeSettings) -> store::Settings {
    store::Settings {
        segment_bytes: settings.store.segment_bytes.0,
        max_bytes: settings.store.max_bytes.0,
        index_memory_bytes: settings.store.index_memory.0,
        ..store::Settings::default()
    }
}

async fn listen_at(
    components: &Components,
    what: &str,
    address: SocketAddr,
) -> Result<Box<dyn crate::components::Listener>, StartError> {
    let doing = format!("listen for {what} at {address}; if another process has the port, choose another with --port");
    components.network.listen(address).await.map_err(io(doing))
}

async fn serve_clients(
    settings: &NodeSettings,
    components: &Components,
    (gateway, admin): (&Arc<Gateway>, Admin),
    background: &mut Background,
) -> Result<(SocketAddr, SocketAddr), StartError> {
    let grpc = listen_at(components, "gRPC", settings.listen.grpc).await?;
    let http = listen_at(components, "HTTP", settings.listen.http).await?;
    let address = |listener: &dyn crate::components::Listener| listener.address().map_err(io("look at a listener"));
    let addresses = (address(&*grpc)?, address(&*http)?);
    let routes = gateway::grpc::routes(gateway).add_service(AdminServiceServer::new(admin));
    let router = gateway::http::router(gateway);
    let (stop_grpc, stop_http) = (background.stopping(), background.stopping());
    background.spawn(async move {
        if let Err(error) = gateway::grpc::serve(routes, listen::connections(grpc), stop_grpc).await {
            tracing::error!(%error, "the gRPC server ended");
        }
    });
    background.spawn(async move {
        if let Err(error) = gateway::http::serve(router, listen::Http(http), stop_http).await {
            tracing::error!(%error, "the HTTP server ended");
        }
    });
    Ok(addresses)
}
