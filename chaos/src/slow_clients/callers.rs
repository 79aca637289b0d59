//! The callers: each asks over a connection of its own, and takes what comes slowly, or not at all.

use super::pages;
use anyhow::{Context as _, Result};
use std::{
    collections::BTreeSet,
    fs,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    runtime::Runtime,
    time::sleep,
};

/// What the system holds of an answer for a caller before that takes it, as little as it lets one have.
const RECEIVED_BYTES: u32 = 4 << 10;
/// How far the calls of one connection are apart: together they would be a crowd.
const ASKED_EVERY: Duration = Duration::from_millis(500);
/// What a slow caller takes, and how often.
const TAKEN_BYTES: usize = 512;
const TAKEN_EVERY: Duration = Duration::from_millis(200);
/// Where the kernel lists connections of IPv4, and the state of one that is open on both sides.
const CONNECTIONS: &str = "/proc/net/tcp";
const ESTABLISHED: &str = "01";

/// All of them. They end with this value.
pub struct Callers {
    grpc: SocketAddr,
    http: SocketAddr,
    /// The ports they call from.
    ports: BTreeSet<u16>,
    taken: Arc<AtomicU64>,
    runtime: Runtime,
}

impl Callers {
    /// None yet, of a gateway on loopback.
    pub fn new(grpc: u16, http: SocketAddr) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        Ok(Self {
            grpc: (Ipv4Addr::LOCALHOST, grpc).into(),
            http,
            ports: BTreeSet::new(),
            taken: Arc::default(),
            runtime,
        })
    }

    /// One more: in turn over gRPC and HTTP, and of each in turn one that takes nothing and one that is slow.
    pub fn call(&mut self) -> Result<()> {
        let number = self.ports.len();
        let (address, asked) = match number % 2 {
            0 => (self.grpc, pages::over_grpc()),
            _ => (self.http, pages::over_http()),
        };
        let mut connection = self.runtime.block_on(connect(address))?;
        self.ports.insert(connection.local_addr()?.port());
        let taken = Arc::clone(&self.taken);
        let is_slow = number / 2 % 2 == 1;
        self.runtime.spawn(async move {
            for piece in asked {
                if connection.write_all(&piece).await.is_err() {
                    // The gateway closed it.
                    return;
                }
                sleep(ASKED_EVERY).await;
            }
            if is_slow {
                take(connection, &taken).await;
            } else {
                // It is held open, and nothing is read.
                std::future::pending::<()>().await;
                drop(connection);
            }
        });
        Ok(())
    }

    /// Bytes that were asked for so far.
    #[must_use]
    pub fn asked_bytes(&self) -> usize {
        let count = self.ports.len();
        count.div_ceil(2) * pages::GRPC_BYTES + count / 2 * pages::HTTP_BYTES
    }

    /// Bytes that the slow ones took.
    #[must_use]
    pub fn taken_bytes(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// How many connections the gateway has not closed. Only the kernel knows: what a caller does not read stands
    /// before the end of its connection.
    pub fn open(&self) -> Result<usize> {
        let listed = fs::read_to_string(CONNECTIONS);
        let listed = listed.with_context(|| format!("read {CONNECTIONS}"))?;
        let gateway = [self.grpc.port(), self.http.port()];
        let ends = listed.lines().filter_map(open_ends);
        let ours = ends.filter(|(own, other)| gateway.contains(own) && self.ports.contains(other));
        Ok(ours.count())
    }
}

async fn connect(address: SocketAddr) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(RECEIVED_BYTES)?;
    let connection = socket.connect(address).await;
    connection.with_context(|| format!("connect to {address}"))
}

async fn take(mut connection: TcpStream, taken: &AtomicU64) {
    let mut some = [0; TAKEN_BYTES];
    loop {
        match connection.read(&mut some).await {
            // The gateway closed it.
            Ok(0) | Err(_) => return,
            Ok(count) => taken.fetch_add(count as u64, Ordering::Relaxed),
        };
        sleep(TAKEN_EVERY).await;
    }
}

/// The ports of both ends of a connection that is open, as the kernel lists it: its own end first.
fn open_ends(line: &str) -> Option<(u16, u16)> {
    let mut words = line.split_whitespace().skip(1);
    let (own, other, state) = (words.next()?, words.next()?, words.next()?);
    let port = |address: &str| u16::from_str_radix(address.split_once(':')?.1, 16).ok();
    (state == ESTABLISHED).then_some((port(own)?, port(other)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_connections_are_read_from_the_kernels_list() {
        let open = "   1: 0100007F:19AA 0100007F:C350 01 00000000:00000000 00:00000000 00000000";
        assert_eq!(open_ends(open), Some((6_570, 50_000)));
        let closed = "   2: 0100007F:19AA 0100007F:C350 04 00000001:00000000 01:00000019 00000000";
        assert_eq!(open_ends(closed), None);
        let head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt";
        assert_eq!(open_ends(head), None);
    }
}
