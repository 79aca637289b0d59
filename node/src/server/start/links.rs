//! What carries streams between regions, as the cluster was founded.

use super::{StartError, io};
use crate::{
    components::{Components, LinkEndpoint},
    peer::{Me, Mesh},
    region_log::RegionLogs,
    server::{
        confirmations::Confirmations,
        direct::{DirectLogs, LinkServer},
        global::Global,
        region::RegionView,
        region_logs::KafkaLogs,
        rosters::Rosters,
        running::Background,
        scans::Copies,
        shards::{CopyOrder, Input, LinkBoard, LinkParts},
    },
    settings::NodeSettings,
};
use proto::id::RegionId;
use raft::{group::Blocking, registry::region::Transport};
use std::sync::Arc;
use store::Store;
use tokio::{runtime::Handle, sync::mpsc};

/// This node's way to other regions.
pub(super) struct Wires {
    rosters: Rosters,
    /// Where other regions' nodes come to; none where a broker carries the streams.
    endpoint: Option<Arc<dyn LinkEndpoint>>,
    board: LinkBoard,
    /// Where copies of what other regions have are ordered.
    copies: mpsc::Sender<CopyOrder>,
    ordered: mpsc::Receiver<CopyOrder>,
}

/// Copies that wait to be fetched; what finds no room is ordered again.
const COPIES: usize = 4_096;

fn transport(global: &Global) -> Option<Transport> {
    let catalog = global.catalog();
    catalog.founding().map(|founding| founding.transport)
}

impl Wires {
    /// Listens for other regions, where they come themselves.
    pub(super) async fn open(
        (settings, components): (&NodeSettings, &Components),
        me: &Me,
        (global, rosters): (&Global, &Rosters),
    ) -> Result<Self, StartError> {
        let endpoint = match transport(global) {
            Some(Transport::Direct) => {
                let address = settings.listen.link;
                let opened = components.links.open(address, &me.security).await;
                let doing = format!("listen at {address}, which is listen.link of the settings");
                Some(opened.map_err(io(doing))?)
            }
            Some(Transport::Kafka) | None => None,
        };
        let (copies, ordered) = mpsc::channel(COPIES);
        Ok(Self {
            rosters: rosters.clone(),
            endpoint,
            board: LinkBoard::default(),
            copies,
            ordered,
        })
    }

    /// What the shards' links are made of.
    pub(super) fn parts(
        &self,
        (settings, components): (&NodeSettings, &Components),
        (me, own): (&Me, RegionId),
        (global, inputs): (&Global, &mpsc::Sender<Input>),
        confirmations: &Confirmations,
    ) -> LinkParts {
        let cluster = me.cluster.cluster();
        let cluster = cluster.expect("metadata comes with a cluster");
        let clock = Arc::clone(&components.clock);
        let inputs = inputs.clone();
        let logs: Arc<dyn RegionLogs> = match &self.endpoint {
            Some(endpoint) => Arc::new(DirectLogs {
                cluster,
                own,
                rosters: self.rosters.clone(),
                endpoint: Arc::clone(endpoint),
                inputs,
                clock,
                runtime: Handle::current(),
            }),
            None => Arc::new(KafkaLogs {
                own,
                catalogs: global.catalogs(),
                node: Arc::new(settings.clone()),
                inputs,
                clock,
                runtime: Handle::current(),
            }),
        };
        LinkParts {
            cluster,
            logs: Some(logs),
            board: self.board.clone(),
            copies: self.copies.clone(),
            confirmations: confirmations.clone(),
        }
    }

    /// Lets other regions read this node's log, and fetches copies of what they have.
    pub(super) fn serve(
        self,
        (mesh, global, inputs): (&Arc<Mesh>, &Global, &mpsc::Sender<Input>),
        (store, region): (&Arc<Store>, &RegionView),
        place: Blocking,
        background: &mut Background,
    ) {
        let way = (Arc::clone(mesh), self.rosters);
        let copies = Copies::new(way, global.catalogs(), inputs.clone());
        background.spawn(copies.run(self.ordered));
        let Some(endpoint) = self.endpoint else {
            return;
        };
        let cluster = mesh.me().cluster.cluster();
        let server = LinkServer {
            cluster: cluster.expect("metadata comes with a cluster"),
            store: Arc::clone(store),
            board: self.board,
            region: region.clone(),
            place,
        };
        background.spawn(server.serve(endpoint));
    }
}
