//! Definitions on their way to the gateway: the node's shards get them first, so that no write
//! reaches a primary of this process under a schema that it does not know.

use super::{global::Global, running::Background, shards::Input};
use gateway::{
    catalog::{Catalog, Catalogs},
    failure::Failure,
};
use raft::registry::Catalog as Registered;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

/// The newest definitions as the gateway reads them.
pub struct Published(watch::Receiver<Arc<Catalog>>);

impl Published {
    /// Publishes each newer catalogue of `global`.
    #[must_use]
    pub fn follow(global: &Global, shards: mpsc::Sender<Input>, background: &mut Background) -> Arc<Self> {
        let mut registered = global.catalogs();
        let first = lay_out(&registered.borrow_and_update());
        let (publish, published) = watch::channel(first);
        background.spawn(async move {
            while registered.changed().await.is_ok() {
                let newest = Arc::clone(&registered.borrow_and_update());
                let laid_out = lay_out(&newest);
                if shards.send(Input::Catalog(newest)).await.is_err() {
                    return;
                }
                publish.send_replace(laid_out);
            }
        });
        Arc::new(Self(published))
    }
}

fn lay_out(registered: &Registered) -> Arc<Catalog> {
    Arc::new(Catalog::of(registered).expect("a node starts its gateway once its cluster is founded"))
}

impl Catalogs for Published {
    fn current(&self) -> Result<Arc<Catalog>, Failure> {
        Ok(Arc::clone(&self.0.borrow()))
    }
}
