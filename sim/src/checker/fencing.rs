//! I8, as nodes tell it: one boot per epoch, one content per committed position and per sequence.

use super::report::{Invariant, Report};
use crate::history::{Event, History};
use std::collections::BTreeMap;

pub fn judge(history: &History, report: &mut Report) {
    let (mut boots, mut positions, mut sequences) = Default::default();
    for entry in history.entries() {
        let (clash, what) = match &entry.event {
            Event::Primary(said) => {
                let key = (said.region, said.shard, said.epoch);
                let clash = clash(&mut boots, key, (said.node, said.boot));
                let [region, shard, epoch] = [u32::from(key.0.0), u32::from(key.1.0), key.2.0];
                (
                    clash,
                    format!("a primary of region {region} shard {shard} epoch {epoch}"),
                )
            }
            Event::Committed(said) => {
                let key = (said.region, said.shard, said.epoch, said.position);
                let what = format!(
                    "the entry of region {} shard {} at epoch {} position {}",
                    said.region, said.shard, said.epoch, said.position
                );
                (clash(&mut positions, key, said.digest), what)
            }
            Event::Shipped(said) => {
                let key = (said.stream, said.incarnation, said.sequence);
                let what = format!(
                    "the entry of origin {} shard {} at incarnation {} sequence {}",
                    said.stream.origin, said.stream.shard, said.incarnation, said.sequence
                );
                (clash(&mut sequences, key, said.digest), what)
            }
            _ => continue,
        };
        report.judged.records += 1;
        if let Some((first, now)) = clash {
            let message = format!("{what} was {first}, now it is {now}");
            report.add(&[Invariant::I8], entry.at.0, None, message);
        }
    }
}

/// The first thing that was said under this key, if it was another.
fn clash<K: Ord, V: PartialEq + Clone + std::fmt::Debug>(
    said: &mut BTreeMap<K, V>,
    key: K,
    value: V,
) -> Option<(String, String)> {
    let first = said.entry(key).or_insert_with(|| value.clone());
    (*first != value).then(|| (format!("{first:?}"), format!("{value:?}")))
}
