//! The file that says which format a store's directory has.

use crate::{disk::Disk, error::OpenError};
use std::io;

/// The format of the directory as a whole: which files there are and what they mean together.
/// 2: states know lineages, and shards may have a file of what a snapshot carried.
/// 3: the store's id lies here, in a file and in the headers of segments.
const FORMAT: u32 = 3;
const TEXT: &str = "atoll store ";

/// Writes the file where there is none, and refuses a directory that a later version made.
pub(super) fn check(disk: &dyn Disk, directory: &str) -> Result<(), OpenError> {
    let path = format!("{directory}/FORMAT");
    match disk.open(&path) {
        Ok(file) => {
            let mut bytes = vec![
                0;
                file.size_bytes()
                    .map_err(OpenError::while_doing("reading the format"))?
                    as usize
            ];
            file.read_at(0, &mut bytes)
                .map_err(OpenError::while_doing("reading the format"))?;
            let text = String::from_utf8_lossy(&bytes);
            let found = text
                .trim_end()
                .strip_prefix(TEXT)
                .and_then(|number| number.parse::<u32>().ok());
            match found {
                Some(found) if found > FORMAT => Err(OpenError::NewerFormat {
                    directory: directory.to_owned(),
                    found,
                    known: FORMAT,
                }),
                Some(FORMAT) => Ok(()),
                // All that it held is read as it is; what is written from now on is of this one.
                Some(_) => found_anew(disk, directory, &path),
                None => Err(OpenError::UnknownFormat { path }),
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => found_anew(disk, directory, &path),
        Err(error) => Err(OpenError::while_doing("reading the format")(error)),
    }
}

fn found_anew(disk: &dyn Disk, directory: &str, path: &str) -> Result<(), OpenError> {
    found(disk, directory, path).map_err(OpenError::while_doing("writing the format"))
}

/// Written under another name first: a half-written one would lock the directory for ever.
fn found(disk: &dyn Disk, directory: &str, path: &str) -> io::Result<()> {
    let unfinished = format!("{directory}/FORMAT-new");
    match disk.delete(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = disk.create(&unfinished, 0)?;
    file.write_at(0, format!("{TEXT}{FORMAT}\n").as_bytes())?;
    file.sync()?;
    disk.rename(&unfinished, path)?;
    disk.sync_dir(directory)
}
