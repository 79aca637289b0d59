//! What befalls the nodes, and the controller that promotes in spite of it.
//!
//! Faults stay within the budget: of the in-sync set, and of every set that is proposed, one disk
//! stays whole.

use crate::{
    node::{Naming, Node},
    world::{Action, World},
};
use proto::id::NodeId;
use replication::{Event, Member, Primary};

impl World {
    pub fn fault(&mut self) -> Result<(), String> {
        if self.calm {
            return Ok(());
        }
        let gap = self.weather.fault_gap;
        let delay = self.rng.between(gap / 5, gap * 2);
        self.after(delay, Action::Fault);
        // Whoever leads is hit more often.
        let node = if self.rng.chance(500) {
            self.at(self.service.current.primary.node)
        } else {
            self.rng.index(3)
        };
        match self.rng.between(0, 10) {
            0..=3 => self.crash(node),
            4 => self.lose_disk(node),
            5 => return self.damage(node),
            6 | 7 => self.pause(node),
            8 | 9 => self.partition(node),
            _ => {
                let rng = &mut self.rng;
                self.nodes[node].skew(rng);
            }
        }
        Ok(())
    }

    fn crash(&mut self, node: usize) {
        if self.nodes[node].replica.is_none() {
            return;
        }
        if self.nodes[node].naming == Naming::Boot {
            // What memory held is gone, and the budget is the in-sync members less one.
            if !self.is_spared(node) {
                return;
            }
            self.count("a run ended and its memory with it");
        }
        self.nodes[node].crash(&mut self.rng);
        self.count("crashed");
        self.restart_later(node);
    }

    fn restart_later(&mut self, node: usize) {
        let most = if self.rng.chance(500) {
            50_000
        } else {
            2_500_000
        };
        let delay = self.rng.between(1_000, most);
        self.after(delay, Action::Restart(node));
    }

    fn lose_disk(&mut self, node: usize) {
        if self.is_spared(node) {
            self.wipe(node);
            self.count("wiped");
            self.restart_later(node);
        }
    }

    /// The store finds rot: whole as the disk is here, it may not count as a copy any more.
    fn damage(&mut self, node: usize) -> Result<(), String> {
        let answers = self.nodes[node].replica.is_some() && !self.nodes[node].paused;
        if !answers || !self.is_spared(node) {
            return Ok(());
        }
        self.count("damaged");
        self.nodes[node].tainted = true;
        self.step(node, Event::StoreDamaged)
    }

    /// Whether each set that stands or is proposed has a whole disk besides this node's.
    fn is_spared(&self, node: usize) -> bool {
        let whole_elsewhere = |member: &Member| {
            let other = self.at(member.node);
            let own = &self.nodes[other];
            let lost_memory = own.naming == Naming::Boot && own.replica.is_none();
            other != node && own.member() == *member && !own.tainted && !lost_memory
        };
        let sets = self.proposals.iter().map(|proposal| &proposal.in_sync);
        let mut sets = sets.chain([&self.service.current.in_sync]);
        sets.all(|set| set.iter().any(whole_elsewhere))
    }

    /// Placement changes its mind about joiners, while proposals of them are under way.
    fn place(&mut self) {
        let mut placed: Vec<_> = self.nodes.iter().map(Node::member).collect();
        if !self.calm && self.rng.chance(100) {
            let node = self.rng.index(3);
            placed.remove(node);
            self.count("placed elsewhere");
        }
        let before = self.service.current.joining.len();
        self.service.place(&placed);
        if self.service.current.joining.len() != before {
            (0..3).for_each(|node| self.tell(node));
        }
    }

    fn pause(&mut self, node: usize) {
        if self.nodes[node].replica.is_some() && !self.nodes[node].paused {
            self.nodes[node].paused = true;
            let span = self.rng.between(20_000, 3_000_000);
            self.after(span, Action::Resume(node));
        }
    }

    fn partition(&mut self, node: usize) {
        let other = (node + self.rng.between(1, 2) as usize) % 3;
        let (there, back) = (self.rng.chance(800), self.rng.chance(800));
        self.cut[node][other] |= there;
        self.cut[other][node] |= back;
        let span = self.rng.between(50_000, 3_000_000);
        self.after(span, Action::Heal(node, other));
        if self.rng.chance(500) {
            // The stream's end is noticed; otherwise messages just vanish.
            self.tell_stream(node, other, Event::PeerDown);
        }
    }

    /// Tells both ends that their stream broke or is open.
    pub fn tell_stream(&mut self, node: usize, other: usize, event: fn(NodeId) -> Event) {
        for (node, peer) in [(node, other), (other, node)] {
            let event = event(self.nodes[peer].id);
            let boot = self.nodes[node].boot;
            let delay = self.rng.between(100, 20_000);
            self.after(delay, Action::Local { node, boot, event });
        }
    }

    /// The controller: replaces a primary that was not seen for a while, at times one that is well.
    pub fn control(&mut self) {
        let delay = self.rng.between(100_000, 400_000);
        self.after(delay, Action::Control);
        self.place();
        let primary = self.service.current.primary;
        let node = self.at(primary.node);
        let runs = self.runs(node, primary.boot) && !self.nodes[node].paused;
        let well = runs && !self.is_cut(node) && !self.is_damaged(node);
        let mistaken = !self.calm && self.rng.chance(60);
        if well && !mistaken {
            self.primary_missed_at = None;
            return;
        }
        let missed_at = *self.primary_missed_at.get_or_insert(self.now);
        let patience = if self.calm {
            1_000_000
        } else {
            self.rng.between(0, 1_000_000)
        };
        if mistaken || self.now - missed_at >= patience {
            self.primary_missed_at = None;
            self.promote();
        }
    }

    fn is_damaged(&self, node: usize) -> bool {
        let replica = self.nodes[node].replica.as_ref();
        replica.is_some_and(replication::Replica::is_damaged)
    }

    fn is_cut(&self, node: usize) -> bool {
        (0..3).any(|other| other != node && self.cut[node][other])
    }

    fn promote(&mut self) {
        let current = self.service.current.clone();
        let reachable = |member: &&Member| {
            let own = &self.nodes[self.at(member.node)];
            let answers = own.replica.is_some() && !own.paused;
            answers && own.member() == **member && !self.is_damaged(self.at(member.node))
        };
        let reachable: Vec<_> = current.in_sync.iter().filter(reachable).copied().collect();
        let longest = reachable.iter().max_by_key(|member| {
            let replica = self.nodes[self.at(member.node)].replica.as_ref();
            replica.map(replication::Replica::log_end)
        });
        let longest = longest.copied();
        let any = self.rng.pick(&reachable).copied();
        let Some(chosen) = (if self.rng.chance(700) { longest } else { any }) else {
            return;
        };
        let mut proposal = current.with_primary(Primary {
            node: chosen.node,
            boot: self.nodes[self.at(chosen.node)].boot,
        });
        // The lost are dropped, as far as enough remain; sometimes they are kept.
        if reachable.len() >= current.min_in_sync && !self.rng.chance(300) {
            proposal.in_sync = reachable;
        }
        self.propose(proposal);
    }
}
