//! `atoll recover`: shards of which no copy counts any more go on from the longest log there is, in a new
//! incarnation. What is chosen is pure; a person has said that the loss is accepted.

use super::{
    Admin, name_of,
    positions::{At, Replicas},
};
use proto::id::{BootId, Epoch, Incarnation, NodeId, Position, ShardId};
use raft::placement::{
    Placement, PlacementCommand, PlacementOutcome, Replica, ShardChange, ShardConfig,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tonic::Status;
use wire::v1;

/// How long one change waits for a quorum.
const PATIENCE: Duration = Duration::from_secs(5);

/// A shard that nobody can lead, and who would begin its next life.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Lost {
    shard: ShardId,
    expect: (Incarnation, Epoch),
    survivor: Replica,
    boot: BootId,
    at: At,
    /// Holders that do not answer: they may have more.
    unheard: Vec<NodeId>,
}

/// The shards among `wanted`, or of all, of which no member counts any more, each with the longest log
/// of those that answer. A member that answers and is what it was leads again by itself.
fn lost(placement: &Placement, answers: &BTreeMap<NodeId, Replicas>, wanted: &[u32]) -> Vec<Lost> {
    let is_wanted = |shard: &ShardId| wanted.is_empty() || wanted.contains(&u32::from(shard.0));
    let counts = |own: &Replica| placement.is_present(*own) && answers.contains_key(&own.node);
    let is_lost = |config: &ShardConfig| !config.in_sync.iter().any(counts);
    let shards = placement
        .shards
        .iter()
        .filter(|(shard, config)| is_wanted(shard) && is_lost(config));
    shards
        .filter_map(|(shard, config)| of_shard(*shard, config, placement, answers))
        .collect()
}

fn of_shard(
    shard: ShardId,
    config: &ShardConfig,
    placement: &Placement,
    answers: &BTreeMap<NodeId, Replicas>,
) -> Option<Lost> {
    let nothing = At {
        epoch: Epoch(0),
        end: Position(0),
        committed: Position(0),
    };
    let candidates = answers.iter().filter_map(|(node, replicas)| {
        let survivor = placement.replica_of(*node)?;
        let at = replicas.get(&shard).copied().unwrap_or(nothing);
        placement.is_present(survivor).then_some((survivor, at))
    });
    let (survivor, at) =
        candidates.max_by_key(|(survivor, at)| (at.epoch, at.end, survivor.node))?;
    let members = config.in_sync.iter().chain(&config.joining);
    let mut unheard: Vec<NodeId> = members
        .map(|own| own.node)
        .filter(|node| !answers.contains_key(node))
        .collect();
    unheard.sort();
    unheard.dedup();
    Some(Lost {
        shard,
        expect: (config.incarnation, config.epoch),
        survivor,
        boot: placement.members.get(&survivor.node)?.boot,
        at,
        unheard,
    })
}

impl Admin {
    /// Says what would be done, or does it where the cluster's name says that it is meant.
    pub(super) async fn recover_shards(
        &self,
        request: &v1::RecoverRequest,
    ) -> Result<v1::RecoverResponse, Status> {
        let catalog = self.global.catalog();
        let founding = catalog
            .founding()
            .ok_or_else(|| Status::unavailable("there is no cluster yet"))?;
        if request.region != self.region.name() {
            return Err(Status::invalid_argument(format!(
                "this gateway is in region {}, not {:?}; ask a gateway of the region that lost something",
                self.region.name(),
                request.region
            )));
        }
        let (named, name) = (&request.accept_loss_of, &founding.name);
        if !named.is_empty() && named != name {
            return Err(Status::invalid_argument(format!(
                "the cluster is {name:?}, not {named:?}; nothing was changed"
            )));
        }
        let placement = self.region.placement();
        let told = self.told(&placement).await.into_iter();
        let answers = told.map(|(node, told)| (node, told.replicas)).collect();
        let lost = lost(&placement, &answers, &request.shards);
        if !named.is_empty() && !lost.is_empty() {
            let voters: Vec<NodeId> = self.regional.voters().into_keys().collect();
            may_decide(&voters, &self.alive(&placement), &placement)
                .map_err(Status::unavailable)?;
            // Whoever stamped what is lost may have been ahead by so much: what comes is stamped later.
            tokio::time::sleep(2 * Duration::from_millis(founding.max_offset_millis)).await;
        }
        let mut shards = Vec::new();
        for lost in lost {
            let mut said = said(&lost, &placement);
            if !named.is_empty() {
                match self.accept(&lost).await {
                    Ok(incarnation) => said.incarnation = incarnation.0,
                    Err(why) => said.refused = why,
                }
            }
            shards.push(said);
        }
        Ok(v1::RecoverResponse {
            shards,
            cluster_name: name.clone(),
        })
    }

    async fn accept(&self, lost: &Lost) -> Result<Incarnation, String> {
        let command = PlacementCommand::Change {
            shard: lost.shard,
            expect: Some(lost.expect),
            change: ShardChange::AcceptLoss {
                survivor: lost.survivor,
                boot: lost.boot,
            },
        };
        let applied = self.regional.propose(&command, PATIENCE).await;
        match applied.map_err(|error| error.to_string())?.outcome {
            PlacementOutcome::Done { config, .. } => {
                tracing::warn!(
                    shard = %lost.shard, node = %lost.survivor.node, end = %lost.at.end,
                    "a loss was accepted: the shard goes on from this log in a new incarnation"
                );
                Ok(config.map_or(lost.expect.0, |config| config.incarnation))
            }
            PlacementOutcome::Refused { refusal, .. } => Err(refusal.to_string()),
        }
    }
}

/// Fails where too few voters answer to decide anything: what is handed in then would wait, and be carried out when
/// nobody means it any more.
fn may_decide(
    voters: &[NodeId],
    alive: &BTreeSet<NodeId>,
    placement: &Placement,
) -> Result<(), String> {
    let silent = voters.iter().filter(|voter| !alive.contains(voter));
    let silent: Vec<String> = silent.map(|voter| name_of(*voter, placement)).collect();
    let answering = voters.len() - silent.len();
    if answering * 2 > voters.len() {
        return Ok(());
    }
    Err(format!(
        "the region's group decides nothing now: {answering} of its {} voters answer, and more than half must; start {} \
         first. Nothing was changed",
        voters.len(),
        silent.join(" or ")
    ))
}

fn said(lost: &Lost, placement: &Placement) -> v1::RecoveredShard {
    let unheard = lost.unheard.iter();
    v1::RecoveredShard {
        shard: lost.shard.0.into(),
        node: name_of(lost.survivor.node, placement),
        position: lost.at.end.0,
        unheard: unheard.map(|node| name_of(*node, placement)).collect(),
        incarnation: 0,
        refused: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::admin::examples;
    use raft::placement::{Member, state::Policy};
    use std::sync::Arc;

    const SHARD: ShardId = ShardId(0);

    fn replica(node: u64, boot: u64) -> Replica {
        Replica {
            boot: Some(BootId(boot)),
            ..examples::replica(node)
        }
    }

    /// Nodes 1 to 3, in boot 9 each; the shard is in sync on nodes 1 and 2 as they were in `boots`.
    fn placement(boots: [u64; 2]) -> Placement {
        let member = |node: u64| Member {
            boot: BootId(9),
            ..examples::member(node)
        };
        let policy = Policy {
            region: proto::id::RegionId(1),
            group: 1,
            shards: 1,
            copies: 2,
            min_in_sync: 1,
            named_by_boot: true,
        };
        let config = ShardConfig {
            incarnation: Incarnation(3),
            epoch: Epoch(7),
            primary: replica(1, boots[0]),
            boot: BootId(boots[0]),
            in_sync: [replica(1, boots[0]), replica(2, boots[1])].into(),
            joining: [].into(),
        };
        Placement {
            policy: Some(policy),
            members: (1..=3)
                .map(|node| (NodeId(node), Arc::new(member(node))))
                .collect(),
            shards: [(SHARD, Arc::new(config))].into(),
            ..Placement::default()
        }
    }

    /// Nodes that answer, with the epoch and the end of their logs.
    fn answers(logs: &[(u64, u32, u64)]) -> BTreeMap<NodeId, Replicas> {
        let of = |(node, epoch, end): &(u64, u32, u64)| {
            let at = At {
                epoch: Epoch(*epoch),
                end: Position(*end),
                committed: Position(0),
            };
            (NodeId(*node), Replicas::from([(SHARD, at)]))
        };
        logs.iter().map(of).collect()
    }

    fn survivors(boots: [u64; 2], logs: &[(u64, u32, u64)]) -> Vec<(u64, Vec<u64>)> {
        let lost = lost(&placement(boots), &answers(logs), &[]);
        let ids = |nodes: &[NodeId]| nodes.iter().map(|node| node.0).collect();
        lost.iter()
            .map(|lost| (lost.survivor.node.0, ids(&lost.unheard)))
            .collect()
    }

    #[test]
    fn nothing_is_handed_in_where_no_majority_decides() {
        let voters = [NodeId(1), NodeId(2), NodeId(3)];
        let decide = |alive: &[u64]| {
            let alive = alive.iter().map(|node| NodeId(*node)).collect();
            may_decide(&voters, &alive, &placement([9, 9]))
        };
        assert_eq!(decide(&[1, 2, 3]), Ok(()));
        assert_eq!(decide(&[1, 3]), Ok(()));
        let why = decide(&[2]).unwrap_err();
        assert!(why.contains("1 of its 3 voters answer"), "{why}");
        assert!(why.contains("Nothing was changed"), "{why}");
        let two = may_decide(&voters[..2], &[NodeId(1)].into(), &placement([9, 9]));
        assert!(two.is_err(), "half is no majority");
    }

    #[test]
    fn the_longest_log_goes_on_and_a_later_epoch_is_longer() {
        let ended = [8, 8];
        assert_eq!(
            survivors(ended, &[(1, 7, 40), (2, 7, 41), (3, 6, 99)]),
            [(2, vec![])]
        );
    }

    #[test]
    fn who_does_not_answer_and_may_hold_more_is_named() {
        assert_eq!(survivors([8, 8], &[(1, 7, 40), (3, 7, 2)]), [(1, vec![2])]);
    }

    #[test]
    fn a_member_that_counts_is_no_loss_to_be_accepted() {
        assert_eq!(survivors([8, 9], &[(1, 7, 40), (2, 7, 40)]), []);
        // It is what it was, and does not answer.
        assert_eq!(survivors([8, 9], &[(1, 7, 40)]), [(1, vec![2])]);
    }
}
