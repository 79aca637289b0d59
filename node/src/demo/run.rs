//! The demo as a story: define, load, stream and look up, break, tell.

use super::{
    cluster::Cluster,
    data,
    definitions::{self, ITEM_SERVICE, PROJECT},
    display, history,
    lookups::{self, Candidates, Draw},
    meter::{Counts, LookupKind, Meter},
    next_steps::{self, Examples},
    outage::Outage,
    stream::{Stream, now_micros},
    table::ShopTables,
};
use crate::client::{
    call::{CHANGE_DEADLINE, COMMAND_DEADLINE},
    duration,
    gateways::Gateways,
};
use anyhow::Context as _;
use std::{sync::Arc, time::Duration};
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep, sleep_until},
};
use wire::v1;

/// How the demo is to go.
#[derive(Debug, Clone)]
pub struct DemoOptions {
    /// Lines of the shop written per second.
    pub events_per_second: u32,
    /// Lookups per second, both kinds together.
    pub lookups_per_second: u32,
    /// Connections that look up.
    pub connections: u32,
    /// How long it streams; without end if absent.
    pub duration: Option<Duration>,
    /// Nodes to take away, one after the other.
    pub outages: Vec<Outage>,
}

/// How long it streams before the first node is taken away, and between two.
const BEFORE_OUTAGE: Duration = Duration::from_secs(5);
/// How long a node may take to hold all copies again before that is said.
const IN_SYNC_WITHIN: Duration = Duration::from_mins(2);
/// The status is asked for on its own, so that a slow answer does not delay a line.
const STATUS_DEADLINE: Duration = Duration::from_millis(900);

impl Default for DemoOptions {
    fn default() -> Self {
        Self {
            events_per_second: 2_000,
            lookups_per_second: 200,
            connections: 8,
            duration: None,
            outages: Vec::new(),
        }
    }
}

/// Plays the demo on `cluster` until its duration is over or `stop` is ready.
pub async fn run(
    cluster: &dyn Cluster,
    options: &DemoOptions,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let gateways = Arc::new(Gateways::new(&cluster.gateways(), None)?);
    println!("Atoll demo: {}", cluster.describe());
    define(&gateways).await?;
    let (stream, candidates) = prepare(&gateways).await?;
    show_one(&gateways, &candidates).await?;

    let meter = Arc::new(Meter::new(Instant::now()));
    let mut tasks = JoinSet::new();
    tasks.spawn(stream.run(
        Arc::clone(&gateways),
        Arc::clone(&meter),
        options.events_per_second,
    ));
    for connection in 0..options.connections {
        let own = Gateways::new(&cluster.gateways(), None)?;
        let per_second = f64::from(options.lookups_per_second) / f64::from(options.connections);
        let (candidates, meter) = (Arc::clone(&candidates), Arc::clone(&meter));
        tasks.spawn(async move {
            lookups::run(own, candidates, meter, per_second, u64::from(connection)).await;
            Ok(())
        });
    }
    println!(
        "\nNow {} events a second are written, and {} times a second 1 customer + 50 items or 1 customer + 50 articles are looked up.\n",
        options.events_per_second, options.lookups_per_second
    );
    let began = Instant::now();
    let total = watch(cluster, &gateways, &meter, options, &mut tasks, stop).await?;
    tasks.shutdown().await;
    println!("\n{}", display::summary(began.elapsed(), &total));
    println!(
        "\nCommands to try next: the first in one terminal, where it goes on until Ctrl-C, the others in another.\n{}",
        next_steps(cluster, &candidates)
    );
    Ok(())
}

async fn define(gateways: &Gateways) -> anyhow::Result<()> {
    let request = v1::ApplyRequest {
        files: definitions::files(),
        ..Default::default()
    };
    let answer = gateways
        .apply(request, CHANGE_DEADLINE)
        .await
        .context("apply examples/shop")?;
    println!(
        "Applied examples/shop: {} changes, revision {}.",
        answer.changes.len(),
        answer.revision
    );
    Ok(())
}

/// Computes and loads the history.
async fn prepare(gateways: &Gateways) -> anyhow::Result<(Stream, Arc<Candidates>)> {
    let began = Instant::now();
    let beginning =
        tokio::task::spawn_blocking(|| anyhow::Ok(history::compute(data::lines()?, now_micros())))
            .await
            .context("compute the history")??;
    println!(
        "Computed features of {} customers and {} items from {} real lines, {} onwards, moved to end now ({}).",
        beginning.shop.customers().len(),
        beginning.shop.items().len(),
        beginning.lines,
        beginning.first_day,
        duration::show(began.elapsed()),
    );
    let began = Instant::now();
    let tables = ShopTables::new()?;
    let loaded = history::load(gateways, &beginning.shop, &tables).await?;
    println!(
        "Loaded {} rows, among them {} articles with 58 features each ({}).",
        loaded.rows,
        loaded.urls.len(),
        duration::show(began.elapsed()),
    );
    let candidates = Candidates {
        customers: beginning.shop.customers().keys().copied().collect(),
        items: beginning
            .shop
            .items()
            .keys()
            .map(ToString::to_string)
            .collect(),
        articles: loaded.urls,
    };
    let stream = Stream::new(beginning.shop, beginning.to_come, tables);
    Ok((stream, Arc::new(candidates)))
}

/// One lookup, so that the rates below have a face.
async fn show_one(gateways: &Gateways, candidates: &Candidates) -> anyhow::Result<()> {
    let mut request = candidates.request(LookupKind::Items, 3, &mut Draw::new(3));
    request.omit_names = false;
    let began = Instant::now();
    let answer = gateways
        .lookup(request, COMMAND_DEADLINE)
        .await
        .context("look up")?;
    println!(
        "One lookup of {ITEM_SERVICE} in project {PROJECT}: {} features of 1 customer and {} items in {}, as of revision {}.",
        answer.columns.len(),
        answer.row_count,
        duration::show(began.elapsed()),
        answer.revision
    );
    Ok(())
}

/// Prints a line each second and breaks what is to be broken, until the end.
async fn watch(
    cluster: &dyn Cluster,
    gateways: &Gateways,
    meter: &Meter,
    options: &DemoOptions,
    tasks: &mut JoinSet<anyhow::Result<()>>,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<Counts> {
    let total = std::sync::Mutex::new(Counts::default());
    let began = Instant::now();
    let over = async {
        match options.duration {
            Some(duration) => sleep_until(began + duration).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = stop => {}
        () = over => {}
        () = print_seconds(gateways, meter, &total, began) => {}
        broken = break_nodes(cluster, gateways, &total, &options.outages) => broken?,
        Some(ended) = tasks.join_next() => ended.context("stream or look up")??,
    }
    let mut total = total
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    total.add(&meter.take());
    Ok(total)
}

async fn print_seconds(
    gateways: &Gateways,
    meter: &Meter,
    total: &std::sync::Mutex<Counts>,
    began: Instant,
) {
    let mut seconds = interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    seconds.tick().await;
    loop {
        seconds.tick().await;
        let counts = meter.take();
        let status = gateways
            .status(v1::StatusRequest {}, STATUS_DEADLINE)
            .await
            .ok();
        println!(
            "{}",
            display::second(began.elapsed(), &counts, status.as_ref())
        );
        lock(total).add(&counts);
    }
}

/// Takes each node away for its time and tells what was seen; then waits for ever.
async fn break_nodes(
    cluster: &dyn Cluster,
    gateways: &Gateways,
    total: &std::sync::Mutex<Counts>,
    outages: &[Outage],
) -> anyhow::Result<()> {
    for outage in outages {
        sleep(BEFORE_OUTAGE).await;
        let before = std::mem::take(&mut *lock(total));
        println!(
            "--- node {} is taken away for {} ---",
            outage.node,
            duration::show(outage.lasts)
        );
        cluster
            .take_away(&outage.node)
            .await
            .with_context(|| format!("take {} away", outage.node))?;
        sleep(outage.lasts).await;
        cluster
            .bring_back(&outage.node)
            .await
            .with_context(|| format!("bring {} back", outage.node))?;
        println!("--- node {} is back ---", outage.node);
        let in_sync = wait_in_sync(gateways).await;
        let during = std::mem::take(&mut *lock(total));
        println!("{}", told(outage, &during, in_sync));
        let mut total = lock(total);
        total.add(&before);
        total.add(&during);
    }
    std::future::pending().await
}

/// How long it took until every shard had all its copies again.
async fn wait_in_sync(gateways: &Gateways) -> Option<Duration> {
    let began = Instant::now();
    while began.elapsed() < IN_SYNC_WITHIN {
        let status = gateways.status(v1::StatusRequest {}, STATUS_DEADLINE).await;
        let is_whole = |status: &v1::StatusResponse| {
            status.shards_under_replicated == 0
                && status.shards_without_primary == 0
                && status.nodes.iter().all(|node| node.reachable)
        };
        if status.is_ok_and(|status| is_whole(&status)) {
            return Some(began.elapsed());
        }
        sleep(Duration::from_millis(100)).await;
    }
    None
}

fn told(outage: &Outage, during: &Counts, in_sync: Option<Duration>) -> String {
    let unavailable = during.with_status(v1::ValueStatus::Unavailable);
    let in_sync = in_sync.map_or_else(
        || {
            format!(
                "not all copies were back after {}",
                duration::show(IN_SYNC_WITHIN)
            )
        },
        |took| format!("all copies were back {} later", duration::show(took)),
    );
    let mut lines = vec![format!(
        "--- while {} was away and came back: {} lookups answered, {} failed, {unavailable} values unavailable; \
         {} rows written, {} writes failed, longest time between two acknowledged writes {}; {in_sync} ---",
        outage.node,
        during.lookups,
        during.failed_lookups,
        during.rows,
        during.failed_writes,
        duration::show(during.longest_write_gap),
    )];
    lines.extend(display::errors(during));
    lines.join("\n")
}

fn next_steps(cluster: &dyn Cluster, candidates: &Candidates) -> String {
    let default = "127.0.0.1:6570";
    let gateway = cluster.gateways().first().map(ToString::to_string);
    let http = cluster.http();
    next_steps::show(&Examples {
        program: &std::env::args()
            .next()
            .unwrap_or_else(|| "atoll".to_owned()),
        gateway: gateway.filter(|gateway| gateway != default),
        http: &http,
        customer: candidates.customers.last().copied().unwrap_or_default(),
        items: [0, 1].map(|index| candidates.items.get(index).map_or("", String::as_str)),
        article: candidates.articles.first().map_or("", String::as_str),
    })
}

fn lock(total: &std::sync::Mutex<Counts>) -> std::sync::MutexGuard<'_, Counts> {
    total
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
