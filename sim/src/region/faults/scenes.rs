//! Scenes: each leads to where a rule of PROTOCOL.md, part 1, carries the load. Nothing here knows who
//! leads a shard: every node leads some.

use super::{
    LostDisk, NODES, Trap,
    scene::{Absence, Scene, drawn, hosts},
    storm,
};
use crate::{
    faults::{Fault, Host},
    random::Random,
};
use std::{ops::Range, time::Duration};

/// How long a host whose disk is lost stays down: meanwhile the others make up for it, as far as they
/// can.
const DOWN_WITHOUT_DISK: Duration = Duration::from_millis(3_500);
/// The longest absence in which nobody takes a host for lost.
const UNNOTICED: Range<u64> = 780_000..950_000;
/// An absence that makes the others go on without a host.
const NOTICED: Range<u64> = 1_300_000..3_000_000;
/// From being taken for lost to broken connections, about.
const FROZEN: Range<u64> = 1_000_000..1_700_000;
/// An absence that outlasts an election, should the host have led the group too.
const REPLACED: Range<u64> = 4_500_000..6_000_000;
/// Peace in which all shards get in sync again.
const IN_SYNC: Range<u64> = 6_000_000..8_000_000;

/// A scene of the pool, with its name.
pub type Named = (&'static str, fn(&mut Random, &mut Scene));

/// Those that happen at any time. Some stand twice: they need luck besides.
pub const SCENES: [Named; 14] = [
    ("power-flickers", power_flickers),
    ("power-flickers", power_flickers),
    ("cut-off-as-it-grows", cut_off_as_it_grows),
    ("gone-while-another-joins", gone_while_another_joins),
    ("cut-off-after-a-change", cut_off_after_a_change),
    ("cut-off-after-a-change", cut_off_after_a_change),
    ("promises-of-another-epoch", promises_of_another_epoch),
    ("tail-without-writers", tail_without_writers),
    ("tail-without-writers", tail_without_writers),
    ("cut-then-crash", cut_then_crash),
    ("frozen-while-replaced", frozen_while_replaced),
    (
        "away-and-back-while-another-goes",
        away_and_back_while_another_goes,
    ),
    ("all-crash", all_crash),
    ("short-storm", short_storm),
];

/// Hosts lose their power and are back before anyone makes up for them: whoever led a shard has sent
/// what it has lost itself (rule 2).
fn power_flickers(random: &mut Random, scene: &mut Scene) {
    for _ in 0..6 {
        scene.peace(random, 400_000..1_500_000);
        let [host, ..] = hosts(random);
        let span = scene.now..scene.now + drawn(random, 30_000..500_000);
        scene.crash(host, span.clone());
        scene.now = span.end;
    }
}

/// A host is away. As it has come back, the first primary that takes it in is cut off in that very
/// moment: the set has grown, and it does not know (rule 3).
fn cut_off_as_it_grows(random: &mut Random, scene: &mut Scene) {
    scene.peace(random, 1_500_000..3_000_000);
    let [joiner, ..] = hosts(random);
    let away = scene.now..scene.now + drawn(random, 1_300_000..2_500_000);
    scene.take_away(Absence::Crash, joiner, &away);
    let armed = away.end..away.end + Duration::from_secs(3);
    let lasts = drawn(random, REPLACED);
    scene.now = armed.end + lasts;
    scene.traps.push(Trap { armed, lasts });
}

/// A host is away; as it comes back and joins its shards again, another one is cut off, which leads
/// some of them: what it proposed may win, and it does not hear of it (rule 3). It goes on closing
/// with what others promised it before (rule 4).
fn gone_while_another_joins(random: &mut Random, scene: &mut Scene) {
    scene.peace(random, 1_000_000..3_000_000);
    let [joiner, leader, _] = hosts(random);
    let away = scene.now..scene.now + drawn(random, NOTICED);
    scene.take_away(Absence::Crash, joiner, &away);
    let cut = away.end + drawn(random, 250_000..1_800_000);
    let cut = cut..cut + drawn(random, 2_500_000..5_000_000);
    let absence = if random.percent(70) {
        Absence::Isolation
    } else {
        Absence::Muteness
    };
    scene.take_away(absence, leader, &cut);
    let silent = cut.start.saturating_sub(drawn(random, 0..400_000));
    if random.percent(50) {
        scene.rest(leader.0, silent..cut.end);
    }
    scene.now = cut.end;
}

/// A host is away, and whoever leads its shards has gone on without it, in a new epoch, when that one
/// is cut off too. As the first one is back another is promoted, while the one that is cut off goes on
/// closing what nobody writes there: with promises of this epoch alone it cannot (rule 4).
fn cut_off_after_a_change(random: &mut Random, scene: &mut Scene) {
    scene.peace(random, 2_500_000..4_000_000);
    let [first, leader, _] = hosts(random);
    let away = scene.now..scene.now + drawn(random, 1_800_000..3_000_000);
    scene.take_away(Absence::Crash, first, &away);
    let cut = away.start + drawn(random, 1_150_000..1_750_000);
    let cut = cut..away.end + drawn(random, REPLACED);
    scene.take_away(Absence::Isolation, leader, &cut);
    scene.rest(leader.0, cut.start..cut.end);
    scene.now = cut.end;
}

/// A set grows while a third host stands still for a moment, so that what that one promised in the
/// epoch before arrives in the new one; then it hears nothing of the primary any more, takes over with
/// a clock that is behind, and stamps what no real promise forbids (rule 4).
fn promises_of_another_epoch(random: &mut Random, scene: &mut Scene) {
    scene.peace(random, 2_000_000..4_000_000);
    let [joiner, late, leader] = hosts(random);
    let away = scene.now..scene.now + drawn(random, 2_000_000..4_000_000);
    scene.take_away(Absence::Crash, joiner, &away);
    let pause = away.end + drawn(random, 50_000..500_000);
    let pause = pause..pause + drawn(random, 400_000..900_000);
    scene.take_away(Absence::Pause, late, &pause);
    let cut = pause.end + drawn(random, 20_000..400_000);
    let cut = cut..cut + drawn(random, 2_500_000..4_500_000);
    let end = Fault::Repair(late, leader);
    scene.during(&cut, Fault::Partition(late, leader), end);
    scene.add(away.start, Fault::SetClock(late, -2_400));
    scene.add(cut.end, Fault::SetClock(late, 0));
    for client in 0..NODES {
        scene.rest(
            client,
            pause.start..cut.start + Duration::from_millis(1_300),
        );
    }
    scene.now = cut.end;
}

/// A host is cut off with entries that nobody else has, their writers give up, and nobody writes until
/// it has come back, joined, and may lead again (rule 4).
fn tail_without_writers(random: &mut Random, scene: &mut Scene) {
    scene.peace(random, 1_500_000..3_000_000);
    let [first, second, _] = hosts(random);
    let cut = scene.now..scene.now + drawn(random, REPLACED);
    let absence = if random.percent(70) {
        Absence::Isolation
    } else {
        Absence::Muteness
    };
    scene.take_away(absence, first, &cut);
    let away = cut.end + drawn(random, 1_200_000..3_500_000);
    let away = away..away + drawn(random, REPLACED);
    scene.take_away(Absence::draw(random), second, &away);
    let rest = cut.start + drawn(random, 100_000..900_000)..away.end;
    for client in 0..NODES {
        scene.rest(client, rest.clone());
    }
    scene.now = away.end;
}

/// A link is cut, one way mostly, and one of its ends crashes with what has come only so far.
fn cut_then_crash(random: &mut Random, scene: &mut Scene) {
    scene.peace(random, 500_000..2_500_000);
    let [one, other, _] = hosts(random);
    let crash = scene.now + drawn(random, 20_000..1_500_000);
    let crash = crash..crash + drawn(random, 30_000..3_000_000);
    let cut = scene.now..crash.start + drawn(random, 1_000..2_000_000);
    if random.percent(70) {
        let end = Fault::RepairOneWay(one, other);
        scene.during(&cut, Fault::PartitionOneWay(one, other), end);
    } else {
        scene.during(
            &cut,
            Fault::Partition(one, other),
            Fault::Repair(one, other),
        );
    }
    let host = if random.percent(50) { one } else { other };
    scene.crash(host, crash.clone());
    scene.now = crash.end.max(cut.end);
}

/// A host stands still with acknowledgements on their way to it, just long enough to be replaced and
/// too short for its connections to break: it wakes as a primary that has a successor (rule 4).
fn frozen_while_replaced(random: &mut Random, scene: &mut Scene) {
    for host in hosts(random) {
        scene.peace(random, 300_000..2_000_000);
        let span = scene.now..scene.now + drawn(random, FROZEN);
        scene.take_away(Absence::Pause, host, &span);
        scene.now = span.end;
    }
}

/// A host is away long enough to lose its shards; it comes back while the one that has them goes.
fn away_and_back_while_another_goes(random: &mut Random, scene: &mut Scene) {
    scene.peace(random, 500_000..2_500_000);
    let [one, other, _] = hosts(random);
    let first = scene.now..scene.now + drawn(random, NOTICED);
    scene.take_away(Absence::draw(random), one, &first);
    // Links know one cut at a time, so what is cut twice is cut by turns.
    let second = first.end + drawn(random, 1_000..1_500_000);
    let second = second..second + drawn(random, 50_000..3_000_000);
    let absence = Absence::draw(random);
    scene.take_away(absence, other, &second);
    scene.now = second.end;
}

/// All hosts crash at about the same time.
fn all_crash(random: &mut Random, scene: &mut Scene) {
    scene.peace(random, 500_000..2_500_000);
    let start = scene.now;
    for host in (0..NODES).map(Host) {
        let begin = start + drawn(random, 0..300_000);
        let span = begin..begin + drawn(random, 50_000..2_500_000);
        scene.now = scene.now.max(span.end);
        scene.crash(host, span);
    }
}

/// Faults at random.
fn short_storm(random: &mut Random, scene: &mut Scene) {
    let end = scene.now + drawn(random, 6_000_000..14_000_000);
    storm::play(random, scene, end);
}

/// A disk is lost, once the others had the time to hold all that it holds.
pub fn disk(random: &mut Random, scene: &mut Scene) {
    scene.peace(random, IN_SYNC);
    if random.percent(60) {
        lost_disk(random, scene);
    } else {
        exchanged_disk(random, scene);
    }
}

/// Half of these times another host stands still soon after the one with the new disk is back.
fn lost_disk(random: &mut Random, scene: &mut Scene) {
    let [host, other, _] = hosts(random);
    let down = scene.now..scene.now + DOWN_WITHOUT_DISK;
    let lost = LostDisk {
        host,
        // By then the others have dropped the host wherever they could.
        asked: down.end.saturating_sub(Duration::from_millis(1_100)),
        up: down.end,
        only_store: random.percent(50),
        is_exchanged: false,
    };
    scene.lose(lost, &down);
    scene.now = down.end;
    let pause = down.end + drawn(random, 0..1_500_000);
    let pause = pause..pause + drawn(random, 1_000_000..4_000_000);
    if random.percent(50) {
        scene.take_away(Absence::Pause, other, &pause);
        scene.now = pause.end;
    }
}

/// A store's disk is exchanged so quickly that its host is still in sync by name, and the one that
/// holds its shards goes before it could fill the new disk (rule 3).
fn exchanged_disk(random: &mut Random, scene: &mut Scene) {
    let [host, other, _] = hosts(random);
    let down = scene.now..scene.now + drawn(random, UNNOTICED);
    let lost = LostDisk {
        host,
        asked: down.start + Duration::from_millis(50),
        up: down.end,
        only_store: true,
        is_exchanged: true,
    };
    scene.lose(lost, &down);
    let away = down.end.saturating_sub(Duration::from_millis(150)) + drawn(random, 0..250_000);
    let away = away..away + drawn(random, 2_000_000..4_000_000);
    scene.take_away(Absence::draw(random), other, &away);
    scene.now = away.end;
}

impl Scene {
    fn lose(&mut self, lost: LostDisk, down: &Range<Duration>) {
        let fault = if lost.only_store {
            Fault::LoseStore(lost.host)
        } else {
            Fault::LoseDisk(lost.host)
        };
        self.during(down, fault, Fault::Restart(lost.host));
        self.lost_disk = Some(lost);
    }
}
