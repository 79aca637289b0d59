//! The pieces of one part of a write, whose rows may take several entries: what they came to together.
//! Pure.
//!
//! The grouping into parts follows from the request alone and cannot know the rows that stand, so merged
//! images may outgrow an entry. The primary then carries a part out in several entries, in order, each
//! under an id of its own ([`proto::request::RequestId::piece`]). They are appended in one step, so a
//! later primary has a first few of them or all; each says in its outcome how many rows it took, so a
//! repeat finds where to go on.

use super::input::PartAnswer;
use proto::reason::Refusal;
use replication::requests::Written;
use std::time::Duration;

/// What became of one piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PieceAnswer {
    /// It is committed.
    Written(Written),
    /// Nothing of it happened.
    Refused(Refusal, Option<Duration>),
    /// It may have happened.
    Unknown,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Pieces {
    /// Pieces without an answer.
    open: usize,
    written: Option<Written>,
    refused: Option<(Refusal, Option<Duration>)>,
    is_unknown: bool,
    are_all_sent: bool,
}

impl Pieces {
    /// One more piece was given to the shard.
    pub fn sent(&mut self) {
        self.open += 1;
    }

    /// No more come.
    pub fn all_sent(&mut self) {
        self.are_all_sent = true;
    }

    /// Whether the next piece may be sent: a repeat must find the first few of them, without a hole.
    #[must_use]
    pub fn may_go_on(&self) -> bool {
        self.refused.is_none() && !self.is_unknown
    }

    /// Takes the answer of a piece; they come in any order.
    pub fn take(&mut self, answer: PieceAnswer) {
        self.open -= 1;
        match answer {
            PieceAnswer::Written(written) => match &mut self.written {
                Some(sum) => add(sum, written),
                none => *none = Some(written),
            },
            PieceAnswer::Refused(refusal, retry_after) => {
                self.refused.get_or_insert((refusal, retry_after));
            }
            PieceAnswer::Unknown => self.is_unknown = true,
        }
    }

    /// What the part came to, on so many `copies`, once that is known.
    pub fn outcome(&mut self, copies: u32) -> Option<PartAnswer> {
        if self.open > 0 || !self.are_all_sent {
            return None;
        }
        let written = self.written.take();
        Some(match (written, self.refused.take()) {
            // Sent again, it goes on behind what was written.
            (Some(_), Some(_)) => PartAnswer::Unknown,
            _ if self.is_unknown => PartAnswer::Unknown,
            (Some(written), None) => PartAnswer::Written { written, copies },
            (None, Some((refusal, retry_after))) => PartAnswer::Refused {
                refusal,
                retry_after,
            },
            (None, None) => PartAnswer::Unknown,
        })
    }
}

/// The rows of both; a token that asks for the later entry asks for the earlier one too.
fn add(sum: &mut Written, other: Written) {
    let mut outcome = std::mem::take(&mut sum.outcome);
    outcome.accepted += other.outcome.accepted;
    outcome.superseded += other.outcome.superseded;
    outcome
        .rejected
        .extend(other.outcome.rejected.iter().cloned());
    outcome
        .rejected
        .sort_by_key(|rejection| (rejection.write, rejection.row));
    let last = if other.position > sum.position {
        other
    } else {
        sum.clone()
    };
    *sum = Written { outcome, ..last };
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::{
        hlc::Hlc,
        id::{Incarnation, PlacementId, Position, Sequence},
        reason::Reason,
        request::{Rejection, WriteOutcome},
    };

    fn written(number: u64, rejected: &[u32]) -> Written {
        let rejection = |row: &u32| Rejection {
            write: 0,
            row: *row,
            refusal: Refusal::new(Reason::TooLarge, "no"),
        };
        Written {
            position: Position(number),
            placement: PlacementId(0),
            incarnation: Incarnation(1),
            sequence: Sequence(number),
            hlc: Hlc(number),
            outcome: WriteOutcome {
                accepted: 10,
                superseded: 1,
                rejected: rejected.iter().map(rejection).collect(),
            },
            sent: None,
        }
    }

    fn refused() -> PieceAnswer {
        PieceAnswer::Refused(Refusal::new(Reason::Overloaded, "later"), None)
    }

    fn outcome(answers: &[PieceAnswer]) -> PartAnswer {
        let mut pieces = Pieces::default();
        answers.iter().for_each(|_| pieces.sent());
        for answer in answers {
            assert_eq!(pieces.outcome(2), None);
            pieces.take(answer.clone());
        }
        assert_eq!(pieces.outcome(2), None, "more may come");
        pieces.all_sent();
        pieces.outcome(2).expect("all is known")
    }

    #[test]
    fn a_part_of_one_piece_comes_to_what_its_piece_came_to() {
        let one = written(7, &[3]);
        let expected = PartAnswer::Written {
            written: one.clone(),
            copies: 2,
        };
        assert_eq!(outcome(&[PieceAnswer::Written(one)]), expected);
        assert!(matches!(outcome(&[refused()]), PartAnswer::Refused { .. }));
        assert_eq!(outcome(&[PieceAnswer::Unknown]), PartAnswer::Unknown);
    }

    #[test]
    fn written_pieces_add_up_and_the_last_one_is_waited_for() {
        let answers = [(8, vec![12]), (9, vec![22, 23]), (7, vec![2])];
        let answers =
            answers.map(|(number, rejected)| PieceAnswer::Written(written(number, &rejected)));
        let PartAnswer::Written { written, .. } = outcome(&answers) else {
            panic!("all pieces are written");
        };
        assert_eq!((written.sequence, written.hlc), (Sequence(9), Hlc(9)));
        assert_eq!(
            (written.outcome.accepted, written.outcome.superseded),
            (30, 3)
        );
        let rows: Vec<u32> = written.outcome.rejected.iter().map(|row| row.row).collect();
        assert_eq!(rows, [2, 12, 22, 23]);
    }

    #[test]
    fn a_part_that_was_taken_in_part_may_have_happened() {
        for other in [refused(), PieceAnswer::Unknown] {
            assert_eq!(
                outcome(&[PieceAnswer::Written(written(7, &[])), other]),
                PartAnswer::Unknown
            );
        }
    }

    #[test]
    fn nothing_follows_a_piece_that_was_not_taken() {
        for answer in [refused(), PieceAnswer::Unknown] {
            let mut pieces = Pieces::default();
            pieces.sent();
            assert!(pieces.may_go_on());
            pieces.take(answer);
            assert!(!pieces.may_go_on());
        }
    }
}
