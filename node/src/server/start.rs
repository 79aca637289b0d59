//! Starting a node: from its directory and its disk over its groups and shards to its listeners.

mod edge;
mod files;
mod held;
mod links;
mod listening;
mod liveness;
mod peering;
mod waiting;

use super::{
    activation,
    admin::{Admin, tokens::Tokens},
    data_dir::DataDirError,
    definitions::Published,
    diagnosis::Diagnosis,
    founding,
    global::Global,
    gossip::liveness::Liveness,
    guard, metadata, readiness, registration,
    rosters::Rosters,
    running::{Background, Running},
};
use crate::{
    components::{Components, Home, Socket},
    security::{AuthorityError, Identity, Seal},
    settings::{ClusterSettings, NodeSettings},
};
use edge::Edge;
use gateway::Gateway;
use proto::id::ClusterId;
use raft::placement::Member;
use std::sync::Arc;
use waiting::Waiting;

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
    /// A key or a certificate.
    #[error(transparent)]
    Security(#[from] AuthorityError),
    /// What the store holds contradicts itself.
    #[error("recover the shards: {0}")]
    Recover(String),
}

pub(super) fn io(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> StartError {
    let doing = doing.into();
    move |source| StartError::Io { doing, source }
}

/// Starts a node as its settings say: with a directory of a cluster it goes on there; an empty one
/// joins by `cluster.seeds`, or waits until it is founded by [`init`](super::init).
pub async fn start(settings: NodeSettings, components: Components) -> Result<Running, StartError> {
    run(settings, None, components).await
}

/// Starts a node that founds the cluster `founding` by itself where its directory is empty.
pub async fn start_single(
    settings: NodeSettings,
    founding: ClusterSettings,
    components: Components,
) -> Result<Running, StartError> {
    founding::check(&settings, &founding).map_err(StartError::Setting)?;
    run(settings, Some(founding), components).await
}

async fn run(
    settings: NodeSettings,
    founding: Option<ClusterSettings>,
    components: Components,
) -> Result<Running, StartError> {
    check(&settings)?;
    let own = (&settings, &components);
    let mut background = Background::default();
    let (home, files) = files::open(&settings, &components)?;
    let listening = listening::listen(&settings, &components, &*home).await?;
    let waiting = Waiting::start(&listening, &components);
    let (clients, peer, gossip) = listening.apart();
    let peering = peering::connect(&components, &*home, peer, &mut background)?;
    let found = (founding.as_ref(), &*home);
    let groups = metadata(own, found, &files, (&peering, waiting), &mut background).await?;
    let clients = clients.begin(&home, &mut background)?;
    let rosters = peering::take_part(own, &peering, (&groups, &home), &mut background)?;
    let me = registration::member(&settings, &peering.me, files.store_id);
    let faults = peering::register(me.clone(), &groups, &mut background);
    let (node, clock) = (peering.me.node, Arc::clone(&components.clock));
    let global = Arc::new(Global::new(groups.global.clone(), clock, &mut background));
    let (cluster, clocks) = (peering.cluster(), peering.clocks.clone());
    peering.offer_writes(&global, &components);
    let (positions, leaving) = (peering.offer_positions(), peering.leaving.clone());
    let known = (&groups, &*global, &rosters);
    let held = held::hold_shards(own, files, peering, known, &mut background).await?;
    let around = (gossip, &*home, (&groups, &rosters));
    let liveness = hear(own, (me, cluster), &held, around, &mut background).await?;
    let (region, board) = (held.region.clone(), held.board.clone());
    let readiness = readiness::follow(region, board, leaving.subscribe(), &mut background);
    let (guard, trail, followed) = guard::follow(&global, &components, &*home, &mut background);
    let edge = Edge::new(own, (cluster, &global), guard);
    let published = Published::follow(&global, held.inputs.clone(), &mut background)?;
    let admin = Arc::new(Admin {
        tokens: Tokens::new(cluster, &global, followed),
        published: Arc::clone(&published),
        clocks,
        diagnosis: Diagnosis::new(&settings, &components.clock),
        global: Arc::clone(&global),
        regional: groups.regional.clone(),
        region: held.region.clone(),
        board: held.board.clone(),
        store: Arc::clone(&held.store),
        liveness,
        audits: held.offer_audits(&rosters, components.place),
        rosters,
        positions,
        lags: held.offer_lag(&global, &components),
        trail,
        clock: Arc::clone(&components.clock),
    });
    let answering = (readiness.clone(), Arc::clone(&admin));
    let parts = edge.parts(&held, &global, published, answering);
    let gateway = Arc::new(Gateway::new(parts));
    let (grpc, http) = edge.serve(clients, &gateway, admin, &mut background);
    Ok(Running {
        grpc,
        http,
        readiness,
        inputs: held.inputs,
        end: held.end,
        faults,
        leaving,
        node,
        background,
        groups,
        home,
    })
}

/// The metadata groups of the cluster that this node goes on in, joins or founds. Until there is one,
/// health and readiness are answered.
async fn metadata(
    (settings, components): (&NodeSettings, &Components),
    (founding, home): (Option<&ClusterSettings>, &dyn Home),
    files: &files::Files,
    (peering, waiting): (&peering::Peering, Waiting),
    background: &mut Background,
) -> Result<metadata::Metadata, StartError> {
    let mut asked = peering.take_inits();
    let start = metadata::Start {
        settings,
        founding,
        components,
        disk: Arc::clone(&files.disk),
        home,
        mesh: &peering.mesh,
        me: &peering.me,
        waiting: &waiting.readiness,
    };
    let groups = start.run(&peering.groups, &mut asked, background).await?;
    drop(asked);
    let registry = groups.global.newest();
    founding::check_name(settings, &registry).map_err(StartError::Setting)?;
    founding::check_durability(settings, &registry).map_err(StartError::Setting)?;
    founding::check_security(settings, &registry, &peering.me).map_err(StartError::Setting)?;
    waiting.end().await;
    Ok(groups)
}

/// Gossips, and lets the groups grow by what is heard.
async fn hear(
    own: (&NodeSettings, &Components),
    me: (Member, ClusterId),
    held: &held::Held,
    (gossip, home, (groups, rosters)): (
        Box<dyn Socket>,
        &dyn Home,
        (&metadata::Metadata, &Rosters),
    ),
    background: &mut Background,
) -> Result<Liveness, StartError> {
    let secured = (gossip, seal(home)?);
    let liveness = liveness::follow(own, me, held, secured, background).await?;
    let known = (liveness.clone(), rosters.clone());
    peering::grow(own.0, (&held.mesh, groups), known, background);
    let (global, regional) = (groups.global.clone(), groups.regional.clone());
    let clock = Arc::clone(&own.1.clock);
    background.spawn(activation::keep(groups.region, global, regional, clock));
    Ok(liveness)
}

/// How gossip is authenticated: as the node's papers say.
fn seal(home: &dyn Home) -> Result<Seal, StartError> {
    let Some(identity) = Identity::kept(home)? else {
        return Ok(Seal::Open);
    };
    let damaged = || StartError::Setting("secrets/identity.json has no key for gossip".into());
    Seal::of(&identity.papers.gossip).ok_or_else(damaged)
}

fn check(settings: &NodeSettings) -> Result<(), StartError> {
    if settings.node.roles.is_empty() {
        return Err(StartError::Setting(
            "node.roles is empty; name some of \"node\", \"gateway\" and \"voter\"".into(),
        ));
    }
    for (name, credentials) in &settings.credentials {
        let checked = credentials.check(name);
        checked.map_err(|error| StartError::Setting(error.to_string()))?;
    }
    let open = settings.listen.first_open_to_clients();
    match open {
        Some((key, address)) if settings.tls.is_none() && !settings.listen.insecure_open => {
            Err(StartError::Setting(format!(
                "listen.{key} is {address}, which others can reach, and clients would speak to it without TLS; add a \
                 section [tls], listen on loopback, or set listen.insecure_open = true if the network around it is closed"
            )))
        }
        Some(_) | None => Ok(()),
    }
}
