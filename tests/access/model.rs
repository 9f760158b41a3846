//! Random accesses of both flavours against plain bytes: two pages of their own, holes between and around them, and the scratch
//! page, which is one and the same for all holes.

use kernel_arena::access::{Hole, TryCopyError};
use proptest::prelude::*;

use super::{alloc, at, byte, hole, machine};
use crate::machine::{Format, Machine};

/// Pages 19 to 25, of which 20 and 22 are there.
const FIRST: u32 = 19;
const PAGES: u32 = 7;
const PAGE: usize = 0x1000;

/// What is where, and what was recorded.
struct Bytes {
    pages: [Option<Vec<u8>>; PAGES as usize],
    scratch: Vec<u8>,
    scratched: [bool; PAGES as usize],
    violations: u64,
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Load,
    Store,
    TryLoad,
    TryStore,
    CopyIn,
    CopyOut,
    TryCopyIn,
    TryCopyOut,
    Reclaim,
}

fn act() -> impl Strategy<Value = (Act, usize, usize, u8)> {
    use Act::*;
    let act = proptest::sample::select(vec![
        Load, Store, TryLoad, TryStore, TryLoad, TryStore, CopyIn, CopyOut, TryCopyIn, TryCopyOut, Reclaim,
    ]);
    // Near the ends of pages, mostly.
    let near = (1..5usize, -9isize..9).prop_map(|(page, by)| (page * PAGE).wrapping_add_signed(by));
    let offset = prop_oneof![3 => near, 1 => 0..3 * PAGE];
    (act, offset, 0usize..5, any::<u8>())
}

impl Bytes {
    fn new() -> Self {
        let page = |n| (n == 1 || n == 3).then(|| vec![0; PAGE]);
        Self {
            pages: std::array::from_fn(page),
            scratch: vec![0; PAGE],
            scratched: [false; PAGES as usize],
            violations: 0,
        }
    }

    fn is_there(&self, byte: usize) -> bool {
        self.pages[byte / PAGE].is_some()
    }

    /// The byte of a plain access, which scratches what is not there.
    fn touch(&mut self, byte: usize) -> &mut u8 {
        let page = byte / PAGE;
        if self.pages[page].is_none() && !std::mem::replace(&mut self.scratched[page], true) {
            self.violations += 1;
        }
        self.pages[page].as_mut().unwrap_or(&mut self.scratch).get_mut(byte % PAGE).unwrap()
    }

    /// How many of the bytes lie before the first hole.
    fn before_hole(&self, start: usize, bytes: usize) -> usize {
        (start..start + bytes).take_while(|byte| self.is_there(*byte)).count()
    }

    fn read(&mut self, start: usize, bytes: usize) -> Vec<u8> {
        (start..start + bytes).map(|byte| *self.touch(byte)).collect()
    }

    fn write(&mut self, start: usize, bytes: &[u8]) {
        for (at, byte) in (start..).zip(bytes) {
            *self.touch(at) = *byte;
        }
    }
}

/// Loads of a size, by its number.
macro_rules! sized {
    ($size:expr, $with:ident) => {
        match $size {
            0 => $with!(u8, 1),
            1 => $with!(u16, 2),
            2 => $with!(u32, 4),
            3 => $with!(u64, 8),
            _ => $with!([u8; 11], 11),
        }
    };
}

fn one<F: Format>(m: &Machine<F>, judge: &mut Bytes, (act, start, size, seed): (Act, usize, usize, u8)) {
    use zerocopy::{FromBytes, IntoBytes};
    let memory = m.memory(0);
    let offset = byte(FIRST, 0) + u32::try_from(start).unwrap();
    let fill = |bytes: usize| (0..=255u8).cycle().take(bytes).map(|n| seed.wrapping_add(n)).collect::<Vec<u8>>();
    let missing = |done: usize| -> Hole { hole(m, u64::from(offset) + done as u64) };
    let length = usize::from(seed) * 20;
    match act {
        Act::Load => {
            macro_rules! load {
                ($type:ty, $bytes:literal) => {
                    assert_eq!(memory.load::<$type>(at(offset)).as_bytes(), judge.read(start, $bytes))
                };
            }
            sized!(size, load);
        }
        Act::TryLoad => {
            macro_rules! load {
                ($type:ty, $bytes:literal) => {{
                    let loaded = memory.try_load::<$type>(at(offset));
                    match judge.before_hole(start, $bytes) {
                        $bytes => assert_eq!(loaded.unwrap().as_bytes(), judge.read(start, $bytes)),
                        done => assert_eq!(loaded, Err(missing(done))),
                    }
                }};
            }
            sized!(size, load);
        }
        Act::Store | Act::TryStore => {
            macro_rules! store {
                ($type:ty, $bytes:literal) => {{
                    let bytes = fill($bytes);
                    let value = <$type>::read_from_bytes(&bytes).unwrap();
                    if matches!(act, Act::Store) {
                        memory.store(at::<$type>(offset), &value);
                        judge.write(start, &bytes);
                    } else {
                        match (memory.try_store(at::<$type>(offset), &value), judge.before_hole(start, $bytes)) {
                            (Ok(()), $bytes) => judge.write(start, &bytes),
                            (Err(hole), done) => {
                                assert_eq!(hole, missing(done));
                                // Of these bytes some may have been stored: they are whatever they are.
                                let mut now = vec![0; done];
                                memory.try_copy_in(at(offset), &mut now).unwrap();
                                let was = judge.read(start, done);
                                assert!(now.iter().zip(&was).zip(&bytes).all(|((n, w), b)| n == w || n == b));
                                judge.write(start, &now);
                            }
                            (stored, done) => panic!("{stored:?} with {done} bytes before the hole"),
                        }
                    }
                }};
            }
            sized!(size, store);
        }
        Act::CopyIn | Act::TryCopyIn => {
            let mut into = fill(length);
            let done = judge.before_hole(start, length);
            if matches!(act, Act::CopyIn) {
                memory.copy_in(at(offset), &mut into).unwrap();
                assert_eq!(into, judge.read(start, length));
            } else {
                check(memory.try_copy_in(at(offset), &mut into), done == length, missing(done), done);
                assert_eq!(into[..done], judge.read(start, done));
                assert_eq!(into[done..], fill(length)[done..]);
            }
        }
        Act::CopyOut | Act::TryCopyOut => {
            let from = fill(length);
            let done = judge.before_hole(start, length);
            if matches!(act, Act::CopyOut) {
                memory.copy_out(at(offset), &from).unwrap();
                judge.write(start, &from);
            } else {
                check(memory.try_copy_out(at(offset), &from), done == length, missing(done), done);
                judge.write(start, &from[..done]);
            }
        }
        Act::Reclaim => {
            m.arena().reclaim();
            if judge.scratched.iter().any(|scratched| *scratched) {
                judge.scratch.fill(0);
            }
            judge.scratched = Default::default();
        }
    }
    assert_eq!(m.arena().stats().violations, judge.violations);
    let scratched = judge.scratched.iter().filter(|scratched| **scratched).count();
    assert_eq!(m.arena().stats().tainted_pages as usize, scratched);
}

fn check(tried: Result<(), TryCopyError>, is_whole: bool, hole: Hole, copied: usize) {
    assert_eq!(tried, if is_whole { Ok(()) } else { Err(TryCopyError::Hole { hole, copied }) });
}

fn run<F: Format>(acts: &[(Act, usize, usize, u8)]) {
    let m = machine::<F>();
    [20, 22].iter().for_each(|page| alloc(&m, *page));
    let mut judge = Bytes::new();
    acts.iter().for_each(|act| one(&m, &mut judge, *act));
    m.finish();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn accesses_do_to_a_window_what_they_do_to_bytes(acts in proptest::collection::vec(act(), 1..24)) {
        run::<kernel_arena::arch::x86_64::X86_64>(&acts);
        run::<kernel_arena::arch::aarch64::AArch64>(&acts);
    }
}
