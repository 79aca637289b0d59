//! Opening an epoch, committing, sending, and catching others up.

use super::harness::{
    Bench, appended, appends, bodies, configuration, entries, fence, id, mark, member, padded_row,
    proposed, write,
};
use proto::{
    entry::{EntryKind, HEADER_BYTES},
    id::{BootId, Incarnation, NodeId, Position, StoreId},
};
use replication::{
    Effect, Event, Member, Read, Recovered, RoleName,
    message::Body,
    write::{Order, PreparedRow},
};

/// The primary of epoch 2, with an inherited tail of epoch 1.
fn primary(tail: u64, in_sync: &[u64]) -> Bench {
    let mut bench = Bench::with_tail(entries(tail));
    bench.configure(configuration(2, 1, in_sync));
    assert_eq!(bench.replica.role(), RoleName::Primary);
    bench
}

#[test]
fn each_epoch_begins_with_an_entry_of_its_own_after_the_inherited_tail() {
    let mut bench = Bench::with_tail(entries(3));
    let effects = bench.configure(configuration(2, 1, &[1, 2]));
    let header = appended(&effects)[0];
    assert_eq!(
        (header.kind, header.epoch.0, header.previous_epoch.0),
        (EntryKind::Epoch, 2, 1)
    );
    assert_eq!(header.position, Position(4));
    // The same primary goes on in the next epoch, and begins that one likewise.
    let effects = bench.configure(configuration(3, 1, &[1]));
    assert_eq!(appended(&effects)[0].kind, EntryKind::Epoch);
}

#[test]
fn inherited_entries_are_committed_only_together_with_the_epochs_own() {
    let mut bench = primary(3, &[1, 2]);
    bench.synced();
    bench.ack(member(2), 2, 3, 0);
    assert_eq!(bench.committed(), 0, "all hold the tail, not the entry");
    bench.ack(member(2), 2, 4, 0);
    assert_eq!(bench.committed(), 4);
}

#[test]
fn the_primarys_own_disk_counts_like_any_other() {
    let mut bench = primary(0, &[1, 2]);
    bench.ack(member(2), 2, 1, 0);
    assert_eq!(bench.committed(), 0);
    bench.synced();
    assert_eq!(bench.committed(), 1);
}

#[test]
fn acknowledgements_count_for_their_disk_their_epoch_and_members_alone() {
    let other_disk = Member {
        store: StoreId(21),
        ..member(2)
    };
    let cases = [
        ("another disk of the node", other_disk, 2),
        ("an earlier epoch", member(2), 1),
        ("a joiner", member(3), 2),
    ];
    for (case, from, epoch) in cases {
        let mut bench = primary(0, &[1, 2]);
        bench.synced();
        bench.ack(from, epoch, 1, 0);
        assert_eq!(bench.committed(), 0, "{case}");
    }
}

#[test]
fn acknowledgements_of_the_epoch_before_are_asked_for_again() {
    let mut bench = primary(0, &[1, 2]);
    bench.synced();
    bench.write(2, id(1), 1, 1);
    bench.synced();
    bench.ack(member(2), 2, 1, 0);
    bench.configure(configuration(3, 1, &[1, 2, 3]));
    bench.synced();
    bench.ack(member(2), 3, 4, 0);
    assert_eq!(bench.committed(), 1, "node 3 has not acknowledged in it");
    bench.ack(member(3), 3, 4, 0);
    assert_eq!(bench.committed(), 4);
}

#[test]
fn a_restarted_primary_waits_for_a_new_epoch_even_alone() {
    let mut bench = Bench::with_tail(entries(1));
    let mut old = configuration(2, 1, &[1]);
    old.primary.boot = BootId(0);
    let effects = bench.configure(old.clone());
    assert_eq!(bench.replica.role(), RoleName::Idle);
    let [Effect::Propose(proposal)] = &effects[..] else {
        panic!("{effects:?}");
    };
    assert_eq!(proposal.expected, old.fence);
    assert_eq!(proposal.primary.boot, BootId(1));
    assert!(appended(&bench.write(2, id(1), 1, 1)).is_empty());
    assert_eq!(bench.committed(), 0, "its tail is not committed either");
}

#[test]
fn a_wiped_disk_does_not_propose_itself() {
    let mut bench = Bench::open(Recovered::default());
    let mut old = configuration(2, 1, &[1]);
    old.primary.boot = BootId(0);
    old.in_sync[0].store = StoreId(9);
    assert!(bench.configure(old).is_empty());
}

#[test]
fn entries_leave_when_they_are_appended_and_the_commit_point_follows() {
    let mut bench = primary(0, &[1, 2]);
    let effects = bench.write(2, id(1), 1, 1);
    assert!(!appends(&effects, 2).is_empty(), "before the own sync");
    bench.synced();
    let effects = bench.ack(member(2), 2, 3, 0);
    let notes = appends(&effects, 2);
    assert_eq!(notes.last().unwrap().committed, Position(3));
}

#[test]
fn a_peer_that_lacks_something_gets_it_from_the_tail_or_the_log() {
    let mut bench = primary(2, &[1]);
    bench.synced();
    assert_eq!(bench.committed(), 3);
    bench.write(2, id(1), 1, 1);
    let effects = bench.mismatch(2, 2, 0, 2);
    let [Effect::ReadLog { peer, from, .. }] = effects[..] else {
        panic!("{effects:?}");
    };
    assert_eq!((peer, from), (member(2), Position(2)));
    let read = Read::Entries(entries(3)[1..].to_vec());
    let effects = bench.step(Event::LogRead { peer, from, read });
    let sent = appends(&effects, 2);
    assert_eq!(sent[0].previous, mark(1, 1));
    let positions = sent.iter().flat_map(|append| &append.entries);
    let positions: Vec<_> = positions.map(|entry| entry.header().position.0).collect();
    assert_eq!(positions, [2, 3, 4, 5], "two from the log, then the tail");
}

/// The log does not reach back to what `node` asks for.
fn asks_for_what_is_gone(bench: &mut Bench, node: u64, epoch: u32) -> Vec<Effect> {
    let effects = bench.mismatch(node, epoch, 0, 1);
    assert!(
        matches!(effects[..], [Effect::ReadLog { .. }]),
        "{effects:?}"
    );
    bench.step(Event::LogRead {
        peer: member(node),
        from: Position(1),
        read: Read::Gone,
    })
}

#[test]
fn a_joiner_beyond_the_log_gets_a_snapshot_under_a_new_session() {
    let mut bench = primary(2, &[1]);
    bench.synced();
    let effects = asks_for_what_is_gone(&mut bench, 2, 2);
    let expected = Effect::StartSnapshot {
        to: member(2),
        boot: BootId(1),
        fence: fence(2),
        session: 1,
    };
    assert_eq!(effects, [expected]);
    // What it acknowledged under the session before counts for nothing now.
    bench.ack(member(2), 2, 3, 9);
    bench.write(2, id(1), 1, 1);
    bench.synced();
    assert_eq!(bench.committed(), 5, "it is not needed");
}

#[test]
fn a_member_beyond_the_log_leaves_the_set_and_gets_no_snapshot_while_in_it() {
    let mut bench = primary(2, &[1]);
    bench.synced();
    bench.configure(configuration(3, 1, &[1, 2]));
    let effects = asks_for_what_is_gone(&mut bench, 2, 3);
    assert_eq!(proposed(&effects), [[1]]);
    assert_eq!(effects.len(), 1);
}

#[test]
fn no_more_than_the_limit_is_in_flight_to_one_peer() {
    let mut bench = primary(0, &[1, 2]);
    let mut sent = 0;
    for number in 0..24 {
        let mut write = write(2, id(number), 0, 1);
        for _ in 0..3 {
            write.rows.push(PreparedRow {
                records: [padded_row(250 << 10)].into_iter().collect(),
                order: Order::EventTime,
            });
        }
        let effects = bench.step(Event::Write(write));
        sent += appends(&effects, 2)
            .iter()
            .flat_map(|append| &append.entries)
            .map(|entry| entry.bytes().len())
            .sum::<usize>();
    }
    let limit = replication::settings::IN_FLIGHT_BYTES;
    assert!((limit..limit + (2 << 20)).contains(&sent), "{sent}");
    let opening = HEADER_BYTES;
    assert_eq!(bench.budget.in_flight(NodeId(2)), opening + sent);
    let effects = bench.ack(member(2), 2, 10, 0);
    assert!(!appends(&effects, 2).is_empty(), "room was made");
}

#[test]
fn a_new_incarnation_starts_the_streams_anew_and_names_what_was_kept() {
    let mut bench = primary(0, &[1]);
    bench.write(2, id(1), 1, 1);
    bench.synced();
    let mut next = configuration(3, 1, &[1]);
    next.fence.incarnation = Incarnation(2);
    let effects = bench.configure(next);
    let kinds: Vec<_> = appended(&effects)
        .iter()
        .map(|header| (header.kind, header.incarnation.0, header.sequence.0))
        .collect();
    assert_eq!(kinds, [(EntryKind::Epoch, 2, 0), (EntryKind::Start, 2, 1)]);
    bench.synced();
    let head = bench.replica.head(super::harness::PLACEMENT).unwrap();
    assert_eq!(head.lineage[0].incarnation, Incarnation(1));
    assert_eq!(head.lineage[0].kept.0, 2);
}

#[test]
fn a_damaged_replica_that_is_made_primary_builds_nothing_on_what_is_left() {
    let mut bench = Bench::with_tail(Vec::new());
    bench.step(Event::StoreDamaged);
    let effects = bench.configure(configuration(2, 1, &[1, 2]));
    assert!(appended(&effects).is_empty());
    assert!(appended(&bench.pass(2_000)).is_empty());
    let refused = bench.write(2, id(1), 1, 1);
    assert!(matches!(refused[..], [Effect::Reply { .. }]));
}

#[test]
fn a_damaged_primary_commits_nothing_and_is_not_heard_from() {
    let mut bench = primary(0, &[1, 2]);
    bench.write(2, id(1), 1, 1);
    bench.step(Event::StoreDamaged);
    bench.synced();
    bench.ack(member(2), 2, 3, 0);
    assert_eq!(bench.committed(), 0);
    assert!(bench.pass(500).is_empty());
    let refused = bench.write(2, id(2), 1, 2);
    assert!(matches!(refused[..], [Effect::Reply { .. }]));
    assert!(bench.replica.is_damaged() && !bench.replica.is_readable());
}

#[test]
fn a_peer_whose_return_nobody_told_of_is_tried_and_sent_to_again_once_it_answers() {
    let mut bench = primary(0, &[1, 2]);
    bench.synced();
    bench.ack(member(2), 2, 1, 0);
    bench.step(Event::PeerDown(NodeId(2)));
    let sent = bench.write(2, id(1), 1, 1);
    assert!(appends(&sent, 2).is_empty(), "its stream is broken");
    // Word that the stream stands again is lost. Each beat asks how far the peer is.
    let tried = bench.pass(300);
    let tried = appends(&tried, 2);
    assert!(tried.iter().any(|append| append.entries.is_empty()));
    bench.mismatch(2, 2, 0, 2);
    bench.ack(member(2), 2, 3, 0);
    bench.step(Event::PeerDown(NodeId(2)));
    bench.pass(300);
    bench.ack(member(2), 2, 3, 1);
    let sent = bench.write(2, id(2), 1, 2);
    assert_eq!(appends(&sent, 2).len(), 1);
}

#[test]
fn no_close_goes_to_a_joiner_before_its_snapshot_which_it_would_then_refuse() {
    let mut bench = primary(0, &[1]);
    bench.synced();
    bench.mismatch(2, 2, 0, 0);
    let told = bench.pass(600);
    let closes = |node| {
        let bodies = bodies(&told, node).into_iter();
        bodies
            .filter(|body| matches!(body, Body::Close { .. }))
            .count()
    };
    assert_eq!(closes(2), 0);
    assert!(closes(3) > 0, "the other joiner waits for nothing");
    bench.step(Event::SnapshotEnded { peer: member(2) });
    let told = bench.pass(600);
    let goes_on = |body: &&Body| matches!(body, Body::Close { session: 1, .. });
    assert!(bodies(&told, 2).iter().any(goes_on));
}
