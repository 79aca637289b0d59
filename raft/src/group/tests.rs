//! Tests of groups: storage by openraft's own suite and under power loss, the applied state when
//! its files are damaged, and three members over a network of channels.

mod applied;
mod cluster;
mod power;
mod storage;
mod world;

use super::{
    GroupId,
    applied::AppliedState,
    log::{RaftLog, SnapshotFloor},
    machine::MachineStore,
    runtime::Blocking,
    snapshot::SnapshotFiles,
    types::{Entry, LogId, Payload},
};
use crate::{
    machine::Command,
    placement::{Placement, PlacementCommand, state::Policy},
};
use openraft::{CommittedLeaderId, EntryPayload};
use proto::id::RegionId;
use std::sync::Arc;
use store::{disk::Disk, segment::LogSettings};

const SEGMENT_BYTES: u64 = 32 << 10;

/// A log and a state machine on a disk, put together as a group does it.
fn open(
    disk: &Arc<dyn Disk>,
    applied: Box<dyn AppliedState>,
) -> (RaftLog, MachineStore<Placement>) {
    let floor = SnapshotFloor::default();
    let settings = LogSettings {
        segment_bytes: SEGMENT_BYTES,
        spares: 1,
        ..LogSettings::new("raft/log")
    };
    let log = RaftLog::open(Arc::clone(disk), settings, floor.clone(), Blocking::Inline).unwrap();
    let files =
        SnapshotFiles::open(Arc::clone(disk), "raft/snapshot".into(), GroupId::Global).unwrap();
    let machine = MachineStore::open(files, applied, floor, log.last(), Blocking::Inline).unwrap();
    (log, machine)
}

fn log_id(term: u64, index: u64) -> LogId {
    LogId::new(CommittedLeaderId::new(term, 1), index)
}

/// An entry that changes something, differently for each index.
fn entry(term: u64, index: u64) -> Entry {
    let copies = u8::try_from(index % 5 + 1).unwrap();
    let command = PlacementCommand::Follow(Policy {
        region: RegionId(1),
        group: 1,
        shards: 8,
        copies,
        min_in_sync: 1,
        named_by_boot: false,
    });
    Entry {
        log_id: log_id(term, index),
        payload: EntryPayload::Normal(Payload(command.encode())),
    }
}
