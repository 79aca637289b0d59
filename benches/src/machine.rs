//! The machine under a run: CPU time as the kernel counts it, and what to say about the hardware.

use anyhow::Context as _;
use rustix::{
    thread::{CpuSet, sched_setaffinity},
    time::{ClockId, clock_gettime},
};
use std::{fs, time::Duration};

/// CPU time of all threads of this process, user and system.
pub fn process_cpu() -> Duration {
    read(ClockId::ProcessCPUTime)
}

/// CPU time of the calling thread.
pub fn thread_cpu() -> Duration {
    read(ClockId::ThreadCPUTime)
}

fn read(clock: ClockId) -> Duration {
    Duration::try_from(clock_gettime(clock)).expect("CPU time is never negative")
}

/// Keeps the calling thread, and those that it starts, on one core.
pub fn stay_on(core: usize) -> anyhow::Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core);
    sched_setaffinity(None, &cores).context("stay on one core")
}

/// One line about the machine, and how busy it was with other things when the run began.
pub fn describe() -> String {
    let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let cpuinfo = text("/proc/cpuinfo");
    let model = cpuinfo.lines().find(|line| line.starts_with("model name"));
    let model = model
        .and_then(|line| line.split_once(": "))
        .map_or("unknown CPU", |(_, name)| name);
    let kernel = text("/proc/sys/kernel/osrelease");
    let load = text("/proc/loadavg");
    let load: Vec<&str> = load.split_whitespace().take(1).collect();
    format!(
        "{cores} cores, {model}, kernel {}, load {} at the start",
        kernel.trim(),
        load.concat()
    )
}
