//! How patient members of the global group are with each other. They are told when they start, before
//! anything of the group can be read, so it is noted beside its files.

use raft::group::GroupTiming;
use std::io;
use store::disk::Disk;

/// Where it is noted.
const DIRECTORY: &str = "raft";
/// There is a file of this name where the cluster has several regions.
const NOTE: &str = "between-regions";

/// The timing of the global group in a cluster of so many regions; as was noted where the number is not
/// known yet. A cluster that once had several keeps to what suits them.
pub(super) fn of_cluster(disk: &dyn Disk, regions: Option<usize>) -> io::Result<GroupTiming> {
    let is_noted = disk.list(DIRECTORY)?.iter().any(|name| name == NOTE);
    if is_noted {
        return Ok(GroupTiming::between_regions());
    }
    if regions.is_none_or(|regions| regions < 2) {
        return Ok(GroupTiming::within_a_region());
    }
    disk.create_dir(DIRECTORY)?;
    disk.create(&format!("{DIRECTORY}/{NOTE}"), 0)?.sync()?;
    disk.sync_dir(DIRECTORY)?;
    Ok(GroupTiming::between_regions())
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::disk::RealDisk;

    #[test]
    fn a_cluster_of_several_regions_is_patient_from_then_on() {
        let dir = tempfile::tempdir().unwrap();
        let check = |regions, expected| {
            // As by another process.
            let disk = RealDisk::open(dir.path()).unwrap();
            assert_eq!(of_cluster(&disk, regions).unwrap(), expected);
        };
        check(None, GroupTiming::within_a_region());
        check(Some(1), GroupTiming::within_a_region());
        check(Some(3), GroupTiming::between_regions());
        check(None, GroupTiming::between_regions());
        check(Some(1), GroupTiming::between_regions());
    }
}
