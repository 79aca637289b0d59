//! The file `clock`: the bound below which this node stamps, durable before it stamps there.
//!
//! A restarted node starts at the bound, so no stamp is given twice and no promise is undercut.

use proto::hlc::Hlc;
use std::{io, sync::Arc, time::Duration};
use store::disk::Disk;

const FILE: &str = "clock";
const BESIDE: &str = "clock.new";
/// How far ahead of the wall clock the bound is put: seldom raised, and little lost by a restart.
pub const ROOM: Duration = Duration::from_secs(1);
/// With less room than this it is raised before anybody has to wait for it.
pub const LOW: Duration = Duration::from_millis(600);

/// The bound on disk.
pub struct HlcBound {
    disk: Arc<dyn Disk>,
}

impl HlcBound {
    /// Opens it: the bound that an earlier run left, or zero.
    pub fn open(disk: Arc<dyn Disk>) -> io::Result<(Self, Hlc)> {
        let there = disk.list("")?.iter().any(|name| name == FILE);
        let bound = if there { read(&*disk)? } else { Hlc::ZERO };
        Ok((Self { disk }, bound))
    }

    /// Makes `bound` durable.
    pub fn write(&self, bound: Hlc) -> io::Result<()> {
        if self.disk.list("")?.iter().any(|name| name == BESIDE) {
            self.disk.delete(BESIDE)?;
        }
        let text = format!("{:016x} {:08x}\n", bound.0, crc32(bound));
        let file = self.disk.create(BESIDE, text.len() as u64)?;
        file.write_at(0, text.as_bytes())?;
        file.sync()?;
        self.disk.rename(BESIDE, FILE)?;
        self.disk.sync_dir("")
    }
}

fn read(disk: &dyn Disk) -> io::Result<Hlc> {
    let file = disk.open(FILE)?;
    let length = usize::try_from(file.size_bytes()?)
        .unwrap_or(usize::MAX)
        .min(64);
    let mut bytes = vec![0; length];
    file.read_at(0, &mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let mut words = text.split_whitespace();
    let mut number = || {
        words
            .next()
            .and_then(|word| u64::from_str_radix(word, 16).ok())
    };
    let (bound, check) = (number(), number());
    let damaged = || {
        let text = "the file clock is damaged; without it this node could stamp twice alike, so \
                    start it with an empty directory as a new node";
        io::Error::new(io::ErrorKind::InvalidData, text)
    };
    let bound = Hlc(bound.ok_or_else(damaged)?);
    if check == Some(u64::from(crc32(bound))) {
        Ok(bound)
    } else {
        Err(damaged())
    }
}

fn crc32(bound: Hlc) -> u32 {
    crc32c::crc32c(&bound.0.to_le_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::disk::FaultDisk;

    #[test]
    fn a_bound_is_found_again_and_a_damaged_one_is_refused() {
        let disk: Arc<dyn Disk> = Arc::new(FaultDisk::new(1));
        let (file, bound) = HlcBound::open(Arc::clone(&disk)).unwrap();
        assert_eq!(bound, Hlc::ZERO);
        for millis in [5, 9, 1_795_000_000_000] {
            file.write(Hlc::from_millis(millis)).unwrap();
            assert_eq!(
                HlcBound::open(Arc::clone(&disk)).unwrap().1,
                Hlc::from_millis(millis)
            );
        }
        disk.open(FILE).unwrap().write_at(3, b"7").unwrap();
        let error = HlcBound::open(disk).err().unwrap().to_string();
        assert!(error.contains("as a new node"), "{error}");
    }
}
