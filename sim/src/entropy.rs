//! The kernel's randomness and clocks, taken from single threads.
//!
//! std's hash keys, `Instant` and `SystemTime`, and the generators of most crates come from two
//! functions of the C library, `getrandom` and `clock_gettime`. This module defines both, so every
//! program that links it calls these. A thread that called [`take_over`] gets numbers of its seed
//! and the clocks that [`set_clocks`] last set; every other thread gets the kernel's, unchanged.
//!
//! Not covered: rand 0.8, which asks the kernel by a plain system call (openraft draws from it, and
//! has a seam of its own for that); `hashbrown`'s default hasher, whose keys come from addresses;
//! and crates that read `/dev/urandom`, or the clocks by `rustix`, as a node's components do.

use crate::random::Random;
use rustix::{
    rand::{GetRandomFlags, getrandom as kernel_getrandom},
    time::{ClockId, clock_gettime as kernel_clock_gettime},
};
use std::{cell::Cell, time::Duration};

/// What the two clocks show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clocks {
    /// Since an unknown start.
    pub monotonic: Duration,
    /// Since 1970 UTC.
    pub wall: Duration,
}

// Both are plain values with constant beginnings: reading them allocates nothing, takes no lock and
// works while a thread ends, as these two functions must.
thread_local! {
    /// The state of the thread's generator.
    static RANDOM: Cell<Option<u64>> = const { Cell::new(None) };
    /// What its clocks show.
    static CLOCKS: Cell<Option<Clocks>> = const { Cell::new(None) };
}

/// Puts this thread under `seed`, for good. Must come before anything on the thread that makes a
/// hash map or a runtime: std keeps the keys it drew first.
pub fn take_over(seed: u64, clocks: Clocks) {
    RANDOM.set(Some(seed));
    CLOCKS.set(Some(clocks));
}

/// Sets what this thread's clocks show.
pub fn set_clocks(clocks: Clocks) {
    CLOCKS.set(Some(clocks));
}

/// Whether this thread is under a seed.
#[must_use]
pub fn is_taken_over() -> bool {
    RANDOM.get().is_some()
}

/// The next bits of this thread's seed, which it is under.
fn next_bits() -> u64 {
    RANDOM.with(|cell| {
        let mut random = Random::of(cell.get().unwrap_or(0));
        let bits = random.bits();
        cell.set(Some(random.state()));
        bits
    })
}

/// What this thread's clock `id` shows, if it is under a seed and the clock tells time.
fn simulated_time(id: i32) -> Option<Duration> {
    let clocks = CLOCKS.try_with(Cell::get).ok().flatten()?;
    match id {
        // CLOCK_REALTIME and its coarse twin.
        0 | 5 => Some(clocks.wall),
        // CLOCK_MONOTONIC, the raw and the coarse one, and CLOCK_BOOTTIME.
        1 | 4 | 6 | 7 => Some(clocks.monotonic),
        _ => None,
    }
}

/// The C library's `struct timespec` on 64-bit Linux.
#[repr(C)]
pub struct Timespec {
    seconds: i64,
    nanos: i64,
}

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
#[expect(
    unsafe_code,
    reason = "replaces two functions of the C library, whose arguments are raw pointers"
)]
mod replaced {
    use super::{
        ClockId, GetRandomFlags, Timespec, is_taken_over, kernel_clock_gettime, kernel_getrandom,
        next_bits, simulated_time,
    };
    use rustix::io::Errno;

    unsafe extern "C" {
        /// Where this thread's `errno` lies.
        safe fn __errno_location() -> *mut i32;
    }

    /// Tells the caller of a C function why it failed.
    fn failed(error: Errno) -> i32 {
        // SAFETY: the C library gives a place that is this thread's alone and lives as long as it.
        unsafe { __errno_location().write(error.raw_os_error()) };
        -1
    }

    /// `getrandom(2)` as the C library declares it.
    ///
    /// # Safety
    /// `buffer` must be valid for writes of `length` bytes.
    // The name is taken on purpose; the signature is the C library's, so that every caller fits.
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn getrandom(buffer: *mut u8, length: usize, flags: u32) -> isize {
        if length == 0 {
            return 0;
        }
        // SAFETY: the caller gives a buffer of that length; zeroed first, it is initialised.
        let bytes = unsafe {
            buffer.write_bytes(0, length);
            std::slice::from_raw_parts_mut(buffer, length)
        };
        if !is_taken_over() {
            let flags = GetRandomFlags::from_bits_retain(flags);
            return match kernel_getrandom(bytes, flags) {
                Ok(given) => given as isize,
                Err(error) => failed(error) as isize,
            };
        }
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&next_bits().to_le_bytes()[..chunk.len()]);
        }
        length as isize
    }

    /// `clock_gettime(2)` as the C library declares it.
    ///
    /// # Safety
    /// `time` must be valid for a write of one `struct timespec`.
    // The name is taken on purpose, as above.
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn clock_gettime(id: i32, time: *mut Timespec) -> i32 {
        let shown = match (simulated_time(id), ClockId::try_from(id)) {
            (Some(since), _) => Timespec {
                seconds: since.as_secs() as i64,
                nanos: i64::from(since.subsec_nanos()),
            },
            (None, Ok(clock)) => {
                let real = kernel_clock_gettime(clock);
                Timespec {
                    seconds: real.tv_sec,
                    nanos: real.tv_nsec,
                }
            }
            (None, Err(_)) => return failed(Errno::INVAL),
        };
        // SAFETY: the caller gives room for one timespec.
        unsafe { time.write(shown) };
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::on_fresh_thread;
    use std::{
        collections::HashSet,
        hash::{BuildHasher, RandomState},
        time::{Instant, SystemTime, UNIX_EPOCH},
    };

    const CLOCKS: Clocks = Clocks {
        monotonic: Duration::from_secs(5),
        wall: Duration::from_secs(1_790_000_000),
    };

    fn hash_order() -> Vec<u32> {
        (0..100).collect::<HashSet<u32>>().into_iter().collect()
    }

    #[test]
    fn equal_seeds_give_equal_hash_keys_and_orders() {
        let drawn = |seed| {
            on_fresh_thread(seed, CLOCKS, || {
                (RandomState::new().hash_one("a key"), hash_order())
            })
        };
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
    }

    #[test]
    fn clocks_stand_until_they_are_set() {
        on_fresh_thread(1, CLOCKS, || {
            let started = Instant::now();
            assert_eq!(
                SystemTime::now().duration_since(UNIX_EPOCH).unwrap(),
                CLOCKS.wall
            );
            assert_eq!(started.elapsed(), Duration::ZERO);
            let step = Duration::from_millis(1_500);
            set_clocks(Clocks {
                monotonic: CLOCKS.monotonic + step,
                wall: Duration::from_secs(9),
            });
            assert_eq!(started.elapsed(), step);
            assert_eq!(
                SystemTime::now().duration_since(UNIX_EPOCH).unwrap(),
                Duration::from_secs(9)
            );
        });
    }

    #[test]
    fn other_threads_keep_the_kernels_numbers_and_clocks() {
        let (before, keys) = (SystemTime::now(), RandomState::new().hash_one("a key"));
        let inside = on_fresh_thread(1, CLOCKS, || {
            let beside = std::thread::spawn(|| {
                (
                    is_taken_over(),
                    SystemTime::now(),
                    RandomState::new().hash_one("a key"),
                )
            });
            beside.join().unwrap()
        });
        assert!(!inside.0 && !is_taken_over());
        assert!(
            inside.1 >= before,
            "a thread beside a simulated one sees the machine's clock"
        );
        let simulated = on_fresh_thread(1, CLOCKS, || RandomState::new().hash_one("a key"));
        assert_ne!(inside.2, simulated);
        assert_ne!(keys, simulated);
    }

    #[test]
    fn a_long_buffer_is_filled_to_its_end() {
        let fill = || {
            let mut bytes = [0_u8; 37];
            kernel_or_seed(&mut bytes);
            bytes
        };
        let (first, again) = (
            on_fresh_thread(3, CLOCKS, fill),
            on_fresh_thread(3, CLOCKS, fill),
        );
        assert_eq!(first, again);
        assert!(first[32..].iter().any(|byte| *byte != 0));
        assert_ne!(fill(), fill(), "without a seed the kernel fills it");
    }

    #[expect(unsafe_code, reason = "calls the replaced function as C code would")]
    fn kernel_or_seed(bytes: &mut [u8]) {
        // SAFETY: the buffer is a slice of that length.
        let given = unsafe { replaced::getrandom(bytes.as_mut_ptr(), bytes.len(), 0) };
        assert_eq!(given, bytes.len() as isize);
    }
}
