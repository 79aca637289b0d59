//! Growing and shrinking the in-sync set.

use super::harness::{Bench, appends, bodies, configuration, entries, id, member, proposed};
use proto::id::{Revision, StoreId};
use replication::{Configuration, Effect, message::Body};

/// The primary of epoch 2, with its epoch entry durable here at position 1.
fn primary(configuration: Configuration) -> Bench {
    let mut bench = Bench::with_tail(Vec::new());
    bench.configure(configuration);
    bench.synced();
    bench
}

/// A primary alone, and joiner 2 in step: it is proposed.
fn proposing() -> Bench {
    let mut bench = primary(configuration(2, 1, &[1]));
    bench.ack(member(2), 2, 1, 0);
    bench.pass(300);
    let effects = bench.ack(member(2), 2, 1, 5);
    assert_eq!(proposed(&effects), [[1, 2]]);
    bench
}

#[test]
fn a_joiner_is_proposed_once_it_holds_the_log_and_promised_a_close_sent_since() {
    let mut bench = primary(configuration(2, 1, &[1]));
    let none: [Vec<u64>; 0] = [];
    assert_eq!(proposed(&bench.ack(member(2), 2, 0, 0)), none);
    bench.pass(300);
    assert_eq!(
        proposed(&bench.ack(member(2), 2, 1, 1)),
        none,
        "the close was sent before it was needed"
    );
    bench.pass(300);
    let effects = bench.ack(member(2), 2, 1, 5);
    assert_eq!(proposed(&effects), [[1, 2]]);
}

#[test]
fn a_joiner_is_needed_for_commits_from_before_it_is_proposed() {
    let mut bench = primary(configuration(2, 1, &[1]));
    bench.write(2, id(1), 1, 1);
    bench.synced();
    assert_eq!(bench.committed(), 3, "alone");
    bench.ack(member(2), 2, 3, 0);
    bench.write(2, id(2), 1, 2);
    bench.synced();
    assert_eq!(bench.committed(), 3, "it is needed now");
    bench.ack(member(2), 2, 4, 0);
    assert_eq!(bench.committed(), 4);
}

#[test]
fn a_joiner_that_falls_silent_unproposed_is_let_go() {
    let mut bench = primary(configuration(2, 1, &[1]));
    bench.ack(member(2), 2, 1, 0);
    bench.write(2, id(1), 1, 1);
    bench.synced();
    assert_eq!(bench.committed(), 1);
    bench.pass(1_500);
    assert_eq!(bench.committed(), 3);
}

#[test]
fn a_proposed_joiner_stays_needed_and_its_silence_is_settled_by_another_epoch() {
    let mut bench = proposing();
    bench.write(2, id(1), 1, 1);
    bench.synced();
    let effects = bench.pass(3_000);
    assert_eq!(bench.committed(), 1, "the proposal may have won");
    assert_eq!(
        proposed(&effects).last(),
        Some(&vec![1]),
        "an epoch without it"
    );
    bench.configure(configuration(3, 1, &[1]));
    bench.synced();
    assert_eq!(bench.committed(), 4, "now it is known");
}

#[test]
fn a_proposed_joiner_that_is_placed_here_no_more_holds_commits_up_all_the_same() {
    let mut bench = proposing();
    let mut without = configuration(2, 1, &[1]);
    without.revision = Revision(9);
    // Its disk was wiped: another member joins in its place.
    without.joining[0].store = StoreId(21);
    bench.configure(without);
    bench.write(2, id(1), 1, 1);
    bench.synced();
    let effects = bench.pass(1_500);
    assert_eq!(bench.committed(), 1);
    assert_only_proposed(&effects, &[1]);
}

/// The same set was proposed, once or, while nothing came of it, again.
fn assert_only_proposed(effects: &[Effect], in_sync: &[u64]) {
    let proposed = proposed(effects);
    assert!(!proposed.is_empty());
    assert!(proposed.iter().all(|set| set == in_sync), "{proposed:?}");
}

#[test]
fn a_silent_backup_is_proposed_to_leave_and_needed_until_it_has() {
    let mut bench = primary(configuration(2, 1, &[1, 2, 3]));
    bench.ack(member(2), 2, 1, 0);
    bench.pass(500);
    bench.ack(member(2), 2, 1, 0);
    let effects = bench.pass(700);
    assert_eq!(proposed(&effects), [[1, 2]]);
    assert_eq!(bench.committed(), 0);
    bench.configure(configuration(3, 1, &[1, 2]));
    bench.synced();
    bench.ack(member(2), 3, 2, 0);
    assert_eq!(bench.committed(), 2);
}

#[test]
fn the_set_does_not_shrink_below_its_least_size_and_then_takes_no_writes() {
    let mut whole = configuration(2, 1, &[1, 2]);
    whole.min_in_sync = 2;
    let mut bench = primary(whole);
    let effects = bench.pass(1_500);
    assert!(proposed(&effects).is_empty());
    let effects = bench.write(2, id(1), 1, 1);
    assert!(matches!(effects[..], [Effect::Reply { .. }]), "{effects:?}");
}

#[test]
fn a_lost_member_that_cannot_be_spared_is_replaced_by_a_joiner_with_the_whole_log() {
    let mut whole = configuration(2, 1, &[1, 2]);
    whole.min_in_sync = 2;
    let mut bench = primary(whole);
    bench.pass(1_500);
    // The epoch's own entry can never be committed by this set, and the joiner holds it.
    let effects = bench.ack(member(3), 2, 1, 0);
    assert_eq!(proposed(&effects), [[1, 2, 3]]);
}

#[test]
fn a_backup_that_answers_and_makes_no_progress_counts_as_silent() {
    let mut bench = primary(configuration(2, 1, &[1, 2]));
    let mut effects = Vec::new();
    for _ in 0..10 {
        bench.ack(member(2), 2, 0, 0);
        effects.extend(bench.pass(400));
    }
    assert_only_proposed(&effects, &[1]);
}

#[test]
fn peers_are_not_blamed_for_this_process_standing_still() {
    let mut bench = primary(configuration(2, 1, &[1, 2]));
    bench.pass(200);
    bench.now.0 += 20_000_000;
    let effects = bench.pass(50);
    assert!(proposed(&effects).is_empty());
}

#[test]
fn one_joiner_is_taken_in_after_the_other() {
    let mut bench = proposing();
    bench.ack(member(3), 2, 1, 5);
    let effects = bench.pass(1_100);
    assert!(
        proposed(&effects).iter().all(|set| *set != [1, 3]),
        "{effects:?}"
    );
}

#[test]
fn an_observer_follows_and_is_never_needed_or_proposed() {
    let mut with_observer = configuration(2, 1, &[1]);
    with_observer.observing = std::mem::take(&mut with_observer.joining);
    let mut bench = primary(with_observer);
    bench.ack(member(2), 2, 1, 0);
    bench.pass(300);
    assert!(proposed(&bench.ack(member(2), 2, 1, 5)).is_empty());
    let effects = bench.write(2, id(1), 1, 1);
    assert!(!appends(&effects, 2).is_empty());
    bench.synced();
    assert_eq!(bench.committed(), 3);
}

#[test]
fn a_replica_that_leaves_its_node_gives_back_what_it_held_of_the_limits() {
    let mut bench = primary(configuration(2, 1, &[1, 2]));
    bench.write(2, id(1), 1, 4);
    assert!(bench.budget.pending() > 0);
    let effects = bench.retire();
    assert!(matches!(effects[..], [Effect::Reply { .. }]));
}

#[test]
fn what_a_joiner_acknowledged_before_its_log_was_replaced_counts_for_nothing() {
    let mut bench = primary(configuration(2, 1, &[1]));
    bench.ack(member(2), 2, 1, 0);
    bench.write(2, id(1), 1, 1);
    bench.synced();
    assert_eq!(bench.committed(), 1, "it is needed");
    // It lost its log, and asks for a snapshot.
    let effects = bench.mismatch(2, 2, 0, 0);
    let session = |effect: &Effect| matches!(effect, Effect::StartSnapshot { session: 1, .. });
    assert!(effects.iter().any(session));
    bench.synced();
    bench.ack(member(2), 2, 3, 9);
    bench.pass(100);
    assert_eq!(bench.committed(), 3, "it is needed no more");
    assert!(proposed(&bench.pass(500)).is_empty());
}

#[test]
fn of_two_lost_members_as_many_leave_as_can_be_spared() {
    let mut whole = configuration(2, 1, &[1, 2, 3]);
    whole.min_in_sync = 2;
    let mut bench = primary(whole);
    assert_eq!(proposed(&bench.pass(1_100)), [[1, 3]]);
}

#[test]
fn a_joiner_that_was_placed_elsewhere_and_comes_back_gets_a_session_of_its_own() {
    let mut bench = primary(configuration(2, 1, &[1]));
    bench.mismatch(2, 2, 0, 0);
    for (revision, placed) in [(8, false), (9, true)] {
        let mut changed = configuration(2, 1, &[1]);
        changed.revision = Revision(revision);
        changed
            .joining
            .retain(|joiner| placed || *joiner != member(2));
        bench.configure(changed);
    }
    let effects = bench.write(2, id(1), 1, 1);
    let session = appends(&effects, 2)[0].session;
    assert!(session > 1, "session 1 was the snapshot's");
}

#[test]
fn a_joiner_is_not_proposed_while_it_lacks_a_part_of_the_log() {
    let mut bench = primary(configuration(2, 1, &[1]));
    bench.write(2, id(1), 1, 1);
    // Needed from here on: it holds what is committed, and the log ends at 3.
    bench.ack(member(2), 2, 1, 0);
    bench.pass(300);
    assert!(proposed(&bench.ack(member(2), 2, 2, 5)).is_empty());
    assert_eq!(proposed(&bench.ack(member(2), 2, 3, 5)), [[1, 2]]);
}

#[test]
fn a_replica_that_is_named_no_more_may_go_once_nobody_could_need_it() {
    let unnamed = |epoch, in_sync: &[u64]| {
        let mut configuration = configuration(epoch, 2, in_sync);
        configuration.joining.retain(|member| member.node.0 != 1);
        configuration
    };
    let mut bench = Bench::with_tail(entries(2));
    bench.configure(configuration(2, 2, &[1, 2]));
    bench.pass(120_000);
    assert!(!bench.is_leftover(), "a member");
    bench.configure(configuration(3, 2, &[2, 3]));
    bench.pass(120_000);
    assert!(!bench.is_leftover(), "a joiner");
    bench.configure(unnamed(4, &[2]));
    bench.pass(120_000);
    assert!(!bench.is_leftover(), "node 3 is still on its way in");
    bench.configure(unnamed(5, &[2, 3]));
    bench.pass(50);
    bench.pass(59_000);
    assert!(!bench.is_leftover(), "it may be asked back");
    bench.pass(1_000);
    assert!(bench.is_leftover());
    bench.configure(configuration(6, 2, &[2, 3]));
    assert!(!bench.is_leftover(), "it was asked back");

    let mut alone = Bench::with_tail(entries(2));
    let mut last = unnamed(2, &[2]);
    last.joining.clear();
    alone.configure(last);
    alone.pass(50);
    alone.pass(120_000);
    assert!(!alone.is_leftover(), "only one other copy stands");
}

#[test]
fn what_is_left_over_goes_also_where_every_copy_is_needed() {
    for others in [&[2][..], &[2, 3]] {
        let mut bench = Bench::with_tail(entries(2));
        bench.configure(Configuration {
            min_in_sync: others.len(),
            copies: others.len(),
            joining: Vec::new(),
            ..configuration(2, 2, others)
        });
        bench.pass(50);
        bench.pass(60_000);
        assert!(bench.is_leftover(), "all {} copies stand", others.len());
    }
}

#[test]
fn one_that_is_invited_is_told_so_by_the_primary_too() {
    let mut bench = primary(Configuration {
        joining: Vec::new(),
        ..configuration(2, 1, &[1])
    });
    let invited = Configuration {
        revision: Revision(3),
        ..configuration(2, 1, &[1])
    };
    let effects = bench.configure(invited.clone());
    let told = Body::Configuration(invited);
    assert!(bodies(&effects, 2).contains(&&told));
}

#[test]
fn an_observer_gets_the_log_and_nothing_waits_for_it() {
    let mut observed = configuration(2, 1, &[1]);
    observed.joining.clear();
    observed.observing = vec![member(2)];
    let mut bench = primary(observed);
    bench.ack(member(2), 2, 1, 0);
    let effects = bench.write(2, id(1), 1, 1);
    assert!(!appends(&effects, 2).is_empty(), "{effects:?}");
    bench.synced();
    assert_eq!(bench.committed(), 3, "alone");
    bench.ack(member(2), 2, 3, 0);
    bench.pass(300);
    let none: [Vec<u64>; 0] = [];
    assert_eq!(proposed(&bench.ack(member(2), 2, 3, 5)), none);
    bench.pass(5_000);
    bench.write(2, id(2), 1, 2);
    bench.synced();
    assert_eq!(bench.committed(), 4, "its silence is nobody's business");
}
