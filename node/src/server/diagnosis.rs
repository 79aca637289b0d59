//! What a node shows of itself to somebody who looks for a fault: no rows, no keys, no secrets.

use crate::{
    components::{Clock, RecentLog},
    settings::NodeSettings,
};
use gateway::Gateway;
use std::{
    fmt::Write as _,
    fs,
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};
use wire::v1::DiagnosisFile;

/// See the module.
pub struct Diagnosis {
    settings: String,
    clock: Arc<dyn Clock>,
    began: Duration,
    gateway: OnceLock<Weak<Gateway>>,
}

impl Diagnosis {
    /// Of a process that begins now with these settings. They name files of secrets, and hold none.
    #[must_use]
    pub fn new(settings: &NodeSettings, clock: &Arc<dyn Clock>) -> Self {
        let settings = toml::to_string(settings);
        Self {
            settings: settings.unwrap_or_else(|error| format!("# {error}\n")),
            clock: Arc::clone(clock),
            began: clock.now().monotonic,
            gateway: OnceLock::new(),
        }
    }

    /// The metrics are those of this gateway.
    pub fn show_metrics_of(&self, gateway: &Arc<Gateway>) {
        // There is one in a process.
        let _ = self.gateway.set(Arc::downgrade(gateway));
    }

    /// All of it.
    #[must_use]
    pub fn files(&self, node: &str) -> Vec<DiagnosisFile> {
        let gateway = self.gateway.get().and_then(Weak::upgrade);
        let metrics = gateway.and_then(|gateway| gateway.metrics_text().ok());
        let files = [
            ("about.txt", self.about(node)),
            ("settings.toml", self.settings.clone()),
            ("metrics.txt", metrics.unwrap_or_default()),
            ("log.txt", RecentLog::text()),
        ];
        let file = |(name, text): (&str, String)| DiagnosisFile {
            name: name.to_owned(),
            text,
        };
        files.into_iter().map(file).collect()
    }

    fn about(&self, node: &str) -> String {
        let now = self.clock.now();
        let up = now.monotonic.saturating_sub(self.began).as_secs();
        let mut about = format!(
            "node {node}\nversion {}\nwall clock {} ms since 1970 UTC\nup {up} s\n",
            env!("CARGO_PKG_VERSION"),
            now.wall_millis()
        );
        let cores = std::thread::available_parallelism();
        let _ = writeln!(about, "cores {}", cores.map_or(0, usize::from));
        // Of Linux; elsewhere there is none, and nothing is shown.
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let _ = write!(about, "kernel {kernel}");
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let shown = ["VmRSS:", "VmHWM:", "Threads:", "FDSize:"];
        for line in status.lines() {
            if shown.iter().any(|name| line.starts_with(name)) {
                let _ = writeln!(about, "{line}");
            }
        }
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        for line in limits
            .lines()
            .filter(|line| line.starts_with("Max open files"))
        {
            let _ = writeln!(about, "{line}");
        }
        about
    }
}
