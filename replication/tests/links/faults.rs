//! What befalls the world.

use super::{
    region::Folded,
    rows::reached,
    world::{Action, Plant, Scene, World},
};
use proto::{id::Incarnation, token::Reached};

impl World {
    pub fn fault(&mut self) {
        if self.is_calm {
            return;
        }
        if self.scene == Scene::SideDoor {
            return self.side_door();
        }
        let region = self.rng.index(self.regions.len());
        let kind = match self.scene {
            Scene::Losses if self.rng.chance(600) => [3, 7, 9][self.rng.index(3)],
            Scene::Losses | Scene::Anything | Scene::SideDoor => self.rng.between(0, 9),
        };
        match kind {
            0 | 1 => self.fail_over(region),
            2 => self.stop(region),
            3 | 4 => self.cut_off(region),
            5 => self.jump(region),
            6 => self.outage(region),
            7 => self.retain_less(region),
            8 => self.renew_topic(region),
            _ => self.lose_the_log(region),
        }
        let gap = self.weather.fault_gap;
        let delay = self.rng.between(gap / 4, gap * 2);
        self.after(delay, Action::Fault);
    }

    /// Faults in an order of their own; the rest of the run is as rough as any.
    fn side_door(&mut self) {
        if !self.cut_until.contains_key(&(2, 0)) {
            self.cut_until.insert((2, 0), self.now + 40_000_000);
            return self.after(3_000_000, Action::Fault);
        }
        self.cut_until.insert((1, 0), self.now + 8_000_000);
        self.lose_the_log(0);
        // What is lost stays what there is to find.
        self.weather.write_gap = 100_000_000;
        for region in &mut self.regions {
            let end = region.topic.end();
            region.topic.drop_before(end);
        }
    }

    /// The primary is replaced. It may be gone, stopped, or go on without knowing.
    fn fail_over(&mut self, region: usize) {
        let now = self.now;
        let (fate, span) = (self.rng.between(0, 2), self.rng.between(100_000, 8_000_000));
        let own = &mut self.regions[region];
        let Some(mut primary) = own.primary.take() else {
            return;
        };
        own.epoch += 1;
        own.replaced = match fate {
            0 => None,
            1 => Some(primary),
            _ => {
                primary.stands_until = now + span;
                Some(primary)
            }
        };
        self.cut_tail(region);
        let delay = self.rng.between(20_000, 2_000_000);
        self.after(delay, Action::Promote(region));
    }

    /// The successor may lack what was not committed.
    fn cut_tail(&mut self, region: usize) {
        let (committed, length) = (
            self.regions[region].committed,
            self.regions[region].log.len(),
        );
        let kept = self.rng.between(committed as u64, length as u64) as usize;
        if kept == length {
            return;
        }
        self.count("tail cut");
        let marks = self.regions[region].end.marks.clone();
        self.regions[region].cut(kept);
        self.forget_past(region);
        if self.plant == Plant::WatermarkApart {
            self.regions[region].end.marks = marks;
        }
    }

    fn forget_past(&mut self, region: usize) {
        let own = &self.regions[region];
        let (id, log) = (own.id, &own.log);
        self.oracle.fell_back(id, |origin, at| {
            log.iter().any(|logged| {
                matches!(logged, super::region::Logged::Remote { origin: of, mark, .. }
                    if *of == origin && mark.reached == at)
            })
        });
    }

    /// No in-sync member is left, and a person accepts the loss: acknowledged entries are gone.
    fn lose_the_log(&mut self, region: usize) {
        if !self.weather.is_lossy_log {
            return;
        }
        self.fail_over(region);
        let lost = self.rng.between(1, 12) as usize;
        let own = &mut self.regions[region];
        if own.primary.is_some() {
            return;
        }
        let kept = own.log.len().min(own.committed).saturating_sub(lost);
        own.cut(kept);
        own.seen = Folded::of(&own.log[..own.committed]);
        if self.plant != Plant::SequenceReused {
            own.incarnation = Incarnation(own.incarnation.0 + 1);
            own.is_reborn = true;
        }
        // What is lost was shipped perhaps; it never will be again.
        let head = own.end.head();
        if own.shared_mark > head && own.shared_mark.incarnation == head.incarnation {
            own.shared_mark = head;
        } else if own.shared_mark > head {
            own.shared_mark = last_kept(own, head);
        }
        self.count("log lost");
        self.forget_past(region);
    }

    fn stop(&mut self, region: usize) {
        let span = self.rng.between(100_000, 5_000_000);
        let now = self.now;
        if let Some(primary) = self.regions[region].primary.as_mut() {
            primary.stands_until = now + span;
        }
    }

    fn cut_off(&mut self, region: usize) {
        let span = self.rng.between(200_000, 15_000_000);
        let until = self.now + span;
        for other in 0..self.regions.len() {
            if self.rng.chance(600) {
                self.cut_until.insert((region, other), until);
            }
            if self.rng.chance(300) {
                self.cut_until.insert((other, region), until);
            }
        }
    }

    fn jump(&mut self, region: usize) {
        let offset = self.rng.between(0, 20_000) as i64 - 10_000;
        self.regions[region].wall_offset_millis = offset;
        self.count("clock jumped");
    }

    fn outage(&mut self, region: usize) {
        let span = self.rng.between(500_000, 8_000_000);
        self.regions[region].topic_down_until = self.now + span;
    }

    fn retain_less(&mut self, region: usize) {
        let topic = &mut self.regions[region].topic;
        let position = self.rng.between(topic.start, topic.end());
        topic.drop_before(position);
    }

    fn renew_topic(&mut self, region: usize) {
        if self.rng.chance(500) {
            self.regions[region].topic.renew();
            self.count("topic made anew");
        }
    }
}

/// The last own entry that the log still has.
fn last_kept(own: &super::region::Region, head: Reached) -> Reached {
    let entries = own.log.iter().rev().filter_map(|logged| match logged {
        super::region::Logged::Own { entry, .. } => Some(reached(entry)),
        _ => None,
    });
    entries.into_iter().next().unwrap_or(head)
}
