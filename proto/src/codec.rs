//! Reading and writing fixed little-endian fields. The shared bottom of every stored format.

/// Bytes were not what the format says. Names the format and the fault, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed {format}: {fault}")]
pub struct Malformed {
    /// What was being read.
    pub format: &'static str,
    /// What is wrong with it.
    pub fault: &'static str,
}

/// Reads fields one after the other, and never beyond the end.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
    format: &'static str,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte of `bytes`; `format` names them in errors.
    #[must_use]
    pub const fn new(bytes: &'a [u8], format: &'static str) -> Self {
        Self {
            rest: bytes,
            format,
        }
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (head, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or_else(|| self.malformed("it ends too early"))?;
        self.rest = rest;
        Ok(head)
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, rest) = self
            .rest
            .split_first_chunk()
            .ok_or_else(|| self.malformed("it ends too early"))?;
        self.rest = rest;
        Ok(*head)
    }

    /// The next byte.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// The next 2 bytes.
    pub fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_le_bytes)
    }

    /// The next 4 bytes.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }

    /// The next 8 bytes.
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_le_bytes)
    }

    /// What is left.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// An error of this format.
    #[must_use]
    pub const fn malformed(&self, fault: &'static str) -> Malformed {
        Malformed {
            format: self.format,
            fault,
        }
    }

    /// Asserts that nothing is left.
    pub fn finish(self) -> Result<(), Malformed> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(self.malformed("it has bytes past its end"))
        }
    }
}

/// The `N` bytes at `at`. For formats whose length was checked when they were parsed.
#[must_use]
pub(crate) fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    *bytes[at..]
        .first_chunk()
        .expect("the length was checked when the format was parsed")
}

/// `length` rounded up to 16, on which stored things begin.
#[must_use]
pub const fn align16(length: usize) -> usize {
    (length + 15) & !15
}
