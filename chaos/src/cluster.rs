//! A cluster of real processes on loopback, one region: founded by `atoll init`, joined by seeds,
//! and then broken node by node.
//!
//! A node is named by its place among the nodes, from 0. What is done to nodes is kept with its time
//! in [`Timeline`], by which lookups are judged.

pub mod files;
mod host;
mod node;
mod state;

pub use host::Host;
pub use node::{Node, Standing};
pub use state::{GroupState, NodeState, ReplicaState, ShardState, State};

use crate::{
    atoll::{Atoll, COMMAND_WITHIN, Said},
    clock::Clock,
    judge::{Change, Timeline},
};
use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::Signal;
use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

const POLL: Duration = Duration::from_millis(50);
/// How long a node may take to listen, to be founded, to be ready.
const START_WITHIN: Duration = Duration::from_secs(120);

/// What kind of cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Nodes, each in a zone of its own, each a gateway and a voter too.
    pub nodes: usize,
    /// Replicas of each shard.
    pub copies: u8,
    /// Shards.
    pub shards: u16,
}

/// See the module.
pub struct Cluster {
    atoll: Atoll,
    shape: Shape,
    clock: Clock,
    timeline: Timeline,
    // Before the folder: processes must be gone when that is removed.
    nodes: Vec<Node>,
    folder: TempDir,
}

impl Cluster {
    /// Founds a cluster, and waits until every node takes traffic and every shard has its copies.
    pub fn found(atoll: Atoll, shape: Shape, clock: Clock) -> Result<Self> {
        Self::found_on(atoll, shape, clock, vec![Host::loopback(); shape.nodes])
    }

    /// The same on hosts of the caller's, one for each node.
    pub fn found_on(atoll: Atoll, shape: Shape, clock: Clock, hosts: Vec<Host>) -> Result<Self> {
        ensure!(hosts.len() == shape.nodes, "a host is needed for each node");
        let folder = tempfile::Builder::new().prefix("atoll-chaos-").tempdir()?;
        let nodes = hosts
            .into_iter()
            .enumerate()
            .map(|(place, host)| Node::new(place, host, folder.path()))
            .collect::<Result<Vec<_>>>()?;
        let timeline = Timeline::of(shape.nodes);
        let mut cluster = Self {
            atoll,
            shape,
            clock,
            timeline,
            nodes,
            folder,
        };
        cluster.start_first().context("found the cluster")?;
        for place in 1..shape.nodes {
            cluster.start(place)?;
        }
        cluster.settle(START_WITHIN)?;
        Ok(cluster)
    }

    /// The first node starts without seeds, is founded, and knows the others as seeds from then on.
    /// Shards are placed once the others had a little time to come, so they are not waited for here.
    fn start_first(&mut self) -> Result<()> {
        let settings = files::node(&self.nodes[0], &[]);
        self.spawn(0, &settings)?;
        let founding = self.file("cluster.toml");
        fs::write(&founding, files::cluster(&self.shape))?;
        let at = self.nodes[0].peer_address();
        let founding = founding.display().to_string();
        let end = Instant::now() + START_WITHIN;
        loop {
            let arguments = ["init", "--config", &founding, "--at", &at];
            let said = self.atoll.run(arguments, COMMAND_WITHIN)?;
            match said.status {
                Some(0) => return Ok(()),
                _ if Instant::now() < end && self.nodes[0].is_starting()? => thread::sleep(POLL),
                _ => bail!("atoll init: {}{}", said.err, self.nodes[0].last_words()),
            }
        }
    }

    fn spawn(&mut self, place: usize, settings: &str) -> Result<()> {
        self.nodes[place].spawn(&self.atoll, settings)
    }

    /// Starts a node that is down: with its data it goes on, without any it joins by its seeds.
    pub fn start(&mut self, place: usize) -> Result<()> {
        let others = (0..self.nodes.len()).filter(|other| *other != place);
        let seeds: Vec<String> = others
            .map(|other| self.nodes[other].peer_address())
            .collect();
        let settings = files::node(&self.nodes[place], &seeds);
        self.spawn(place, &settings)
    }

    /// Waits until a node takes traffic, and notes when it did.
    pub fn await_ready(&mut self, place: usize, within: Duration) -> Result<()> {
        let end = Instant::now() + within;
        let mut why;
        loop {
            match self.nodes[place].not_ready()? {
                None => break,
                Some(reason) => why = reason,
            }
            if Instant::now() >= end {
                let words = self.nodes[place].last_words();
                bail!("node {place} takes no traffic after {within:?}: {why}{words}");
            }
            thread::sleep(POLL);
        }
        self.note(place, Change::Serves);
        Ok(())
    }

    /// Makes a node that is not started: it joins when it is, by its seeds.
    pub fn reserve(&mut self) -> Result<usize> {
        let place = self.nodes.len();
        self.nodes
            .push(Node::new(place, Host::loopback(), self.folder.path())?);
        Ok(place)
    }

    /// Asks a node to end, as a service manager does, and waits until it has.
    pub fn stop(&mut self, place: usize, within: Duration) -> Result<()> {
        self.note(place, Change::Stands);
        self.nodes[place].stop(within)
    }

    /// A node left the cluster for good.
    pub fn left(&mut self, place: usize) {
        self.note(place, Change::Left);
    }

    /// Takes a node's process away at once.
    pub fn kill(&mut self, place: usize) -> Result<()> {
        self.note(place, Change::Stands);
        self.nodes[place].kill()
    }

    /// Lets a node's process stand still.
    pub fn freeze(&mut self, place: usize) -> Result<()> {
        self.note(place, Change::Stands);
        self.nodes[place].freeze()
    }

    /// A node is about to be cut off: until it takes traffic again it counts as one that stands still.
    pub fn cut_off(&mut self, place: usize) {
        self.note(place, Change::Stands);
    }

    /// Lets it go on.
    pub fn wake(&mut self, place: usize) -> Result<()> {
        self.nodes[place].wake()
    }

    /// Removes what a node that is down holds.
    pub fn wipe(&mut self, place: usize) -> Result<()> {
        let folder = self.nodes[place].data_dir();
        fs::remove_dir_all(&folder).with_context(|| format!("remove {}", folder.display()))
    }

    /// Waits until every node takes traffic and every shard has all its copies in sync on them.
    pub fn settle(&mut self, within: Duration) -> Result<()> {
        let end = Instant::now() + within;
        let left = || end.saturating_duration_since(Instant::now());
        for place in 0..self.nodes.len() {
            if self.runs(place) && self.timeline.stands(place) {
                self.await_ready(place, left())?;
            }
        }
        let mut why = String::from("nobody was asked");
        while !left().is_zero() {
            match self.unsettled() {
                Ok(None) => return Ok(()),
                Ok(Some(reason)) => why = reason,
                Err(error) => why = format!("{error:#}"),
            }
            thread::sleep(5 * POLL);
        }
        bail!("the cluster is not in sync after {within:?}: {why}")
    }

    /// What keeps the cluster from being whole, as every gateway sees it; none if nothing does.
    pub fn unsettled(&self) -> Result<Option<String>> {
        for place in (0..self.nodes.len()).filter(|place| self.runs(*place)) {
            let state = self.state_by(place)?;
            if let Some(why) = state.lacks(&self.shape) {
                return Ok(Some(format!("node {place} says: {why}")));
            }
        }
        Ok(None)
    }

    /// Whether a node has a process that is not frozen.
    #[must_use]
    pub fn runs(&self, place: usize) -> bool {
        self.nodes[place].standing() == Standing::Runs
    }

    /// What a node says of the cluster.
    pub fn state_by(&self, place: usize) -> Result<State> {
        let status = self.run(place, &["status", "--output", "json"])?.json()?;
        let shards = self.run(place, &["shards", "--output", "json"])?.json()?;
        State::of(status, shards)
    }

    /// What a node that serves says of the cluster.
    pub fn state(&self) -> Result<State> {
        let serving = (0..self.nodes.len()).find(|place| !self.timeline.stands(*place));
        self.state_by(serving.context("no node serves")?)
    }

    /// Runs a command against one node's gateway.
    pub fn run(&self, place: usize, arguments: &[&str]) -> Result<Said> {
        self.run_within(place, arguments, COMMAND_WITHIN)
    }

    /// The same, with another bound.
    pub fn run_within(&self, place: usize, arguments: &[&str], within: Duration) -> Result<Said> {
        let gateway = self.nodes[place].grpc_address();
        let all = arguments.iter().copied().chain(["--gateway", &gateway]);
        self.atoll.run(all, within)
    }

    /// Applies the text of a definition file through one node.
    pub fn apply(&self, place: usize, definitions: &str) -> Result<()> {
        let file = self.file("definitions.yaml");
        fs::write(&file, definitions)?;
        let file = file.display().to_string();
        self.run(place, &["apply", "--yes", &file])?.done()?;
        Ok(())
    }

    /// A path for a file of the run.
    #[must_use]
    pub fn file(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// The nodes.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Of what kind it is.
    #[must_use]
    pub const fn shape(&self) -> &Shape {
        &self.shape
    }

    /// What was done to nodes, and when they served.
    #[must_use]
    pub const fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// The place of the node of a name.
    pub fn place_of(&self, name: &str) -> Result<usize> {
        let found = self.nodes.iter().position(|node| node.name() == name);
        found.with_context(|| format!("the cluster names a node {name:?} that was not started"))
    }

    /// The end of every node's log, for errors.
    #[must_use]
    pub fn last_words(&self) -> String {
        self.nodes.iter().map(Node::last_words).collect()
    }

    /// Copies what nodes logged, and settings, to `folder`.
    pub fn keep_logs(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder)?;
        for node in &self.nodes {
            for file in node.files_to_keep() {
                if let Some(name) = file.file_name().filter(|_| file.exists()) {
                    fs::copy(&file, folder.join(name))?;
                }
            }
        }
        Ok(())
    }

    fn note(&mut self, place: usize, change: Change) {
        self.timeline.note(self.clock.now(), place, change);
    }

    /// Sends a signal to a node, for what has no verb of its own.
    pub fn signal(&self, place: usize, signal: Signal) -> Result<()> {
        self.nodes[place].signal(signal)
    }
}
