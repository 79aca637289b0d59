//! Write path, steps 5 and 6 on a node: a part is judged and prepared, given to its shard's core,
//! and its caller answered when the core says so.

use super::{
    driver::{Driver, Waiting},
    input::{PartAnswer, PartWrite},
    prepare::{Terms, prepare},
    standing::Standing,
};
use gateway::write::writer::WriteRow;
use proto::{
    hlc::Hlc,
    id::ShardId,
    reason::{Reason, Refusal},
    schema::Schemas,
};
use replication::{
    Event, Replica,
    write::{Answer, Refused, ReplyTo, Write},
};
use std::time::Duration;

/// A part whose stamp came out above what it was judged by is prepared again this often.
const PREPARE_TRIES: u8 = 3;
/// What a refused caller waits before it tries again.
const RETRY_AFTER: Duration = Duration::from_millis(50);

impl Driver {
    pub(super) fn write(&mut self, write: PartWrite) {
        let reply_to = ReplyTo(self.next_reply);
        self.next_reply += 1;
        if !self.is_repeat(&write)
            && let Err(answer) = self.admit(&write)
        {
            // A caller that went away is no fault, here and below.
            let _ = write.reply.send(answer);
            return;
        }
        self.clock.observe(write.follows);
        self.submit(reply_to, Waiting { write, tries: 0 });
    }

    /// Whether the log has the part already: it takes no room, and its first answer stands, also where
    /// the store has filled up since.
    fn is_repeat(&self, write: &PartWrite) -> bool {
        let key = (write.batch.id, write.number());
        let replica = self.replicas.get(&write.part().shard);
        replica.is_some_and(|replica| replica.has_request(&key))
    }

    /// Says no early: a full store, and rows of schemas that are not known here yet.
    fn admit(&self, write: &PartWrite) -> Result<(), PartAnswer> {
        let part = write.part();
        let hashes: Vec<u64> = part
            .rows
            .iter()
            .map(|row| row.hash.with_view(row.view))
            .collect();
        if let Err(full) = self.writer.store().check_write(part.shard, &hashes) {
            return Err(PartAnswer::Refused {
                refusal: Refusal::from(full),
                retry_after: Some(RETRY_AFTER),
            });
        }
        let is_known = |row: &WriteRow| self.catalog.schema(row.view, row.schema).is_some();
        if part.rows.iter().all(is_known) {
            return Ok(());
        }
        Err(refused(
            Reason::NotReady,
            "the definitions of these rows have not reached this node yet",
        ))
    }

    fn submit(&mut self, reply_to: ReplyTo, waiting: Waiting) {
        let part = waiting.write.part();
        let shard = part.shard;
        let terms = Terms {
            catalog: &self.catalog,
            region: self.place.region,
            slot: waiting.write.batch.slot,
            stamp_at_least: Hlc(self.clock.last().0 + 1)
                .max(Hlc::from_millis(self.now.wall_millis())),
            max_future: self.max_future,
        };
        let store = self.writer.store();
        let prepared = prepare(
            &part.rows,
            &terms,
            &Standing {
                writer: &self.writer,
                store,
                shard,
            },
        );
        let write = Write {
            reply_to,
            fence: waiting.write.fence,
            request: waiting.write.batch.id,
            part: waiting.write.number(),
            placement: part.placement,
            rows: prepared.rows,
            outcome: prepared.outcome,
            stamp_at_most: prepared.stamp_at_most.unwrap_or(Hlc(u64::MAX)),
        };
        self.waiting.insert(reply_to, waiting);
        if self.replicas.contains_key(&shard) {
            self.step(shard, Event::Write(write));
        } else {
            let refused = Refused::NotPrimary { primary: None };
            self.answer(reply_to, Answer::Refused(refused), shard);
        }
    }

    /// Gives a waiting caller its answer.
    pub(super) fn answer(&mut self, to: ReplyTo, answer: Answer, shard: ShardId) {
        let Some(mut waiting) = self.waiting.remove(&to) else {
            return;
        };
        let answer = match answer {
            Answer::PrepareAgain if waiting.tries < PREPARE_TRIES => {
                waiting.tries += 1;
                self.submit(to, waiting);
                return;
            }
            Answer::PrepareAgain => refused(
                Reason::Overloaded,
                "the clock moves too fast to judge the rows",
            ),
            Answer::Written(written) => PartAnswer::Written {
                written,
                copies: self.copies(shard),
            },
            Answer::Refused(refused) => PartAnswer::Refused {
                refusal: Refusal::new(refused.reason(), refused.to_string()),
                retry_after: Some(RETRY_AFTER),
            },
            Answer::Unknown => PartAnswer::Unknown,
        };
        let _ = waiting.write.reply.send(answer);
    }

    fn copies(&self, shard: ShardId) -> u32 {
        let configuration = self.replicas.get(&shard).and_then(Replica::configuration);
        configuration.map_or(0, |configuration| configuration.in_sync.len() as u32)
    }
}

fn refused(reason: Reason, message: &str) -> PartAnswer {
    PartAnswer::Refused {
        refusal: Refusal::new(reason, message),
        retry_after: Some(RETRY_AFTER),
    }
}
