//! Carries traps out: they react to what nodes log, which a seed decides as it does all else.

use super::{
    faults::{NODES, Trap},
    rare::CONFIGURED,
};
use crate::{
    faults::{Fault, Host},
    world::{Journal, Line, Machine},
};
use proto::id::NodeId;
use std::{cell::RefCell, collections::BTreeMap, rc::Rc, time::Duration};

/// The traps of a run.
pub struct Traps {
    waiting: Vec<Trap>,
    machines: Vec<Machine>,
    journal: Journal,
    /// How many lines were read.
    read: usize,
    /// By shard, the newest epoch that anyone knows, and how many are in sync in it.
    newest: BTreeMap<u64, (u64, u64)>,
    /// What is to be undone, and when.
    undone: Vec<(Duration, Fault)>,
    sprung: Rc<RefCell<usize>>,
}

impl Traps {
    /// Traps in the order of time; `sprung` counts those that caught somebody.
    pub fn new(
        waiting: Vec<Trap>,
        machines: Vec<Machine>,
        journal: Journal,
        sprung: Rc<RefCell<usize>>,
    ) -> Self {
        Self {
            waiting,
            machines,
            journal,
            read: 0,
            newest: BTreeMap::new(),
            undone: Vec::new(),
            sprung,
        }
    }

    /// What is to be done now.
    pub fn react(&mut self, now: Duration) -> Vec<Fault> {
        let due = self.undone.extract_if(.., |(at, _)| *at <= now);
        let mut faults: Vec<Fault> = due.map(|(_, fault)| fault).collect();
        let lines = self.journal.lines_from(self.read);
        self.read += lines.len();
        self.waiting.retain(|trap| now <= trap.armed.end);
        for line in lines.iter().filter(|line| line.message == CONFIGURED) {
            let Some(host) = self.grown_unaware(line) else {
                continue;
            };
            if self
                .waiting
                .first()
                .is_some_and(|trap| trap.armed.start <= now)
            {
                let trap = self.waiting.remove(0);
                *self.sprung.borrow_mut() += 1;
                faults.extend(self.cut_off(host, now + trap.lasts));
            }
        }
        faults
    }

    /// The primary of a shard that grew, if another node is the first to know.
    fn grown_unaware(&mut self, line: &Line) -> Option<Host> {
        let number = |name| line.number(name).unwrap_or_default();
        let (epoch, in_sync) = (number("epoch"), number("in_sync"));
        let known = self.newest.entry(number("shard")).or_default();
        if epoch <= known.0 {
            return None;
        }
        let has_grown = in_sync > known.1 && known.0 > 0;
        *known = (epoch, in_sync);
        let primary = Some(NodeId(number("primary")));
        let mut machines = self.machines.iter();
        let place = machines.position(|machine| machine.node() == primary)?;
        (has_grown && crate::world::node::name(place) != line.host).then_some(Host(place))
    }

    fn cut_off(&mut self, host: Host, until: Duration) -> Vec<Fault> {
        let others = (0..NODES).map(Host).filter(|other| *other != host);
        let others: Vec<Host> = others.collect();
        let undone = others
            .iter()
            .map(|other| (until, Fault::Repair(host, *other)));
        self.undone.extend(undone);
        let cut = others
            .into_iter()
            .map(|other| Fault::Partition(host, other));
        cut.collect()
    }
}
