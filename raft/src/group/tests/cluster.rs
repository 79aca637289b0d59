//! Members of a group together. Time is simulated, so nothing here waits for real.

use super::world::{PATIENCE, World, command, leader_of, settle};
use crate::{
    group::{
        Blocking, Group, GroupFiles, GroupId, GroupSettings, ProposeError, RaftRequest,
        RaftResponse, applied::SledState, network::Declined, types::Payload,
    },
    placement::Placement,
};
use proto::id::{NodeId, Revision};
use std::{sync::Arc, time::Duration};
use store::disk::RealDisk;
use tempfile::TempDir;

#[tokio::test(start_paused = true)]
async fn any_member_takes_commands_and_all_apply_them() {
    let world = World::new(3);
    let groups = world.found(&[1, 2, 3]).await;
    leader_of(&groups).await;
    for number in 1..=30 {
        let group = &groups[usize::try_from(number % 3).unwrap()];
        group.propose(&command(number), PATIENCE).await.unwrap();
    }
    settle(&groups).await;
    assert_eq!(groups[0].committed().state.policy.unwrap().copies, 31);
    assert_eq!(groups[0].committed().revision, Revision(30));
    let read = groups[2].linearizable(PATIENCE).await.unwrap();
    assert_eq!(read.revision, Revision(30));
    assert!(
        groups[1].found(world.peers(&[2])).await.is_err(),
        "a second founding is refused"
    );
}

#[tokio::test(start_paused = true)]
async fn a_member_that_lags_behind_the_log_gets_a_snapshot() {
    let world = World::new(3);
    let groups = world.found(&[1, 2, 3]).await;
    let leader = leader_of(&groups).await;
    let lagging = groups.iter().find(|group| !group.status().leads).unwrap();
    world.cut_off(lagging.status().node);
    for number in 1..=200 {
        leader.propose(&command(number), PATIENCE).await.unwrap();
    }
    let cut = leader
        .wait(PATIENCE, |status| status.purged_index > 100)
        .await
        .expect("the log is cut");
    let behind = lagging.status();
    assert!(behind.last_index < cut.purged_index, "{behind:?} {cut:?}");
    world.heal();
    settle(&groups).await;
    assert!(
        lagging.status().snapshot_index > 100,
        "{:?}",
        lagging.status()
    );
    leader_of(&groups)
        .await
        .propose(&command(7), PATIENCE)
        .await
        .unwrap();
    settle(&groups).await;
}

#[tokio::test(start_paused = true)]
async fn all_members_lose_power_and_come_back_with_what_was_acknowledged() {
    let world = World::new(3);
    let mut groups = world.found(&[1, 2, 3]).await;
    let mut last = Revision(0);
    for round in 0..4 {
        leader_of(&groups).await;
        for number in 0..40 {
            groups[0]
                .propose(&command(round * 40 + number), PATIENCE)
                .await
                .unwrap();
        }
        last = groups[0].linearizable(PATIENCE).await.unwrap().revision;
        for node in 1..=3 {
            world.crash(NodeId(node)).await;
        }
        groups.clear();
        let alone = world.start(1).await;
        let known = alone.committed();
        assert!(
            known.revision.0 + 2 >= last.0,
            "without a quorum it serves what it knew to be committed: {known:?}"
        );
        groups.extend([alone, world.start(2).await, world.start(3).await]);
        let read = groups[1].linearizable(PATIENCE).await.unwrap();
        assert_eq!(read.revision, last);
        settle(&groups).await;
    }
    assert_eq!(last, Revision(160));
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_cut_off_is_replaced_and_acknowledges_nothing() {
    let world = World::new(3);
    let groups = world.found(&[1, 2, 3]).await;
    let old = leader_of(&groups).await;
    old.propose(&command(1), PATIENCE).await.unwrap();
    let old_node = old.status().node;
    world.cut_off(old_node);
    let lost = old.propose(&command(2), Duration::from_secs(5)).await;
    assert!(
        matches!(lost, Err(ProposeError::Unknown | ProposeError::NoLeader)),
        "{lost:?}"
    );
    assert!(
        old.linearizable(Duration::from_secs(2)).await.is_err(),
        "it cannot know what the others did"
    );

    let rest: Vec<_> = groups
        .iter()
        .filter(|group| group.status().node != old_node)
        .cloned()
        .collect();
    let moved = rest[0]
        .wait(PATIENCE, |status| {
            status.leader.is_some_and(|leader| leader != old_node)
        })
        .await;
    assert!(moved.is_some(), "{:?}", rest[0].status());
    rest[0].propose(&command(3), PATIENCE).await.unwrap();
    assert_eq!(
        old.committed().revision,
        Revision(1),
        "it still serves what it knew"
    );
    world.heal();
    settle(&groups).await;
    assert_eq!(
        old.linearizable(PATIENCE)
            .await
            .unwrap()
            .state
            .policy
            .unwrap()
            .copies,
        4
    );
}

#[tokio::test(start_paused = true)]
async fn a_group_grows_from_one_voter_to_three_and_then_survives_a_loss() {
    let world = World::new(3);
    let first = world.found(&[1]).await.remove(0);
    first.propose(&command(1), PATIENCE).await.unwrap();
    let mut groups = vec![first, world.start(2).await, world.start(3).await];
    groups[0]
        .change_voters(world.peers(&[1, 2, 3]))
        .await
        .unwrap();
    settle(&groups).await;
    assert_eq!(groups[2].status().voters.len(), 3);
    world.crash(NodeId(1)).await;
    groups.remove(0);
    let moved = groups[0]
        .wait(PATIENCE, |status| {
            status.leader.is_some_and(|leader| leader != NodeId(1))
        })
        .await;
    assert!(moved.is_some());
    groups[0].propose(&command(2), PATIENCE).await.unwrap();
    settle(&groups).await;
    let leader = leader_of(&groups).await;
    leader.change_voters(world.peers(&[2, 3])).await.unwrap();
    assert_eq!(leader.status().voters, [NodeId(2), NodeId(3)].into());
}

#[tokio::test(start_paused = true)]
async fn a_command_that_a_member_does_not_know_stops_it() {
    let world = World::new(1);
    let group = world.found(&[1]).await.remove(0);
    group.propose(&command(1), PATIENCE).await.unwrap();
    let newer = RaftRequest::Propose(Payload("\u{7}{}".into()));
    let answer = group.serve(newer).await;
    assert!(
        matches!(answer, RaftResponse::Propose(Err(Declined::Stopped(_)))),
        "{answer:?}"
    );
    let fault = group.failed().await;
    assert!(
        fault.contains("version 7") && fault.contains("the node stops"),
        "{fault}"
    );
    assert!(group.status().stopped.is_some());
    assert_eq!(group.committed().revision, Revision(1));
    assert!(matches!(
        group.propose(&command(2), PATIENCE).await,
        Err(ProposeError::Stopped(_))
    ));
}

#[tokio::test(start_paused = true)]
async fn a_command_too_large_for_the_log_is_refused_before_it_is_sent() {
    let world = World::new(1);
    let group = world.found(&[1]).await.remove(0);
    let retired = crate::placement::PlacementCommand::Register(crate::placement::Member {
        node: NodeId(1),
        name: "x".repeat(40 << 10),
        boot: proto::id::BootId(1),
        store: None,
        zone: String::new(),
        voter: true,
        gateway: false,
        addresses: Default::default(),
        draining: false,
        fewer_copies: false,
    });
    assert!(matches!(
        group.propose(&retired, PATIENCE).await,
        Err(ProposeError::TooLarge { .. })
    ));
    group.propose(&command(1), PATIENCE).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn without_a_leader_a_proposal_says_that_nothing_happened() {
    let world = World::new(3);
    let group = world.start(1).await;
    assert!(!group.is_founded().await.unwrap());
    let refused = group.propose(&command(1), Duration::from_secs(3)).await;
    assert!(
        matches!(refused, Err(ProposeError::NoLeader)),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_on_real_files_and_threads_starts_again_where_it_stopped() {
    let directory = TempDir::new().unwrap();
    let start = || async {
        let files = GroupFiles {
            disk: Arc::new(RealDisk::open(directory.path()).unwrap()),
            directory: "raft/global".into(),
            applied: Box::new(SledState::open(directory.path().join("meta")).unwrap()),
            blocking: Blocking::Threads,
        };
        let settings = GroupSettings {
            segment_bytes: 1 << 20,
            ..GroupSettings::default()
        };
        let network = World::new(0).wire(NodeId(1));
        Group::<Placement>::start(GroupId::Global, NodeId(1), files, settings, network)
            .await
            .unwrap()
    };
    let group = start().await;
    group.found(World::new(0).peers(&[1])).await.unwrap();
    for number in 1..=20 {
        group.propose(&command(number), PATIENCE).await.unwrap();
    }
    let before = group.committed();
    group.stop().await;
    drop(group);

    let group = start().await;
    let after = group.committed();
    assert_eq!(
        (after.revision, after.state),
        (before.revision, before.state)
    );
    group.propose(&command(21), PATIENCE).await.unwrap();
    group.stop().await;
}
