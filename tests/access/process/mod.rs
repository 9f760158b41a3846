//! The processor's own accesses in a process, with real faults: the stubs of x86_64, their way out, and what they leave.

use std::hint::black_box;
use std::sync::Mutex;
use std::sync::atomic::Ordering::SeqCst;

use kernel_arena::KernelAddr;
use kernel_arena::access::{Hole, TryCopyError};

use super::{at, byte};

#[expect(unreachable_pub, reason = "for a benchmark, too")]
mod window;

use window::{alloc, arena, free};

/// There is one window: one test at a time.
static ONE: Mutex<()> = Mutex::new(());

fn hole(offset: u32) -> Hole {
    Hole { address: KernelAddr::new(arena().layout().base().value() + u64::from(offset)) }
}

#[test]
fn each_access_stops_at_a_hole_and_leaves_nothing() {
    let _one = ONE.lock().unwrap();
    let memory = arena().memory().unwrap();
    let offset = byte(40, 16);
    let none = hole(offset);
    for _ in 0..3 {
        assert_eq!(memory.try_load::<u8>(at(offset)), Err(none));
        assert_eq!(memory.try_load::<u16>(at(offset)), Err(none));
        assert_eq!(memory.try_load::<u32>(at(offset)), Err(none));
        assert_eq!(memory.try_load::<u64>(at(offset)), Err(none));
        assert_eq!(memory.try_store(at::<u8>(offset), &1), Err(none));
        assert_eq!(memory.try_store(at::<u16>(offset), &1), Err(none));
        assert_eq!(memory.try_store(at::<u32>(offset), &1), Err(none));
        assert_eq!(memory.try_store(at::<u64>(offset), &1), Err(none));
        macro_rules! atomics {
            ($type:ty) => {
                let word = memory.atomic::<$type>(at(offset)).unwrap();
                assert_eq!(word.try_load(SeqCst), Err(none));
                assert_eq!(word.try_store(1, SeqCst), Err(none));
                assert_eq!(word.try_swap(1, SeqCst), Err(none));
                assert_eq!(word.try_fetch_add(1, SeqCst), Err(none));
                assert_eq!(word.try_fetch_xor(1, SeqCst), Err(none));
                assert_eq!(word.try_compare_exchange(0, 1, SeqCst, SeqCst), Err(none));
            };
        }
        atomics!(u32);
        atomics!(u64);
    }
    let stats = arena().stats();
    assert_eq!((stats.violations, stats.tainted_pages), (0, 0));
}

#[test]
fn copies_stop_at_the_very_byte() {
    let _one = ONE.lock().unwrap();
    let memory = arena().memory().unwrap();
    alloc(50);
    let all: Vec<u8> = (0..=255).cycle().take(4096).collect();
    memory.copy_out(at(byte(50, 0)), &all).unwrap();
    for distance in (1..300).chain([4095, 4096]) {
        for more in [1, 9, 300] {
            let offset = byte(51, 0) - u32::try_from(distance).unwrap();
            let stopped = Err(TryCopyError::Hole { hole: hole(byte(51, 0)), copied: distance });
            let mut into = vec![0xee; distance + more];
            assert_eq!(memory.try_copy_in(at(offset), &mut into), stopped);
            assert_eq!(into[..distance], all[4096 - distance..]);
            assert!(into[distance..].iter().all(|byte| *byte == 0xee));
            assert_eq!(memory.try_copy_out(at(offset), &into), stopped);
        }
    }
    free(50);
    assert_eq!(memory.try_load::<u8>(at(byte(50, 0))), Err(hole(byte(50, 0))));
    assert_eq!(arena().stats().violations, 0);
}

/// The compiler keeps values where it likes while a stub is called, below the stack pointer too.
#[test]
fn what_the_caller_holds_survives_a_way_out() {
    let _one = ONE.lock().unwrap();
    let memory = arena().memory().unwrap();
    let held: [u64; 24] = std::array::from_fn(|n| black_box(n as u64 * 0x0101_0101));
    let mut sum = 0u64;
    for (n, value) in held.iter().enumerate() {
        let offset = byte(60, 8 * u32::try_from(n).unwrap());
        assert_eq!(memory.try_load::<u64>(at(offset)), Err(hole(offset)));
        sum += value;
    }
    assert_eq!(sum, 0x0101_0101 * (0..24).sum::<u64>());
}
