//! A store's id goes where its rows go.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

mod common;

use common::*;
use proto::id::StoreId;
use std::sync::Arc;
use store::{
    Naming, OpenError, Recovered, Settings, Store, Writer,
    disk::{Disk, FaultDisk, RealDisk},
    segment::FileHeader,
};

type Opened = Result<(Arc<Store>, Writer, Recovered), OpenError>;

fn named(disk: &FaultDisk, fresh: u64, former: Option<u64>) -> Opened {
    let naming = Naming {
        fresh: StoreId(fresh),
        former: former.map(StoreId),
    };
    Store::open_named(Arc::new(disk.clone()), settings(), naming)
}

fn id(disk: &FaultDisk, fresh: u64, former: Option<u64>) -> u64 {
    disk.kill();
    named(disk, fresh, former).unwrap().0.id().0
}

fn delete(disk: &FaultDisk, is_lost: impl Fn(&str) -> bool) {
    disk.kill();
    for (path, _) in disk.files() {
        if is_lost(&path) {
            disk.delete(&path).unwrap();
            disk.sync_dir("store").unwrap();
        }
    }
}

/// Makes the directory as the format before wrote it.
fn set_back(disk: &FaultDisk) {
    delete(disk, |path| path.ends_with("/ID"));
    for (path, _) in disk.files() {
        if path.ends_with(".log") || path.ends_with(".base") {
            let file = disk.open(&path).unwrap();
            let mut bytes = [0; 64];
            file.read_at(0, &mut bytes).unwrap();
            let header = FileHeader::decode(&bytes, &path).unwrap().unwrap();
            let before = FileHeader { owner: 0, ..header };
            file.write_at(0, &before.encode()).unwrap();
        }
    }
    let format = disk.open("store/FORMAT").unwrap();
    format.write_at(0, b"atoll store 2\n").unwrap();
}

#[test]
fn an_id_is_kept_from_the_first_moment_on() {
    let disk = FaultDisk::new(1);
    assert_eq!(named(&disk, 7, None).unwrap().0.id(), StoreId(7));
    disk.crash();
    assert_eq!(id(&disk, 8, None), 7, "nothing was ever written to it");
    let (_, mut writer, _) = named(&disk, 8, None).unwrap();
    write(&mut writer, S, &[put(1, 10)]);
    drop(writer);
    disk.crash();
    assert_eq!(id(&disk, 9, Some(5)), 7);
}

#[test]
fn a_store_that_was_emptied_is_another_one() {
    let disk = FaultDisk::new(1);
    drop(named(&disk, 7, None).unwrap());
    delete(&disk, |_| true);
    assert_eq!(id(&disk, 8, Some(7)), 8);
}

#[test]
fn a_store_that_lost_its_log_alone_begins_anew_and_keeps_nothing() {
    let disk = FaultDisk::new(1);
    let (store, mut writer, _) = named(&disk, 7, None).unwrap();
    churn(&store, &mut writer, &[S]);
    drop((store, writer));
    assert!(disk.files().iter().any(|(path, _)| path.ends_with(".base")));
    delete(&disk, |path| path.ends_with(".log"));

    let (store, mut writer, recovered) = named(&disk, 8, None).unwrap();
    assert_eq!((store.id(), recovered.lost), (StoreId(8), Some(StoreId(7))));
    assert!(recovered.shards.is_empty());
    // The shard comes back with a log of its own: rows of the one before must not shine through.
    write(&mut writer, S, &[put(100, 1)]);
    flush(&mut writer);
    drop((store, writer));
    disk.crash();
    let (store, _, recovered) = named(&disk, 9, None).unwrap();
    assert_eq!((store.id(), recovered.lost), (StoreId(8), None));
    let keys: Vec<u64> = (0..7).collect();
    assert_eq!(read_all(&store, S, VIEW, &keys), [MISSING; 7]);
    assert_eq!(read(&store, S, 100), found(1));
    let aside = disk
        .files()
        .iter()
        .filter(|(path, _)| path.ends_with(".former"))
        .count();
    assert!(
        (1..=4).contains(&aside),
        "{aside} files are kept to be looked at"
    );
}

#[test]
fn the_file_alone_may_go_or_rot_since_segments_say_the_same() {
    let disk = FaultDisk::new(1);
    drop(named(&disk, 7, None).unwrap());
    delete(&disk, |path| path.ends_with("/ID"));
    assert_eq!(id(&disk, 8, None), 7);
    disk.kill();
    disk.flip_bit("store/ID", 20, 1);
    assert_eq!(id(&disk, 8, None), 7);
    assert_eq!(id(&disk, 8, None), 7, "the file was written again");
}

#[test]
fn files_of_two_stores_are_refused() {
    let (one, other) = (FaultDisk::new(1), FaultDisk::new(2));
    drop((
        named(&one, 7, None).unwrap(),
        named(&other, 8, None).unwrap(),
    ));
    one.kill();
    other.kill();
    let file = other.open("store/ID").unwrap();
    let mut bytes = vec![0; file.size_bytes().unwrap() as usize];
    file.read_at(0, &mut bytes).unwrap();
    one.open("store/ID").unwrap().write_at(0, &bytes).unwrap();
    let error = named(&one, 9, None).err().unwrap().to_string();
    assert_eq!(
        error,
        "store holds files of store 0000000000000007 and of store 0000000000000008; move those of one of them elsewhere"
    );
}

#[test]
fn a_directory_from_before_keeps_its_rows_and_the_id_that_lay_beside_it() {
    let disk = FaultDisk::new(1);
    drop(hinted(&disk));
    disk.kill();
    set_back(&disk);
    let (store, mut writer, recovered) = named(&disk, 8, Some(5)).unwrap();
    assert_eq!((store.id(), recovered.lost), (StoreId(5), None));
    assert_eq!(read(&store, S, 59), found(59));
    write(&mut writer, S, &[put(1, 100)]);
    drop((store, writer));
    disk.crash();
    assert_eq!(id(&disk, 9, None), 5, "it says so itself by now");
    disk.kill();
    set_back(&disk);
    delete(&disk, |path| path.ends_with(".log"));
    assert_eq!(
        id(&disk, 9, Some(5)),
        9,
        "what lies beside it counts only while the log is there"
    );
}

#[test]
fn a_crash_at_any_step_of_the_first_start_leaves_a_store_that_starts() {
    for step in 0.. {
        let disk = FaultDisk::new(step);
        disk.fail_change(step, store::disk::Fault::PowerLoss);
        let opened = named(&disk, 7, None);
        let is_through = opened.is_ok();
        drop(opened);
        disk.crash();
        let (again, mut writer, recovered) = named(&disk, 8, None).unwrap();
        assert!(
            matches!(again.id(), StoreId(7 | 8)) && recovered.damage.is_empty(),
            "step {step}"
        );
        write(&mut writer, S, &[put(1, 10)]);
        flush(&mut writer);
        let id = again.id();
        drop((again, writer));
        disk.crash();
        let (store, _, _) = named(&disk, 9, None).unwrap();
        assert_eq!(
            (store.id(), read(&store, S, 1)),
            (id, found(10)),
            "step {step}"
        );
        if is_through {
            assert!(step > 5, "{step}");
            break;
        }
    }
}

#[test]
fn a_real_directory_whose_files_are_gone_is_another_store() {
    let dir = tempfile::tempdir().unwrap();
    let open = |fresh: u64| {
        let disk = Arc::new(RealDisk::open(dir.path()).unwrap());
        let settings = Settings {
            segment_bytes: 256 << 10,
            ..Settings::default()
        };
        let naming = Naming {
            fresh: StoreId(fresh),
            former: None,
        };
        Store::open_named(disk, settings, naming).unwrap().0.id().0
    };
    assert_eq!((open(7), open(8)), (7, 7));
    let lose = |extension: &str| {
        let disk = RealDisk::open(dir.path()).unwrap();
        for name in disk.list("store").unwrap() {
            if name.ends_with(extension) {
                disk.delete(&format!("store/{name}")).unwrap();
            }
        }
    };
    lose(".log");
    assert_eq!((open(8), open(9)), (8, 8), "without its log");
    lose("");
    assert_eq!((open(10), open(11)), (10, 10), "without all of it");
}
