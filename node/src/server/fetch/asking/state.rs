//! How one shard of a lookup stands, and one attempt.

use super::{
    BEHIND_PAUSE_MICROS, BEHIND_PAUSE_MOST_MICROS, Candidate, REFUSED_PAUSE_MICROS, REFUSED_ROUNDS,
    Verdict,
};
use proto::id::NodeId;

/// One shard.
#[derive(Debug)]
pub struct Place {
    /// Whether a token names it.
    waits: bool,
    candidates: Vec<Candidate>,
    /// Who was asked in this round.
    asked: Vec<NodeId>,
    /// Attempts that are waited for.
    pub waited_for: usize,
    winner: Option<usize>,
    /// The best answer that is not good.
    fallback: Option<(usize, Verdict)>,
    is_behind: bool,
    rounds: u32,
    /// When it is asked for again.
    pub again_at: Option<u64>,
    is_given_up: bool,
}

/// One node that was asked for some shards at once.
#[derive(Debug)]
pub struct Attempt {
    pub node: NodeId,
    pub places: Vec<u16>,
    pub asked_at: u64,
    /// When others are asked besides; none once that was done or decided against.
    pub hedge_at: Option<u64>,
    /// When it counts as failed.
    pub give_up_at: Option<u64>,
    pub is_waited_for: bool,
    pub has_ended: bool,
}

impl Place {
    pub fn new(waits: bool) -> Self {
        Self {
            waits,
            candidates: Vec::new(),
            asked: Vec::new(),
            waited_for: 0,
            winner: None,
            fallback: None,
            is_behind: false,
            rounds: 0,
            again_at: None,
            is_given_up: false,
        }
    }

    /// A round begins: everybody may be asked.
    pub fn begin(&mut self, candidates: Vec<Candidate>) {
        self.candidates = candidates;
        self.asked.clear();
        self.is_behind = false;
        self.rounds += 1;
        self.again_at = None;
    }

    /// Whom to ask next.
    pub fn next(&self) -> Option<Candidate> {
        let is_left = |candidate: &&Candidate| !self.asked.contains(&candidate.node);
        let mut left = self.candidates.iter().filter(is_left);
        let primary = left.clone().find(|candidate| candidate.is_primary);
        let first = left.next();
        primary.filter(|_| self.is_behind).or(first).copied()
    }

    /// A candidate is asked. Says whether it may wait for the token: nobody is likely to have more.
    pub fn ask(&mut self, candidate: &Candidate) -> bool {
        self.asked.push(candidate.node);
        self.waited_for += 1;
        self.waits && (candidate.is_primary || self.next().is_none())
    }

    pub fn take(&mut self, attempt: usize, verdict: Verdict) {
        if self.winner.is_some() {
            return;
        }
        match verdict {
            Verdict::Good => self.winner = Some(attempt),
            Verdict::Refused => {}
            Verdict::Behind => {
                self.is_behind = true;
                // The later one is the fresher one.
                if self.fallback.is_none_or(|(_, of)| of == Verdict::Behind) {
                    self.fallback = Some((attempt, verdict));
                }
            }
            Verdict::Damaged => self.fallback = Some((attempt, verdict)),
        }
    }

    /// Everybody was asked in vain.
    pub fn rest(&mut self, now: u64, deadline: u64) {
        let pause = if self.is_behind {
            BEHIND_PAUSE_MICROS
                .saturating_mul(1 << self.rounds.min(16))
                .min(BEHIND_PAUSE_MOST_MICROS)
        } else {
            REFUSED_PAUSE_MICROS
        };
        let may_help = self.is_behind || self.rounds < REFUSED_ROUNDS;
        if may_help && now + pause < deadline {
            self.again_at = Some(now + pause);
        } else {
            self.is_given_up = true;
        }
    }

    /// Nobody is waited for, and somebody should be.
    pub fn is_idle(&self) -> bool {
        let is_open = self.winner.is_none() && !self.is_given_up;
        is_open && self.waited_for == 0 && self.again_at.is_none()
    }

    /// Exactly one answer is waited for.
    pub fn waits_for_one(&self) -> bool {
        self.winner.is_none() && self.waited_for == 1
    }

    pub fn is_settled(&self) -> bool {
        self.winner.is_some() || (self.is_given_up && self.waited_for == 0)
    }

    pub fn best(&self) -> Option<usize> {
        self.winner
            .or_else(|| self.fallback.map(|(attempt, _)| attempt))
    }
}

impl Attempt {
    pub fn wake_at(&self) -> Option<u64> {
        let times = [self.hedge_at, self.give_up_at];
        times.into_iter().flatten().min()
    }

    pub fn is_due_to_hedge(&self, now: u64) -> bool {
        self.hedge_at.is_some_and(|at| at <= now)
    }

    pub fn is_due_to_give_up(&self, now: u64) -> bool {
        self.give_up_at.is_some_and(|at| at <= now)
    }
}
