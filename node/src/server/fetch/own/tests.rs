//! Which tokens a store's streams cover, and how old its shards are towards each region.

use super::*;
use crate::components::Now;
use bytes::Bytes;
use gateway::edge::Deadline;
use proto::{
    entry::{EntryBuilder, EntryHeader, EntryKind},
    hlc::Hlc,
    id::{Epoch, Incarnation, PlacementId, Position, ProjectId, Revision, Sequence},
    request::{RequestId, RequestPart},
};
use replication::{
    Micros, RoleName,
    streams::{Cut, encode_lineage},
};
use store::{NewEntry, Settings, Store, Writer, disk::FaultDisk};

const SHARD: ShardId = ShardId(3);
/// Another region than that of the store.
const US: RegionId = RegionId(2);
const AP: RegionId = RegionId(3);
const PLACEMENT: PlacementId = PlacementId(0);
const NOW_MICROS: u64 = 5_000_000;

struct StandingClock;

impl Clock for StandingClock {
    fn now(&self) -> Now {
        Now {
            monotonic: Duration::from_micros(NOW_MICROS),
            wall_micros: 0,
        }
    }
}

struct World {
    writer: Writer,
    board: Board,
    own: OwnShards,
    _catalogs: watch::Sender<Arc<Catalog>>,
}

impl World {
    fn new() -> Self {
        let disk = Arc::new(FaultDisk::new(1));
        let (store, writer, _) = Store::open(disk, Settings::default()).unwrap();
        let (sender, catalogs) = watch::channel(Arc::default());
        let board = Board::default();
        let reader = (Reader::new(store), board.clone());
        let clock: Arc<dyn Clock> = Arc::new(StandingClock);
        Self {
            own: OwnShards::new(reader, catalogs, clock, Blocking::Inline),
            writer,
            board,
            _catalogs: sender,
        }
    }

    /// Appends and commits an entry without rows of a stream from elsewhere.
    fn arrive(&mut self, kind: EntryKind, (incarnation, sequence): (u32, u64), lineage: &[Cut]) {
        let position = self.writer.last(SHARD).position.next();
        let header = EntryHeader {
            shard: SHARD,
            origin: US,
            kind,
            epoch: Epoch(1),
            previous_epoch: Epoch(u32::from(position > Position(1))),
            position,
            incarnation: Incarnation(incarnation),
            placement: PLACEMENT,
            part: RequestPart(0),
            sequence: Sequence(sequence),
            hlc: Hlc(sequence),
            request: RequestId::NONE,
            link_position: 9,
        };
        let entry = match kind {
            EntryKind::Start => EntryBuilder::with_extras(header, &encode_lineage(lineage)),
            _ => EntryBuilder::new(header),
        };
        let (bytes, hashes) = (entry.finish(), &[][..]);
        self.writer.append(&[NewEntry { bytes, hashes }]).unwrap();
        self.writer.sync().unwrap();
        self.writer.commit(SHARD, position).unwrap();
    }

    fn coverage(&self, incarnation: u32, sequence: u64) -> Coverage {
        let token = token(US, incarnation, sequence);
        self.own.covers(&token, SHARD)
    }
}

fn token(origin: RegionId, incarnation: u32, sequence: u64) -> Token {
    let stream = Stream {
        origin,
        shard: SHARD,
        placement: PLACEMENT,
    };
    let reached = Reached {
        incarnation: Incarnation(incarnation),
        sequence: Sequence(sequence),
    };
    let mut token = Token::default();
    token.see(stream, reached, Hlc(1));
    token
}

fn cut(incarnation: u32, kept: u64) -> Cut {
    Cut {
        incarnation: Incarnation(incarnation),
        kept: Sequence(kept),
    }
}

#[test]
fn a_stream_of_another_region_covers_what_came_of_it() {
    let mut world = World::new();
    assert_eq!(world.coverage(1, 1), Coverage::NotYet, "nothing came yet");
    world.arrive(EntryKind::Start, (1, 1), &[]);
    world.arrive(EntryKind::Remote, (1, 2), &[]);
    assert_eq!(world.coverage(1, 2), Coverage::Covered);
    assert_eq!(world.coverage(1, 3), Coverage::NotYet);
    let elsewhere = token(AP, 1, 1);
    assert_eq!(world.own.covers(&elsewhere, SHARD), Coverage::NotYet);
}

#[test]
fn a_later_incarnation_covers_what_its_lineage_keeps_and_the_rest_is_lost() {
    let mut world = World::new();
    world.arrive(EntryKind::Start, (1, 1), &[]);
    (2..=9).for_each(|sequence| world.arrive(EntryKind::Remote, (1, sequence), &[]));
    world.arrive(EntryKind::Start, (2, 1), &[cut(1, 7)]);
    assert_eq!(world.coverage(1, 7), Coverage::Covered, "up to its cut");
    assert_eq!(world.coverage(1, 8), Coverage::Lost, "past it");
    assert_eq!(world.coverage(2, 1), Coverage::Covered);
    // The sequences of the later one say nothing of the earlier.
    (2..=9).for_each(|sequence| world.arrive(EntryKind::Remote, (2, sequence), &[]));
    assert_eq!(world.coverage(1, 8), Coverage::Lost);
    assert_eq!(
        world.coverage(3, 1),
        Coverage::NotYet,
        "it may be on its way"
    );

    world.arrive(EntryKind::Start, (4, 1), &[cut(1, 7), cut(2, 5)]);
    let expected = [
        ((1, 7), Coverage::Covered),
        ((2, 5), Coverage::Covered),
        ((2, 6), Coverage::Lost),
        ((3, 1), Coverage::Lost),
        ((4, 1), Coverage::Covered),
        ((4, 2), Coverage::NotYet),
    ];
    for ((incarnation, sequence), expected) in expected {
        let coverage = world.coverage(incarnation, sequence);
        assert_eq!(coverage, expected, "{incarnation}/{sequence}");
    }
}

#[test]
fn what_is_lost_of_one_stream_outweighs_what_is_awaited_of_another() {
    let mut world = World::new();
    world.arrive(EntryKind::Start, (2, 1), &[cut(1, 7)]);
    let mut asked = token(US, 1, 8);
    asked.merge(&token(AP, 1, 1));
    assert_eq!(world.own.covers(&asked, SHARD), Coverage::Lost);
}

#[test]
fn an_answer_says_how_old_it_is_towards_each_region() {
    let world = World::new();
    let standing = Standing {
        role: RoleName::Backup,
        is_readable: true,
        complete_at: Some(Micros(NOW_MICROS - 1_000)),
        origins: vec![(US, Some(Micros(NOW_MICROS - 200_000))), (AP, None)],
    };
    world.board.write(BTreeMap::from([(SHARD, standing)]));
    let fetch = Arc::new(Fetch {
        project: ProjectId(1),
        revision: Revision(1),
        shards: vec![SHARD, ShardId(4)],
        groups: Vec::new(),
        token: Bytes::new(),
        max_staleness: None,
        deadline: Deadline(u64::MAX),
        trace: None,
    });
    let asked = Asked::all(&fetch, &Token::default(), Duration::ZERO);
    let answer = world.own.answer_cached(&asked).unwrap();
    let micros = |micros| Some(Duration::from_micros(micros));
    assert_eq!(answer.shards[0].age, micros(1_000 + 1 + 1));
    let expected = [(US, micros(200_000 + 200 + 1)), (AP, None)];
    assert_eq!(answer.shards[0].origins, expected);
    assert_eq!(answer.shards[1].age, None);
    assert!(answer.shards[1].origins.is_empty(), "it is not held here");
}
