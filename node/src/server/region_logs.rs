//! The logs of all regions of a cluster, in the Kafka of each.

use super::shards::{Arrived, Came, Input, LinkInput, Load};
use crate::{
    components::Clock,
    region_log::{
        Arrival, LogWriter, Partition, Reading, RegionLogs,
        kafka::{Brokers, KafkaReader, KafkaWriter, Topic, topic_name},
        read_on_a_thread,
    },
    settings::{self, NodeSettings},
};
use proto::id::{PlacementId, RegionId, ShardId};
use raft::registry::{
    Catalog,
    region::{KafkaSettings, Region},
    state::EVERYWHERE,
};
use std::{sync::Arc, thread, time::Duration};
use tokio::{
    runtime::Handle,
    sync::{mpsc, watch},
};

/// What could not be opened is tried again after this.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// See the module. Clones are the same logs.
#[derive(Clone)]
pub struct KafkaLogs {
    /// The own region.
    pub own: RegionId,
    /// The regions and their settings.
    pub catalogs: watch::Receiver<Arc<Catalog>>,
    /// This node's, with its credentials.
    pub node: Arc<NodeSettings>,
    /// The shards, which take what comes.
    pub inputs: mpsc::Sender<Input>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Where questions to brokers are waited for, from threads of their own.
    pub runtime: Handle,
}

/// One placement's log of one region.
struct Place {
    topic: Topic,
    brokers: Brokers,
}

impl KafkaLogs {
    fn region(&self, id: RegionId) -> Result<Arc<Region>, String> {
        let catalog = self.catalogs.borrow();
        let region = catalog.registry().regions.get(&id);
        region
            .cloned()
            .ok_or_else(|| format!("region {id} is not known here"))
    }

    fn settings(&self, id: RegionId) -> Result<(Arc<Region>, KafkaSettings), String> {
        let region = self.region(id)?;
        let name = &region.settings.name;
        let settings = region.settings.kafka.clone();
        let settings = settings.ok_or_else(|| format!("region {name} has no [region.kafka]"))?;
        Ok((region, settings))
    }

    fn place(&self, id: RegionId, placement: PlacementId) -> Result<Place, String> {
        let (region, settings) = self.settings(id)?;
        let cluster = self
            .catalogs
            .borrow()
            .founding()
            .map(|founding| founding.name.clone());
        let cluster = cluster.ok_or("the cluster is not known here")?;
        let own_name = (placement != EVERYWHERE).then(|| format!("p{}", placement.0));
        let name = topic_name(&cluster, region.settings.name.as_str(), own_name.as_deref());
        Ok(Place {
            brokers: settings::brokers(&region.settings.name, &settings, &self.node)
                .map_err(|error| error.to_string())?,
            topic: Topic {
                name,
                partitions: settings.partitions,
                replication: settings.replication,
                retention_ms: settings.retention_millis,
            },
        })
    }

    /// Makes the topic, or finds it as it should be, and opens a writer to it.
    fn open_writer(&self, placement: PlacementId) -> Result<KafkaWriter, String> {
        let place = self.place(self.own, placement)?;
        let ensured = place.topic.ensure(&place.brokers, &self.runtime);
        ensured.map_err(|error| error.to_string())?;
        KafkaWriter::open(&place.brokers, &place.topic.name).map_err(|error| error.to_string())
    }

    fn open_until_open(self, placement: PlacementId) {
        let mut said = String::new();
        loop {
            match self.open_writer(placement) {
                Ok(writer) => {
                    let writer = Box::new(writer);
                    let opened = LinkInput::Opened { placement, writer };
                    // The shards ended: nobody writes any more.
                    let _ = self.inputs.blocking_send(Input::Link(opened));
                    return;
                }
                Err(why) if why != said => {
                    tracing::warn!(
                        placement = placement.0,
                        why,
                        "the own region's log cannot be written to; other regions get nothing until it can"
                    );
                    said = why;
                }
                Err(_) => {}
            }
            if self.inputs.is_closed() {
                return;
            }
            thread::sleep(TRY_AGAIN);
        }
    }
}

impl RegionLogs for KafkaLogs {
    fn partition(&self, region: RegionId, shard: ShardId) -> Partition {
        // Asked for with every record: nothing is copied.
        let catalog = self.catalogs.borrow();
        let region = catalog.registry().regions.get(&region);
        let kafka = region.and_then(|region| region.settings.kafka.as_ref());
        Partition::of(shard, kafka.map_or(1, |kafka| kafka.partitions.max(1)))
    }

    fn read(&self, origin: RegionId, placement: PlacementId) -> Reading {
        let logs = self.clone();
        let open = move || {
            let place = logs.place(origin, placement)?;
            let reader = KafkaReader::open(&place.brokers, &place.topic.name);
            reader.map_err(|error| error.to_string())
        };
        let (inputs, load) = (self.inputs.clone(), Load::default());
        let sink = move |arrivals: Vec<Arrival>| {
            load.wait_for_room();
            let bytes = arrivals.iter().map(Arrival::bytes).sum();
            let came = Came {
                origin,
                placement,
                arrived: arrivals.into_iter().map(Arrived::of).collect(),
                load: load.add(bytes),
            };
            inputs
                .blocking_send(Input::Link(LinkInput::Came(came)))
                .is_ok()
        };
        let name = format!("link-{}", origin.0);
        read_on_a_thread(name, Arc::clone(&self.clock), open, sink)
    }

    fn write(&self, placement: PlacementId) {
        let logs = self.clone();
        let open = thread::Builder::new().name("link-open".into());
        // Without a thread there is no link either: asked again when the shard's lead changes.
        drop(open.spawn(move || logs.open_until_open(placement)));
    }

    fn end(&self, writer: Option<Box<dyn LogWriter>>) {
        let end = thread::Builder::new().name("link-end".into());
        drop(end.spawn(move || drop(writer)));
    }
}
