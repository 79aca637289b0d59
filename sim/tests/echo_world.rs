//! The world itself, proved on the smallest cluster: three hosts that echo and ask each other, under
//! crashes, pauses and partitions. The same seed twice leaves the same trace, other seeds others.

use node::components::Network;
use sim::{
    faults::{self, Budget, Fault},
    random::Random,
    world::{HostClock, Machine, Settings, SimNetwork, Trace, World, components, same_twice},
};
use std::{
    cell::RefCell,
    collections::{BTreeSet, HashMap},
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{sleep, timeout},
};

const HOSTS: [&str; 3] = ["a", "b", "c"];
const PORT: u16 = 7000;
const SPAN: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_millis(300);

/// What a host keeps over crashes: how often each peer asked it.
type Counts = Rc<RefCell<HashMap<String, u64>>>;

/// Counts who asks and answers with the count.
async fn serve(name: &'static str, network: Arc<dyn Network>, counts: Counts, trace: Trace) {
    let any = SocketAddr::from(([0, 0, 0, 0], PORT));
    let mut listener = network
        .listen(any)
        .await
        .expect("the port of a fresh host is free");
    let address = listener.address().expect("a listener knows its address");
    assert_eq!(address, any);
    loop {
        let (mut connection, _) = listener
            .accept()
            .await
            .expect("a simulated listener accepts");
        let (counts, trace) = (counts.clone(), trace.clone());
        tokio::task::spawn_local(async move {
            let mut asker = [0; 1];
            while connection.read_exact(&mut asker).await.is_ok() {
                let asker = String::from_utf8_lossy(&asker).into_owned();
                let count = {
                    let mut counts = counts.borrow_mut();
                    let count = counts.entry(asker.clone()).or_default();
                    *count += 1;
                    *count
                };
                trace.event(format_args!(
                    "{name} was asked by {asker} for the {count}th time"
                ));
                if connection.write_all(&count.to_le_bytes()).await.is_err() {
                    return;
                }
            }
        });
    }
}

/// Asks one peer over one connection until that breaks.
async fn ask(name: &str, peer: &str, network: &dyn Network, pause: Duration, trace: &Trace) {
    let address = format!("{peer}:{PORT}");
    let Ok(Ok(mut connection)) = timeout(PATIENCE, network.connect(&address)).await else {
        trace.event(format_args!("{name} cannot reach {peer}"));
        return;
    };
    loop {
        let answer = timeout(PATIENCE, async {
            connection.write_all(name.as_bytes()).await?;
            connection.read_u64_le().await
        });
        match answer.await {
            Ok(Ok(count)) => trace.event(format_args!("{name} asked {peer}: {count}")),
            Ok(Err(error)) => {
                return trace.event(format_args!("{name} lost {peer}: {}", error.kind()));
            }
            Err(_) => return trace.event(format_args!("{name} gave {peer} up")),
        }
        sleep(pause).await;
    }
}

/// One host: serves, and asks the others in the order of its own hash map.
async fn host(
    name: &'static str,
    seed: u64,
    clock: HostClock,
    counts: Counts,
    trace: Trace,
) -> Result<(), Box<dyn std::error::Error>> {
    let parts = components(seed, name, &clock, Arc::new(Machine::new(seed)));
    let wall = parts.clock.now().wall_micros;
    trace.event(format_args!(
        "{name} starts as {:x} at {wall}",
        parts.entropy.id()
    ));
    tokio::task::spawn_local(serve(name, parts.network.clone(), counts, trace.clone()));
    // std's hash order is part of what the seed decides.
    let peers: HashMap<&str, u64> = HOSTS
        .into_iter()
        .filter(|peer| *peer != name)
        .map(|peer| (peer, parts.entropy.id()))
        .collect();
    loop {
        #[expect(clippy::iter_over_hash_type, reason = "its order must be the seed's")]
        for (peer, bits) in &peers {
            let pause = Duration::from_micros(Random::of(*bits).within(5_000..50_000));
            let asking = ask(name, peer, &*parts.network, pause, &trace);
            let _ = timeout(Duration::from_secs(1), asking).await;
        }
        sleep(Duration::from_millis(10)).await;
    }
}

fn cluster(seed: u64, trace: Trace) {
    let settings = Settings::of(seed, SPAN + Duration::from_secs(10));
    let mut world = World::new(&settings, trace.clone());
    let counts: Vec<Counts> = HOSTS.iter().map(|_| Counts::default()).collect();
    for (name, counts) in HOSTS.into_iter().zip(&counts) {
        let (counts, trace, clock) = (counts.clone(), trace.clone(), HostClock::default());
        clock.set_offset_micros(Random::of_purpose(seed, name).below(1_000_000) as i64 - 500_000);
        world.host(name, move || {
            host(name, seed, clock.clone(), counts.clone(), trace.clone())
        });
    }
    let done = trace.clone();
    world.client("judge", async move {
        sleep(SPAN).await;
        for name in HOSTS {
            let mut connection = SimNetwork.connect(&format!("{name}:{PORT}")).await?;
            connection.write_all(b"j").await?;
            let count = connection.read_u64_le().await?;
            done.event(format_args!(
                "{name} answers {count} after everything was healed"
            ));
        }
        Ok(())
    });
    let healed_by = SPAN - Duration::from_secs(2);
    let budget = Budget {
        disks: 1,
        refill: Duration::from_secs(2),
        ..Budget::one_of(3, healed_by)
    };
    let schedule = faults::draw(seed, &budget);
    let lose_disk = |fault| {
        if let Fault::LoseDisk(host) = fault {
            counts[host.0].borrow_mut().clear();
        }
    };
    world
        .run(&schedule, lose_disk)
        .unwrap_or_else(|failed| panic!("seed {seed}: {failed}\n{schedule}"));
}

#[test]
fn the_same_seed_twice_leaves_the_same_trace_and_seeds_differ() {
    let mut hashes = BTreeSet::new();
    for seed in 0..50 {
        let hash = same_twice(seed, cluster).unwrap_or_else(|differs| panic!("{differs}"));
        assert!(hash.events > 300, "seed {seed} did little: {hash}");
        hashes.insert(hash);
    }
    assert_eq!(hashes.len(), 50, "every seed goes its own way");
}

#[test]
fn faults_are_felt_and_healed() {
    let mut seen = String::new();
    for seed in 0..10 {
        let trace = Trace::default();
        sim::run::simulated(seed, || cluster(seed, trace.clone()));
        seen += &trace.lines().join("\n");
    }
    for event in [
        "crash",
        "restart",
        "partition",
        "repair",
        "pause",
        "resume",
        "lose-disk",
    ] {
        assert!(
            seen.contains(&format!(" {event} ")),
            "no {event} in ten seeds"
        );
    }
    for felt in [
        " gave ",
        " cannot reach ",
        " lost ",
        "after everything was healed",
    ] {
        assert!(seen.contains(felt), "nothing of \"{felt}\" in ten seeds");
    }
}

#[test]
fn runs_that_part_are_shown_where_they_part() {
    let calls = std::sync::atomic::AtomicU64::new(0);
    let unlike = |_, trace: Trace| {
        trace.event_at(Duration::ZERO, "equal");
        let call = calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        trace.event_at(Duration::from_micros(5), format_args!("call {call}"));
    };
    let differs = same_twice(3, unlike).unwrap_err();
    assert_eq!((differs.seed, differs.event), (3, 1));
    assert_eq!(
        (&differs.first[..], &differs.second[..]),
        ("5 call 0", "5 call 1")
    );
}
