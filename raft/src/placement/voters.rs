//! Which nodes should vote: groups grow by themselves, to odd numbers only, spread over places.
//!
//! One function for both groups: a place is a zone for the regional group, a region for the global
//! one. Two voters lose quorum when either fails, so a group goes from one to three.

use super::state::Placement;
use proto::id::NodeId;
use std::collections::{BTreeMap, BTreeSet};

/// Whether another node than `node` that may vote has its name and `answers`. An empty directory is a new
/// node under the old name, so such a one stands in for a voter that is silent: that one's disk is
/// gone, and its vote with it, or somebody took its place on purpose.
pub fn has_successor(
    placement: &Placement,
    node: NodeId,
    answers: impl Fn(NodeId) -> bool,
) -> bool {
    let Some(silent) = placement.members.get(&node) else {
        return false;
    };
    placement.members.values().any(|member| {
        member.node != node
            && member.name == silent.name
            && member.voter
            && !member.draining
            && answers(member.node)
    })
}

/// A node that may vote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The node.
    pub node: NodeId,
    /// Its zone or region.
    pub place: String,
    /// Whether it was heard of lately.
    pub reachable: bool,
}

/// The voters there should be: five from five places, else three, else what there is.
///
/// Present voters stay, also silent ones, unless another can take their place: a voter that is
/// replaced for a short silence costs more than it brings. `silent` names those given up.
#[must_use]
pub fn choose(
    candidates: &[Candidate],
    present: &BTreeSet<NodeId>,
    silent: &BTreeSet<NodeId>,
) -> BTreeSet<NodeId> {
    let usable: Vec<_> = candidates
        .iter()
        .filter(|candidate| {
            let stays = present.contains(&candidate.node) && !silent.contains(&candidate.node);
            stays || candidate.reachable
        })
        .collect();
    let places: BTreeSet<_> = usable.iter().map(|candidate| &candidate.place).collect();
    let wanted = match (usable.len(), places.len()) {
        (5.., 5..) => 5,
        (3.., _) => 3,
        _ => 1,
    };
    if usable.is_empty() || wanted < present.len().min(3) {
        // Fewer than there are would make the group weaker, not stronger.
        return present.clone();
    }
    let mut chosen = BTreeSet::new();
    let mut in_place: BTreeMap<&str, usize> = BTreeMap::new();
    while chosen.len()
        < wanted
            .max(present.len().min(usable.len()) | 1)
            .min(usable.len())
    {
        let free = usable
            .iter()
            .filter(|candidate| !chosen.contains(&candidate.node));
        let key = |candidate: &&&Candidate| {
            let crowd = in_place.get(candidate.place.as_str()).copied().unwrap_or(0);
            (crowd, !present.contains(&candidate.node), candidate.node)
        };
        let Some(next) = free.min_by_key(key) else {
            break;
        };
        chosen.insert(next.node);
        *in_place.entry(next.place.as_str()).or_default() += 1;
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(nodes: &[(u64, &str, bool)], present: &[u64], silent: &[u64], expected: &[u64]) {
        let candidates: Vec<_> = nodes
            .iter()
            .map(|(node, place, reachable)| Candidate {
                node: NodeId(*node),
                place: (*place).into(),
                reachable: *reachable,
            })
            .collect();
        let set = |ids: &[u64]| ids.iter().map(|id| NodeId(*id)).collect::<BTreeSet<_>>();
        assert_eq!(
            choose(&candidates, &set(present), &set(silent)),
            set(expected)
        );
    }

    #[test]
    fn a_group_grows_from_one_to_three_to_five_places() {
        check(&[(1, "a", true)], &[1], &[], &[1]);
        check(&[(1, "a", true), (2, "b", true)], &[1], &[], &[1]);
        check(
            &[(1, "a", true), (2, "b", true), (3, "a", true)],
            &[1],
            &[],
            &[1, 2, 3],
        );
        check(
            &[
                (1, "a", true),
                (2, "a", true),
                (3, "b", true),
                (4, "c", true),
            ],
            &[2],
            &[],
            &[2, 3, 4],
        );
        let five = [
            (1, "a", true),
            (2, "b", true),
            (3, "c", true),
            (4, "d", true),
            (5, "e", true),
        ];
        check(&five, &[1, 2, 3], &[], &[1, 2, 3, 4, 5]);
    }

    #[test]
    fn a_silent_voter_is_replaced_only_when_another_is_there() {
        let three = [(1, "a", true), (2, "b", true), (3, "c", false)];
        check(&three, &[1, 2, 3], &[], &[1, 2, 3]);
        check(&three, &[1, 2, 3], &[3], &[1, 2, 3]);
        let four = [
            (1, "a", true),
            (2, "b", true),
            (3, "c", false),
            (4, "c", true),
        ];
        check(&four, &[1, 2, 3], &[], &[1, 2, 3]);
        check(&four, &[1, 2, 3], &[3], &[1, 2, 4]);
    }
}
