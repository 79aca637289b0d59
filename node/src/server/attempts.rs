//! Write path, step 4: what a gateway knows of a part over its attempts, and what it does next. Pure.
//!
//! A part may be tried as often as time allows, under one request id: whoever is primary has every
//! entry that was or will be acknowledged in its log, and with it the id (decision 0085). What must
//! not be forgotten is that an earlier attempt may still be carried out: from then on no refusal says
//! that nothing happened.

use super::shards::PartAnswer;
use proto::reason::{Action, Reason};
use std::time::Duration;

/// The first pause before a part is tried again; it doubles up to [`PAUSE_MOST`].
const PAUSE_FIRST: Duration = Duration::from_millis(5);
/// Also what a caller waits that was refused in passing.
pub const PAUSE_MOST: Duration = Duration::from_millis(200);

/// What follows an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// It is known what became of the part, or there is no time left to find out.
    Answer(PartAnswer),
    /// The part is tried again after this, or as soon as its shard's configuration changes.
    Again {
        /// The pause.
        after: Duration,
    },
}

/// One part's attempts so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempts {
    may_have_happened: bool,
    pause: Duration,
}

impl Default for Attempts {
    fn default() -> Self {
        Self {
            may_have_happened: false,
            pause: PAUSE_FIRST,
        }
    }
}

impl Attempts {
    /// Takes the outcome of one more attempt, with so much time `left`.
    pub fn judge(&mut self, answer: PartAnswer, left: Duration) -> Next {
        let is_settled = match &answer {
            PartAnswer::Written { .. } => return Next::Answer(answer),
            PartAnswer::Unknown => {
                self.may_have_happened = true;
                false
            }
            PartAnswer::Refused { refusal, .. } => !is_passing(refusal.reason),
        };
        let after = self.pause;
        if !is_settled && left > after {
            self.pause = (after * 2).min(PAUSE_MOST);
            return Next::Again { after };
        }
        // A refusal speaks of its own attempt only.
        Next::Answer(if self.may_have_happened {
            PartAnswer::Unknown
        } else {
            answer
        })
    }
}

/// Whether the same part may be taken a moment later.
fn is_passing(reason: Reason) -> bool {
    reason != Reason::NearlyFull
        && matches!(reason.action(), Action::Retry | Action::RetryElsewhere)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::{
        hlc::Hlc,
        id::{Incarnation, PlacementId, Position, Sequence},
        reason::Refusal,
        request::WriteOutcome,
    };
    use replication::requests::Written;

    const LONG: Duration = Duration::from_secs(5);

    fn refused(reason: Reason) -> PartAnswer {
        PartAnswer::Refused {
            refusal: Refusal::new(reason, "no"),
            retry_after: None,
        }
    }

    fn written() -> PartAnswer {
        let written = Written {
            position: Position(7),
            placement: PlacementId(0),
            incarnation: Incarnation(1),
            sequence: Sequence(3),
            hlc: Hlc(9),
            outcome: WriteOutcome::default(),
            sent: None,
        };
        PartAnswer::Written { written, copies: 2 }
    }

    /// The answer that the caller gets where each of `attempts` ends so, with time for all of them.
    fn outcome(attempts: &[PartAnswer]) -> PartAnswer {
        let mut part = Attempts::default();
        for (place, answer) in attempts.iter().enumerate() {
            let is_last = place + 1 == attempts.len();
            let left = if is_last { Duration::ZERO } else { LONG };
            match part.judge(answer.clone(), left) {
                Next::Answer(answer) => {
                    assert!(is_last, "it gave up after attempt {place}");
                    return answer;
                }
                Next::Again { .. } => assert!(!is_last, "it went on past its deadline"),
            }
        }
        panic!("no answer")
    }

    #[test]
    fn a_part_that_was_never_taken_is_refused_with_the_last_reason() {
        let busy = refused(Reason::Overloaded);
        assert_eq!(outcome(&[refused(Reason::NoPrimary), busy.clone()]), busy);
    }

    #[test]
    fn a_refusal_after_an_unknown_attempt_is_unknown() {
        for reason in [
            Reason::NoPrimary,
            Reason::RequestIdExpired,
            Reason::NearlyFull,
        ] {
            let attempts = [PartAnswer::Unknown, refused(reason)];
            assert_eq!(outcome(&attempts), PartAnswer::Unknown, "{reason}");
        }
    }

    #[test]
    fn an_unknown_attempt_is_repeated_until_its_outcome_is_known() {
        let attempts = [
            PartAnswer::Unknown,
            refused(Reason::NoPrimary),
            refused(Reason::NotReady),
            written(),
        ];
        assert_eq!(outcome(&attempts), written());
    }

    #[test]
    fn what_will_not_pass_is_answered_at_once() {
        for reason in [
            Reason::NearlyFull,
            Reason::TooLarge,
            Reason::RequestIdExpired,
        ] {
            let next = Attempts::default().judge(refused(reason), LONG);
            assert_eq!(next, Next::Answer(refused(reason)));
        }
        assert_eq!(
            Attempts::default().judge(written(), Duration::ZERO),
            Next::Answer(written())
        );
    }

    #[test]
    fn pauses_double_to_a_limit_and_never_outlast_the_deadline() {
        let mut part = Attempts::default();
        let pauses: Vec<u128> = (0..8)
            .map(|_| match part.judge(refused(Reason::NoPrimary), LONG) {
                Next::Again { after } => after.as_millis(),
                Next::Answer(answer) => panic!("{answer:?}"),
            })
            .collect();
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 200, 200]);
        let no_time = part.judge(refused(Reason::NoPrimary), Duration::from_millis(200));
        assert_eq!(no_time, Next::Answer(refused(Reason::NoPrimary)));
    }
}
