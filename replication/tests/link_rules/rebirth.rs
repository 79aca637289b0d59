//! What a new incarnation waits for.

use super::harness::at;
use proto::id::{Incarnation, RegionId};
use replication::link::{Rebirth, RebirthEffect, RebirthEvent};

const US: RegionId = RegionId(2);
const ASIA: RegionId = RegionId(3);

fn tell(rebirth: &mut Rebirth, event: RebirthEvent) -> Vec<RebirthEffect> {
    let mut effects = Vec::new();
    rebirth.step(event, &mut effects);
    effects
}

#[test]
fn it_closes_once_every_holder_passed_its_start_and_was_merged() {
    let mut rebirth = Rebirth::new(Incarnation(2), [US, ASIA]);
    assert_eq!(
        tell(&mut rebirth, RebirthEvent::Reported(US, at(1, 500))),
        []
    );
    let effects = tell(&mut rebirth, RebirthEvent::Reported(US, at(2, 1)));
    assert_eq!(effects, [RebirthEffect::MergeFrom(US)]);
    assert_eq!(
        tell(&mut rebirth, RebirthEvent::Reported(US, at(2, 2))),
        [],
        "it is under way"
    );
    tell(&mut rebirth, RebirthEvent::Merged(US));
    assert_eq!(
        (rebirth.may_close(), rebirth.waits_for().collect::<Vec<_>>()),
        (false, vec![ASIA])
    );
    tell(&mut rebirth, RebirthEvent::Left(ASIA));
    assert!(rebirth.may_close());
}

#[test]
fn a_merge_that_failed_is_made_again() {
    let mut rebirth = Rebirth::new(Incarnation(2), [US]);
    tell(&mut rebirth, RebirthEvent::Reported(US, at(2, 1)));
    tell(&mut rebirth, RebirthEvent::Failed(US));
    let effects = tell(&mut rebirth, RebirthEvent::Reported(US, at(2, 1)));
    assert_eq!(effects, [RebirthEffect::MergeFrom(US)]);
}

#[test]
fn a_merge_of_before_the_start_was_passed_does_not_count() {
    let mut rebirth = Rebirth::new(Incarnation(2), [US]);
    tell(&mut rebirth, RebirthEvent::Merged(US));
    assert!(!rebirth.may_close());
}

#[test]
fn where_nothing_was_lost_nothing_is_waited_for() {
    assert!(Rebirth::new(Incarnation(1), []).may_close());
}
