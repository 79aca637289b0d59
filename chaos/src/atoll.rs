//! The `atoll` binary: found beside this program, built first where it is missing or stale, and run
//! for one command or as a node.

use crate::process::Process;
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value as Json;
use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
    thread,
    time::{Duration, Instant, SystemTime},
};

const POLL: Duration = Duration::from_millis(5);
/// Long enough for any command but a bulk load.
pub const COMMAND_WITHIN: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Debug, Clone)]
pub struct Atoll {
    path: PathBuf,
}

/// What a command said and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Its exit status; none if a signal ended it.
    pub status: Option<i32>,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

impl Atoll {
    /// The binary of this program's own profile. Built at most once in a process.
    pub fn find() -> Result<Self> {
        static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        let found = FOUND.get_or_init(|| find().map_err(|error| format!("{error:#}")));
        match found {
            Ok(path) => Ok(Self { path: path.clone() }),
            Err(error) => bail!("{error}"),
        }
    }

    /// A command of it, with nothing of the user's own settings.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        let own = std::env::vars_os().filter(|(name, _)| is_setting(name));
        for (name, _) in own {
            command.env_remove(name);
        }
        command.stdin(Stdio::null());
        command
    }

    /// Runs a command to its end, which must come in time.
    pub fn run<S: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
        within: Duration,
    ) -> Result<Said> {
        let folder = tempfile::tempdir().context("make a folder for a command's words")?;
        let (out, err) = (folder.path().join("out"), folder.path().join("err"));
        let mut command = self.command();
        command.args(arguments);
        let mut child = Process::spawn_apart(&mut command, &out, &err)?;
        let end = Instant::now() + within;
        let status = loop {
            if let Some(status) = child.ended()? {
                break status;
            }
            ensure!(Instant::now() < end, "no end of {command:?} in {within:?}");
            thread::sleep(POLL);
        };
        let text = |path: &Path| fs::read_to_string(path).context("read a command's words");
        Ok(Said {
            status: status.code(),
            out: text(&out)?,
            err: text(&err)?,
        })
    }
}

fn is_setting(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b"ATOLL_")
}

impl Said {
    /// What it printed, if it did its work.
    pub fn done(self) -> Result<String> {
        ensure!(
            self.status == Some(0),
            "the command ended with {:?}: {}",
            self.status,
            self.err.trim()
        );
        Ok(self.out)
    }

    /// The JSON that it printed, if it did its work: a value for each line.
    pub fn json(self) -> Result<Vec<Json>> {
        let text = self.done()?;
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        lines
            .map(|line| serde_json::from_str(line).with_context(|| format!("no JSON: {line:?}")))
            .collect()
    }
}

fn find() -> Result<PathBuf> {
    let own = std::env::current_exe().context("find this program")?;
    let profile = profile_folder(&own)?;
    let path = profile.join("atoll");
    if is_stale(&path) {
        build(&profile)?;
    }
    Ok(path)
}

/// The folder of the build profile: tests lie one folder deeper.
fn profile_folder(own: &Path) -> Result<PathBuf> {
    let mut folder = own.parent();
    if let Some(deps) = folder.filter(|folder| folder.ends_with("deps")) {
        folder = deps.parent();
    }
    let found = folder.map(Path::to_owned);
    found.with_context(|| format!("{} lies in no target directory", own.display()))
}

/// Whether a source is newer than the binary. Cargo lists them beside it.
fn is_stale(path: &Path) -> bool {
    let Ok(sources) = fs::read_to_string(path.with_extension("d")) else {
        return true;
    };
    let changed = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified());
    let Ok(built) = changed(path) else {
        return true;
    };
    sources_of(&sources).any(|source| changed(&source).is_ok_and(|at: SystemTime| at > built))
}

/// The files of a line `binary: source source …`, in which a space of a name is written `\ `.
fn sources_of(rule: &str) -> impl Iterator<Item = PathBuf> + '_ {
    let line = rule.lines().next().unwrap_or_default();
    let (_, sources) = line.split_once(": ").unwrap_or_default();
    let marked = sources.replace("\\ ", "\0");
    let names: Vec<_> = marked
        .split_whitespace()
        .map(|name| name.replace('\0', " "))
        .collect();
    names.into_iter().map(PathBuf::from)
}

fn build(profile: &Path) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command
        .current_dir(root)
        .args([
            "build", "--locked", "--quiet", "-p", "node", "--bin", "atoll",
        ])
        .env("CARGO_TARGET_DIR", profile.parent().unwrap_or(profile));
    if profile.ends_with("release") {
        command.arg("--release");
    }
    eprintln!("building the atoll binary in {}", profile.display());
    let status = command.status().context("start cargo")?;
    ensure!(
        status.success(),
        "the atoll binary does not build; see above"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_is_that_of_this_program() {
        let folder = |own: &str| profile_folder(Path::new(own)).unwrap();
        assert_eq!(folder("/t/debug/chaos"), Path::new("/t/debug"));
        assert_eq!(folder("/t/release/deps/x-1"), Path::new("/t/release"));
    }

    #[test]
    fn sources_are_read_with_their_spaces() {
        let rule = "/t/debug/atoll: /a/b.rs /a/with\\ space.rs\n\n/a/b.rs:\n";
        let names: Vec<PathBuf> = sources_of(rule).collect();
        assert_eq!(names, ["/a/b.rs", "/a/with space.rs"].map(PathBuf::from));
    }

    #[test]
    fn a_binary_older_than_a_source_is_stale() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let (binary, source) = (at("atoll"), at("source.rs"));
        assert!(is_stale(&binary), "nothing is there");
        fs::write(&binary, "").unwrap();
        fs::write(&source, "").unwrap();
        let rule = format!("{}: {}\n", binary.display(), source.display());
        fs::write(at("atoll.d"), rule).unwrap();
        let touch = |path: &Path, seconds: u64| {
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            fs::File::options()
                .write(true)
                .open(path)
                .unwrap()
                .set_modified(time)
                .unwrap();
        };
        touch(&binary, 100);
        touch(&source, 99);
        assert!(!is_stale(&binary));
        touch(&source, 101);
        assert!(is_stale(&binary));
    }
}
