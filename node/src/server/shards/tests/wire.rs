//! A network in memory, whose connections break when one of their ends dies.

use crate::components::{Connection, Listener, Network};
use async_trait::async_trait;
use parking_lot::Mutex;
use std::{collections::BTreeMap, io, net::SocketAddr, sync::Arc};
use tokio::{
    io::{DuplexStream, copy_bidirectional, duplex},
    sync::mpsc,
    task::AbortHandle,
};

const BUFFER_BYTES: usize = 1 << 20;

#[derive(Default)]
struct Shared {
    listeners: BTreeMap<String, mpsc::UnboundedSender<DuplexStream>>,
    /// By both ends.
    connections: Vec<(String, String, AbortHandle)>,
}

/// One node's side of the network. Clones are one.
#[derive(Clone)]
pub struct Wire {
    own: String,
    shared: Arc<Mutex<Shared>>,
}

impl Wire {
    pub fn new() -> Self {
        Self {
            own: String::new(),
            shared: Arc::default(),
        }
    }

    /// The side of the node at `address`.
    pub fn of(&self, address: &str) -> Self {
        Self {
            own: address.to_owned(),
            ..self.clone()
        }
    }

    /// Breaks all that the node has.
    pub fn cut(&self, address: &str) {
        let mut shared = self.shared.lock();
        shared.listeners.remove(address);
        shared.connections.retain(|(a, b, task)| {
            let touches = a == address || b == address;
            if touches {
                task.abort();
            }
            !touches
        });
    }
}

#[async_trait]
impl Network for Wire {
    async fn listen(&self, address: SocketAddr) -> io::Result<Box<dyn Listener>> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.shared
            .lock()
            .listeners
            .insert(address.to_string(), sender);
        Ok(Box::new(Accepting(address, receiver)))
    }

    async fn connect(&self, address: &str) -> io::Result<Box<dyn Connection>> {
        let (client, mut left) = duplex(BUFFER_BYTES);
        let (mut right, server) = duplex(BUFFER_BYTES);
        let mut shared = self.shared.lock();
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let listener = shared.listeners.get(address).ok_or_else(refused)?;
        listener.send(server).map_err(|_| refused())?;
        let carry = async move {
            // An end that is gone ends the connection.
            let _ = copy_bidirectional(&mut left, &mut right).await;
        };
        let task = tokio::spawn(carry).abort_handle();
        shared
            .connections
            .push((self.own.clone(), address.to_owned(), task));
        Ok(Box::new(client))
    }
}

struct Accepting(SocketAddr, mpsc::UnboundedReceiver<DuplexStream>);

#[async_trait]
impl Listener for Accepting {
    async fn accept(&mut self) -> io::Result<(Box<dyn Connection>, SocketAddr)> {
        let stream = self.1.recv().await;
        let stream = stream.ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected))?;
        Ok((Box::new(stream), self.0))
    }

    fn address(&self) -> io::Result<SocketAddr> {
        Ok(self.0)
    }
}
