//! Files that no longer count and may still tell people something: put aside under a name that says
//! why, the newest few of them.

use crate::{
    error::OpenError,
    hint::hint_path,
    segment::{Directory, SegmentId, parse_name},
};
use std::io;

/// Files kept at most.
const KEPT_MAX: usize = 4;
/// And so many segments' bytes.
const KEPT_SEGMENTS: u64 = 4;

/// Why a base segment no longer counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// Its header is lost, and there is no hint file to tell what it held.
    Rotten,
    /// It is of a store that lost its log.
    Former,
}

impl Why {
    const ALL: [Self; 2] = [Self::Rotten, Self::Former];

    const fn extension(self) -> &'static str {
        match self {
            Self::Rotten => "rotten",
            Self::Former => "former",
        }
    }
}

/// Renames base segments and lets the oldest of those put aside go. Durable on return.
///
/// What they held must be known to be lost by then: the next start does not look at them.
pub(super) fn put_aside(
    directory: &Directory,
    segments: &[(SegmentId, Why)],
) -> Result<(), OpenError> {
    if segments.is_empty() {
        return Ok(());
    }
    let put = || -> io::Result<()> {
        for (id, why) in segments {
            let (from, to) = (
                directory.path(*id, "base"),
                directory.path(*id, why.extension()),
            );
            directory.disk().rename(&from, &to)?;
            delete_if_there(directory, &hint_path(directory, *id))?;
        }
        directory.sync()?;
        drop_oldest(directory)
    };
    put().map_err(OpenError::while_doing("putting a lost segment aside"))
}

fn drop_oldest(directory: &Directory) -> io::Result<()> {
    let names = directory.disk().list(&directory.settings().directory)?;
    let is_aside = |extension: &str| Why::ALL.iter().any(|why| why.extension() == extension);
    let mut aside: Vec<_> = names
        .iter()
        .filter_map(|name| parse_name(name))
        .filter(|(_, extension)| is_aside(extension))
        .collect();
    aside.sort_unstable();
    let room = KEPT_SEGMENTS * directory.settings().segment_bytes;
    let (mut kept, mut bytes) = (0, 0);
    for (id, extension) in aside.into_iter().rev() {
        let path = directory.path(id, extension);
        bytes += directory.disk().open(&path)?.size_bytes()?;
        kept += 1;
        if kept > KEPT_MAX || bytes > room {
            directory.disk().delete(&path)?;
        }
    }
    directory.sync()
}

fn delete_if_there(directory: &Directory, path: &str) -> io::Result<()> {
    match directory.disk().delete(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
