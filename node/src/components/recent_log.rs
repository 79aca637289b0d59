//! The newest lines of this process's log, for whoever looks for a fault: as much as a few minutes of trouble write.

use parking_lot::Mutex;
use std::{collections::VecDeque, io};

/// What is kept.
const KEPT_BYTES: usize = 512 << 10;

static RECENT: Mutex<VecDeque<u8>> = Mutex::new(VecDeque::new());

/// Takes in what is logged, beside the log itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct RecentLog;

impl RecentLog {
    /// The kept lines, without colours.
    #[must_use]
    pub fn text() -> String {
        let (first, second) = {
            let recent = RECENT.lock();
            let (first, second) = recent.as_slices();
            (first.to_vec(), second.to_vec())
        };
        plain(&String::from_utf8_lossy(&[first, second].concat()))
    }
}

impl io::Write for RecentLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        keep(&mut RECENT.lock(), bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Lines go whole.
fn keep(recent: &mut VecDeque<u8>, bytes: &[u8]) {
    recent.extend(bytes);
    while recent.len() > KEPT_BYTES {
        let line = recent.iter().position(|byte| *byte == b'\n');
        drop(recent.drain(..=line.unwrap_or(recent.len() - 1)));
    }
}

/// The text without what tells a terminal how to show it.
fn plain(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push_str(part.split_once('m').map_or(part, |(_, rest)| rest));
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_lines_go_whole() {
        let mut recent = VecDeque::new();
        let line = |number: usize| format!("{number:>99}\n");
        for number in 0..10_000 {
            keep(&mut recent, line(number).as_bytes());
        }
        assert!(recent.len() <= KEPT_BYTES && recent.len() > KEPT_BYTES - 100);
        let text = String::from_utf8(recent.into()).unwrap();
        let first = 10_000 - text.len() / 100;
        assert!(text.starts_with(&line(first)) && text.ends_with(&line(9_999)));
        let mut recent = VecDeque::new();
        keep(&mut recent, &vec![b'x'; KEPT_BYTES + 1]);
        assert!(recent.is_empty(), "a line longer than all that is kept");
    }

    #[test]
    fn colours_are_left_out() {
        let shown = "\x1b[2m12:00\x1b[0m \x1b[33m WARN\x1b[0m trouble\n";
        assert_eq!(plain(shown), "12:00  WARN trouble\n");
        assert_eq!(plain("plain"), "plain");
    }
}
