//! Which nodes should vote: groups grow by themselves, to odd numbers only, spread over places.
//!
//! One function for both groups: a place is a zone for the regional group, a region for the global
//! one. Two voters lose quorum when either fails, so a group goes from one to three.

use super::state::Member;
use proto::id::NodeId;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// What a group's voters are spread over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// The regional group's over zones: five from five of them.
    Zones,
    /// The global group's over regions: five from three of them, as 2 + 2 + 1, since a whole region may be
    /// away and then one more node.
    Regions,
}

impl Spread {
    /// From how many places on there are five.
    const fn places_of_five(self) -> usize {
        match self {
            Self::Zones => 5,
            Self::Regions => 3,
        }
    }
}

/// Whether another node than `node` that may vote has its name and `answers`; `members` are those of its
/// region. An empty directory is a new node under the old name, so such a one stands in for a voter that is
/// silent: that one's disk is gone, and its vote with it, or somebody took its place on purpose.
pub fn has_successor(
    members: &BTreeMap<NodeId, Arc<Member>>,
    node: NodeId,
    answers: impl Fn(NodeId) -> bool,
) -> bool {
    let Some(silent) = members.get(&node) else {
        return false;
    };
    members.values().any(|member| {
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

/// The voters there should be: five from as many places as `spread` says, else three, else what there is.
///
/// Present voters stay, also silent ones, unless another can take their place: a voter that is
/// replaced for a short silence costs more than it brings. `silent` names those given up.
#[must_use]
pub fn choose(
    candidates: &[Candidate],
    present: &BTreeSet<NodeId>,
    silent: &BTreeSet<NodeId>,
    spread: Spread,
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
        (5.., places) if places >= spread.places_of_five() => 5,
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
        check_over(Spread::Zones, nodes, present, silent, expected);
    }

    fn check_over(
        spread: Spread,
        nodes: &[(u64, &str, bool)],
        present: &[u64],
        silent: &[u64],
        expected: &[u64],
    ) {
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
            choose(&candidates, &set(present), &set(silent), spread),
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
    fn over_three_regions_there_are_five_and_no_region_has_a_majority() {
        let region =
            |first: u64, name, is_up| (first..first + 3).map(move |node| (node, name, is_up));
        let of = |up: [bool; 3]| -> Vec<(u64, &str, bool)> {
            let [a, b, c] = up;
            let all = region(1, "a", a)
                .chain(region(4, "b", b))
                .chain(region(7, "c", c));
            all.collect()
        };
        let regions = Spread::Regions;
        let all = of([true; 3]);
        check_over(regions, &all[..3], &[1], &[], &[1, 2, 3]);
        check_over(regions, &all[..6], &[1, 2, 3], &[], &[1, 2, 4]);
        check_over(regions, &all, &[1, 2, 4], &[], &[1, 2, 4, 5, 7]);
        check_over(regions, &all[2..7], &[3, 4], &[], &[3, 4, 5, 6, 7]);
        // One node of each: three.
        let three = [all[0], all[3], all[6]];
        check_over(regions, &three, &[1], &[], &[1, 4, 7]);
        // A region that is away keeps its votes for a while; then those that are there have them.
        let without_a = of([false, true, true]);
        check_over(regions, &without_a, &[1, 2, 4, 5, 7], &[], &[1, 2, 4, 5, 7]);
        check_over(
            regions,
            &without_a,
            &[1, 2, 4, 5, 7],
            &[1, 2],
            &[4, 5, 6, 7, 8],
        );
        // Back again, they are spread again.
        check_over(regions, &all, &[4, 5, 6, 7, 8], &[], &[1, 4, 5, 7, 8]);
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
