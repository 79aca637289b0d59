//! Whose a store's files are: its id, in a file `ID` of its own and in the header of every segment.
//!
//! The id says what is on this disk: in-sync sets name it, and who has it is taken to hold what was
//! acknowledged. So it must go where the rows go. A log that is gone takes the id with it, whatever else
//! of the directory is left; what is left then belongs to nobody and is put aside.

use crate::{
    disk::Disk,
    error::OpenError,
    segment::{Directory, FileHeader},
};
use proto::id::StoreId;
use std::{collections::BTreeSet, io};

const NAME: &str = "ID";
const TEXT: &str = "atoll store id ";

/// How a store gets its id where its files name none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Naming {
    /// The id of a store that begins here, or that has lost its log. Never 0.
    pub fresh: StoreId,
    /// The id that this store had while ids lay outside of it, of a store from before they lay inside.
    pub former: Option<StoreId>,
}

/// Whose the files are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) id: StoreId,
    /// There is no log: nothing of what lies in the directory belongs to this store.
    pub(super) begins: bool,
    /// The id of a store that was here and lost its log.
    pub(super) lost: Option<StoreId>,
}

impl Identity {
    /// Whether a segment with this header may be part of the store.
    pub(super) fn owns(&self, header: &FileHeader) -> bool {
        !self.begins && (header.owner == 0 || header.owner == self.id.0)
    }
}

/// Decides by what the file says and what the headers of the log's segments say.
pub(super) fn decide(
    directory: &str,
    file: Option<StoreId>,
    owners: &[u64],
    naming: Naming,
) -> Result<Identity, OpenError> {
    let begins = owners.is_empty();
    let named: BTreeSet<u64> = owners.iter().copied().filter(|owner| *owner != 0).collect();
    let in_file = file.filter(|_| !begins).map(|id| id.0);
    let mut ids: Vec<u64> = named.into_iter().chain(in_file).collect();
    ids.dedup();
    let id = match ids.as_slice() {
        // Segments from before they named their store, or no segment at all.
        [] if begins => naming.fresh,
        [] => naming.former.unwrap_or(naming.fresh),
        [id] => StoreId(*id),
        [one, .., other] => {
            return Err(OpenError::TwoStores {
                directory: directory.to_owned(),
                one: StoreId(*one),
                other: StoreId(*other),
            });
        }
    };
    Ok(Identity {
        id,
        begins,
        lost: file.filter(|_| begins),
    })
}

/// Reads the file. One that is not sound counts as none: segments say the same.
pub(super) fn read(disk: &dyn Disk, directory: &str) -> Result<Option<StoreId>, OpenError> {
    let read = || -> io::Result<Option<StoreId>> {
        let file = match disk.open(&format!("{directory}/{NAME}")) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = vec![0; usize::try_from(file.size_bytes()?).map_err(io::Error::other)?];
        file.read_at(0, &mut bytes)?;
        Ok(parse(&bytes))
    };
    read().map_err(OpenError::while_doing("reading the store's id"))
}

/// Makes the id durable, and lets files that are begun from now on carry it.
pub(super) fn take(
    directory: &Directory,
    id: StoreId,
    file: Option<StoreId>,
) -> Result<(), OpenError> {
    directory.set_owner(id.0);
    if file == Some(id) {
        return Ok(());
    }
    write(directory, id).map_err(OpenError::while_doing("writing the store's id"))
}

/// Written under another name first, so that a crash leaves the whole file or the one before.
fn write(directory: &Directory, id: StoreId) -> io::Result<()> {
    let (disk, folder) = (directory.disk(), &directory.settings().directory);
    let unfinished = format!("{folder}/{NAME}-new");
    match disk.delete(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = disk.create(&unfinished, 0)?;
    file.write_at(0, text(id).as_bytes())?;
    file.sync()?;
    disk.rename(&unfinished, &format!("{folder}/{NAME}"))?;
    directory.sync()
}

fn text(id: StoreId) -> String {
    let head = format!("{TEXT}{id}");
    format!("{head} {:08x}\n", crc32c::crc32c(head.as_bytes()))
}

fn parse(bytes: &[u8]) -> Option<StoreId> {
    let found = std::str::from_utf8(bytes).ok()?;
    let id = found.strip_prefix(TEXT)?.split(' ').next()?.parse().ok()?;
    (found == text(id)).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRESH: StoreId = StoreId(9);

    fn naming(former: Option<u64>) -> Naming {
        Naming {
            fresh: FRESH,
            former: former.map(StoreId),
        }
    }

    /// The id, and what was lost with the log.
    fn check(file: Option<u64>, owners: &[u64], former: Option<u64>) -> Option<(u64, Option<u64>)> {
        let found = decide("store", file.map(StoreId), owners, naming(former)).ok()?;
        assert_eq!(found.begins, owners.is_empty());
        Some((found.id.0, found.lost.map(|id| id.0)))
    }

    #[test]
    fn a_store_keeps_its_id_as_long_as_it_has_its_log() {
        assert_eq!(check(Some(7), &[7, 7], None), Some((7, None)));
        assert_eq!(
            check(None, &[7, 0], None),
            Some((7, None)),
            "the file was lost"
        );
        assert_eq!(check(Some(7), &[0, 0], Some(5)), Some((7, None)));
    }

    #[test]
    fn a_log_that_is_gone_takes_the_id_with_it() {
        assert_eq!(
            check(None, &[], None),
            Some((9, None)),
            "an empty directory"
        );
        assert_eq!(check(Some(7), &[], None), Some((9, Some(7))));
        assert_eq!(
            check(None, &[], Some(5)),
            Some((9, None)),
            "an id from outside is worth nothing"
        );
    }

    #[test]
    fn a_store_from_before_takes_the_id_that_lay_beside_it() {
        assert_eq!(check(None, &[0, 0], Some(5)), Some((5, None)));
        assert_eq!(check(None, &[0], None), Some((9, None)));
    }

    #[test]
    fn the_files_of_two_stores_are_not_one_store() {
        assert_eq!(check(None, &[7, 8], None), None);
        assert_eq!(check(Some(8), &[7, 0], None), None);
    }

    #[test]
    fn the_file_reads_back_and_any_flipped_bit_is_seen() {
        let bytes = text(StoreId(0xab_cdef)).into_bytes();
        assert!(bytes.starts_with(b"atoll store id 0000000000abcdef "));
        assert_eq!(parse(&bytes), Some(StoreId(0xab_cdef)));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(parse(&flipped), None, "bit {bit}");
        }
    }
}
