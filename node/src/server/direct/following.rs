//! The reading end: for each other region and placement, sessions with the nodes that lead its shards.

use super::frames::{Ask, Frames, Tell, VERSION};
use crate::{
    components::{Clock, Connection, LinkEndpoint},
    region_log::{Flow, LogWriter, OrderBook, Orders, Partition, Reading, RegionLogs},
    server::{
        rosters::Rosters,
        shards::{Arrived, Beat, Came, Input, LinkInput, Load},
    },
};
use bytes::{Bytes, BytesMut};
use proto::{
    id::{ClusterId, PlacementId, RegionId, ShardId},
    link::{Record, decode},
};
use replication::link::From;
use std::{
    collections::{BTreeMap, BTreeSet},
    io, mem,
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncWriteExt, split},
    runtime::Handle,
    sync::mpsc,
    time::{sleep, timeout},
};

/// How often orders are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// A session that is silent for this long is ended: heartbeats come four times a second.
const SILENT: Duration = Duration::from_secs(5);
/// A node that could not be asked is asked again after this.
const ASK_AGAIN: Duration = Duration::from_millis(250);
/// Frames that wait between a session and who puts them together.
const FRAMES: usize = 256;
/// Frames handed on at once.
const BATCH: usize = 256;
/// Orders of one session that wait.
const ASKS: usize = 4_096;

/// The logs of all regions, read where they are.
#[derive(Clone)]
pub struct DirectLogs {
    /// The cluster.
    pub cluster: ClusterId,
    /// The own region.
    pub own: RegionId,
    /// Where nodes of other regions are.
    pub rosters: Rosters,
    /// This node's end.
    pub endpoint: Arc<dyn LinkEndpoint>,
    /// The shards, which take what comes.
    pub inputs: mpsc::Sender<Input>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Where readers run: the log's thread, which asks for them, is none of it.
    pub runtime: Handle,
}

impl RegionLogs for DirectLogs {
    fn is_shared(&self) -> bool {
        false
    }

    fn partition(&self, _: RegionId, shard: ShardId) -> Partition {
        Partition(shard.0)
    }

    fn read(&self, origin: RegionId, placement: PlacementId) -> Reading {
        let (reading, book) = Reading::new();
        let (told, tells) = mpsc::channel(FRAMES);
        let follower = Follower {
            logs: self.clone(),
            origin,
            placement,
            book,
            told,
            wanted: BTreeMap::new(),
            paused: BTreeSet::new(),
            hints: BTreeMap::new(),
            asked: BTreeMap::new(),
            sessions: BTreeMap::new(),
            turns: 0,
        };
        self.runtime.spawn(follower.run(tells));
        reading
    }

    // The log itself is read: nothing is written to another.
    fn write(&self, _: PlacementId) {}

    fn end(&self, _: Option<Box<dyn LogWriter>>) {}
}

/// What a session says of itself.
enum Told {
    Frame(Bytes),
    Ended(String),
}

struct Follower {
    logs: DirectLogs,
    origin: RegionId,
    placement: PlacementId,
    book: OrderBook,
    told: mpsc::Sender<(String, Told)>,
    /// Where each shard goes on.
    wanted: BTreeMap<ShardId, From>,
    paused: BTreeSet<ShardId>,
    /// Who is said to lead it.
    hints: BTreeMap<ShardId, String>,
    /// Whom each shard was asked of last, and when.
    asked: BTreeMap<ShardId, (String, Duration)>,
    sessions: BTreeMap<String, mpsc::Sender<Ask>>,
    turns: usize,
}

impl Follower {
    async fn run(mut self, mut tells: mpsc::Receiver<(String, Told)>) {
        let load = Load::default();
        loop {
            let Some(orders) = self.book.take() else {
                return;
            };
            self.take(orders);
            self.ask_all();
            while load.is_full() {
                sleep(LOOK_EVERY).await;
            }
            let (mut arrived, mut bytes) = (Vec::new(), 0);
            let first = timeout(LOOK_EVERY, tells.recv()).await.ok().flatten();
            let mut next = first;
            while let Some((address, told)) = next {
                bytes += self.hear(&address, told, &mut arrived);
                next = (arrived.len() < BATCH)
                    .then(|| tells.try_recv().ok())
                    .flatten();
            }
            if arrived.is_empty() {
                continue;
            }
            let came = Came {
                origin: self.origin,
                placement: self.placement,
                arrived,
                load: load.add(bytes),
            };
            let input = Input::Link(LinkInput::Came(came));
            if self.logs.inputs.send(input).await.is_err() {
                return;
            }
        }
    }

    fn take(&mut self, orders: Orders) {
        for (partition, from) in orders.reads {
            let shard = ShardId(partition.0);
            // It is asked for anew, wherever that was before.
            self.asked.remove(&shard);
            match from {
                Some(from) => drop(self.wanted.insert(shard, from)),
                None => {
                    self.wanted.remove(&shard);
                    self.tell_all(Ask::Stop(shard));
                }
            }
        }
        for (partition, flow) in orders.flows {
            let shard = ShardId(partition.0);
            match flow {
                Flow::Paused => self.paused.insert(shard),
                Flow::Open => self.paused.remove(&shard),
            };
            self.tell_all(Ask::Flow(shard, flow == Flow::Open));
        }
    }

    fn tell_all(&mut self, ask: Ask) {
        self.sessions
            .retain(|_, session| session.try_send(ask).is_ok());
    }

    /// Asks for each shard that is asked for nowhere.
    fn ask_all(&mut self) {
        let now = self.logs.clock.now().monotonic;
        let is_asked = |shard: &ShardId| {
            let asked = self.asked.get(shard);
            asked.is_some_and(|(address, _)| self.sessions.contains_key(address))
        };
        let is_patient = |shard: &ShardId| {
            let asked = self.asked.get(shard);
            asked.is_some_and(|(_, at)| now.saturating_sub(*at) < ASK_AGAIN)
        };
        let lacking = self.wanted.keys().filter(|shard| !is_asked(shard));
        let lacking: Vec<ShardId> = lacking
            .filter(|shard| !is_patient(shard))
            .copied()
            .collect();
        if lacking.is_empty() {
            return;
        }
        let Some(roster) = self.logs.rosters.of(self.origin) else {
            return;
        };
        let holders = roster
            .members
            .values()
            .filter(|member| member.store.is_some());
        let addresses: Vec<String> = holders
            .map(|member| member.addresses.link.clone())
            .collect();
        self.turns += 1;
        for shard in lacking {
            let any = addresses.get((self.turns + usize::from(shard.0)) % addresses.len().max(1));
            let Some(address) = self.hints.remove(&shard).or_else(|| any.cloned()) else {
                continue;
            };
            self.ask(shard, address, now);
        }
    }

    fn ask(&mut self, shard: ShardId, address: String, now: Duration) {
        let from = self.wanted[&shard];
        let paused = self.paused.contains(&shard);
        let session = self.sessions.entry(address.clone()).or_insert_with(|| {
            let (asks, asked) = mpsc::channel(ASKS);
            let hello = Ask::Hello {
                version: VERSION,
                cluster: self.logs.cluster,
                region: self.logs.own,
                placement: self.placement,
            };
            let endpoint = Arc::clone(&self.logs.endpoint);
            let told = self.told.clone();
            tokio::spawn(session(endpoint, address.clone(), hello, asked, told));
            asks
        });
        // One whose questions are not taken is ended by its silence.
        let mut sent = session.try_send(Ask::Read(shard, from)).is_ok();
        if paused {
            sent &= session.try_send(Ask::Flow(shard, false)).is_ok();
        }
        if sent {
            self.asked.insert(shard, (address, now));
        }
    }

    /// Takes what a session said; gives the bytes that it holds.
    fn hear(&mut self, address: &str, told: Told, arrived: &mut Vec<Arrived>) -> usize {
        let frame = match told {
            Told::Frame(frame) => frame,
            Told::Ended(why) => {
                self.sessions.remove(address);
                arrived.push(Arrived::Trouble(format!("{address}: {why}")));
                return 0;
            }
        };
        let bytes = frame.len();
        match Tell::decode(&frame) {
            Ok(Tell::Record {
                shard,
                position,
                record,
            }) => {
                if self.is_read_at(shard, address) {
                    self.wanted.insert(shard, From::Position(position));
                    arrived.push(Arrived::Record {
                        partition: Partition(shard.0),
                        position,
                        record: decode(&record),
                    });
                }
            }
            Ok(Tell::Beat {
                mut positions,
                heartbeat,
            }) => {
                positions.retain(|(shard, _)| self.is_read_at(*shard, address));
                for (shard, position) in &positions {
                    self.wanted.insert(*shard, From::Position(*position));
                }
                match decode(&heartbeat) {
                    Ok(Record::Heartbeat(heartbeat)) => arrived.push(Arrived::Beat(Beat {
                        positions: positions.into_iter().collect(),
                        heartbeat,
                    })),
                    Ok(Record::Entry(_)) | Err(_) => {
                        arrived.push(Arrived::Trouble(format!("{address}: no heartbeat")));
                    }
                }
            }
            Ok(Tell::Lost(shard)) => {
                if self.is_read_at(shard, address) {
                    self.wanted.remove(&shard);
                    self.asked.remove(&shard);
                    arrived.push(Arrived::PositionLost(Partition(shard.0)));
                }
            }
            Ok(Tell::Elsewhere(shard, leader)) => {
                if self.is_read_at(shard, address) {
                    self.refer(shard, address, leader);
                }
            }
            Err(error) => arrived.push(Arrived::Trouble(format!("{address}: {error}"))),
        }
        bytes
    }

    /// Whether what `address` says of a shard is what was asked for last.
    fn is_read_at(&self, shard: ShardId, address: &str) -> bool {
        let asked = self.asked.get(&shard);
        self.wanted.contains_key(&shard) && asked.is_some_and(|(at, _)| at == address)
    }

    fn refer(&mut self, shard: ShardId, address: &str, leader: String) {
        let asked = self.asked.remove(&shard);
        if leader.is_empty() || leader == address {
            // Nobody leads it now: patience.
            let at = asked.map_or(Duration::ZERO, |(_, at)| at);
            self.asked.insert(shard, (String::new(), at));
        } else {
            self.hints.insert(shard, leader);
        }
    }
}

/// One session with one node, until it breaks.
async fn session(
    endpoint: Arc<dyn LinkEndpoint>,
    address: String,
    hello: Ask,
    asks: mpsc::Receiver<Ask>,
    told: mpsc::Sender<(String, Told)>,
) {
    let ended = match endpoint.connect(&address).await {
        Ok(connection) => speak(connection, &address, hello, asks, &told).await,
        Err(error) => Err(error),
    };
    let why = ended
        .err()
        .map_or_else(|| "it ended".into(), |error| error.to_string());
    // Nobody follows any more.
    let _ = told.send((address, Told::Ended(why))).await;
}

async fn speak(
    connection: Box<dyn Connection>,
    address: &str,
    hello: Ask,
    mut asks: mpsc::Receiver<Ask>,
    told: &mpsc::Sender<(String, Told)>,
) -> io::Result<()> {
    let (read, mut write) = split(connection);
    let mut frames = Frames::new(read);
    let mut out = BytesMut::new();
    hello.put(&mut out);
    write.write_all(&mem::take(&mut out)).await?;
    let asking = async {
        while let Some(ask) = asks.recv().await {
            ask.put(&mut out);
            while let Ok(ask) = asks.try_recv() {
                ask.put(&mut out);
            }
            write.write_all(&mem::take(&mut out)).await?;
            write.flush().await?;
        }
        Ok(())
    };
    let reading = async {
        loop {
            let frame = timeout(SILENT, frames.next()).await??;
            let frame = (address.to_owned(), Told::Frame(frame));
            if told.send(frame).await.is_err() {
                return Ok(());
            }
        }
    };
    tokio::select! {
        ended = asking => ended,
        ended = reading => ended,
    }
}
