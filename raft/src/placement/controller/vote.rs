//! Who votes in the region's group: it grows, replaces who is lost or emptied, and lets removed ones go.

use super::{Controller, Effect};
use crate::placement::voters::{self, Candidate, Spread};
use proto::id::NodeId;
use std::collections::BTreeSet;

impl Controller {
    pub(super) fn decide_voters(
        &mut self,
        now_millis: u64,
        since_millis: u64,
        effects: &mut Vec<Effect>,
    ) {
        let patience = self.settings.voter_lost_after_millis;
        let under_way = self
            .voters_proposed_millis
            .is_some_and(|at| now_millis.saturating_sub(at) < patience);
        // Those that were removed vote no more, whether or not another can take their place. Before the
        // first node of a group has registered, nobody is a member.
        let members = &self.placement.members;
        let present = self.voters.iter().filter(|node| members.contains_key(node));
        let present: BTreeSet<NodeId> = present.copied().collect();
        if present.is_empty() || under_way {
            return;
        }
        let silent = self.given_up(now_millis, since_millis);
        let candidates = self.candidates(now_millis);
        let wanted = voters::choose(&candidates, &present, &silent, Spread::Zones);
        if wanted != self.voters {
            self.voters_proposed_millis = Some(now_millis);
            effects.push(Effect::SetVoters(wanted));
        }
    }

    fn candidates(&self, now_millis: u64) -> Vec<Candidate> {
        let members = self.placement.members.values();
        let able = members.filter(|member| member.voter && !member.draining);
        able.map(|member| Candidate {
            node: member.node,
            place: member.zone.clone(),
            reachable: self.heard_lately(now_millis, member.node),
        })
        .collect()
    }

    fn heard_lately(&self, now_millis: u64, node: NodeId) -> bool {
        let heard = self.heard.get(&node);
        heard.is_some_and(|heard| {
            now_millis.saturating_sub(heard.at_millis) < self.settings.lost_after_millis
        })
    }

    fn given_up(&self, now_millis: u64, since_millis: u64) -> BTreeSet<NodeId> {
        let is_given_up = |node: &&NodeId| {
            let heard = self.heard.get(node).map_or(0, |heard| heard.at_millis);
            let waited = now_millis.saturating_sub(heard.max(since_millis));
            // Nothing comes back from a disk that another one stands in for.
            let heard_lately = |node| self.heard_lately(now_millis, node);
            let is_succeeded =
                || voters::has_successor(&self.placement.members, **node, heard_lately);
            waited >= self.settings.voter_lost_after_millis
                || (waited >= self.settings.lost_after_millis && is_succeeded())
        };
        self.voters.iter().filter(is_given_up).copied().collect()
    }
}
