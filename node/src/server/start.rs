//! Starting a node: from its directory and its disk over its groups and shards to its listeners.

use super::{
    admin::Admin,
    data_dir::DataDirError,
    definitions::Published,
    edge::{GatewayClock, GatewayEntropy},
    global::Global,
    hlc_bound::HlcBound,
    listen, metadata,
    methods::Call,
    peers::{Groups, Peers, RaftOverMesh},
    reads::Reader,
    region::RegionView,
    regional::Regional,
    registry::Definitions,
    remote_writes::{RemoteWrites, TakenWrites},
    replicas::Replicas,
    running::{Background, Running},
    shards::{self, Board, Driver, Input, Outbox, Parts, Place},
    writes::Writes,
};
use crate::{
    components::{Components, Home, Listener},
    peer::{self, Me, Mesh},
    settings::{ClusterSettings, NodeSettings, Role},
};
use gateway::{Gateway, Readiness};
use proto::{
    hlc::Clock as HlcClock,
    id::{BootId, ClusterId, NodeId, StoreId},
};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use store::{Recovered, Store, Writer, disk::Disk};
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
    /// The definitions cannot be read by the gateway.
    #[error("lay out the definitions: {0}")]
    Definitions(#[from] gateway::failure::Failure),
    /// What the store holds contradicts itself.
    #[error("recover the shards: {0}")]
    Recover(String),
}

pub(super) fn io(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> StartError {
    let doing = doing.into();
    move |source| StartError::Io { doing, source }
}

/// What a node finds in its directory.
struct Files {
    disk: Arc<dyn Disk>,
    store: (Arc<Store>, Writer, Recovered),
    store_id: StoreId,
    bound: HlcBound,
    clock: HlcClock,
}

/// How the node speaks with others.
struct Peering {
    me: Me,
    mesh: Arc<Mesh>,
    peers: Arc<Peers>,
    groups: Arc<Groups>,
    inputs: mpsc::Sender<Input>,
    queue: mpsc::Receiver<Input>,
}

impl Peering {
    /// Lets gateways of other nodes write to this node's shards.
    fn offer_writes(&self, global: &Global, components: &Components) {
        let clock = Arc::clone(&components.clock);
        let taken = TakenWrites::new(self.inputs.clone(), global.catalogs(), clock);
        self.peers.offer(Call::Write, Arc::new(taken));
    }
}

/// The node's shards at work.
struct Held {
    inputs: mpsc::Sender<Input>,
    mesh: Arc<Mesh>,
    store: Arc<Store>,
    board: Board,
    region: RegionView,
    end: watch::Receiver<Option<Option<String>>>,
}

/// Starts a node of a cluster that `founding` describes, which it founds if there is none yet in
/// its directory.
pub async fn start_single(
    settings: NodeSettings,
    founding: ClusterSettings,
    components: Components,
) -> Result<Running, StartError> {
    check(&settings, &founding)?;
    let mut background = Background::default();
    let (home, files) = open(&settings, &components)?;
    let peering = connect(&settings, &components, &*home, &mut background).await?;
    let metadata = metadata::Start {
        settings: &settings,
        founding: &founding,
        components: &components,
        disk: Arc::clone(&files.disk),
        home: &*home,
        network: Arc::new(RaftOverMesh(Arc::clone(&peering.mesh))),
        me: peering.me,
        store: files.store_id,
    };
    let groups = metadata.run(&peering.groups).await?;
    let global = Arc::new(Global::new(
        groups.global.clone(),
        Arc::clone(&components.clock),
    ));
    let cluster = peering.me.cluster;
    peering.offer_writes(&global, &components);
    let held = hold_shards(
        &settings,
        &components,
        files,
        peering,
        (&groups, &global),
        &mut background,
    )?;
    let readiness =
        super::readiness::follow(held.region.clone(), held.board.clone(), &mut background);
    let edge = Edge {
        settings: &settings,
        components: &components,
        cluster,
        max_offset: founding.cluster.max_offset.0,
    };
    let published = Published::follow(&global, held.inputs.clone(), &mut background)?;
    let gateway = Arc::new(Gateway::new(edge.parts(
        &held,
        &global,
        published,
        readiness.clone(),
    )));
    let admin = Admin {
        global,
        regional: groups.regional.clone(),
        region: held.region,
        board: held.board,
        store: held.store,
    };
    let (grpc, http) = edge.serve(&gateway, admin, &mut background).await?;
    Ok(Running {
        grpc,
        http,
        readiness,
        inputs: held.inputs,
        end: held.end,
        background,
        groups,
        home,
    })
}

/// Listens for other nodes, as a member of the cluster that the directory belongs to.
async fn connect(
    settings: &NodeSettings,
    components: &Components,
    home: &dyn Home,
    background: &mut Background,
) -> Result<Peering, StartError> {
    let cluster = match home.cluster()? {
        Some(cluster) => cluster,
        None => ClusterId(components.entropy.bits()),
    };
    home.bind_to(cluster)?;
    let me = Me {
        cluster,
        node: home.node(),
        boot: BootId(components.entropy.id()),
    };
    let (inputs, queue) = mpsc::channel(shards::run::QUEUE_INPUTS);
    let groups = Arc::new(Groups::default());
    let handler = Arc::new(Peers::new(Arc::clone(&groups), inputs.clone()));
    let mesh = Arc::new(Mesh::new(
        me,
        Arc::clone(&components.network),
        handler.clone(),
    ));
    let listener = listen_at(components, "peers", settings.listen.peer).await?;
    let peers = Arc::clone(&handler);
    background.spawn(async move { drop(peer::serve(listener, me, handler).await) });
    Ok(Peering {
        me,
        mesh,
        peers,
        groups,
        inputs,
        queue,
    })
}

/// Puts the shards to work on what the store holds of them.
fn hold_shards(
    settings: &NodeSettings,
    components: &Components,
    files: Files,
    peering: Peering,
    (groups, global): (&metadata::Metadata, &Global),
    background: &mut Background,
) -> Result<Held, StartError> {
    let Peering {
        me,
        mesh,
        inputs,
        queue,
        ..
    } = peering;
    let (store, writer, recovered) = files.store;
    let (proposals, proposed) = mpsc::unbounded_channel();
    let board = Board::default();
    let driver = Driver::new(Parts {
        place: Place {
            region: groups.region,
            node: me.node,
            store: files.store_id,
            boot: me.boot,
        },
        writer,
        clock: files.clock,
        bound: files.bound,
        recovered: shards::of_store(&store, recovered.shards, groups.region)
            .map_err(StartError::Recover)?,
        catalog: global.catalog(),
        outbox: Outbox::new(Arc::clone(&mesh)),
        proposals,
        now: components.clock.now(),
        board: board.clone(),
        planted: components.planted,
    });
    let (ended, end) = watch::channel(None);
    let tell = move |fault: Option<String>| drop(ended.send(Some(fault)));
    let (clock, place) = (Arc::clone(&components.clock), components.place);
    shards::run::start(driver, (inputs.clone(), queue), clock, place, tell);
    background.spawn(shards::run::tick(inputs.clone()));
    background.keep_store(Arc::clone(&store), board.clone(), components.place);
    let regional = Regional {
        group: groups.regional.clone(),
        node: me.node,
        boot: me.boot,
        shards: inputs.clone(),
        clock: Arc::clone(&components.clock),
    };
    let placements = regional.start(proposed);
    let region = RegionView::new(
        me.node,
        groups.region,
        settings.node.region.to_string(),
        placements,
    );
    Ok(Held {
        inputs,
        mesh,
        store,
        board,
        region,
        end,
    })
}

/// The side of the node that clients see.
struct Edge<'a> {
    settings: &'a NodeSettings,
    components: &'a Components,
    cluster: ClusterId,
    max_offset: Duration,
}

impl Edge<'_> {
    fn parts(
        &self,
        held: &Held,
        global: &Arc<Global>,
        catalogs: Arc<Published>,
        readiness: watch::Receiver<Readiness>,
    ) -> gateway::Parts {
        let clock = &self.components.clock;
        let reader = (Reader::new(Arc::clone(&held.store)), held.board.clone());
        let (region, inputs) = (held.region.clone(), held.inputs.clone());
        gateway::Parts {
            region: held.region.name(),
            catalogs: catalogs.clone(),
            replicas: Arc::new(Replicas::new(
                self.cluster,
                region.clone(),
                reader,
                global,
                self.components,
            )),
            writer: Arc::new(Writes::new(
                self.cluster,
                region,
                (inputs, RemoteWrites(Arc::clone(&held.mesh))),
                Arc::clone(clock),
                self.max_offset,
            )),
            registry: Arc::new(Definitions::new(Arc::clone(global), catalogs)),
            clock: Arc::new(GatewayClock(Arc::clone(clock))),
            randomness: Arc::new(GatewayEntropy(Arc::clone(&self.components.entropy))),
            readiness,
            metrics: super::metrics::registry(&held.store),
            settings: gateway::Settings::default(),
        }
    }

    /// Listens for clients, and serves them until the node stops.
    async fn serve(
        &self,
        gateway: &Arc<Gateway>,
        admin: Admin,
        background: &mut Background,
    ) -> Result<(SocketAddr, SocketAddr), StartError> {
        let grpc = listen_at(self.components, "gRPC", self.settings.listen.grpc).await?;
        let http = listen_at(self.components, "HTTP", self.settings.listen.http).await?;
        let address =
            |listener: &dyn Listener| listener.address().map_err(io("look at a listener"));
        let addresses = (address(&*grpc)?, address(&*http)?);
        let routes = gateway::grpc::routes(gateway).add_service(AdminServiceServer::new(admin));
        let router = gateway::http::router(gateway);
        let (stop_grpc, stop_http) = (background.stopping(), background.stopping());
        background.serve(async move {
            if let Err(error) =
                gateway::grpc::serve(routes, listen::connections(grpc), stop_grpc).await
            {
                tracing::error!(%error, "the gRPC server ended");
            }
        });
        background.serve(async move {
            if let Err(error) = gateway::http::serve(router, listen::Http(http), stop_http).await {
                tracing::error!(%error, "the HTTP server ended");
            }
        });
        Ok(addresses)
    }
}

fn check(settings: &NodeSettings, founding: &ClusterSettings) -> Result<(), StartError> {
    founding.check().map_err(StartError::Setting)?;
    if !settings.node.roles.contains(&Role::Node) {
        return Err(StartError::Setting(
            "node.roles must contain \"node\" for a single node".into(),
        ));
    }
    match settings.listen.first_open() {
        Some((key, address)) if !settings.listen.insecure_open => {
            Err(StartError::Setting(format!(
                "listen.{key} is {address}, which others can reach without TLS and access control; listen on \
             loopback, or set listen.insecure_open = true if the network around it is closed"
            )))
        }
        Some(_) | None => Ok(()),
    }
}

fn open(
    settings: &NodeSettings,
    components: &Components,
) -> Result<(Box<dyn Home>, Files), StartError> {
    let fresh = NodeId(components.entropy.id());
    let home = components.storage.open(&settings.node.data_dir, fresh)?;
    let disk = home.disk().map_err(io("open the data directory"))?;
    let store = Store::open(Arc::clone(&disk), store_settings(settings))?;
    let store_id = home.store(StoreId(components.entropy.id()))?;
    let (bound, start) = HlcBound::open(Arc::clone(&disk)).map_err(io("read the clock's bound"))?;
    let mut clock = HlcClock::starting_at(start);
    clock.observe(store.0.largest_hlc());
    Ok((
        home,
        Files {
            disk,
            store,
            store_id,
            bound,
            clock,
        },
    ))
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
) -> Result<Box<dyn Listener>, StartError> {
    let doing = format!(
        "listen for {what} at {address}; if another process has the port, choose another with --port"
    );
    components.network.listen(address).await.map_err(io(doing))
}
