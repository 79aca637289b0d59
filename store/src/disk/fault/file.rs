//! Reads and writes of one file of the faulty disk.

use super::{FaultFile, State, next, no_power};
use crate::disk::{Fault, File, memory::SECTOR};
use std::io;

impl FaultFile {
    fn with<T>(&self, act: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let state = self.state.upgrade().ok_or_else(no_power)?;
        let mut state = state.lock();
        if state.boot == self.boot {
            act(&mut state)
        } else {
            Err(no_power())
        }
    }
}

impl File for FaultFile {
    fn size_bytes(&self) -> io::Result<u64> {
        self.with(|state| {
            state.read()?;
            Ok(state.tree.inodes[&self.inode].now.len() as u64)
        })
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.with(|state| {
            state.read()?;
            let content = &state.tree.inodes[&self.inode].now;
            let start = usize::try_from(offset).expect("files lie in memory");
            content
                .read(start, buffer)
                .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
        })
    }

    fn read_cached(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let cached = self.with(|state| Ok(state.cached))?;
        if cached {
            self.read_at(offset, buffer)
        } else {
            Err(io::ErrorKind::WouldBlock.into())
        }
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.with(|state| {
            let fault = state.change()?;
            let start = usize::try_from(offset).expect("files lie in memory");
            let grown =
                (start + bytes.len()).saturating_sub(state.tree.inodes[&self.inode].now.len());
            state.check_space(grown as u64)?;
            let random = next(&mut state.random);
            let content = state
                .tree
                .inodes
                .get_mut(&self.inode)
                .expect("open files stay");
            match fault {
                Some(Fault::PowerLoss) => {
                    content.write(start, bytes);
                    Err(no_power())
                }
                Some(_) => {
                    let part = (random as usize % (bytes.len() + 1)) / SECTOR * SECTOR;
                    content.write(start, &bytes[..part]);
                    Err(io::ErrorKind::WriteZero.into())
                }
                None => {
                    content.write(start, bytes);
                    Ok(())
                }
            }
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.with(|state| {
            state.all_or_nothing(|state| {
                state
                    .tree
                    .inodes
                    .get_mut(&self.inode)
                    .expect("open files stay")
                    .sync();
                Ok(())
            })
        })
    }
}
