//! What a value is loaded and stored by: in one piece, if it has the size of a word or of a part of one.

use std::cell::RefCell;
use std::mem::MaybeUninit;

use kernel_arena::access::{Accessor, AtomicOp, Missing, Stopped, Width};
use kernel_arena::{ArenaPtr, KernelAddr};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::{FIRST, alloc, at, byte, machine};
use crate::machine::Format;
use crate::machine::access::Cpu;

/// How many bytes were asked for, by the access that takes them all at once or by a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Load(usize),
    Store(usize),
    CopyIn(usize),
    CopyOut(usize),
}

/// A CPU, and what it was asked for.
struct Noted<'m, F: Format> {
    cpu: Cpu<'m, F>,
    calls: &'m RefCell<Vec<Call>>,
}

impl<F: Format> Noted<'_, F> {
    fn note(&self, call: Call) {
        self.calls.borrow_mut().push(call);
    }
}

// SAFETY: the CPU's accesses.
unsafe impl<F: Format> Accessor for Noted<'_, F> {
    unsafe fn load(&self, at: KernelAddr, width: Width, missing: Missing) -> Result<u64, Stopped> {
        self.note(Call::Load(width.bytes()));
        // SAFETY: as the caller promises; so below.
        unsafe { self.cpu.load(at, width, missing) }
    }

    unsafe fn store(&self, at: KernelAddr, width: Width, value: u64, missing: Missing) -> Result<(), Stopped> {
        self.note(Call::Store(width.bytes()));
        // SAFETY: as above.
        unsafe { self.cpu.store(at, width, value, missing) }
    }

    unsafe fn copy_in(&self, from: KernelAddr, to: &mut [MaybeUninit<u8>], missing: Missing) -> Result<(), Stopped> {
        self.note(Call::CopyIn(to.len()));
        // SAFETY: as above.
        unsafe { self.cpu.copy_in(from, to, missing) }
    }

    unsafe fn copy_out(&self, to: KernelAddr, from: &[u8], missing: Missing) -> Result<(), Stopped> {
        self.note(Call::CopyOut(from.len()));
        // SAFETY: as above.
        unsafe { self.cpu.copy_out(to, from, missing) }
    }

    unsafe fn atomic(&self, at: KernelAddr, width: Width, op: AtomicOp, missing: Missing) -> Result<u64, Stopped> {
        // SAFETY: as above.
        unsafe { self.cpu.atomic(at, width, op, missing) }
    }
}

fn one_value_is_one_access<F: Format>() {
    fn check<F: Format, T>(value: T, load: fn(usize) -> Call, store: fn(usize) -> Call)
    where
        T: FromBytes + IntoBytes + Immutable + Copy + PartialEq + std::fmt::Debug,
    {
        let m = machine::<F>();
        alloc(&m, FIRST);
        let calls = RefCell::new(Vec::new());
        let memory = m.arena().memory_by(Noted { cpu: m.cpu(0), calls: &calls }).expect("the arena is shared");
        let place: ArenaPtr<T> = at(byte(FIRST, 64));
        let (load, store) = (load(size_of::<T>()), store(size_of::<T>()));
        memory.store(place, &value);
        assert_eq!((memory.load(place), calls.take()), (value, vec![store, load]));
        memory.store(place, &T::new_zeroed());
        assert_eq!(memory.try_store(place, &value), Ok(()));
        assert_eq!((memory.try_load(place), calls.take()), (Ok(value), vec![store, store, load]));
        m.finish();
    }
    check::<F, u8>(0x12, Call::Load, Call::Store);
    check::<F, u16>(0x1234, Call::Load, Call::Store);
    check::<F, u32>(0x1234_5678, Call::Load, Call::Store);
    check::<F, u64>(0x1234_5678_9abc_def0, Call::Load, Call::Store);
    check::<F, [u8; 4]>([1, 2, 3, 4], Call::Load, Call::Store);
    check::<F, [u8; 3]>([1, 2, 3], Call::CopyIn, Call::CopyOut);
    check::<F, [u64; 2]>([1, 2], Call::CopyIn, Call::CopyOut);
}
each_format!(one_value_is_one_access);
