//! What nodes log that a judge can use: the closes that primaries hold for done.

use super::disks::REGION;
use crate::{history::Closed, world::Line};
use proto::{
    hlc::Hlc,
    id::{Incarnation, PlacementId, Sequence, ShardId, Stream},
};

/// What a primary logs of each.
pub const CLOSED: &str = "a close is done";

/// The closes among the lines of a run.
pub fn closes(lines: &[Line]) -> impl Iterator<Item = Closed> + '_ {
    let told = lines.iter().filter(|line| line.message == CLOSED);
    told.map(|line| close(line).expect("the line of a close holds its numbers"))
}

fn close(line: &Line) -> Option<Closed> {
    let small = |name| line.number(name).and_then(|number| number.try_into().ok());
    let incarnation = line.number("incarnation")?.try_into().ok()?;
    Some(Closed {
        stream: Stream {
            origin: REGION,
            shard: ShardId(small("shard")?),
            placement: PlacementId(small("placement")?),
        },
        incarnation: Incarnation(incarnation),
        sequence: Sequence(line.number("sequence")?),
        hlc: Hlc(line.number("hlc")?),
        by: line.host.clone(),
    })
}
