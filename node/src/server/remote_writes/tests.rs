//! A gateway on node 1 and primaries on others, over loopback, with shards that do as they are told.

use super::*;
use crate::{
    components::{Network, SystemClock, TcpNetwork},
    peer::{Me, Membership, serve},
    server::{
        peers::{Groups, Peers},
        region::RegionView,
        shards::PartWrite,
        writes::Writes,
    },
};
use gateway::write::writer::{
    Ack, Change, PartOutcome, WritePart, WriteRow, Writer as _, Written as Answered,
};
use proto::{
    hlc::Hlc,
    id::{
        BootId, ClusterId, Epoch, FeatureId, Incarnation, PlacementId, Position, ProjectId,
        RegionId, Revision, SchemaVersion, Sequence, ShardId, StoreId, Stream,
    },
    key::Key,
    request::{RequestId, RequestPart, WriteOutcome},
    row::Content,
    shard::{Copies, ShardHash, Sharding},
    time::EventTime,
    token::{Reached, Token},
};
use raft::{
    placement::{Placement, ShardConfig, state::Replica},
    registry::{Registry, RegistryCommand, Request, parse_yaml, region},
};
use replication::{Fence, requests::Written};
use std::collections::{BTreeMap, BTreeSet};

const CLUSTER: ClusterId = ClusterId(1);
const SHARDING: Sharding = Sharding {
    shards: 4,
    seed: 1,
    algorithm: ShardHash::Xxh3Multiply,
};
const DEFINITIONS: &str = "
project: shop
entities:
  - { name: customer, keys: [{ name: id, type: int64 }] }
views:
  - { name: facts, entity: customer, features: [{ name: a, type: int64 }] }
";
const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(300);

fn founding() -> Request {
    let region = region::RegionSettings {
        name: "eu".parse().unwrap(),
        copies: 1,
        min_in_sync: 1,
        durability: region::Durability::Fsync,
        kafka: None,
        objects: None,
    };
    let founding = region::Founding {
        cluster: CLUSTER,
        name: "test".into(),
        sharding: SHARDING,
        transport: region::Transport::Direct,
        max_offset_millis: 500,
        max_future_millis: 300_000,
    };
    Request::Found {
        founding,
        regions: vec![region],
        security: None,
    }
}

fn catalog(definitions: &str) -> Arc<Catalog> {
    let definitions = parse_yaml("test.yaml", definitions).unwrap();
    let apply = Request::Apply {
        definitions,
        prune: false,
        expect_revision: None,
        breaking: Default::default(),
    };
    let mut registry = Registry::default();
    for request in [founding(), apply] {
        registry.apply(RegistryCommand {
            author: "test".into(),
            at_millis: 1,
            request,
        });
    }
    Arc::new(Catalog::of(&registry, &Catalog::default()))
}

fn me(node: u64) -> Me {
    let cluster = Membership::default();
    cluster.join(CLUSTER);
    Me {
        cluster,
        node: NodeId(node),
        boot: BootId(node),
        security: crate::security::Security::default(),
    }
}

/// A node whose shards a test plays.
struct PlayedNode {
    address: String,
    shards: mpsc::Receiver<Input>,
    catalogs: watch::Sender<Arc<Catalog>>,
}

impl PlayedNode {
    async fn start(node: u64) -> Self {
        let listener = TcpNetwork.listen("127.0.0.1:0".parse().unwrap()).await;
        let listener = listener.unwrap();
        let address = listener.address().unwrap().to_string();
        let (inputs, shards) = mpsc::channel(16);
        let (catalogs, followed) = watch::channel(catalog(DEFINITIONS));
        let peers = Peers::new(Arc::new(Groups::default()), inputs.clone());
        let taken = TakenWrites::new(inputs, followed, Arc::new(SystemClock));
        peers.offer(Call::Write, Arc::new(taken));
        tokio::spawn(serve(listener, me(node), Arc::new(peers)));
        Self {
            address,
            shards,
            catalogs,
        }
    }

    /// The next part that reaches the shards.
    async fn part(&mut self) -> PartWrite {
        match self.shards.recv().await {
            Some(Input::Write(write)) => write,
            _ => panic!("a part was expected"),
        }
    }
}

/// A gateway on node 1, and the shard map it acts on.
struct Edge {
    writes: Arc<Writes>,
    placements: watch::Sender<Arc<Placement>>,
}

impl Edge {
    fn new(addresses: &[(u64, &str)], primary: u64) -> Self {
        let (inputs, _) = mpsc::channel(16);
        let peers = Arc::new(Peers::new(Arc::new(Groups::default()), inputs.clone()));
        let mesh = Arc::new(Mesh::new(me(1), Arc::new(TcpNetwork), peers));
        let known = addresses
            .iter()
            .map(|(node, at)| (NodeId(*node), (*at).to_owned()));
        mesh.know(known.collect());
        let (placements, followed) = watch::channel(placement(primary, 5));
        let region = RegionView::new(NodeId(1), RegionId(1), "eu".into(), followed);
        let writes = Writes::new(
            CLUSTER,
            region,
            (inputs, RemoteWrites(mesh)),
            Arc::new(SystemClock),
            Duration::from_millis(500),
        );
        Self {
            writes: Arc::new(writes),
            placements,
        }
    }

    /// Starts a write; its answer comes from the task.
    fn write(&self, batch: WriteBatch) -> tokio::task::JoinHandle<Answered> {
        let writes = Arc::clone(&self.writes);
        tokio::spawn(async move { writes.write(Arc::new(batch)).await })
    }
}

fn placement(primary: u64, epoch: u32) -> Arc<Placement> {
    let replica = |node| Replica {
        node: NodeId(node),
        store: StoreId(node),
        boot: None,
    };
    let config = Arc::new(ShardConfig {
        incarnation: Incarnation(1),
        epoch: Epoch(epoch),
        primary: replica(primary),
        boot: BootId(primary),
        in_sync: BTreeSet::from([replica(primary)]),
        joining: BTreeSet::new(),
    });
    let shards = SHARDING.all().map(|shard| (shard, Arc::clone(&config)));
    Arc::new(Placement {
        shards: shards.collect::<BTreeMap<_, _>>(),
        ..Placement::default()
    })
}

fn customer(number: i64) -> Key {
    let mut key = Key::new();
    key.push_number(number).unwrap();
    key
}

/// Parts of one shard, each with one row of one customer.
fn batch(parts: u16, within: Duration) -> WriteBatch {
    let known = catalog(DEFINITIONS);
    let view = &known.views().next().unwrap().view;
    let key = customer(7);
    let shard = SHARDING.shard_of(view.project, &key, Copies::Sharded);
    let part = |number: u16| WritePart {
        shard,
        placement: view.placement,
        part: RequestPart(number),
        rows: vec![WriteRow {
            write: 0,
            row: u32::from(number),
            view: view.id,
            schema: SchemaVersion(1),
            hash: key.hash(view.project, view.entity),
            key: key.clone(),
            event_time: EventTime::saturating(1_795_000_000_000_000),
            change: Change::Set(vec![(FeatureId(0), Content::Value(vec![9; 8].into()))]),
        }],
    };
    let within_micros = within.as_micros() as u64;
    WriteBatch {
        project: view.project,
        revision: Revision(2),
        id: RequestId::make(SystemClock.now().wall_millis(), 5),
        ack: Ack::Region,
        token: Bytes::new(),
        slot: RegionId(1),
        deadline: Deadline(SystemClock.now().monotonic_micros() + within_micros),
        parts: (0..parts).map(part).collect(),
    }
}

fn written(sequence: u64) -> PartAnswer {
    let written = Written {
        position: Position(sequence + 10),
        placement: PlacementId(0),
        incarnation: Incarnation(1),
        sequence: Sequence(sequence),
        hlc: Hlc::from_millis(1_000),
        outcome: WriteOutcome {
            accepted: 1,
            ..WriteOutcome::default()
        },
        sent: None,
    };
    PartAnswer::Written { written, copies: 2 }
}

fn no(reason: Reason) -> PartAnswer {
    refused(Refusal::new(reason, "as the test says"))
}

/// An outcome in a word, for people.
fn word(outcome: &PartOutcome) -> String {
    match outcome {
        PartOutcome::Done { outcome, copies } => format!("{} on {copies}", outcome.accepted),
        PartOutcome::Refused { refusal, .. } => refusal.reason.to_string(),
        PartOutcome::Unknown => "unknown".into(),
    }
}

fn words(answered: &Answered) -> Vec<String> {
    answered.parts.iter().map(word).collect()
}

#[tokio::test]
async fn a_part_reaches_the_primary_on_another_node_whole_and_its_token_counts() {
    let mut primary = PlayedNode::start(2).await;
    let edge = Edge::new(&[(2, &primary.address)], 2);
    let follows = Hlc::from_millis(SystemClock.now().wall_millis());
    let mut batch = batch(1, LONG);
    let shard = batch.parts[0].shard;
    let stream = Stream {
        origin: RegionId(1),
        shard,
        placement: PlacementId(0),
    };
    let seen = |sequence| Reached {
        incarnation: Incarnation(1),
        sequence: Sequence(sequence),
    };
    let mut token = Token::default();
    token.see(stream, seen(3), follows);
    batch.token = token.encode(CLUSTER).into();
    let (id, sent) = (batch.id, batch.parts[0].clone());
    let answered = edge.write(batch);
    let part = primary.part().await;
    assert_eq!(*part.part(), sent);
    assert_eq!((part.batch.id, part.follows), (id, follows));
    let fence = Fence {
        incarnation: Incarnation(1),
        epoch: Epoch(5),
    };
    assert_eq!(part.fence, fence);
    part.reply.send(written(4)).unwrap();
    let answered = answered.await.unwrap();
    assert_eq!(words(&answered), ["1 on 2"]);
    let token = Token::decode(&answered.token, CLUSTER).unwrap();
    assert_eq!(token.streams().collect::<Vec<_>>(), [(stream, seen(4))]);
}

#[tokio::test]
async fn a_part_goes_on_to_the_next_primary_under_its_id_once_there_is_one() {
    let mut first = PlayedNode::start(2).await;
    let mut second = PlayedNode::start(3).await;
    let edge = Edge::new(&[(2, &first.address), (3, &second.address)], 2);
    let batch = batch(1, LONG);
    let id = batch.id;
    let answered = edge.write(batch);
    // The first primary has it and never says what became of it.
    let held = first.part().await;
    edge.placements.send_replace(placement(3, 6));
    let part = second.part().await;
    assert_eq!((part.batch.id, part.number()), (id, held.number()));
    assert_eq!(part.fence.epoch, Epoch(6));
    // It has not heard of its epoch yet.
    part.reply.send(no(Reason::NoPrimary)).unwrap();
    second.part().await.reply.send(written(4)).unwrap();
    assert_eq!(words(&answered.await.unwrap()), ["1 on 2"]);
}

#[tokio::test]
async fn a_refusal_after_a_primary_was_lost_with_the_part_is_unknown() {
    let mut first = PlayedNode::start(2).await;
    let mut second = PlayedNode::start(3).await;
    let edge = Edge::new(&[(2, &first.address), (3, &second.address)], 2);
    let answered = edge.write(batch(1, LONG));
    let _held = first.part().await;
    edge.placements.send_replace(placement(3, 6));
    let part = second.part().await;
    part.reply.send(no(Reason::RequestIdExpired)).unwrap();
    assert_eq!(words(&answered.await.unwrap()), ["unknown"]);
}

#[tokio::test]
async fn parts_after_an_unknown_one_of_their_shard_are_not_sent() {
    let mut primary = PlayedNode::start(2).await;
    let edge = Edge::new(&[(2, &primary.address)], 2);
    let answered = edge.write(batch(3, SHORT));
    let _held = primary.part().await;
    let answered = answered.await.unwrap();
    assert_eq!(words(&answered), ["unknown", "unknown", "unknown"]);
    while let Ok(input) = primary.shards.try_recv() {
        let Input::Write(again) = input else {
            panic!("a part was expected")
        };
        assert_eq!(again.number(), RequestPart(0));
    }
}

#[tokio::test]
async fn a_primary_that_nobody_can_reach_refuses_for_certain() {
    let unknown_address = Edge::new(&[], 2);
    let answered = unknown_address.write(batch(1, SHORT)).await.unwrap();
    assert_eq!(words(&answered), ["NO_PRIMARY"]);
    // Nobody listens there any more.
    let gone = TcpNetwork.listen("127.0.0.1:0".parse().unwrap()).await;
    let address = gone.unwrap().address().unwrap().to_string();
    let edge = Edge::new(&[(2, &address)], 2);
    let answered = edge.write(batch(1, SHORT)).await.unwrap();
    assert_eq!(words(&answered), ["NO_PRIMARY"]);
}

#[tokio::test]
async fn a_part_waits_for_definitions_that_its_primary_lacks() {
    let mut primary = PlayedNode::start(2).await;
    primary.catalogs.send_replace(Arc::default());
    let edge = Edge::new(&[(2, &primary.address)], 2);
    let answered = edge.write(batch(1, SHORT)).await.unwrap();
    assert_eq!(words(&answered), ["NOT_READY"]);
    let answered = edge.write(batch(1, LONG));
    primary.catalogs.send_replace(catalog(DEFINITIONS));
    primary.part().await.reply.send(written(4)).unwrap();
    assert_eq!(words(&answered.await.unwrap()), ["1 on 2"]);
}

#[test]
fn a_row_that_belongs_elsewhere_is_refused() {
    let known = catalog(DEFINITIONS);
    let batch = batch(1, LONG);
    let sent = SentPart {
        left: LONG,
        fence: Fence::default(),
        follows: Hlc::ZERO,
        project: batch.project,
        revision: batch.revision,
        request: batch.id,
        ack: batch.ack,
        slot: batch.slot,
        part: batch.parts[0].clone(),
    };
    assert_eq!(check::part(&sent, &known), Ok(()));
    let reason = |change: &dyn Fn(&mut SentPart)| {
        let mut sent = sent.clone();
        change(&mut sent);
        check::part(&sent, &known).map_err(|refusal| refusal.reason)
    };
    let faults: [&dyn Fn(&mut SentPart); 6] = [
        &|sent| sent.part.rows[0].hash.0 ^= 1,
        &|sent| sent.part.rows[0].key = customer(8),
        &|sent| sent.part.shard = ShardId(sent.part.shard.0 ^ 1),
        &|sent| sent.part.placement = PlacementId(9),
        &|sent| sent.project = ProjectId(9),
        &|sent| {
            let content = Content::Value(vec![0; 7].into());
            sent.part.rows[0].change = Change::Set(vec![(FeatureId(0), content)]);
        },
    ];
    for fault in faults {
        assert_eq!(reason(fault), Err(Reason::Internal));
    }
    let newer = reason(&|sent| sent.part.rows[0].schema = SchemaVersion(2));
    assert_eq!(newer, Err(Reason::NotReady));
}

#[tokio::test]
async fn a_stamp_far_ahead_does_not_move_the_primarys_clock() {
    let (inputs, _shards) = mpsc::channel(1);
    let (_catalogs, followed) = watch::channel(catalog(DEFINITIONS));
    let taken = TakenWrites::new(inputs, followed, Arc::new(SystemClock));
    let ahead = Hlc::from_millis(SystemClock.now().wall_millis() + 60_000);
    let payload = encode_part(&batch(1, LONG), 0, (Fence::default(), ahead, LONG));
    let answer = taken.call(NodeId(1), payload.unwrap()).await.unwrap();
    let PartAnswer::Refused { refusal, .. } = decode_answer(&answer).unwrap() else {
        panic!("it was taken")
    };
    assert_eq!(refusal.reason, Reason::TokenUnknown);
}
