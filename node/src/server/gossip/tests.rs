//! Three nodes that gossip in memory, in time that passes when nothing else happens.

use super::*;
use crate::components::{Envelope, Received, Sent, SystemClock};
use proto::id::{BootId, RegionId, StoreId};
use raft::placement::{Placement, state::Addresses};
use std::io;
use tokio::sync::mpsc;

type Datagram = (SocketAddr, Envelope);
type Wires = Arc<Mutex<BTreeMap<SocketAddr, mpsc::UnboundedSender<Datagram>>>>;

#[derive(Clone, Default)]
struct InMemory(Wires);

struct Wire {
    address: SocketAddr,
    arrived: mpsc::UnboundedReceiver<Datagram>,
    all: Wires,
}

#[async_trait]
impl Datagrams for InMemory {
    async fn open(&self, address: SocketAddr, _: &Seal) -> io::Result<Box<dyn Socket>> {
        let (sender, arrived) = mpsc::unbounded_channel();
        self.0.lock().insert(address, sender);
        Ok(Box::new(Wire {
            address,
            arrived,
            all: Arc::clone(&self.0),
        }))
    }

    async fn resolve(&self, address: &str) -> io::Result<Vec<SocketAddr>> {
        let six = "[::1]:1".parse().unwrap();
        let found = address
            .strip_prefix("host-")
            .and_then(|number| number.parse().ok());
        let number: u16 = found.ok_or(io::ErrorKind::NotFound)?;
        Ok(vec![six, at(number)])
    }
}

#[async_trait]
impl Socket for Wire {
    fn local_addr(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.address)
    }

    async fn send(&mut self, to: SocketAddr, envelope: Envelope) -> anyhow::Result<Sent> {
        if let Some(wire) = self.all.lock().get(&to) {
            let _ = wire.send((self.address, envelope));
        }
        Ok(Sent { num_bytes_sent: 1 })
    }

    async fn recv(&mut self) -> anyhow::Result<Received> {
        let arrived = self.arrived.recv().await;
        let (from_addr, envelope) = arrived.ok_or_else(|| anyhow::anyhow!("closed"))?;
        Ok(Received {
            from_addr,
            envelope,
            num_bytes_received: 1,
        })
    }
}

fn at(number: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], number))
}

fn member(number: u16, boot: u64) -> Member {
    Member {
        node: NodeId(u64::from(number)),
        name: format!("eu-{number}"),
        boot: BootId(boot),
        store: Some(StoreId(1)),
        zone: "a".into(),
        voter: true,
        gateway: false,
        addresses: Addresses {
            gossip: format!("host-{number}"),
            ..Addresses::default()
        },
        draining: false,
        fewer_copies: false,
    }
}

fn members(numbers: &[u16]) -> Arc<Placement> {
    let member = |number: &u16| (NodeId(u64::from(*number)), Arc::new(member(*number, 1)));
    Arc::new(Placement {
        members: numbers.iter().map(member).collect(),
        ..Placement::default()
    })
}

/// A node that gossips until it is dropped.
struct Gossiping {
    liveness: Liveness,
    placements: watch::Sender<Arc<Placement>>,
    background: Background,
}

impl Gossiping {
    async fn start(number: u16, boot: u64, wires: &InMemory) -> Self {
        let (placements, followed) = watch::channel(members(&[1, 2, 3]));
        let mut background = Background::default();
        let me = member(number, boot);
        let parts = Parts {
            cluster: ClusterId(7),
            listen: at(number),
            region: RegionView::new(me.node, RegionId(1), "eu".into(), followed),
            me,
            seal: Seal::default(),
            datagrams: Arc::new(wires.clone()),
            clock: Arc::new(SystemClock),
            load: Box::new(move || Load {
                store_bytes: u64::from(number) << 20,
                index_bytes: 5,
                age: Some(Duration::from_millis(8)),
                is_nearly_full: number == 3,
            }),
        };
        let socket = parts
            .datagrams
            .open(parts.listen, &parts.seal)
            .await
            .unwrap();
        Self {
            liveness: start(parts, socket, &mut background),
            placements,
            background,
        }
    }

    /// The nodes that it holds for alive, and their boots.
    fn alive(&self) -> Vec<(u64, u64)> {
        let alive = |node: &u64| self.liveness.is_alive(NodeId(*node));
        let boot = |node| self.liveness.of(NodeId(node)).unwrap().facts.boot.0;
        (1..=3)
            .filter(alive)
            .map(|node| (node, boot(node)))
            .collect()
    }
}

#[tokio::test(start_paused = true)]
async fn nodes_hear_of_each_other_and_notice_who_falls_silent_and_who_returns() {
    let wires = InMemory::default();
    let first = Gossiping::start(1, 11, &wires).await;
    let second = Gossiping::start(2, 12, &wires).await;
    let third = Gossiping::start(3, 13, &wires).await;
    sleep(Duration::from_secs(4)).await;
    let all = [(1, 11), (2, 12), (3, 13)];
    for node in [&first, &second, &third] {
        assert_eq!(node.alive(), all);
    }
    let heard = first.liveness.of(NodeId(3)).unwrap();
    assert_eq!(
        (heard.facts.name.as_str(), heard.facts.load.store_bytes),
        ("eu-3", 3 << 20)
    );
    assert_eq!(heard.facts.roles, ["node", "voter"]);
    assert_eq!(first.liveness.nearly_full(), [NodeId(3)].into());

    third.background.stop().await;
    wires.0.lock().remove(&at(3));
    sleep(Duration::from_secs(8)).await;
    assert_eq!(first.alive(), all[..2]);
    let silent = first.liveness.of(NodeId(3)).unwrap();
    assert!(!silent.is_alive, "and what it said last is still known");
    assert_eq!(silent.facts.name, "eu-3");
    assert!(first.liveness.nearly_full().is_empty(), "it stops nobody");

    let _again = Gossiping::start(3, 23, &wires).await;
    sleep(Duration::from_secs(4)).await;
    assert_eq!(first.alive(), [(1, 11), (2, 12), (3, 23)]);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_nobody_named_is_not_alive_and_a_member_is_found_by_its_name() {
    let wires = InMemory::default();
    let first = Gossiping::start(1, 11, &wires).await;
    first.placements.send_replace(members(&[1]));
    let second = Gossiping::start(2, 12, &wires).await;
    second.placements.send_replace(members(&[2]));
    sleep(Duration::from_secs(4)).await;
    assert_eq!(
        (first.alive(), second.alive()),
        (vec![(1, 11)], vec![(2, 12)])
    );
    first.placements.send_replace(members(&[1, 2]));
    sleep(Duration::from_secs(4)).await;
    assert_eq!(first.alive(), [(1, 11), (2, 12)]);
    assert_eq!(second.alive(), [(1, 11), (2, 12)]);
}
