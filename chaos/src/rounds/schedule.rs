//! What is done in which round, drawn from a seed; victims are chosen when their round comes.

use crate::cluster::State;
use anyhow::{Context as _, Result};
use sim::random::Random;
use std::fmt;

/// What is done to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Act {
    /// SIGKILL, and a new start.
    Kill,
    /// SIGSTOP, and SIGCONT.
    Freeze,
    /// SIGKILL, its data directory removed, and a new start.
    Wipe,
    /// SIGKILL to all nodes at once, and a new start.
    KillAll,
}

/// To which node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Victim {
    /// The leader of the region's group.
    Leader,
    /// Another voter: the one that is primary of most shards.
    Voter,
}

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Round {
    /// What.
    pub act: Act,
    /// To whom.
    pub victim: Victim,
}

/// Any number of rounds of kills and freezes, and among them a wiped disk and a kill of all.
#[must_use]
pub fn schedule(rounds: usize, seed: u64) -> Vec<Round> {
    let mut random = Random::of_purpose(seed, "rounds");
    let first = [
        (Act::Kill, Victim::Leader),
        (Act::Freeze, Victim::Voter),
        (Act::Freeze, Victim::Leader),
        (Act::Kill, Victim::Voter),
    ];
    let mut plan: Vec<Round> = first
        .into_iter()
        .cycle()
        .take(rounds)
        .map(|(act, victim)| Round { act, victim })
        .collect();
    plan.push(Round {
        act: Act::Wipe,
        victim: *random.pick(&[Victim::Leader, Victim::Voter]),
    });
    plan.push(Round {
        act: Act::KillAll,
        victim: Victim::Leader,
    });
    for place in (1..plan.len()).rev() {
        plan.swap(place, random.below(place as u64 + 1) as usize);
    }
    plan
}

impl Victim {
    /// The name of the node, as the cluster is now.
    pub fn of(self, state: &State) -> Result<String> {
        let leader = state
            .regional_leader()
            .context("the region's group has no leader")?;
        match self {
            Self::Leader => Ok(leader.to_owned()),
            Self::Voter => {
                let others = state
                    .nodes
                    .iter()
                    .filter(|node| node.reachable && node.name != leader);
                let most = others.max_by_key(|node| node.primaries);
                Ok(most.context("only the leader is reachable")?.name.clone())
            }
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kill => "kill",
            Self::Freeze => "freeze",
            Self::Wipe => "kill and wipe",
            Self::KillAll => "kill all, with",
        })
    }
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whom = match self.victim {
            Victim::Leader => "the leader",
            Victim::Voter => "a voter",
        };
        write!(f, "{} {whom}", self.act)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_rounds_hold_every_case() {
        let plan = schedule(20, 1);
        assert_eq!(plan.len(), 22);
        for act in [Act::Kill, Act::Freeze] {
            for victim in [Victim::Leader, Victim::Voter] {
                assert!(plan.contains(&Round { act, victim }), "{act} {victim:?}");
            }
        }
        let count = |act| plan.iter().filter(|round| round.act == act).count();
        assert_eq!([count(Act::Wipe), count(Act::KillAll)], [1, 1]);
    }

    #[test]
    fn a_seed_gives_one_schedule() {
        assert_eq!(schedule(20, 1), schedule(20, 1));
        assert_ne!(schedule(20, 1), schedule(20, 2));
    }
}
