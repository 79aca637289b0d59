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
            last_session: 0,
            turns: 0,
        };
        self.runtime.spawn(follower.run(tells));
        reading
    }

    // The log itself is read: nothing is written to another.
    fn write(&self, _: PlacementId) {}

    fn end(&self, _: Option<Box<dyn LogWriter>>) {}
}

/// One session with a node: a later one with the same node knows nothing of what this one was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Session {
    address: String,
    number: u64,
}

impl Session {
    /// None at all.
    const fn none() -> Self {
        Self {
            address: String::new(),
            number: 0,
        }
    }
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
    told: mpsc::Sender<(Session, Told)>,
    /// Where each shard goes on.
    wanted: BTreeMap<ShardId, From>,
    paused: BTreeSet<ShardId>,
    /// Who is said to lead it.
    hints: BTreeMap<ShardId, String>,
    /// In which session each shard was asked for last, and when.
    asked: BTreeMap<ShardId, (Session, Duration)>,
    /// By address; the number is that of the session.
    sessions: BTreeMap<String, (u64, mpsc::Sender<Ask>)>,
    last_session: u64,
    turns: usize,
}

impl Follower {
    async fn run(mut self, mut tells: mpsc::Receiver<(Session, Told)>) {
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
            while let Some((session, told)) = next {
                bytes += self.hear(&session, told, &mut arrived);
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
            .retain(|_, (_, session)| session.try_send(ask).is_ok());
    }

    /// Asks for each shard that is asked for nowhere.
    fn ask_all(&mut self) {
        let now = self.logs.clock.now().monotonic;
        let is_asked = |shard: &ShardId| {
            let asked = self.asked.get(shard);
            asked.is_some_and(|(session, _)| self.is_open(session))
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

    fn is_open(&self, session: &Session) -> bool {
        let open = self.sessions.get(&session.address);
        open.is_some_and(|(number, _)| *number == session.number)
    }

    fn ask(&mut self, shard: ShardId, address: String, now: Duration) {
        let from = self.wanted[&shard];
        let paused = self.paused.contains(&shard);
        if !self.sessions.contains_key(&address) {
            self.open(&address);
        }
        let (number, asks) = &self.sessions[&address];
        let number = *number;
        // One whose questions are not taken is ended by its silence.
        let mut sent = asks.try_send(Ask::Read(shard, from)).is_ok();
        if paused {
            sent &= asks.try_send(Ask::Flow(shard, false)).is_ok();
        }
        if sent {
            let session = Session { address, number };
            self.asked.insert(shard, (session, now));
        }
    }

    fn open(&mut self, address: &str) {
        let (asks, asked) = mpsc::channel(ASKS);
        let hello = Ask::Hello {
            version: VERSION,
            cluster: self.logs.cluster,
            region: self.logs.own,
            placement: self.placement,
        };
        self.last_session += 1;
        let own = Session {
            address: address.to_owned(),
            number: self.last_session,
        };
        let endpoint = Arc::clone(&self.logs.endpoint);
        tokio::spawn(session(endpoint, own, hello, asked, self.told.clone()));
        self.sessions
            .insert(address.to_owned(), (self.last_session, asks));
    }

    /// Takes what a session said; gives the bytes that it holds.
    fn hear(&mut self, session: &Session, told: Told, arrived: &mut Vec<Arrived>) -> usize {
        let address = &session.address;
        let frame = match told {
            Told::Frame(frame) => frame,
            Told::Ended(why) => {
                if self.is_open(session) {
                    self.sessions.remove(address);
                }
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
                if self.is_read_in(shard, session) {
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
                positions.retain(|(shard, _)| self.is_read_in(*shard, session));
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
                if self.is_read_in(shard, session) {
                    self.wanted.remove(&shard);
                    self.asked.remove(&shard);
                    arrived.push(Arrived::PositionLost(Partition(shard.0)));
                }
            }
            Ok(Tell::Elsewhere(shard, leader)) => {
                if self.is_read_in(shard, session) {
                    self.refer(shard, address, leader);
                }
            }
            Err(error) => arrived.push(Arrived::Trouble(format!("{address}: {error}"))),
        }
        bytes
    }

    /// Whether what `session` says of a shard is what was asked for last.
    fn is_read_in(&self, shard: ShardId, session: &Session) -> bool {
        let asked = self.asked.get(&shard);
        self.wanted.contains_key(&shard) && asked.is_some_and(|(own, _)| own == session)
    }

    fn refer(&mut self, shard: ShardId, address: &str, leader: String) {
        let asked = self.asked.remove(&shard);
        if leader.is_empty() || leader == address {
            // Nobody leads it now: patience.
            let at = asked.map_or(Duration::ZERO, |(_, at)| at);
            self.asked.insert(shard, (Session::none(), at));
        } else {
            self.hints.insert(shard, leader);
        }
    }
}

/// One session with one node, until it breaks.
async fn session(
    endpoint: Arc<dyn LinkEndpoint>,
    own: Session,
    hello: Ask,
    asks: mpsc::Receiver<Ask>,
    told: mpsc::Sender<(Session, Told)>,
) {
    let ended = match endpoint.connect(&own.address).await {
        Ok(connection) => speak(connection, &own, hello, asks, &told).await,
        Err(error) => Err(error),
    };
    let why = ended
        .err()
        .map_or_else(|| "it ended".into(), |error| error.to_string());
    // Nobody follows any more.
    let _ = told.send((own, Told::Ended(why))).await;
}

async fn speak(
    connection: Box<dyn Connection>,
    own: &Session,
    hello: Ask,
    mut asks: mpsc::Receiver<Ask>,
    told: &mpsc::Sender<(Session, Told)>,
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
            let frame = (own.clone(), Told::Frame(frame));
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
