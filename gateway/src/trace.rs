//! The trace in whose name a call is made: W3C's `traceparent`, which is passed on as it came.
//!
//! Nothing is exported from here. What is logged of a call carries its trace, on every node that took part in it,
//! and is found by it from the tool that the caller's own spans are in.

use axum::http::HeaderMap;
use std::fmt;

/// The header.
pub const HEADER: &str = "traceparent";
/// `VERSION-TRACE-PARENT-FLAGS` of the first version; later ones may go on after it.
const LENGTH: usize = 55;
/// The version that nobody may use.
const NO_VERSION: u8 = 0xff;

/// Where a call stands in a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace([u8; Trace::BYTES]);

impl Trace {
    /// Trace, parent and flags.
    pub const BYTES: usize = 25;
    const PARENT: usize = 16;
    const FLAGS: usize = 24;

    /// What a caller says; nothing where it says nothing, or what cannot be read, which the standard wants
    /// ignored.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(HEADER).iter();
        let text = values.next()?.to_str().ok()?;
        // Two that differ are none.
        if values.next().is_some() {
            return None;
        }
        Self::read(text)
    }

    fn read(text: &str) -> Option<Self> {
        let head = text.as_bytes().get(..LENGTH)?;
        let [version] = digits(&head[..2])?;
        let ends = match version {
            0 => text.len() == LENGTH,
            NO_VERSION => false,
            _ => text.len() == LENGTH || text.as_bytes()[LENGTH] == b'-',
        };
        if !ends || [2, 35, 52].iter().any(|dash| head[*dash] != b'-') {
            return None;
        }
        let trace: [u8; Self::PARENT] = digits(&head[3..35])?;
        let parent: [u8; Self::FLAGS - Self::PARENT] = digits(&head[36..52])?;
        let [flags] = digits(&head[53..])?;
        if trace == [0; Self::PARENT] || parent == [0; Self::FLAGS - Self::PARENT] {
            return None;
        }
        let mut bytes = [flags; Self::BYTES];
        bytes[..Self::PARENT].copy_from_slice(&trace);
        bytes[Self::PARENT..Self::FLAGS].copy_from_slice(&parent);
        Some(Self(bytes))
    }

    /// As it travels between nodes.
    #[must_use]
    pub const fn bytes(self) -> [u8; Self::BYTES] {
        self.0
    }

    /// What [`Self::bytes`] gave on another node.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }
}

/// Bytes of small hexadecimal digits; capital ones are none.
fn digits<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

/// As a header has it.
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("00-")?;
        for (at, byte) in self.0.iter().enumerate() {
            if at == Self::PARENT || at == Self::FLAGS {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_reads_back_from_text_and_bytes() {
        let trace = Trace::read(SAMPLE).unwrap();
        assert_eq!(trace.to_string(), SAMPLE);
        assert_eq!(Trace::from_bytes(trace.bytes()), trace);
        // A later version may say more, and is passed on as what is understood of it.
        let later = format!("cc{}-more", &SAMPLE[2..]);
        assert_eq!(Trace::read(&later), Some(trace));
    }

    #[test]
    fn what_the_standard_calls_invalid_is_ignored() {
        let zeros = |from: usize, to: usize| {
            let mut text = SAMPLE.to_owned();
            text.replace_range(from..to, &"0".repeat(to - from));
            text
        };
        for bad in [
            "",
            &SAMPLE[..54],
            &format!("{SAMPLE}-more"),
            &format!("cc{}more", &SAMPLE[2..]),
            &format!("ff{}", &SAMPLE[2..]),
            &SAMPLE.to_uppercase(),
            &SAMPLE.replace('-', "_"),
            &zeros(3, 35),
            &zeros(36, 52),
            "00-4bf92f3577b34da6a3ce929d0e0e473ü-00f067aa0ba902b7-01",
        ] {
            assert_eq!(Trace::read(bad), None, "{bad:?}");
        }
        let mut headers = HeaderMap::new();
        headers.append(HEADER, SAMPLE.parse().unwrap());
        assert!(Trace::of(&headers).is_some());
        headers.append(HEADER, SAMPLE.parse().unwrap());
        assert_eq!(Trace::of(&headers), None);
    }
}
