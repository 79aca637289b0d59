//! Where a node runs: the address it has there, and what its process is started through.

use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::Command,
};

/// What the process of a node is started through.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Start {
    /// Nothing.
    Plain,
    /// A library that stands before the C library's own functions, and a file that it looks for.
    Preloaded { library: PathBuf, switch: PathBuf },
    /// A network namespace.
    Within { namespace: PathBuf },
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    address: Ipv4Addr,
    start: Start,
    disk: Option<PathBuf>,
}

impl Host {
    /// This machine's loopback.
    #[must_use]
    pub const fn loopback() -> Self {
        Self::started(Ipv4Addr::LOCALHOST, Start::Plain)
    }

    const fn started(address: Ipv4Addr, start: Start) -> Self {
        Self {
            address,
            start,
            disk: None,
        }
    }

    /// Loopback, with its data on the small file system at `disk`: see [`crate::full_disk`].
    #[must_use]
    pub const fn on_small_disk(disk: PathBuf) -> Self {
        Self {
            address: Ipv4Addr::LOCALHOST,
            start: Start::Plain,
            disk: Some(disk),
        }
    }

    /// Loopback, with syncs that are slow while the file `switch` is there: see [`crate::slow_disk`].
    #[must_use]
    pub const fn with_slow_syncs(library: PathBuf, switch: PathBuf) -> Self {
        Self::started(Ipv4Addr::LOCALHOST, Start::Preloaded { library, switch })
    }

    /// A network namespace, by its file, in which this machine has `address`.
    #[must_use]
    pub const fn within(namespace: PathBuf, address: Ipv4Addr) -> Self {
        Self::started(address, Start::Within { namespace })
    }

    /// The address.
    #[must_use]
    pub const fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The small file system that its data lies on, if it has one of its own.
    #[must_use]
    pub fn disk(&self) -> Option<&Path> {
        self.disk.as_deref()
    }

    /// `atoll serve` with a settings file, as it is started here.
    pub(super) fn serve(&self, atoll: Command, settings: &Path) -> Command {
        let mut command = match &self.start {
            Start::Plain => atoll,
            Start::Preloaded { library, switch } => {
                let mut atoll = atoll;
                atoll.env("LD_PRELOAD", library).env(SWITCH, switch);
                atoll
            }
            Start::Within { namespace } => within(namespace, &atoll),
        };
        command.args(["serve", "--config"]).arg(settings);
        command
    }
}

/// Names the file that the library looks for.
const SWITCH: &str = "CHAOS_SLOW_SYNC";

/// The same command, which `nsenter` becomes once it is in the namespace: signals reach it.
fn within(namespace: &Path, command: &Command) -> Command {
    let mut outer = Command::new("nsenter");
    outer
        .arg(format!("--net={}", namespace.display()))
        .arg("--")
        .arg(command.get_program());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    outer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(command: &Command) -> Vec<String> {
        let all = std::iter::once(command.get_program()).chain(command.get_args());
        all.map(|word| word.to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn a_node_is_started_as_its_host_wants_it() {
        let served = |host: Host| host.serve(Command::new("/a/atoll"), Path::new("x.toml"));
        let plain = ["/a/atoll", "serve", "--config", "x.toml"];
        assert_eq!(words(&served(Host::loopback())), plain);
        let slow = Host::with_slow_syncs("/l.so".into(), "/on".into());
        assert_eq!(words(&served(slow.clone())), plain);
        let set: Vec<_> = served(slow)
            .get_envs()
            .map(|(name, _)| name.to_owned())
            .collect();
        assert_eq!(set, [SWITCH, "LD_PRELOAD"]);
        let inner = Host::within("/run/netns/n1".into(), Ipv4Addr::new(10, 1, 1, 2));
        let expected = ["nsenter", "--net=/run/netns/n1", "--"].into_iter();
        let expected: Vec<&str> = expected.chain(plain).collect();
        assert_eq!(words(&served(inner)), expected);
    }
}
