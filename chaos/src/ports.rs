//! Loopback ports for nodes that are killed and started again at the same addresses.
//!
//! They lie below the range from which the kernel gives outgoing connections their ports: such a
//! connection of any process could otherwise sit on the port of a node that is down.

use anyhow::{Result, bail};
use parking_lot::Mutex;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};

/// gRPC, HTTP, peers, links, gossip.
pub const PORTS_PER_NODE: u16 = 5;
const LOWEST: u16 = 12_000;
const HIGHEST: u16 = 32_000;

/// Where this process looks next; it never gives a port out twice.
static NEXT: Mutex<Option<u16>> = Mutex::new(None);

/// The first of [`PORTS_PER_NODE`] ports in a row that nobody uses.
pub fn free_ports() -> Result<u16> {
    let mut next = NEXT.lock();
    let mut base = next.unwrap_or_else(first_of_this_process);
    let blocks = (HIGHEST - LOWEST) / PORTS_PER_NODE;
    for _ in 0..blocks {
        let here = base;
        base += PORTS_PER_NODE;
        if base + PORTS_PER_NODE > HIGHEST {
            base = LOWEST;
        }
        if (here..here + PORTS_PER_NODE).all(is_free) {
            *next = Some(base);
            return Ok(here);
        }
    }
    bail!(
        "no {PORTS_PER_NODE} free ports in a row from {LOWEST} to {HIGHEST}; stop what holds them"
    )
}

/// Processes that run at the same time begin far from each other.
fn first_of_this_process() -> u16 {
    let blocks = u32::from((HIGHEST - LOWEST) / PORTS_PER_NODE);
    let block = std::process::id().wrapping_mul(0x9e37_79b1) % blocks;
    LOWEST + block as u16 * PORTS_PER_NODE
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
        && UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_do_not_overlap_and_leave_out_what_is_taken() {
        let first = free_ports().unwrap();
        let second = free_ports().unwrap();
        assert!(first.abs_diff(second) >= PORTS_PER_NODE);
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, second + 2)).unwrap();
        assert!(!is_free(taken.local_addr().unwrap().port()));
        for port in [first, second] {
            assert!((LOWEST..HIGHEST).contains(&port));
        }
    }
}
