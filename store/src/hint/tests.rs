//! Hint files read back what was settled, or say that they are not sound.

use super::*;
use crate::{
    disk::{Disk, FaultDisk},
    mutations,
    place::Slot,
    segment::{LogSettings, LogWriter, SegmentId},
    views::{ViewNumber, Views},
};
use proptest::prelude::*;
use proto::{id::ViewId, time::EventTime};
use std::sync::Arc;

fn row(shard: u16, hash: u64, position: u64, view: u16) -> HintRow {
    HintRow {
        shard: ShardId(shard),
        hash,
        place: Place((3 << 60) | ((position % 1000) << 16) | 4),
        order: Order::new(EventTime::saturating(hash), ViewNumber(view)),
        position: Position(position % (1 << 48)),
        check: hash as u16,
    }
}

fn entry(shard: u16, position: u64) -> HintEntry {
    HintEntry {
        shard: ShardId(shard),
        position: Position(position),
        offset: 128,
        length: 96,
        epoch: Epoch(3),
        incarnation: Incarnation(1),
        origin: RegionId(2),
        placement: PlacementId(1),
        part: RequestPart(4),
        kind: 1,
        sequence: Sequence(position * 2),
        hlc: Hlc(position << 16),
        request: RequestId::make(position, 7),
    }
}

fn written(content: &Content, views: &[ViewId]) -> (FaultDisk, Option<HintFile>) {
    let disk = FaultDisk::new(1);
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let opened = LogWriter::open(shared, LogSettings::new("s"), &|_| true, &mut |_| {}).unwrap();
    let span = HintSpan {
        segment: 5,
        end: 4096,
        first_group: 2,
        last_group: 9,
        born_after: 1,
        largest_hlc: Hlc(77),
        row_bytes: 640,
    };
    encode(&span, content, views)
        .write(opened.writer.directory(), SegmentId(5))
        .unwrap();
    let found = HintFile::open(&disk, "s/0000000000000005.hint").unwrap();
    if let Some(found) = &found {
        assert_eq!(found.span, span);
    }
    (disk, found)
}

fn check_round_trip(mut content: Content) {
    content.settle();
    let views: Vec<_> = (0..8).map(|n| ViewId(n * 10)).collect();
    let (_disk, file) = written(&content, &views);
    let file = file.unwrap();
    let mut numbers = Views::default();
    views.iter().for_each(|view| {
        numbers.number(*view);
    });
    let (mut rows, mut entries) = (Vec::new(), Vec::new());
    for part in &file.parts {
        rows.extend(file.rows(part, Slot(0), &mut numbers).unwrap());
        entries.extend(file.entries(part).unwrap());
    }
    assert_eq!(rows, content.rows);
    assert_eq!(entries, content.entries);
    assert_eq!(file.cuts, content.cuts);
    assert!(file.is_sound().unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_hint_file_reads_back_what_was_settled(
        rows in prop::collection::vec((0..4_u16, any::<u64>(), any::<u64>(), 0..8_u16), 0..60),
        entries in prop::collection::btree_set((0..4_u16, 1..1_000_000_u64), 0..60),
        cuts in prop::collection::vec((0..4_u16, any::<u64>(), any::<u64>()), 0..5),
    ) {
        check_round_trip(Content {
            rows: rows.into_iter().map(|(shard, hash, position, view)| row(shard, hash, position, view)).collect(),
            entries: entries.into_iter().map(|(shard, position)| entry(shard, position)).collect(),
            cuts: cuts.into_iter().map(|(shard, after, at)| HintCut { shard: ShardId(shard), after: Position(after), at }).collect(),
        });
    }
}

#[test]
fn settled_content_keeps_the_newest_row_of_each_key() {
    let other_key = HintRow {
        check: 9,
        ..row(1, 7, 3, 0)
    };
    let mut content = Content {
        rows: vec![row(1, 7, 2, 0), row(1, 7, 5, 0), other_key, row(1, 7, 4, 1)],
        ..Content::default()
    };
    content.settle();
    let mut left: Vec<_> = content.rows.iter().map(|row| row.position.0).collect();
    left.sort_unstable();
    assert_eq!(left, [3, 4, 5]);
}

#[test]
fn any_flipped_bit_makes_a_hint_file_unsound() {
    let mut content = Content {
        rows: vec![row(1, 7, 2, 0)],
        entries: vec![entry(1, 2)],
        ..Content::default()
    };
    content.settle();
    let (disk, file) = written(&content, &[ViewId(3)]);
    drop(file);
    let path = "s/0000000000000005.hint";
    let size = disk
        .files()
        .iter()
        .find(|(name, _)| name == path)
        .unwrap()
        .1;
    for byte in 0..size {
        disk.flip_bit(path, byte, (byte % 8) as u32);
        let sound = HintFile::open(&disk, path)
            .unwrap()
            .is_some_and(|file| file.is_sound().unwrap());
        assert!(!sound, "byte {byte}");
        disk.flip_bit(path, byte, (byte % 8) as u32);
    }
}

#[test]
fn a_damaged_hint_file_whose_checksums_fit_is_read_or_made_anew() {
    let mut content = Content {
        rows: vec![row(1, 7, 2, 0), row(2, 9, 3, 1)],
        entries: vec![entry(1, 2), entry(2, 3)],
        cuts: vec![HintCut {
            shard: ShardId(1),
            after: Position(1),
            at: 7,
        }],
    };
    content.settle();
    let (disk, file) = written(&content, &[ViewId(3), ViewId(4)]);
    let file = file.unwrap();
    let listed = codec::HEADER_BYTES
        + file.parts.len() * codec::PART_BYTES
        + 2 * size_of::<u32>()
        + codec::CUT_BYTES;
    let whole = disk.open("s/0000000000000005.hint").unwrap();
    let mut bytes = vec![0; whole.size_bytes().unwrap() as usize];
    whole.read_at(0, &mut bytes).unwrap();
    for seed in 0..mutations::runs(2_000) {
        let mut damaged = mutations::bytes(&bytes, &mut mutations::Numbers::of(seed));
        codec::seal_head(&mut damaged, listed);
        let path = format!("s/damaged-{seed}");
        let file = disk.create(&path, 0).unwrap();
        file.write_at(0, &damaged).unwrap();
        let Some(file) = HintFile::open(&disk, &path).unwrap() else {
            continue;
        };
        for part in &file.parts {
            drop(file.rows(part, Slot(0), &mut Views::default()));
            drop(file.entries(part));
        }
        drop(file.is_sound());
        disk.delete(&path).unwrap();
    }
}
