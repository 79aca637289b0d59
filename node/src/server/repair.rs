//! Rows that cannot be read are asked of other replicas, one by one, before their shard is copied anew.
//!
//! Readers, writers, snapshots and compaction note what they cannot read; this looks at the list. A
//! copy is known by its position, as the bytes of a record are the same on all replicas of a region, and
//! the store checks it against what was noted when the row was written. What no replica has stays on the
//! list, until the store gives it up: then the shard's core is told, and has it copied anew.

mod codec;
mod taken;

pub use taken::TakenRepairs;

use crate::{
    peer::{Class, Mesh},
    server::methods::Call,
};
use codec::{Asked, decode_copies, encode_request};
use proto::id::{NodeId, ShardId};
use raft::group::Blocking;
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
    time::Duration,
};
use store::{DamagedRow, RepairError, Store, WantedRow};
use tokio::time::{MissedTickBehavior, interval, sleep};

/// How often the list is looked at, and so how often rows are asked for.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Rows that are asked for at a time. With [`LOOK_EVERY`] that bounds what repair takes from others.
const ROWS_AT_ONCE: usize = 64;
/// How long another node may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// The pause after a round in which nothing was repaired and nothing is left to hope for.
const PAUSE_WITHOUT_HOPE: Duration = Duration::from_secs(5);

/// The other nodes that are in sync with a shard, as this node knows them.
pub type Members = Arc<dyn Fn(ShardId) -> Vec<NodeId> + Send + Sync>;

/// See the module.
#[derive(Clone)]
pub struct Repairs {
    store: Arc<Store>,
    mesh: Arc<Mesh>,
    members: Members,
    place: Blocking,
}

impl Repairs {
    /// Repairs rows of `store` by what `members` have.
    #[must_use]
    pub fn new(store: Arc<Store>, mesh: Arc<Mesh>, members: Members, place: Blocking) -> Self {
        Self {
            store,
            mesh,
            members,
            place,
        }
    }

    /// Repairs what is found damaged, for as long as the node runs.
    pub async fn run(self) {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            if !self.store.is_damaged() {
                continue;
            }
            match self.round().await {
                Ok(true) => {}
                Ok(false) => sleep(PAUSE_WITHOUT_HOPE).await,
                Err(error) => {
                    tracing::error!(%error, "damaged rows could not be repaired; it is tried again");
                    sleep(PAUSE_WITHOUT_HOPE).await;
                }
            }
        }
    }

    /// Asks for some rows; tells whether another round is worth while now.
    async fn round(&self) -> io::Result<bool> {
        let store = Arc::clone(&self.store);
        let wanted = self
            .place
            .run(move || store.wanted_rows(ROWS_AT_ONCE))
            .await?;
        let mut by_shard: BTreeMap<ShardId, Vec<WantedRow>> = BTreeMap::new();
        for row in wanted {
            by_shard.entry(row.row.shard).or_default().push(row);
        }
        let mut has_hope = false;
        for (shard, rows) in by_shard {
            has_hope |=
                self.repair(shard, rows).await? || !self.store.beyond_repair().contains(&shard);
        }
        Ok(has_hope)
    }

    /// Asks the members for rows of a shard, one after the other, until each is repaired; tells whether
    /// any was.
    async fn repair(&self, shard: ShardId, mut rows: Vec<WantedRow>) -> io::Result<bool> {
        let members = (self.members)(shard);
        if members.is_empty() {
            rows.iter().for_each(|row| self.store.give_up(row.row));
            return Ok(false);
        }
        let before = rows.len();
        for member in members {
            if rows.is_empty() {
                break;
            }
            let copies = self.ask(member, shard, &rows).await;
            let open = self.write_back(copies, member).await?;
            rows.retain(|row| open.get(&row.row).copied().unwrap_or(true));
        }
        rows.iter()
            .for_each(|row| self.store.note_unrepaired(row.row));
        Ok(rows.len() < before)
    }

    /// What one member has of them.
    async fn ask(
        &self,
        member: NodeId,
        shard: ShardId,
        rows: &[WantedRow],
    ) -> Vec<(WantedRow, Vec<u8>)> {
        let asked = Asked {
            shard,
            rows: rows
                .iter()
                .map(|row| (row.row.hash, row.position))
                .collect(),
        };
        let call = Call::Repair as u8;
        let payload = encode_request(&asked);
        let answer = self
            .mesh
            .call(member, Class::Request, call, payload, ANSWER_WITHIN);
        let copies = match answer.await {
            Ok(answer) => decode_copies(&answer).unwrap_or_default(),
            Err(error) => {
                tracing::warn!(%shard, %member, %error, "a node gave no copies of damaged rows");
                Vec::new()
            }
        };
        let copies = copies.into_iter();
        copies
            .filter_map(|(place, copy)| Some((*rows.get(usize::from(place))?, copy)))
            .collect()
    }

    /// Puts copies in their places; tells of each row whether it is still open.
    async fn write_back(
        &self,
        copies: Vec<(WantedRow, Vec<u8>)>,
        from: NodeId,
    ) -> io::Result<BTreeMap<DamagedRow, bool>> {
        if copies.is_empty() {
            return Ok(BTreeMap::new());
        }
        let store = Arc::clone(&self.store);
        let write = move || {
            let results = store.repair_rows(&copies);
            results.map(|results| (copies, results))
        };
        let (copies, results) = self.place.run(write).await?;
        let (mut open, mut shards) = (BTreeMap::new(), BTreeSet::new());
        for ((wanted, _), result) in copies.iter().zip(results) {
            let is_open = match result {
                Ok(()) => {
                    shards.insert(wanted.row.shard);
                    false
                }
                Err(RepairError::NotDamaged) => false,
                Err(error) => {
                    tracing::debug!(hash = wanted.row.hash, %error, "a copy does not fit");
                    true
                }
            };
            // Of two keys with one hash and position one copy fits.
            let known = open.entry(wanted.row).or_insert(is_open);
            *known &= is_open;
        }
        for shard in shards {
            tracing::info!(%shard, %from, "damaged rows were repaired by another replica's copies");
        }
        Ok(open)
    }
}
