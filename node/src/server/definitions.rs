//! Definitions on their way to the gateway: the node's shards get them first, so that no write
//! reaches a primary of this process under a schema that it does not know.

use super::{global::Global, running::Background, shards::Input};
use gateway::{
    catalog::{Catalog, Catalogs},
    failure::Failure,
};
use proto::id::Revision;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};

/// How long one who changed definitions waits to see them.
const PATIENCE: Duration = Duration::from_secs(10);

/// The newest definitions as the gateway reads them.
pub struct Published(watch::Receiver<Arc<Catalog>>);

impl Published {
    /// Publishes each newer catalogue of `global`.
    pub fn follow(
        global: &Global,
        shards: mpsc::Sender<Input>,
        background: &mut Background,
    ) -> Result<Arc<Self>, Failure> {
        let mut registered = global.catalogs();
        let first = Arc::new(Catalog::of(&registered.borrow_and_update())?);
        let (publish, published) = watch::channel(first);
        background.spawn(async move {
            while registered.changed().await.is_ok() {
                let newest = Arc::clone(&registered.borrow_and_update());
                let laid_out = Catalog::of(&newest);
                if shards.send(Input::Catalog(newest)).await.is_err() {
                    return;
                }
                match laid_out {
                    Ok(catalog) => drop(publish.send_replace(Arc::new(catalog))),
                    // Requests go on under the definitions before.
                    Err(error) => tracing::error!(%error, "newer definitions cannot be read"),
                }
            }
        });
        Ok(Arc::new(Self(published)))
    }

    /// Waits until requests of this process are answered under `revision` or a newer one.
    pub async fn reaches(&self, revision: Revision) {
        let mut published = self.0.clone();
        let reached = published.wait_for(|catalog| catalog.revision >= revision);
        // The change stands in any case; a node that lags shows it a little later.
        let _ = timeout(PATIENCE, reached).await;
    }
}

impl Catalogs for Published {
    fn current(&self) -> Result<Arc<Catalog>, Failure> {
        Ok(Arc::clone(&self.0.borrow()))
    }
}
