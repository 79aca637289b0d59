//! The segment log under crashes, faults and rot, against a list of what was appended and synced.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

use std::sync::Arc;
use store::{
    disk::{Disk, Fault, FaultDisk},
    segment::{LogSettings, LogWriter, OpenError, Opened, Scanned},
};

const SEGMENT_BYTES: u64 = 4 << 10;

fn settings() -> LogSettings {
    LogSettings {
        segment_bytes: SEGMENT_BYTES,
        spares: 1,
        payload_crc: true,
        ..LogSettings::new("log")
    }
}

struct Reopened {
    opened: Opened,
    payloads: Vec<Vec<u8>>,
    damaged: usize,
}

fn open(disk: &FaultDisk) -> Result<Reopened, OpenError> {
    let (mut payloads, mut damaged) = (Vec::new(), 0);
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let opened = LogWriter::open(disk, settings(), &|_| true, &mut |scanned| match scanned {
        Scanned::Group(_, group) => payloads.push(group.payload().to_vec()),
        Scanned::Damaged(..) => damaged += 1,
    })?;
    Ok(Reopened {
        opened,
        payloads,
        damaged,
    })
}

/// Payload `n`: its number, then bytes that depend on it, of a length that varies.
fn payload(n: u64) -> Vec<u8> {
    let mut bytes = n.to_le_bytes().to_vec();
    bytes.resize(8 + (n as usize * 97) % 900, n as u8);
    bytes
}

/// What a run did before it stopped.
#[derive(Default)]
struct Done {
    appended: u64,
    synced: u64,
}

/// Appends up to 40 payloads from `first` on, syncs every third, retires old segments, until
/// something fails.
fn run(log: &mut LogWriter, first: u64, done: &mut Done) {
    for n in first..first + 40 {
        if log.append(b"preface", &[&payload(n)], 1).is_err() {
            return;
        }
        done.appended = n;
        if n % 3 == 0 {
            // The next group is encoded while this batch is not synced yet.
            let mut batch = log.take_batch();
            if batch.write().is_err() {
                return;
            }
            match batch.sync() {
                Ok(synced) => log.note_synced(synced),
                Err(_) => return,
            }
            done.synced = n;
        }
        if n % 10 == 0 && log.directory().prepare_spare().is_err() {
            return;
        }
    }
}

fn check_recovered(found: &[Vec<u8>], done: &Done) {
    let numbers: Vec<u64> = found
        .iter()
        .map(|payload| u64::from_le_bytes(payload[..8].try_into().unwrap()))
        .collect();
    assert_eq!(
        numbers,
        (1..=numbers.len() as u64).collect::<Vec<_>>(),
        "a dense run from the first"
    );
    for (payload_found, n) in found.iter().zip(1..) {
        assert_eq!(*payload_found, payload(n), "payload {n} is whole");
    }
    assert!(
        numbers.len() as u64 >= done.synced,
        "{} of {} synced",
        numbers.len(),
        done.synced
    );
    assert!(
        numbers.len() as u64 <= done.appended,
        "{} of {} appended",
        numbers.len(),
        done.appended
    );
}

#[test]
fn what_was_appended_and_synced_is_found_again_in_order() {
    let disk = FaultDisk::new(1);
    let mut done = Done::default();
    run(&mut open(&disk).unwrap().opened.writer, 1, &mut done);
    disk.kill();
    let again = open(&disk).unwrap();
    assert_eq!(again.payloads.len(), 39);
    assert!(
        again.opened.segments.len() > 3,
        "the test spans several segments"
    );
    assert!(!again.opened.torn && again.opened.damage.is_empty());
    assert_eq!(again.opened.writer.last_group(), 39);
}

#[test]
fn a_power_loss_at_any_operation_loses_nothing_synced_and_tears_nothing() {
    let count = {
        let disk = FaultDisk::new(0);
        run(
            &mut open(&disk).unwrap().opened.writer,
            1,
            &mut Done::default(),
        );
        disk.changes()
    };
    let mut torn = 0;
    for crash_at in 0..count {
        for seed in 0..4 {
            let disk = FaultDisk::new(seed * 1_000 + crash_at);
            disk.fail_change(crash_at, Fault::PowerLoss);
            let mut done = Done::default();
            if let Ok(mut first) = open(&disk) {
                run(&mut first.opened.writer, 1, &mut done);
            }
            disk.crash();
            // Recovery itself is cut short too, once.
            disk.fail_change(disk.changes() + seed, Fault::PowerLoss);
            let _ = open(&disk);
            disk.crash();

            let mut second = open(&disk).unwrap();
            torn += usize::from(second.opened.torn);
            assert_eq!(second.damaged, 0, "a crash is never taken for rot");
            assert!(
                second.opened.damage.is_empty(),
                "crash at {crash_at}: {:?}",
                second.opened.damage
            );
            check_recovered(&second.payloads, &done);
            let resumed = second.payloads.len() as u64;

            // The log goes on behind the cut, and what it then syncs is there after the next crash.
            let mut after = Done {
                appended: resumed,
                synced: resumed,
            };
            run(&mut second.opened.writer, resumed + 1, &mut after);
            disk.crash();
            let third = open(&disk).unwrap();
            assert!(
                third.opened.damage.is_empty(),
                "crash at {crash_at}, then again: {:?}",
                third.opened.damage
            );
            check_recovered(&third.payloads, &after);
        }
    }
    assert!(torn > 0, "some crash must have torn a group");
}

#[test]
fn an_error_at_any_operation_closes_the_log_or_changes_nothing() {
    let count = {
        let disk = FaultDisk::new(0);
        run(
            &mut open(&disk).unwrap().opened.writer,
            1,
            &mut Done::default(),
        );
        disk.changes()
    };
    for fault in [Fault::InputOutput, Fault::NoSpace, Fault::ShortWrite] {
        for fail_at in 0..count {
            let disk = FaultDisk::new(fail_at);
            disk.fail_change(fail_at, fault);
            let mut done = Done::default();
            if let Ok(mut first) = open(&disk) {
                let log = &mut first.opened.writer;
                run(log, 1, &mut done);
                if log.is_poisoned() {
                    let refused = log.append(b"", &[b"x"], 1).unwrap_err().to_string();
                    assert!(refused.contains("restart the process"), "{refused}");
                    assert!(log.write_and_sync().is_err());
                }
            }
            disk.crash();
            let second = open(&disk).unwrap();
            assert!(second.opened.damage.is_empty());
            check_recovered(&second.payloads, &done);
        }
    }
}

#[test]
fn a_flipped_bit_before_synced_groups_is_rot_and_is_never_served() {
    let disk = FaultDisk::new(5);
    run(
        &mut open(&disk).unwrap().opened.writer,
        1,
        &mut Done::default(),
    );
    disk.kill();
    let (first, _) = disk
        .files()
        .into_iter()
        .find(|(name, _)| name.ends_with(".log"))
        .unwrap();
    let used = open(&disk).unwrap().opened.segments[0].1.end;
    disk.kill();
    for byte in (0..used).step_by(7) {
        disk.flip_bit(&first, byte, (byte % 8) as u32);
        let found = open(&disk).unwrap();
        disk.kill();
        for bytes in &found.payloads {
            let n = u64::from_le_bytes(bytes[..8].try_into().unwrap());
            assert_eq!(*bytes, payload(n), "flipped byte {byte}");
        }
        let all_there = found.payloads.len() == 39;
        assert!(
            all_there || !found.opened.damage.is_empty(),
            "flipped byte {byte}: a loss is reported"
        );
        assert!(
            found.payloads.len() >= 37,
            "flipped byte {byte}: groups around the damage are read"
        );
        assert!(
            !found.opened.torn,
            "flipped byte {byte}: rot is not a torn tail"
        );
        disk.flip_bit(&first, byte, (byte % 8) as u32);
    }
}

#[test]
fn a_recycled_file_never_shows_its_old_groups() {
    let disk = FaultDisk::new(9);
    let mut log = open(&disk).unwrap().opened.writer;
    run(&mut log, 1, &mut Done::default());
    log.write_and_sync().unwrap();
    drop(log);
    disk.kill();
    let again = open(&disk).unwrap();
    let (mut log, mut segments) = (again.opened.writer, again.opened.segments);
    let oldest = segments.remove(0).0;
    let kept = segments.len();
    drop(segments);
    while log.directory().spares() > 0 {
        log.append(b"", &[&[0; 3000]], 1).unwrap();
        log.write_and_sync().unwrap();
    }
    log.directory().retire(oldest).unwrap();
    assert_eq!(log.directory().spares(), 1, "the file is kept for reuse");
    log.append(b"", &[&[0; 3000]], 1).unwrap();
    log.append(b"", &[b"last"], 1).unwrap();
    log.write_and_sync().unwrap();
    disk.kill();
    let last = open(&disk).unwrap();
    assert!(last.opened.segments.len() > kept);
    assert_eq!(last.payloads.last().unwrap(), b"last");
    assert!(!last.opened.torn && last.opened.damage.is_empty());
}

#[test]
fn no_space_for_a_new_segment_refuses_the_append_and_is_over_when_there_is_some() {
    let disk = FaultDisk::new(3);
    let mut log = open(&disk).unwrap().opened.writer;
    disk.set_capacity(SEGMENT_BYTES);
    log.append(b"", &[&[1; 3000]], 1).unwrap();
    log.write_and_sync().unwrap();
    let refused = log.append(b"", &[&[2; 3000]], 1).unwrap_err().to_string();
    assert!(refused.contains("free some disk space"), "{refused}");
    disk.set_capacity(1 << 20);
    log.append(b"", &[&[2; 3000]], 1).unwrap();
    log.write_and_sync().unwrap();
    disk.kill();
    assert_eq!(open(&disk).unwrap().payloads.len(), 2);
}
