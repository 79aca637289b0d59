//! Write path, step 2 on the gateway's side: each part goes to its shard's primary, is sent again
//! while nothing of it happened, and is *unknown* where that cannot be said.

use super::{
    region::RegionView,
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
    reason::{Action, Reason, Refusal},
    row::Content,
    token::{Reached, Token},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    time::{sleep, timeout},
};

/// The first pause before a refused part is sent again; it doubles up to [`RETRY_MOST`].
const RETRY_FIRST: Duration = Duration::from_millis(5);
const RETRY_MOST: Duration = Duration::from_millis(200);

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
        shards: mpsc::Sender<Input>,
        clock: Arc<dyn Clock>,
        max_offset: Duration,
    ) -> Self {
        Self {
            room: Semaphore::new(WAITING_KIB),
            cluster,
            region,
            shards,
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
        for place in places {
            let answer = self.write_part(batch, place, follows).await;
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
        let mut pause = RETRY_FIRST;
        loop {
            let answer = self.try_part(batch, place, follows).await;
            let PartAnswer::Refused { refusal, .. } = &answer else {
                return answer;
            };
            let left = self.left(batch);
            if !is_passing(refusal.reason) || left <= pause {
                return answer;
            }
            // A newer configuration may name a primary that can.
            self.region.wait_for_change(shard, pause).await;
            pause = (pause * 2).min(RETRY_MOST);
        }
    }

    async fn try_part(&self, batch: &Arc<WriteBatch>, place: usize, follows: Hlc) -> PartAnswer {
        let shard = batch.parts[place].shard;
        let Some((node, fence)) = self.region.primary(shard) else {
            return refused(shard, "it has no primary");
        };
        let (reply, answered) = oneshot::channel();
        let write = PartWrite {
            batch: Arc::clone(batch),
            place,
            fence,
            follows,
            reply,
        };
        if node != self.region.me() {
            return self.region.forward(node, write, self.left(batch)).await;
        }
        if self.shards.try_send(Input::Write(write)).is_err() {
            let refusal = Refusal::new(Reason::Overloaded, "too many writes wait on this node");
            sleep(RETRY_FIRST).await;
            return PartAnswer::Refused {
                refusal,
                retry_after: Some(RETRY_MOST),
            };
        }
        match timeout(self.left(batch), answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => PartAnswer::Unknown,
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
            token.encode(self.cluster).unwrap_or_default().into()
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
        retry_after: (refusal.reason == Reason::Overloaded).then_some(RETRY_MOST),
    };
    Written {
        parts: batch.parts.iter().map(part).collect(),
        confirmed: Vec::new(),
        token: Bytes::new(),
    }
}

fn refused(shard: ShardId, why: &str) -> PartAnswer {
    let refusal = Refusal::new(
        Reason::NoPrimary,
        format!("shard {shard} cannot take writes now: {why}"),
    );
    PartAnswer::Refused {
        refusal,
        retry_after: Some(RETRY_MOST),
    }
}

/// Whether the same part may be taken a moment later.
fn is_passing(reason: Reason) -> bool {
    reason != Reason::NearlyFull
        && matches!(reason.action(), Action::Retry | Action::RetryElsewhere)
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
