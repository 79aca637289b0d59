//! The files of the repository, read once. Rules are functions of a `Tree` and read nothing else.
//!
//! What git tracks or would track counts: a new file is checked before it is committed, an ignored
//! one never.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Above this a file is not read: the size rule refuses it or names it as data.
pub const READ_LIMIT_BYTES: u64 = 1 << 20;

/// One file, its path relative to the root with `/` between folders.
pub struct File {
    pub path: String,
    pub size_bytes: u64,
    pub content: Content,
}

pub enum Content {
    Text(String),
    /// Not UTF-8, holds a zero byte, or is too large to be a text of ours.
    Data,
    /// A symbolic link and where it points.
    Link(String),
}

pub struct Tree {
    pub files: Vec<File>,
    /// Every folder that holds a file, for links to folders.
    folders: BTreeSet<String>,
}

impl Tree {
    /// Reads what `git ls-files` names under `root`.
    pub fn read(root: &Path) -> Result<Self> {
        let mut files = Vec::new();
        for path in listed_by_git(root)? {
            if let Some(file) = read_file(root, &path).with_context(|| format!("read {path}"))? {
                files.push(file);
            }
        }
        Ok(Self::new(files))
    }

    fn new(files: Vec<File>) -> Self {
        let mut folders = BTreeSet::from([String::new()]);
        for file in &files {
            let ends = file.path.match_indices('/').map(|(end, _)| end);
            folders.extend(ends.map(|end| file.path[..end].to_owned()));
        }
        Self { files, folders }
    }

    /// Path and text of every text file.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().filter_map(|file| match &file.content {
            Content::Text(text) => Some((file.path.as_str(), text.as_str())),
            Content::Data | Content::Link(_) => None,
        })
    }

    /// The text files whose name ends so.
    pub fn texts_ending(&self, ending: &'static str) -> impl Iterator<Item = (&str, &str)> {
        self.texts().filter(move |(path, _)| path.ends_with(ending))
    }

    pub fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    pub fn text(&self, path: &str) -> Option<&str> {
        self.texts()
            .find(|(name, _)| *name == path)
            .map(|(_, text)| text)
    }

    /// Whether a clone would have a file or a folder of this path.
    pub fn holds(&self, path: &str) -> bool {
        self.folders.contains(path) || self.file(path).is_some()
    }
}

#[cfg(test)]
impl Tree {
    /// A tree of text files, for tests of rules.
    pub fn of(files: &[(&str, &str)]) -> Self {
        let text = |(path, text): &(&str, &str)| File {
            path: (*path).to_owned(),
            size_bytes: text.len() as u64,
            content: Content::Text((*text).to_owned()),
        };
        Self::new(files.iter().map(text).collect())
    }

    /// The same tree with one more file.
    pub fn with(mut self, path: &str, size_bytes: u64, content: Content) -> Self {
        self.files.push(File {
            path: path.to_owned(),
            size_bytes,
            content,
        });
        Self::new(self.files)
    }
}

fn listed_by_git(root: &Path) -> Result<BTreeSet<String>> {
    let output = git(root)
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .output()
        .context("start git, which lists the files to check")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "list files with git: {}",
        complaint.trim()
    );
    let paths = String::from_utf8(output.stdout).context("file names must be UTF-8")?;
    Ok(paths.split_terminator('\0').map(str::to_owned).collect())
}

/// git on the repository that `root` lies in, whatever the caller's environment says: a commit hook
/// sets these variables, and a command run by it must not work on another repository's index.
fn git(root: &Path) -> Command {
    let mut command = Command::new("git");
    command.current_dir(root);
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] {
        command.env_remove(variable);
    }
    command
}

/// `None` when the file is gone: deleted here, and git not yet told.
fn read_file(root: &Path, path: &str) -> Result<Option<File>> {
    let full = root.join(path);
    let metadata = match fs::symlink_metadata(&full) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let content = if metadata.is_symlink() {
        Content::Link(fs::read_link(&full)?.to_string_lossy().into_owned())
    } else if metadata.len() > READ_LIMIT_BYTES {
        Content::Data
    } else {
        text_or_data(fs::read(&full)?)
    };
    Ok(Some(File {
        path: path.to_owned(),
        size_bytes: metadata.len(),
        content,
    }))
}

fn text_or_data(bytes: Vec<u8>) -> Content {
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Content::Text(text),
        Ok(_) | Err(_) => Content::Data,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_git(root: &Path, arguments: &[&str]) {
        let status = git(root).args(arguments).status().unwrap();
        assert!(status.success(), "git {arguments:?}");
    }

    #[test]
    fn new_files_are_listed_and_ignored_or_deleted_ones_are_not() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, bytes: &[u8]| fs::write(root.path().join(path), bytes).unwrap();
        run_git(root.path(), &["init", "--quiet"]);
        fs::create_dir(root.path().join("src")).unwrap();
        write(".gitignore", b"out\n");
        write("out", b"ignored");
        write("src/kept.rs", b"//! kept\n");
        write("src/gone.rs", b"//! gone\n");
        run_git(root.path(), &["add", "."]);
        fs::remove_file(root.path().join("src/gone.rs")).unwrap();
        write("new.bin", b"\xff\x00");
        std::os::unix::fs::symlink("src/kept.rs", root.path().join("link")).unwrap();

        let tree = Tree::read(root.path()).unwrap();

        let paths: Vec<&str> = tree.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, [".gitignore", "link", "new.bin", "src/kept.rs"]);
        assert_eq!(tree.text("src/kept.rs"), Some("//! kept\n"));
        assert!(matches!(
            tree.file("new.bin").unwrap().content,
            Content::Data
        ));
        assert!(
            matches!(&tree.file("link").unwrap().content, Content::Link(to) if to == "src/kept.rs")
        );
    }

    #[test]
    fn folders_of_files_are_held() {
        let tree = Tree::of(&[("docs/decisions/0001-log.md", "")]);
        assert!(tree.holds("docs") && tree.holds("docs/decisions"));
        assert!(tree.holds("docs/decisions/0001-log.md"));
        assert!(!tree.holds("docs/decision") && !tree.holds("src"));
    }
}
