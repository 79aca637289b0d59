//! The faults happen as they were set, and crashes lose what they may lose and no more.

use super::*;

fn read(disk: &FaultDisk, path: &str) -> Option<Vec<u8>> {
    let file = disk.open(path).ok()?;
    let mut bytes = vec![0; usize::try_from(file.size_bytes().unwrap()).unwrap()];
    file.read_at(0, &mut bytes).unwrap();
    Some(bytes)
}

#[test]
fn what_was_synced_survives_and_what_was_not_is_torn_in_sectors() {
    let mut torn = 0;
    for seed in 0..32 {
        let disk = FaultDisk::new(seed);
        let file = disk.create("a", 2048).unwrap();
        disk.sync_dir("").unwrap();
        file.write_at(0, &[1; 2048]).unwrap();
        file.sync().unwrap();
        file.write_at(512, &[2; 1024]).unwrap();
        disk.crash();
        assert!(file.sync().is_err(), "handles do not outlive the machine");
        let bytes = read(&disk, "a").unwrap();
        assert!(
            bytes[..512]
                .iter()
                .chain(&bytes[1536..])
                .all(|byte| *byte == 1)
        );
        let halves = [bytes[512], bytes[1024]];
        assert!(bytes[512..1024].iter().all(|byte| *byte == halves[0]));
        torn += u32::from(halves[0] != halves[1]);
    }
    assert!(torn > 0, "some crash must tear the write");
}

#[test]
fn names_that_were_not_synced_may_be_lost_and_synced_ones_are_not() {
    let mut lost = 0;
    for seed in 0..32 {
        let disk = FaultDisk::new(seed);
        disk.create("d/kept", 0).unwrap();
        disk.sync_dir("d").unwrap();
        disk.create("d/new", 0).unwrap();
        disk.crash();
        let names = disk.list("d").unwrap();
        assert!(names.contains(&"kept".to_owned()));
        lost += u32::from(names.len() == 1);
    }
    assert!(0 < lost && lost < 32);
}

#[test]
fn each_fault_strikes_the_operation_it_was_set_for() {
    let disk = FaultDisk::new(1);
    let file = disk.create("a", 4096).unwrap();
    for fault in [Fault::InputOutput, Fault::NoSpace, Fault::ShortWrite] {
        disk.fail_change(disk.changes() + 1, fault);
        file.write_at(0, &[7; 4096]).unwrap();
        file.write_at(0, &[8; 4096]).unwrap_err();
        file.write_at(0, &[9; 4096]).unwrap();
    }
    disk.fail_read(disk.reads(), Fault::InputOutput);
    file.read_at(0, &mut [0]).unwrap_err();
    disk.fail_change(disk.changes(), Fault::PowerLoss);
    file.sync().unwrap_err();
    file.sync().unwrap_err();
    disk.crash();
    assert!(
        disk.open("a").is_err(),
        "its name was never synced; this seed loses it"
    );
}

#[test]
fn a_full_disk_refuses_growth_and_nothing_else() {
    let disk = FaultDisk::new(1);
    disk.set_capacity(1000);
    let file = disk.create("a", 900).unwrap();
    assert_eq!(
        disk.create("b", 101).err().unwrap().kind(),
        io::ErrorKind::StorageFull
    );
    file.write_at(0, &[1; 900]).unwrap();
    assert_eq!(disk.capacity().unwrap().free_bytes, 100);
}

#[test]
fn a_slow_and_uncached_disk_says_so() {
    let disk = FaultDisk::new(1);
    disk.set_slowness(250);
    let file = disk.create("a", 8).unwrap();
    file.sync().unwrap();
    assert_eq!(disk.take_micros(), 500);
    disk.set_cached(false);
    assert_eq!(
        file.read_cached(0, &mut [0]).unwrap_err().kind(),
        io::ErrorKind::WouldBlock
    );
}
