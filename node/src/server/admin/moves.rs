//! Copies that are being made, and how far each is. Pure.

use super::{name_of, positions::Told};
use proto::id::{NodeId, ShardId};
use raft::placement::{Placement, Replica, ShardConfig};
use std::collections::BTreeMap;
use wire::v1;

/// All of them, by shard; `told` is what nodes said of themselves.
pub(super) fn moves(placement: &Placement, told: &BTreeMap<NodeId, Told>) -> Vec<v1::Move> {
    let shards = placement.shards.iter();
    let joins = shards.flat_map(|(shard, config)| {
        let joining = config.joining.iter();
        joining.map(move |joiner| (*shard, config, joiner))
    });
    joins
        .map(|(shard, config, joiner)| one((shard, config), *joiner, placement, told))
        .collect()
}

fn one(
    (shard, config): (ShardId, &ShardConfig),
    joiner: Replica,
    placement: &Placement,
    told: &BTreeMap<NodeId, Told>,
) -> v1::Move {
    let source = told.get(&config.primary.node);
    let sent = source.and_then(|source| source.sent.get(&(shard, joiner.node)));
    let end_on = |node: NodeId| Some(told.get(&node)?.replicas.get(&shard)?.end.0);
    let position = end_on(joiner.node);
    let stage = match (sent, position) {
        (Some(_), _) => "rows",
        (None, None | Some(0)) => "waiting",
        (None, Some(_)) => "log",
    };
    let is_emptied = |member: &&Replica| {
        let member = placement.members.get(&member.node);
        member.is_some_and(|member| member.draining)
    };
    let off = config.in_sync.iter().find(is_emptied);
    let sent = sent.copied().unwrap_or_default();
    v1::Move {
        shard: shard.0.into(),
        source: name_of(config.primary.node, placement),
        to: name_of(joiner.node, placement),
        off: off
            .map(|member| name_of(member.node, placement))
            .unwrap_or_default(),
        stage: stage.into(),
        rows_sent: sent.rows,
        rows: sent.of_rows,
        bytes_sent: sent.bytes,
        position,
        end: end_on(config.primary.node),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::{
        admin::{
            examples::{replica, shard_of},
            positions::At,
        },
        snapshots::Sent,
    };
    use proto::id::{Epoch, Position};
    use std::sync::Arc;

    fn told(end: u64, sent: &[(u64, u64)]) -> Told {
        let at = At {
            epoch: Epoch(1),
            end: Position(end),
            committed: Position(end),
        };
        let sent = sent.iter().map(|(to, rows)| {
            let sent = Sent {
                rows: *rows,
                of_rows: 100,
                bytes: 10 * rows,
            };
            ((ShardId(3), NodeId(*to)), sent)
        });
        Told {
            replicas: [(ShardId(3), at)].into(),
            sent: sent.collect(),
        }
    }

    #[test]
    fn a_copy_waits_then_gets_rows_then_the_log() {
        let config = ShardConfig {
            joining: [replica(2)].into(),
            ..shard_of(&[1])
        };
        let placement = Placement {
            shards: [(ShardId(3), Arc::new(config))].into(),
            ..Placement::default()
        };
        let check = |source: Told, joiner: Told, stage: &str, rows: u64| {
            let told = [(NodeId(1), source), (NodeId(2), joiner)].into();
            let moves = moves(&placement, &told);
            assert_eq!(moves.len(), 1);
            assert_eq!((moves[0].stage.as_str(), moves[0].rows_sent), (stage, rows));
            assert_eq!(moves[0].end, Some(900));
        };
        check(told(900, &[]), Told::default(), "waiting", 0);
        check(told(900, &[(2, 40)]), Told::default(), "rows", 40);
        check(told(900, &[]), told(850, &[]), "log", 0);
    }
}
