//! The read end: gives other regions what is committed of this one's streams, and four times a second how
//! far that is. Nothing is sent that could still be cut.

use super::frames::{Ask, Frames, Tell, VERSION};
use crate::{
    components::{Connection, LinkEndpoint},
    server::{region::RegionView, shards::LinkBoard},
};
use bytes::{Bytes, BytesMut};
use proto::{
    entry::EntryView,
    id::{ClusterId, PlacementId, Position, RegionId, Sequence, ShardId},
    limits::SHARDS,
    link::encode_entry,
};
use raft::group::Blocking;
use replication::{link::From, settings::CLOSE_INTERVAL};
use std::{collections::BTreeMap, io, sync::Arc, time::Duration};
use store::{LogRead, Store};
use tokio::{
    io::{AsyncWriteExt, WriteHalf, split},
    sync::mpsc,
    time::{Instant, sleep_until, timeout, timeout_at},
};

/// What is read of one shard's log before the next shard's turn.
const RUN_BYTES: usize = 256 << 10;
/// Who says nothing at first is nobody.
const HELLO_WITHIN: Duration = Duration::from_secs(3);
/// A reader that takes nothing for this long is gone.
const TAKEN_WITHIN: Duration = Duration::from_secs(30);
/// Questions of one reader that wait.
const ASKS: usize = 4_096;
/// Readers at once: each of some regions' nodes, for each placement.
const SESSIONS: usize = 256;

/// See the module.
#[derive(Clone)]
pub struct LinkServer {
    /// The cluster.
    pub cluster: ClusterId,
    /// This node's rows.
    pub store: Arc<Store>,
    /// What it says of the streams that it leads.
    pub board: LinkBoard,
    /// Who leads what.
    pub region: RegionView,
    /// Where the log is read.
    pub place: Blocking,
}

impl LinkServer {
    /// Serves whoever comes, for as long as the node runs.
    pub async fn serve(self, endpoint: Arc<dyn LinkEndpoint>) {
        let room = Arc::new(tokio::sync::Semaphore::new(SESSIONS));
        while let Ok((connection, from)) = endpoint.accept().await {
            let Ok(permit) = Arc::clone(&room).try_acquire_owned() else {
                tracing::warn!(%from, "more regions' nodes read here than may; this one must try again");
                continue;
            };
            let server = self.clone();
            tokio::spawn(async move {
                if let Err(error) = server.session(connection).await {
                    tracing::debug!(%from, %error, "a link ended");
                }
                drop(permit);
            });
        }
    }

    async fn session(&self, connection: Box<dyn Connection>) -> io::Result<()> {
        let (read, write) = split(connection);
        let mut frames = Frames::new(read);
        let hello = timeout(HELLO_WITHIN, frames.next()).await??;
        let hello = Ask::decode(&hello).map_err(io::Error::other)?;
        let Ask::Hello {
            version: VERSION,
            cluster,
            region,
            placement,
        } = hello
        else {
            return Err(io::Error::other("another version, or no hello"));
        };
        if cluster != self.cluster {
            return Err(io::Error::other("a node of another cluster"));
        }
        let (sender, asks) = mpsc::channel(ASKS);
        let reading = async move {
            loop {
                let frame = frames.next().await?;
                let ask = Ask::decode(&frame).map_err(io::Error::other)?;
                if sender.send(ask).await.is_err() {
                    return Ok(());
                }
            }
        };
        let session = Session {
            server: self,
            region,
            placement,
            asks,
            write,
            read: BTreeMap::new(),
        };
        tokio::select! {
            ended = reading => ended,
            ended = session.run() => ended,
        }
    }
}

impl LinkServer {
    /// The position before the first one that the log still has.
    async fn first(self, shard: ShardId) -> Position {
        let store = self.store;
        let search = move || {
            let is_gone = |position| {
                matches!(
                    store.read_log(shard, Position(position), 1),
                    Ok(LogRead::Gone)
                )
            };
            let (mut low, mut high) = (1, store.applied(shard).0 + 1);
            while low < high {
                let middle = low + (high - low) / 2;
                if is_gone(middle) {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
            Position(low - 1)
        };
        self.place.run(search).await
    }

    /// What comes after a position, and through where it was read; none where that is gone.
    async fn run_of(
        self,
        (shard, placement): (ShardId, PlacementId),
        after: Position,
    ) -> Option<(Vec<Tell>, Position)> {
        let (store, cluster, own) = (self.store, self.cluster, self.region.id());
        let read = move || {
            let applied = store.applied(shard);
            let entries = match store.read_log(shard, after.next(), RUN_BYTES) {
                Ok(LogRead::Entries(entries)) => entries,
                Ok(LogRead::End) => return Some((Vec::new(), after)),
                Ok(LogRead::Gone) => return None,
                Err(error) => {
                    tracing::warn!(%shard, %error, "read the log for another region");
                    return None;
                }
            };
            let (mut tells, mut through) = (Vec::new(), after);
            for bytes in entries {
                let view = EntryView::parse(&bytes).ok()?;
                let header = view.header();
                if header.position > applied {
                    break;
                }
                through = header.position;
                let is_shipped = header.origin == own
                    && header.placement == placement
                    && header.sequence > Sequence(0);
                if let Some(record) = is_shipped.then(|| encode_entry(cluster, &view)).flatten() {
                    let position = through.0;
                    tells.push(Tell::Record {
                        shard,
                        position,
                        record,
                    });
                }
            }
            Some((tells, through))
        };
        self.place.run(read).await
    }
}

/// A shard that is read.
#[derive(Debug, Clone, Copy)]
struct Read {
    /// The last position that was sent, or passed over.
    through: Position,
    flows: bool,
}

struct Session<'a> {
    server: &'a LinkServer,
    /// Whose node reads.
    region: RegionId,
    placement: PlacementId,
    asks: mpsc::Receiver<Ask>,
    write: WriteHalf<Box<dyn Connection>>,
    read: BTreeMap<ShardId, Read>,
}

impl Session<'_> {
    async fn run(mut self) -> io::Result<()> {
        let mut changes = self.server.board.changes();
        let beat_every = Duration::from_micros(CLOSE_INTERVAL.0);
        let mut next_beat = Instant::now() + beat_every;
        loop {
            changes.mark_unchanged();
            while let Ok(ask) = self.asks.try_recv() {
                self.take(ask).await?;
            }
            let goes_on = self.send_some().await?;
            if Instant::now() >= next_beat {
                next_beat = Instant::now() + beat_every;
                self.beat().await?;
            }
            if goes_on {
                continue;
            }
            let ask = tokio::select! {
                ask = self.asks.recv() => Some(ask.ok_or(io::ErrorKind::UnexpectedEof)?),
                changed = changes.changed() => {
                    changed.map_err(io::Error::other)?;
                    None
                }
                () = sleep_until(next_beat) => None,
            };
            if let Some(ask) = ask {
                self.take(ask).await?;
            }
        }
    }

    async fn take(&mut self, ask: Ask) -> io::Result<()> {
        match ask {
            Ask::Hello { .. } => return Err(io::Error::other("a second hello")),
            Ask::Read(shard, from) => {
                if usize::from(shard.0) >= usize::from(SHARDS) * 2 {
                    return Err(io::Error::other("there is no such shard"));
                }
                self.begin(shard, from).await?;
            }
            Ask::Stop(shard) => drop(self.read.remove(&shard)),
            Ask::Flow(shard, flows) => {
                if let Some(read) = self.read.get_mut(&shard) {
                    read.flows = flows;
                }
            }
        }
        Ok(())
    }

    async fn begin(&mut self, shard: ShardId, from: From) -> io::Result<()> {
        self.read.remove(&shard);
        if !self.server.board.leads(shard) {
            return self.refer(shard).await;
        }
        let through = match from {
            From::Position(position) => Position(position),
            // Positions here are never without what lies before them, so a time would say nothing more.
            From::Start | From::Millis(_) => self.server.clone().first(shard).await,
        };
        let flows = true;
        self.read.insert(shard, Read { through, flows });
        Ok(())
    }

    async fn refer(&mut self, shard: ShardId) -> io::Result<()> {
        let target = self.server.region.target(shard);
        let placement = self.server.region.placement();
        let member = target.and_then(|target| placement.members.get(&target.primary.node));
        let address = member.map(|member| member.addresses.link.clone());
        self.tell(&[Tell::Elsewhere(shard, address.unwrap_or_default())])
            .await
    }

    /// Sends something of each shard; whether there may be more.
    async fn send_some(&mut self) -> io::Result<bool> {
        let mut goes_on = false;
        let shards: Vec<(ShardId, Read)> =
            self.read.iter().map(|(at, read)| (*at, *read)).collect();
        for (shard, read) in shards {
            if !self.server.board.leads(shard) {
                self.read.remove(&shard);
                self.refer(shard).await?;
                continue;
            }
            if !read.flows || self.server.store.applied(shard) <= read.through {
                continue;
            }
            let server = self.server.clone();
            match server.run_of((shard, self.placement), read.through).await {
                Some((tells, through)) => {
                    self.tell(&tells).await?;
                    if let Some(read) = self.read.get_mut(&shard) {
                        read.through = through;
                    }
                    let stream = (shard, self.placement);
                    self.server.board.note_sent(stream, self.region.0, through);
                    goes_on = true;
                }
                None => {
                    self.read.remove(&shard);
                    self.tell(&[Tell::Lost(shard)]).await?;
                }
            }
        }
        Ok(goes_on)
    }

    /// Says how far all that was sent is closed.
    async fn beat(&mut self) -> io::Result<()> {
        let Some(mut heartbeat) = self.server.board.heartbeat() else {
            return Ok(());
        };
        let close = |(shard, read): (&ShardId, &Read)| {
            let stream = (*shard, self.placement);
            let board = &self.server.board;
            board.close_through(stream, read.through, heartbeat.clock)
        };
        heartbeat.closes = self.read.iter().filter_map(close).collect();
        let positions = self
            .read
            .iter()
            .map(|(shard, read)| (*shard, read.through.0));
        let beat = Tell::Beat {
            positions: positions.collect(),
            heartbeat: heartbeat.encode(),
        };
        self.tell(&[beat]).await
    }

    async fn tell(&mut self, tells: &[Tell]) -> io::Result<()> {
        if tells.is_empty() {
            return Ok(());
        }
        let mut out = BytesMut::new();
        tells.iter().for_each(|tell| tell.put(&mut out));
        let out: Bytes = out.freeze();
        let deadline = Instant::now() + TAKEN_WITHIN;
        timeout_at(deadline, self.write.write_all(&out)).await??;
        timeout_at(deadline, self.write.flush()).await?
    }
}
