//! Write path, step 4 on the gateway's side: each part goes to its shard's primary, here or on another
//! node, and again under the same request id until it is known what became of it or time is up.

use super::{
    attempts::{Attempts, Next, PAUSE_MOST},
    region::{RegionView, Target},
    remote_writes::RemoteWrites,
    shards::{Input, PartAnswer, PartWrite},
};
use crate::components::Clock;
use async_trait::async_trait;
use bytes::Bytes;
use futures::future::join_all;
use gateway::write::writer::{Change, PartOutcome, WriteBatch, Writer, Written};
use proto::{
    hlc::Hlc,
    id::{ClusterId, ShardId, Stream},
    reason::{Reason, Refusal},
    row::Content,
    token::{Reached, Token},
};
use replication::Fence;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    time::timeout,
};

/// Bytes of rows that may wait in this gateway for their answers; beyond it writes are refused.
const WAITING_KIB: usize = 128 << 10;
/// What a row takes besides its key and values.
const ROW_OVERHEAD_BYTES: usize = 128;

/// Writes through the region's primaries.
pub struct Writes {
    room: Semaphore,
    cluster: ClusterId,
    region: RegionView,
    shards: mpsc::Sender<Input>,
    remote: RemoteWrites,
    clock: Arc<dyn Clock>,
    max_offset: Duration,
}

/// What came of the parts of one shard.
type Outcomes = Vec<(usize, PartOutcome)>;

impl Writes {
    /// Writes of a gateway in this process.
    #[must_use]
    pub fn new(
        cluster: ClusterId,
        region: RegionView,
        (shards, remote): (mpsc::Sender<Input>, RemoteWrites),
        clock: Arc<dyn Clock>,
        max_offset: Duration,
    ) -> Self {
        Self {
            room: Semaphore::new(WAITING_KIB),
            cluster,
            region,
            shards,
            remote,
            clock,
            max_offset,
        }
    }

    /// What the write follows: its stamps will be larger, and its answer's token covers it. A token of a clock far ahead is refused,
    /// or one wrong client would drag all clocks along.
    fn follows(&self, batch: &WriteBatch) -> Result<Token, Refusal> {
        if batch.token.is_empty() {
            return Ok(Token::default());
        }
        let token = Token::decode(&batch.token, self.cluster)
            .map_err(|error| Refusal::of_field(Reason::TokenUnknown, "token", error.to_string()))?;
        let ahead = token.hlc().ahead_of(self.clock.now().wall_millis());
        if ahead <= self.max_offset {
            return Ok(token);
        }
        let message = format!(
            "the token is dated {} ms ahead of this node's clock; correct the clocks",
            ahead.as_millis()
        );
        Err(Refusal::of_field(Reason::TokenUnknown, "token", message))
    }

    /// Parts of one shard, one after the other: later ones may build on earlier ones.
    async fn write_shard(
        &self,
        batch: &Arc<WriteBatch>,
        places: Vec<usize>,
        follows: Hlc,
        token: &parking_lot::Mutex<Token>,
    ) -> Outcomes {
        let mut outcomes = Vec::with_capacity(places.len());
        let mut is_unknown = false;
        for place in places {
            // A part after one whose outcome is open is not sent: repeated later, the first of two
            // rows of one key would get the larger stamp.
            let answer = match is_unknown {
                true => PartAnswer::Unknown,
                false => self.write_part(batch, place, follows).await,
            };
            is_unknown = answer == PartAnswer::Unknown;
            if let PartAnswer::Written { written, .. } = &answer {
                let shard = batch.parts[place].shard;
                let stream = Stream {
                    origin: self.region.id(),
                    shard,
                    placement: written.placement,
                };
                let reached = Reached {
                    incarnation: written.incarnation,
                    sequence: written.sequence,
                };
                token.lock().see(stream, reached, written.hlc);
            }
            outcomes.push((place, outcome(answer)));
        }
        outcomes
    }

    async fn write_part(&self, batch: &Arc<WriteBatch>, place: usize, follows: Hlc) -> PartAnswer {
        let shard = batch.parts[place].shard;
        let mut attempts = Attempts::default();
        loop {
            let target = self.region.target(shard);
            let answer = self.attempt(batch, place, follows, target).await;
            match attempts.judge(answer, self.left(batch)) {
                Next::Answer(answer) => return answer,
                Next::Again { after } => self.region.wait_for_change(shard, target, after).await,
            }
        }
    }

    /// Sends the part once, and waits for its answer no longer than its receiver is primary.
    async fn attempt(
        &self,
        batch: &Arc<WriteBatch>,
        place: usize,
        follows: Hlc,
        target: Option<Target>,
    ) -> PartAnswer {
        let shard = batch.parts[place].shard;
        let left = self.left(batch);
        let Some(Target { primary, fence }) = target else {
            return no_primary(shard, "it has none");
        };
        if left.is_zero() {
            return no_time();
        }
        let part = Part {
            batch,
            place,
            fence,
            follows,
        };
        let answered = async {
            if primary.node == self.region.me() {
                give(&self.shards, part, left).await
            } else {
                self.remote.send(primary.node, part, left).await
            }
        };
        tokio::select! {
            answer = answered => answer,
            () = self.region.wait_for_other_primary(shard, primary) => PartAnswer::Unknown,
        }
    }

    fn left(&self, batch: &WriteBatch) -> Duration {
        Duration::from_micros(
            batch
                .deadline
                .0
                .saturating_sub(self.clock.now().monotonic_micros()),
        )
    }
}

#[async_trait]
impl Writer for Writes {
    async fn write(&self, batch: Arc<WriteBatch>) -> Written {
        let follows = match self.follows(&batch) {
            Ok(follows) => follows,
            Err(refusal) => return all_refused(&batch, &refusal),
        };
        let Ok(_waiting) = self.room.try_acquire_many(kib(&batch)) else {
            let refusal = Refusal::new(
                Reason::Overloaded,
                "too many bytes of writes wait in this gateway",
            );
            return all_refused(&batch, &refusal);
        };
        let mut by_shard: BTreeMap<ShardId, Vec<usize>> = BTreeMap::new();
        for (place, part) in batch.parts.iter().enumerate() {
            by_shard.entry(part.shard).or_default().push(place);
        }
        let hlc = follows.hlc();
        let token = parking_lot::Mutex::new(follows);
        let shards = by_shard.into_values();
        let outcomes =
            join_all(shards.map(|places| self.write_shard(&batch, places, hlc, &token))).await;
        let mut outcomes: Outcomes = outcomes.into_iter().flatten().collect();
        outcomes.sort_unstable_by_key(|(place, _)| *place);
        let parts: Vec<PartOutcome> = outcomes.into_iter().map(|(_, outcome)| outcome).collect();
        let done = parts
            .iter()
            .any(|part| matches!(part, PartOutcome::Done { .. }));
        let token = token.into_inner();
        let token = if token.is_empty() {
            Bytes::new()
        } else {
            token.encode(self.cluster).into()
        };
        Written {
            parts,
            confirmed: if done {
                vec![self.region.name()]
            } else {
                Vec::new()
            },
            token,
        }
    }
}

fn outcome(answer: PartAnswer) -> PartOutcome {
    match answer {
        PartAnswer::Written { written, copies } => PartOutcome::Done {
            outcome: written.outcome,
            copies,
        },
        PartAnswer::Refused {
            refusal,
            retry_after,
        } => PartOutcome::Refused {
            refusal,
            retry_after,
        },
        PartAnswer::Unknown => PartOutcome::Unknown,
    }
}

fn all_refused(batch: &WriteBatch, refusal: &Refusal) -> Written {
    let part = |_| PartOutcome::Refused {
        refusal: refusal.clone(),
        retry_after: (refusal.reason == Reason::Overloaded).then_some(PAUSE_MOST),
    };
    Written {
        parts: batch.parts.iter().map(part).collect(),
        confirmed: Vec::new(),
        token: Bytes::new(),
    }
}

/// One part, as one attempt sends it.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    pub(super) batch: &'a Arc<WriteBatch>,
    pub(super) place: usize,
    pub(super) fence: Fence,
    pub(super) follows: Hlc,
}

/// Gives a part to the shards of this process, and waits for what becomes of it.
pub(super) async fn give(
    shards: &mpsc::Sender<Input>,
    part: Part<'_>,
    within: Duration,
) -> PartAnswer {
    let (reply, answered) = oneshot::channel();
    let write = PartWrite {
        batch: Arc::clone(part.batch),
        place: part.place,
        fence: part.fence,
        follows: part.follows,
        reply,
    };
    if shards.try_send(Input::Write(write)).is_err() {
        return overloaded("too many writes wait on the shard's primary");
    }
    // An answer that does not come in time, or not at all from a node that stops, says nothing.
    match timeout(within, answered).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) | Err(_) => PartAnswer::Unknown,
    }
}

pub(super) fn no_primary(shard: ShardId, why: &str) -> PartAnswer {
    let message = format!("shard {shard} has no primary that can be reached now: {why}");
    PartAnswer::Refused {
        refusal: Refusal::new(Reason::NoPrimary, message),
        retry_after: Some(PAUSE_MOST),
    }
}

pub(super) fn overloaded(message: &str) -> PartAnswer {
    PartAnswer::Refused {
        refusal: Refusal::new(Reason::Overloaded, message),
        retry_after: Some(PAUSE_MOST),
    }
}

fn no_time() -> PartAnswer {
    let message = "no time was left to send the rows; give the call a longer deadline";
    PartAnswer::Refused {
        refusal: Refusal::new(Reason::Deadline, message),
        retry_after: None,
    }
}

/// About what a batch takes, at most all there is.
fn kib(batch: &WriteBatch) -> u32 {
    let rows = batch.parts.iter().flat_map(|part| &part.rows);
    let bytes: usize = rows
        .map(|row| ROW_OVERHEAD_BYTES + row.key.as_bytes().len() + value_bytes(&row.change))
        .sum();
    u32::try_from((bytes >> 10).clamp(1, WAITING_KIB)).expect("the limit fits")
}

fn value_bytes(change: &Change) -> usize {
    let Change::Set(cells) = change else {
        return 0;
    };
    let bytes = |content: &Content| match content {
        Content::Value(bytes) => bytes.len(),
        Content::Null => 0,
    };
    cells.iter().map(|(_, content)| bytes(content)).sum()
}
