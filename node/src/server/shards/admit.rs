//! Write path, steps 5 and 6 on a node: a part is judged and prepared, given to its shard's core piece
//! by piece, and its caller answered when the core says so.

use super::{
    digest::digest,
    driver::{Driver, Open, Waiting},
    input::{PartAnswer, PartWrite},
    pieces::{PieceAnswer, Pieces},
    prepare::{Prepared, Terms, prepare},
    standing::Standing,
};
use gateway::write::writer::WriteRow;
use proto::{
    hlc::Hlc,
    id::ShardId,
    reason::{Reason, Refusal},
    request::{Rejection, RequestId, RequestPart, Sent},
    schema::Schemas,
};
use replication::{
    Event, Replica,
    write::{Answer, Refused, ReplyTo, Write},
};
use std::{ops::Range, time::Duration};

/// A piece whose stamp came out above what it was judged by is prepared again this often.
const PREPARE_TRIES: u8 = 3;
/// What a refused caller waits before it tries again.
const RETRY_AFTER: Duration = Duration::from_millis(50);

/// Room comes by compaction, or by people: not within a moment.
const RETRY_WHEN_FULL: Duration = Duration::from_secs(1);

impl Driver {
    pub(super) fn write(&mut self, write: PartWrite) {
        let is_repeat = self.rows_known(&write, 0).is_some();
        if !is_repeat && let Err(answer) = self.admit(&write) {
            // A caller that went away is no fault, here and below.
            let _ = write.reply.send(answer);
            return;
        }
        self.clock.observe(write.follows);
        let (number, pieces) = (self.next_part, Pieces::default());
        self.next_part += 1;
        self.parts.insert(number, Open { write, pieces });
        self.submit(number);
    }

    /// How many rows of the part the log's entry of its piece took, if there is one. It takes no room
    /// again, and its first answer stands, also where the store has filled up since.
    fn rows_known(&self, write: &PartWrite, piece: u16) -> Option<usize> {
        let replica = self.replicas.get(&write.part().shard)?;
        let outcome = replica.outcome_of(&key_of(write, piece))?;
        Some(outcome.rows())
    }

    /// Says no early: a full store, and rows of schemas that are not known here yet.
    fn admit(&self, write: &PartWrite) -> Result<(), PartAnswer> {
        let part = write.part();
        let hashes: Vec<u64> = part
            .rows
            .iter()
            .map(|row| row.hash.with_view(row.view))
            .collect();
        let own = self.writer.store().check_write(part.shard, &hashes);
        let configuration = self
            .replicas
            .get(&part.shard)
            .and_then(Replica::configuration);
        let others = configuration.map_or(Ok(()), |configuration| {
            self.room.check(self.place.node, configuration)
        });
        if let Err(refusal) = own.map_err(Refusal::from).and(others) {
            return Err(PartAnswer::Refused {
                refusal,
                retry_after: Some(RETRY_WHEN_FULL),
            });
        }
        let is_known = |row: &WriteRow| self.catalog.schema(row.view, row.schema).is_some();
        if part.rows.iter().all(is_known) {
            return Ok(());
        }
        Err(PartAnswer::Refused {
            refusal: Refusal::new(
                Reason::NotReady,
                "the definitions of these rows have not reached this node yet",
            ),
            retry_after: Some(RETRY_AFTER),
        })
    }

    /// Gives the shard all pieces of a part, one after the other, as long as it takes them.
    fn submit(&mut self, number: u64) {
        let (mut from, mut piece) = (0, 0);
        while let Some(open) = self.parts.get_mut(&number) {
            let rows = open.write.part().rows.len();
            if (piece > 0 && from >= rows) || !open.pieces.may_go_on() {
                break;
            }
            open.pieces.sent();
            from += self.submit_piece(number, piece, from..rows);
            piece += 1;
        }
        if let Some(open) = self.parts.get_mut(&number) {
            open.pieces.all_sent();
        }
        self.answer_part(number);
    }

    /// Submits as many of the rows as one entry takes; says how many.
    fn submit_piece(&mut self, number: u64, piece: u16, rows: Range<usize>) -> usize {
        let write = &self.parts[&number].write;
        let known = self.rows_known(write, piece);
        let prepared = match known {
            // The core answers from its log, whatever comes with the id.
            Some(_) => Prepared::default(),
            None => self.prepare(write, rows.clone()),
        };
        if known.is_none() && self.waits_for_repair(&prepared, write.part().shard) {
            let refusal = Refusal::new(
                Reason::Damaged,
                "a row that stands cannot be read; it waits for repair from a replica",
            );
            if let Some(open) = self.parts.get_mut(&number) {
                open.pieces
                    .take(PieceAnswer::Refused(refusal, Some(RETRY_AFTER)));
            }
            return rows.len();
        }
        let taken = known.unwrap_or(prepared.taken).clamp(1, rows.len().max(1));
        let waiting = Waiting {
            part: number,
            piece,
            rows: rows.start..rows.start + taken.min(rows.len()),
            tries: 0,
        };
        let reply_to = ReplyTo(self.next_reply);
        self.next_reply += 1;
        self.give(reply_to, waiting, prepared);
        taken
    }

    /// Whether a row could not be merged with the one that stands, and another replica may still have
    /// that. Once none has, the row alone is refused.
    fn waits_for_repair(&self, prepared: &Prepared, shard: ShardId) -> bool {
        let is_damaged = |row: &Rejection| row.refusal.reason == Reason::Damaged;
        prepared.outcome.rejected.iter().any(is_damaged)
            && !self.writer.store().beyond_repair().contains(&shard)
    }

    fn prepare(&self, write: &PartWrite, rows: Range<usize>) -> Prepared {
        let terms = Terms {
            catalog: &self.catalog,
            region: self.place.region,
            slot: write.batch.slot,
            stamp_at_least: Hlc(self.clock.last().0 + 1)
                .max(Hlc::from_millis(self.now.wall_millis())),
            max_future: self.max_future,
        };
        let standing = Standing {
            writer: &self.writer,
            store: self.writer.store(),
            shard: write.part().shard,
        };
        prepare(&write.part().rows[rows], &terms, &standing)
    }

    fn give(&mut self, reply_to: ReplyTo, waiting: Waiting, prepared: Prepared) {
        let open = &self.parts[&waiting.part].write;
        let (request, part) = key_of(open, waiting.piece);
        let write = Write {
            reply_to,
            fence: open.fence,
            request,
            part,
            placement: open.part().placement,
            rows: prepared.rows,
            outcome: prepared.outcome,
            sent: Sent {
                revision: open.batch.revision,
                digest: digest(open.part(), waiting.rows.clone()),
            },
            stamp_at_most: prepared.stamp_at_most.unwrap_or(Hlc(u64::MAX)),
        };
        let shard = open.part().shard;
        self.waiting.insert(reply_to, waiting);
        if self.replicas.contains_key(&shard) {
            self.step(shard, Event::Write(write));
        } else {
            let refused = Refused::NotPrimary { primary: None };
            self.answer(reply_to, Answer::Refused(refused));
        }
    }

    /// Takes the core's answer to a piece.
    pub(super) fn answer(&mut self, to: ReplyTo, answer: Answer) {
        let Some(waiting) = self.waiting.remove(&to) else {
            return;
        };
        let number = waiting.part;
        let answer = match answer {
            Answer::PrepareAgain => match self.prepare_again(to, waiting) {
                Some(refused) => refused,
                None => return,
            },
            Answer::Written(written) => PieceAnswer::Written(written),
            Answer::Refused(refused) => {
                let refusal = Refusal::new(refused.reason(), refused.to_string());
                PieceAnswer::Refused(refusal, Some(RETRY_AFTER))
            }
            Answer::Unknown => PieceAnswer::Unknown,
        };
        if let Some(open) = self.parts.get_mut(&number) {
            open.pieces.take(answer);
        }
        self.answer_part(number);
    }

    /// Judges a piece's rows anew under a later stamp. The rows that stand are the same as before, so
    /// the same rows fit.
    fn prepare_again(&mut self, to: ReplyTo, mut waiting: Waiting) -> Option<PieceAnswer> {
        waiting.tries += 1;
        let write = &self.parts.get(&waiting.part)?.write;
        let prepared = self.prepare(write, waiting.rows.clone());
        if waiting.tries > PREPARE_TRIES || prepared.taken < waiting.rows.len() {
            let refusal = Refusal::new(
                Reason::Overloaded,
                "the clock moves too fast to judge the rows",
            );
            return Some(PieceAnswer::Refused(refusal, Some(RETRY_AFTER)));
        }
        self.give(to, waiting, prepared);
        None
    }

    /// Answers a part's caller once all its pieces are.
    fn answer_part(&mut self, number: u64) {
        let Some(open) = self.parts.get(&number) else {
            return;
        };
        let copies = self.copies(open.write.part().shard);
        let open = self.parts.get_mut(&number).expect("it was just found");
        if let Some(answer) = open.pieces.outcome(copies)
            && let Some(open) = self.parts.remove(&number)
        {
            let _ = open.write.reply.send(answer);
        }
    }

    fn copies(&self, shard: ShardId) -> u32 {
        let configuration = self.replicas.get(&shard).and_then(Replica::configuration);
        configuration.map_or(0, |configuration| configuration.in_sync.len() as u32)
    }
}

/// Under which a shard remembers a piece.
fn key_of(write: &PartWrite, piece: u16) -> (RequestId, RequestPart) {
    (write.batch.id.piece(piece), write.number())
}
