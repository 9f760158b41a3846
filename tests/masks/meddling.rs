//! Programs that change a mask while the kernel is at it: an accessor that lets one come in between any two accesses.

use std::cell::{Cell, RefCell};
use std::mem::MaybeUninit;

use kernel_arena::access::{Accessor, AtomicOp, Memory, Missing, Stopped, Width};
use kernel_arena::masks::{ChangeError, SharedMask};
use kernel_arena::{ArenaPtr, KernelAddr};

use super::{START, at, cpu, header, ids, machine, word};
use crate::machine::access::Cpu;
use crate::machine::{Format, Machine};

/// A CPU beside which a program runs: it comes in before each access, and what it reads is noted.
struct Meddled<'m, F: Format> {
    cpu: Cpu<'m, F>,
    machine: &'m Machine<F>,
    before: Box<dyn Fn(u32) + 'm>,
    accesses: Cell<u32>,
    /// Offsets from the start of the window that were accessed, in order.
    log: RefCell<Vec<u32>>,
}

impl<'m, F: Format> Meddled<'m, F> {
    /// `before` gets the number of the access that comes.
    fn new(machine: &'m Machine<F>, before: impl Fn(u32) + 'm) -> Self {
        let (accesses, log) = (Cell::new(0), RefCell::default());
        Self { cpu: machine.cpu(0), machine, before: Box::new(before), accesses, log }
    }

    fn note(&self, at: KernelAddr) {
        let number = self.accesses.replace(self.accesses.get() + 1);
        (self.before)(number);
        let offset = at.value() - self.machine.arena().layout().base().value();
        self.log.borrow_mut().push(offset.try_into().unwrap());
    }
}

// SAFETY: the accesses are the machine's; what comes between changes bytes by accesses of its own.
unsafe impl<F: Format> Accessor for &Meddled<'_, F> {
    unsafe fn load(&self, at: KernelAddr, width: Width, missing: Missing) -> Result<u64, Stopped> {
        self.note(at);
        // SAFETY: as the caller vouches.
        unsafe { self.cpu.load(at, width, missing) }
    }

    unsafe fn store(&self, at: KernelAddr, width: Width, value: u64, missing: Missing) -> Result<(), Stopped> {
        self.note(at);
        // SAFETY: as the caller vouches.
        unsafe { self.cpu.store(at, width, value, missing) }
    }

    unsafe fn copy_in(&self, from: KernelAddr, to: &mut [MaybeUninit<u8>], missing: Missing) -> Result<(), Stopped> {
        self.note(from);
        // SAFETY: as the caller vouches.
        unsafe { self.cpu.copy_in(from, to, missing) }
    }

    unsafe fn copy_out(&self, to: KernelAddr, from: &[u8], missing: Missing) -> Result<(), Stopped> {
        self.note(to);
        // SAFETY: as the caller vouches.
        unsafe { self.cpu.copy_out(to, from, missing) }
    }

    unsafe fn atomic(&self, at: KernelAddr, width: Width, op: AtomicOp, missing: Missing) -> Result<u64, Stopped> {
        self.note(at);
        // SAFETY: as the caller vouches.
        unsafe { self.cpu.atomic(at, width, op, missing) }
    }
}

fn meddled<'m, F: Format>(
    m: &'m Machine<F>,
    meddled: &'m Meddled<'m, F>,
) -> Memory<'m, crate::machine::Host<F>, F, &'m Meddled<'m, F>> {
    m.arena().memory_by(meddled).expect("shared")
}

/// N14: between any two reads of the header another CPU puts another header there, with larger figures or wild ones. What was
/// read once is what counts: no field is read again, and no word is touched that the snapshot has not.
fn a_header_that_changes_while_it_is_read_changes_nothing<F: Format>() {
    for other in [[0, 8192, 1 << 20], [u32::MAX; 3], [8191, 1, 2], [0; 3]] {
        for when in 0..20 {
            let m = machine::<F>();
            let theirs = m.memory(1);
            let good = [10, 100, 3];
            header(&theirs, START, good);
            word(&theirs, START, 0, u64::MAX);
            word(&theirs, START, 1, u64::MAX);
            word(&theirs, START, 2, u64::MAX);
            let between = |number| {
                if number == when {
                    header(&theirs, START, other);
                }
            };
            let meddler = Meddled::new(&m, between);
            let memory = meddled(&m, &meddler);
            let snapshot = SharedMask::snapshot(&memory, START.into(), ids(8192));
            assert_eq!(*meddler.log.borrow(), [START, START + 4, START + 8], "each field once");
            // Fields from the one before which the other came in are the other's.
            let mut read = good;
            for field in when..3 {
                read[field as usize] = other[field as usize];
            }
            let [base, nr, alloc_words] = read;
            let is_good = base < 8192 && nr <= 8192 - base && nr.div_ceil(64) < alloc_words;
            assert_eq!(snapshot.is_ok(), is_good, "{read:x?}");
            let Ok(mask) = snapshot else { continue };
            assert_eq!((mask.span().base(), mask.span().nr()), (base, nr));
            meddler.log.borrow_mut().clear();
            let used = if nr == 0 { 0 } else { (base + nr).div_ceil(64) - base / 64 };
            let seen = mask.iter().map(|cpu| u32::from(cpu.unwrap().number())).collect::<Vec<_>>();
            assert!(seen.iter().all(|id| (base..base + nr).contains(id)));
            assert!(
                meddler.log.borrow().iter().copied().eq((0..used).map(|word| START + 16 + 8 * word)),
                "each word once"
            );
            drop(meddler);
            m.finish();
        }
    }
}
each_format!(a_header_that_changes_while_it_is_read_changes_nothing);

/// The header is wild from when it was read: every operation goes by the snapshot.
fn no_operation_reads_the_header_again<F: Format>() {
    let m = machine::<F>();
    let theirs = m.memory(1);
    let (first, second) = (START, START + 0x800);
    for offset in [first, second] {
        header(&theirs, offset, [10, 100, 3]);
    }
    let meddler = Meddled::new(&m, |_| ());
    let memory = meddled(&m, &meddler);
    let mask = SharedMask::snapshot(&memory, first.into(), ids(200)).unwrap();
    let other = SharedMask::snapshot(&memory, second.into(), ids(200)).unwrap();
    for offset in [first, second] {
        header(&theirs, offset, [u32::MAX; 3]);
    }
    meddler.log.borrow_mut().clear();
    mask.set(cpu(70)).unwrap();
    mask.or(&other).unwrap();
    mask.and(&other).unwrap();
    mask.and_not(&other).unwrap();
    mask.copy(&other).unwrap();
    mask.clear(cpu(70)).unwrap();
    mask.test(cpu(70)).unwrap();
    mask.weight().unwrap();
    mask.is_empty().unwrap();
    mask.is_subset(&other).unwrap();
    mask.intersects(&other).unwrap();
    mask.next_set(cpu(0)).unwrap();
    let touched = meddler.log.take();
    let words = |mask: u32| mask + 16..mask + 32;
    assert!(touched.iter().all(|at| words(first).contains(at) || words(second).contains(at)), "{touched:x?}");
    drop(meddler);
    m.finish();
}
each_format!(no_operation_reads_the_header_again);

/// Bits that a program sets while the kernel changes others of the same word stay.
fn what_a_program_sets_meanwhile_is_not_lost<F: Format>() {
    for when in 3..8 {
        let m = machine::<F>();
        let theirs = m.memory(1);
        let (first, second) = (START, START + 0x800);
        header(&theirs, first, [0, 64, 2]);
        header(&theirs, second, [0, 32, 2]);
        word(&theirs, second, 0, 0xf0);
        let bits = at(first + 16);
        let between = move |number| {
            if number == when {
                let seen: u64 = theirs.try_load(bits).unwrap();
                theirs.try_store(bits, &(seen | 1 << 40)).unwrap();
            }
        };
        let meddler = Meddled::new(&m, between);
        let memory = meddled(&m, &meddler);
        let mask = SharedMask::snapshot(&memory, first.into(), ids(64)).unwrap();
        mask.set(cpu(1)).unwrap();
        let reader = m.memory(0);
        let now: u64 = reader.try_load(bits).unwrap();
        assert_eq!(now & 2, 2);
        assert!(when >= meddler.accesses.get() || now == 1 << 40 | 2, "{now:#x}");
        let other = SharedMask::snapshot(&memory, second.into(), ids(64)).unwrap();
        mask.copy(&other).unwrap();
        let now: u64 = reader.try_load(bits).unwrap();
        assert_eq!(now & 0xffff_ffff, 0xf0);
        assert_eq!(now >> 40 == 1, when < meddler.accesses.get(), "the program came in, and its bit is no id of both");
        drop(meddler);
        m.finish();
    }
}
each_format!(what_a_program_sets_meanwhile_is_not_lost);

/// A program that changes the word before each exchange does not keep the kernel for ever.
fn a_program_that_never_rests_is_given_up<F: Format>() {
    let m = machine::<F>();
    let theirs = m.memory(1);
    header(&theirs, START, [0, 64, 2]);
    let bits: ArenaPtr<u64> = at(START + 16);
    let meddler = Meddled::new(&m, move |number| theirs.try_store(bits, &(u64::from(number) << 8)).unwrap());
    let memory = meddled(&m, &meddler);
    let mask = SharedMask::snapshot(&memory, START.into(), ids(64)).unwrap();
    assert_eq!(mask.set(cpu(1)), Err(ChangeError::Contended));
    assert!(meddler.accesses.get() < 100, "{} accesses", meddler.accesses.get());
    drop(meddler);
    m.finish();
}
each_format!(a_program_that_never_rests_is_given_up);
