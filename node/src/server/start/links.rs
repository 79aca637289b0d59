//! What carries streams between regions, as the cluster was founded.

use crate::{
    components::Components,
    peer::Me,
    region_log::RegionLogs,
    server::{
        global::Global,
        region_logs::KafkaLogs,
        shards::{Input, LinkParts},
    },
    settings::NodeSettings,
};
use proto::id::RegionId;
use raft::registry::region::Transport;
use std::sync::Arc;
use tokio::{runtime::Handle, sync::mpsc};

/// What the shards' links are made of.
pub(super) fn parts(
    (settings, components): (&NodeSettings, &Components),
    (me, own): (&Me, RegionId),
    global: &Global,
    inputs: &mpsc::Sender<Input>,
) -> LinkParts {
    let catalog = global.catalog();
    let transport = catalog.founding().map(|founding| founding.transport);
    let logs = match transport {
        Some(Transport::Kafka) => {
            let logs = KafkaLogs {
                own,
                catalogs: global.catalogs(),
                node: Arc::new(settings.clone()),
                inputs: inputs.clone(),
                clock: Arc::clone(&components.clock),
                runtime: Handle::current(),
            };
            Some(Arc::new(logs) as Arc<dyn RegionLogs>)
        }
        Some(Transport::Direct) | None => None,
    };
    let cluster = me.cluster.cluster();
    LinkParts {
        cluster: cluster.expect("metadata comes with a cluster"),
        logs,
    }
}
