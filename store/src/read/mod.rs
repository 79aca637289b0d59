//! Reading rows: a batch of keys and a plan go in, staging rows come out.
//!
//! One pass after the other: order by shard; under each shard's read lock probe all its keys and pin
//! the segments; without the lock read what is cached, check checksum and key, copy. Records never
//! change and pinned segments stay, so all rows of a shard show one applied position. What is not
//! cached is left for [`Store::read_cold`], which may wait for the device and so runs elsewhere.

mod plan;
mod staging;

pub use plan::{Copy, Plan, Run};
pub use staging::{RowState, StagedRow, Staging};

use crate::{
    body::Body, disk::BatchRead, index::Index, place::Place, store::Store, views::ViewNumber,
};
use proto::{
    id::{ShardId, ViewId},
    record::RecordView,
    time::EventTime,
};
use smallvec::SmallVec;
use std::{io, sync::Arc};

/// One row that is wanted.
#[derive(Debug, Clone, Copy)]
pub struct ReadRequest<'a> {
    /// The shard of its key.
    pub shard: ShardId,
    /// Which of the batch's plans.
    pub plan: u16,
    /// The row's hash: [`proto::key::KeyHash::with_view`].
    pub hash: u64,
    /// The canonical bytes of its key.
    pub key: &'a [u8],
}

/// Where a row may lie: nearly always one place, more where keys share a hash.
pub(crate) type Candidates = SmallVec<[(Arc<Body>, Place); 1]>;

/// A plan's view as this store knows it.
struct Target {
    number: Option<ViewNumber>,
    floor: EventTime,
}

/// What the index alone says of a row that is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// There is no committed row.
    Absent,
    /// There is one under one version, with every feature set and no deletion remembered: a write of
    /// every feature with a larger event time replaces it unseen.
    Full(EventTime),
    /// The row must be read before the merge.
    Unknown,
}

impl Store {
    /// What is known of a row without reading it. Pending images come first: see
    /// [`crate::Writer::newest_pending`].
    #[must_use]
    pub fn known(&self, shard: ShardId, view: ViewId, hash: u64) -> Known {
        let Some(shard) = self.shard(shard) else {
            return Known::Absent;
        };
        let rows = shard.rows.read();
        let entries = rows.index.find(hash);
        let number = self.views.read().known(view);
        let mut of_view = entries
            .iter()
            .filter(|entry| Some(entry.order.view()) == number);
        match (of_view.next(), of_view.next()) {
            _ if !rows.is_usable() => Known::Unknown,
            (None, _) => Known::Absent,
            (Some(entry), None) if entry.place.is_full() && number != Some(ViewNumber::SHARED) => {
                Known::Full(entry.order.event_time())
            }
            _ => Known::Unknown,
        }
    }

    /// Reads all rows, waiting for the device where it must.
    pub fn read_batch(&self, requests: &[ReadRequest<'_>], plans: &[Plan], staging: &mut Staging) {
        self.read_cached(requests, plans, staging);
        if staging.is_waiting() {
            self.read_cold(requests, plans, staging);
        }
    }

    /// Reads what is in memory. Rows that are not are [`RowState::Cold`].
    pub fn read_cached(&self, requests: &[ReadRequest<'_>], plans: &[Plan], staging: &mut Staging) {
        staging.start(requests, plans);
        let probed = self.probe(requests, plans, staging);
        let (present, mut cold) = (probed.len(), 0);
        let mut bytes = std::mem::take(&mut staging.buffer);
        for (at, candidates) in probed {
            for (body, place) in &candidates {
                bytes.resize(place.length(), 0);
                let read = body
                    .segment
                    .file()
                    .and_then(|file| file.read_cached(place.offset(), &mut bytes));
                if read
                    .as_ref()
                    .is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
                {
                    staging.wait_for(at, candidates.clone());
                    cold += 1;
                    break;
                }
                self.take_row(
                    at,
                    &requests[at],
                    &plans[usize::from(requests[at].plan)],
                    (body, *place),
                    read.map(|()| &*bytes),
                    staging,
                );
            }
        }
        staging.buffer = bytes;
        self.work.probed(requests.len(), present, cold);
    }

    /// Reads the rows that [`Self::read_cached`] left, with the same arguments; waits for the device.
    pub fn read_cold(&self, requests: &[ReadRequest<'_>], plans: &[Plan], staging: &mut Staging) {
        let cold = staging.take_waiting();
        let mut owners = Vec::new();
        let mut reads = Vec::new();
        for (at, candidates) in cold {
            staging.rows[at].state = RowState::Missing;
            for (body, place) in candidates {
                match body.segment.file() {
                    Ok(file) => {
                        reads.push(BatchRead {
                            tag: owners.len(),
                            file: Arc::clone(file),
                            offset: place.offset(),
                            buffer: vec![0; place.length()],
                            result: Ok(()),
                        });
                        owners.push((at, body, place));
                    }
                    Err(error) => {
                        self.take_row(
                            at,
                            &requests[at],
                            &plans[usize::from(requests[at].plan)],
                            (&body, place),
                            Err(error),
                            staging,
                        );
                    }
                }
            }
        }
        self.directory.disk().read_batch(&mut reads);
        for read in reads {
            let (at, body, place) = &owners[read.tag];
            let bytes = read.result.map(|()| read.buffer.as_slice());
            let plan = &plans[usize::from(requests[*at].plan)];
            self.take_row(*at, &requests[*at], plan, (body, *place), bytes, staging);
        }
    }

    /// Looks all keys up, each shard under one lock.
    fn probe(
        &self,
        requests: &[ReadRequest<'_>],
        plans: &[Plan],
        staging: &mut Staging,
    ) -> Vec<(usize, Candidates)> {
        let targets = self.targets(plans);
        let mut order: Vec<usize> = (0..requests.len()).collect();
        order.sort_by_key(|at| requests[*at].shard);
        let mut probed = Vec::with_capacity(requests.len());
        for run in order.chunk_by(|a, b| requests[*a].shard == requests[*b].shard) {
            let id = requests[run[0]].shard;
            let Some(shard) = self.shard(id) else {
                continue;
            };
            let rows = shard.rows.read();
            staging.applied.push((id, rows.applied()));
            if !rows.is_usable() {
                run.iter()
                    .for_each(|at| staging.rows[*at].state = RowState::Damaged);
                continue;
            }
            for at in run {
                let target = &targets[usize::from(requests[*at].plan)];
                let candidates = self.candidates(&rows.index, requests[*at].hash, target);
                if !candidates.is_empty() {
                    probed.push((*at, candidates));
                }
            }
        }
        probed
    }

    fn targets(&self, plans: &[Plan]) -> Vec<Target> {
        let views = self.views.read();
        let target = |plan: &Plan| Target {
            number: views.known(plan.view),
            floor: views.purge(plan.view).floor,
        };
        plans.iter().map(target).collect()
    }

    fn candidates(&self, index: &Index, hash: u64, target: &Target) -> Candidates {
        let of_view = index.find(hash).into_iter().filter(|entry| {
            Some(entry.order.view()) == target.number && entry.order.event_time() >= target.floor
        });
        of_view
            .map(|entry| (self.bodies.get(entry.place.slot()), entry.place))
            .collect()
    }

    /// Checks what was read from a place and, if it is the row, stages it.
    fn take_row(
        &self,
        at: usize,
        request: &ReadRequest<'_>,
        plan: &Plan,
        (body, place): (&Arc<Body>, Place),
        bytes: io::Result<&[u8]>,
        staging: &mut Staging,
    ) {
        let sound = match bytes {
            Ok(bytes) => self.sound_record(request.shard, request.hash, body, place, bytes),
            Err(_) => {
                self.note_damage(request.shard, request.hash, body);
                None
            }
        };
        let Some(record) = sound else {
            // It may have been this row: that is not known to be absent.
            staging.stage_damaged(at);
            return;
        };
        if record.key() == request.key && record.view() == plan.view {
            staging.stage(at, &record, plan);
        } else {
            self.note_shared_hash(request, plan, &record);
        }
    }

    /// Two keys of one view share a hash: from now on their rows are told apart.
    fn note_shared_hash(&self, request: &ReadRequest<'_>, plan: &Plan, record: &RecordView<'_>) {
        if record.view() == plan.view
            && let Some(shard) = self.shard(request.shard)
        {
            let known = shard.rows.read().shared_hashes.contains(&request.hash);
            if !known {
                shard.rows.write().shared_hashes.insert(request.hash);
            }
        }
    }
}
