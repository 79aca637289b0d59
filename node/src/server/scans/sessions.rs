//! Scans that this node holds for others.

use super::{
    super::{fetch::OwnShards, peers::Service},
    PAGE_BYTES,
    codec::{Answer, Asked, Mark, Marks, decode_asked, encode_answer},
    is_readable,
};
use crate::{components::Clock, peer::Failure};
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use proto::{
    id::{NodeId, PlacementId, RegionId, ShardId},
    token::Reached,
};
use raft::group::Blocking;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use store::{SnapshotError, Store, StreamMark, ViewScan};

/// Sessions of all other nodes together: each pins segments and holds a shard's places in memory.
const SESSIONS: usize = 32;
/// A session that nobody asks for so long is forgotten.
const IDLE: Duration = Duration::from_secs(60);

/// See the module.
pub struct TakenScans {
    store: Arc<Store>,
    own: OwnShards,
    clock: Arc<dyn Clock>,
    place: Blocking,
    sessions: Mutex<Sessions>,
}

#[derive(Default)]
struct Sessions {
    last: u64,
    open: BTreeMap<u64, Session>,
}

struct Session {
    owner: NodeId,
    used_micros: u64,
    /// None while a page is read.
    scan: Option<ViewScan>,
}

impl TakenScans {
    /// Scans this node's `store` where `own` says that it can be read.
    #[must_use]
    pub fn new(store: Arc<Store>, own: OwnShards, clock: Arc<dyn Clock>, place: Blocking) -> Self {
        Self {
            store,
            own,
            clock,
            place,
            sessions: Mutex::default(),
        }
    }

    fn now_micros(&self) -> u64 {
        self.clock.now().monotonic_micros()
    }

    async fn answer(&self, from: NodeId, asked: Asked) -> Answer {
        match asked {
            Asked::Marks { shard } => self.marks(shard).await,
            Asked::Open { view, shard } | Asked::OpenCopy { view, shard } => {
                let copies = matches!(asked, Asked::OpenCopy { .. });
                if !is_readable(&self.own, shard) {
                    return Answer::Refused(format!("shard {shard} cannot be read on that node"));
                }
                if !self.has_room() {
                    return Answer::Refused("that node holds as many scans as it may".into());
                }
                let store = Arc::clone(&self.store);
                let scan = move || {
                    let scan = store.scan_view(shard, view)?;
                    Ok::<_, SnapshotError>(if copies { scan.with_deletions() } else { scan })
                };
                match self.place.run(scan).await {
                    Ok(scan) => self.open(from, scan),
                    Err(error) => Answer::Refused(error.to_string()),
                }
            }
            Asked::Next { session } => self.next(from, session).await,
        }
    }

    /// How far a shard's streams are. A scan that is opened later has all of that.
    async fn marks(&self, shard: ShardId) -> Answer {
        if !is_readable(&self.own, shard) {
            return Answer::Refused(format!("shard {shard} cannot be read on that node"));
        }
        let store = Arc::clone(&self.store);
        let revision = self.own.catalog().revision();
        let look = move || {
            // First, so that nothing lies at or below it that the streams do not have.
            let applied = store.applied(shard);
            let marks = store.streams(shard).into_iter();
            let mark = |((origin, placement), mark): ((RegionId, PlacementId), StreamMark)| Mark {
                origin,
                placement,
                reached: Reached {
                    incarnation: mark.incarnation,
                    sequence: mark.sequence,
                },
                hlc: mark.hlc,
                start: store.start(shard, (origin, placement)).unwrap_or_default(),
            };
            let streams = marks.map(mark).collect();
            Answer::Marks(Marks {
                revision,
                applied,
                streams,
            })
        };
        self.place.run(look).await
    }

    /// Forgets what is idle, and says whether one more may be held.
    fn has_room(&self) -> bool {
        let oldest = self.now_micros().saturating_sub(IDLE.as_micros() as u64);
        let mut sessions = self.sessions.lock();
        sessions
            .open
            .retain(|_, session| session.scan.is_none() || session.used_micros >= oldest);
        sessions.open.len() < SESSIONS
    }

    fn open(&self, owner: NodeId, scan: ViewScan) -> Answer {
        let (applied, used_micros) = (scan.applied(), self.now_micros());
        let mut sessions = self.sessions.lock();
        sessions.last += 1;
        let number = sessions.last;
        let session = Session {
            owner,
            used_micros,
            scan: Some(scan),
        };
        sessions.open.insert(number, session);
        Answer::Opened {
            session: number,
            applied,
        }
    }

    async fn next(&self, from: NodeId, number: u64) -> Answer {
        let taken = {
            let mut sessions = self.sessions.lock();
            let session = sessions.open.get_mut(&number);
            let session = session.filter(|session| session.owner == from);
            session.and_then(|session| session.scan.take())
        };
        let Some(mut scan) = taken else {
            return Answer::Refused("that node does not know the scan any more".into());
        };
        let read = move || {
            let records = scan.next_records(PAGE_BYTES);
            (scan, records)
        };
        let (scan, records) = self.place.run(read).await;
        let used_micros = self.now_micros();
        let mut sessions = self.sessions.lock();
        match records {
            Ok(Some(records)) => {
                if let Some(session) = sessions.open.get_mut(&number) {
                    session.scan = Some(scan);
                    session.used_micros = used_micros;
                }
                Answer::Page(records)
            }
            Ok(None) => {
                sessions.open.remove(&number);
                Answer::End
            }
            Err(error) => {
                sessions.open.remove(&number);
                Answer::Refused(error.to_string())
            }
        }
    }
}

#[async_trait]
impl Service for TakenScans {
    async fn call(&self, from: NodeId, payload: Bytes) -> Result<Bytes, Failure> {
        let asked = decode_asked(&payload).map_err(|error| Failure(error.to_string()))?;
        Ok(encode_answer(&self.answer(from, asked).await))
    }
}
