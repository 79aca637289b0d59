//! A node's network works in one direction only: the others do not hear it, although it hears them; then
//! it does not hear them, although they hear it. Once as a voter, once as leader of the region's group.
//!
//! Its clients reach it all the while, so that a primary that is cut off is asked to acknowledge what it
//! must not. What fails through the other gateways is judged as around a node that stands still.

mod net;

pub use net::{NEEDS, enter};

use crate::{
    atoll::Atoll,
    clock::Clock,
    cluster::Cluster,
    limping::{self, Fault, Limping, Settings},
    report::Findings,
};
use anyhow::Result;
use net::{Lost, Net};

/// Runs it and judges it, within network namespaces of its own: see [`enter`]. An error says that there
/// was nothing to judge.
pub fn run(settings: &Settings) -> Result<Findings> {
    let clock = Clock::start();
    let net = Net::build(settings.shape.nodes)?;
    let hosts = (0..settings.shape.nodes).map(|place| net.host(place));
    let cluster = Cluster::found_on(Atoll::find()?, settings.shape, clock, hosts.collect())?;
    limping::run(settings, cluster, clock, |run| {
        for (lost, name) in [(Lost::Sent, "unheard"), (Lost::Received, "deaf")] {
            for who in settings.whom.iter().copied() {
                let victim = run.choose(who)?;
                let mut cut = Cut { net: &net, lost };
                run.bout(&format!("{who} {name}"), victim, &mut cut)?;
            }
        }
        Ok(())
    })
}

struct Cut<'a> {
    net: &'a Net,
    lost: Lost,
}

impl Fault for Cut<'_> {
    fn begin(&mut self, run: &mut Limping, victim: usize) -> Result<()> {
        run.cut_off(victim);
        self.net.lose(victim, self.lost)
    }

    fn end(&mut self, _: &mut Limping, _: usize) -> Result<()> {
        self.net.repair()
    }
}
