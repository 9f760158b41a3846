//! What is claimed of a kernel with an arena, tried one after the other. What does not hold is a panic.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt::Write;
use core::hint::black_box;

use kernel_arena::{AllocRequest, Arena, KernelAddr, Owner, PageCount, ViolationKind};
use spin::Mutex;

use crate::arena::{HEAP, MyPlatform};
use crate::{kernel, println, stack, ticks, wild};

/// The kernel's arena.
type Kernel = &'static Arena<MyPlatform>;

/// A claim, and what tries it.
type Check = (&'static str, fn(Kernel));

/// How many ticks are waited for.
const TICKS: u64 = 200;
/// How many blocks the thread takes at a time: more than a magazine has.
const BLOCKS: usize = 300;
/// The most stack that operations may take, in bytes: a fault of the stack that it interrupts; an allocation; pages freed.
const FAULT_STACK: usize = if cfg!(debug_assertions) { 3 << 10 } else { 1 << 10 };
const ALLOC_STACK: usize = if cfg!(debug_assertions) { 9 << 10 } else { 2560 };
const FREE_STACK: usize = if cfg!(debug_assertions) { 12 << 10 } else { 6 << 10 };
/// An allocation that finds no page, and reclaims.
const SHORT_STACK: usize = if cfg!(debug_assertions) { 14 << 10 } else { 6 << 10 };

/// What is being tried.
static RUNNING: Mutex<Option<&str>> = Mutex::new(None);

/// What is being tried, if anything: for a panic to name.
pub(crate) fn running() -> Option<&'static str> {
    *RUNNING.try_lock()?
}

/// Tries all, and says how many that was.
pub(crate) fn run(arena: Kernel) -> usize {
    let checks: [Check; 8] = [
        ("a wild read finds 0, and is recorded", wild_read),
        ("a wild write is recorded, and reclaimed", wild_write),
        ("the guard behind the window is recovered", guard),
        ("a page that was freed is recovered", freed_page),
        ("Box, Vec and BTreeMap live in the window", collections),
        ("blocks of the thread and of the timer stay apart", timer),
        ("frames come back", frames),
        ("faults, objects and pages take little stack", little_stack),
    ];
    for (name, check) in checks {
        *RUNNING.lock() = Some(name);
        check(arena);
        println!("ok {name}");
    }
    *RUNNING.lock() = None;
    assert_eq!(arena.validate(), Ok(()), "the arena is whole");
    checks.len()
}

/// Expects one violation, of this kind and at this address, and prints it.
fn expect_violation(arena: Kernel, kind: ViolationKind, address: KernelAddr) {
    let violation = arena.take_violation().expect("the access is recorded");
    println!("{violation:?}");
    assert_eq!((violation.kind, violation.address), (kind, address));
    assert_eq!(arena.take_violation(), None, "and nothing else");
}

fn wild_read(arena: Kernel) {
    let address = wild::address(arena, 0x12_3458);
    assert_eq!(wild::read(address), 0);
    expect_violation(arena, ViolationKind::Read, address);
}

fn wild_write(arena: Kernel) {
    let address = wild::address(arena, 0x23_4568);
    wild::write(address, 7);
    expect_violation(arena, ViolationKind::Write, address);
    arena.reclaim();
    assert_eq!(wild::read(address), 0, "the scratch page was zeroed");
    expect_violation(arena, ViolationKind::Read, address);
}

fn guard(arena: Kernel) {
    let address = KernelAddr::new(arena.layout().upper_guard().start().value());
    assert_eq!(wild::read(address), 0);
    expect_violation(arena, ViolationKind::Read, address);
}

fn freed_page(arena: Kernel) {
    let page = arena.alloc_pages(AllocRequest::new(PageCount::ONE, Owner::Kernel)).expect("there are pages");
    let address = arena.layout().to_kernel(page.to_ptr());
    wild::write(address, 7);
    assert_eq!((wild::read(address), arena.take_violation()), (7, None), "the page is there");
    arena.free_pages(page.to_ptr(), PageCount::ONE, Owner::Kernel).expect("it is ours");
    assert_eq!(wild::read(address), 0);
    expect_violation(arena, ViolationKind::Read, address);
}

fn collections(arena: Kernel) {
    let boxed = Box::new(7_u64);
    let vec: Vec<u64> = (0..10_000).collect();
    let map: BTreeMap<u64, _> = (0..1000).map(|number| (number, number.to_string())).collect();
    assert_eq!((*boxed, vec.iter().sum::<u64>()), (7, 49_995_000));
    assert!(map.iter().all(|(number, text)| text.parse() == Ok(*number)));
    let window = arena.layout().window();
    for address in [(&raw const *boxed).addr(), vec.as_ptr().addr()] {
        assert!(address as u64 - window.start().value() < window.size_bytes(), "{address:#x} is in the window");
    }
}

/// With an identity that gives both one name, this fails within some ticks.
fn timer(arena: Kernel) {
    let until = ticks::count() + TICKS;
    kernel::interruptible(|| {
        while ticks::count() < until {
            let blocks = ticks::blocks(BLOCKS, u64::MAX);
            assert!(ticks::are_whole(&blocks, u64::MAX), "a block of the thread's is damaged");
        }
    });
    let mut recorded = 0;
    while let Some(violation) = arena.take_violation() {
        assert_eq!(violation.kind, ViolationKind::Read);
        recorded += 1;
    }
    assert!(recorded > 0, "wild reads of the timer's handler are recorded");
}

/// Takes and gives back more memory than the machine has, and leaves it to the heap to reclaim, or does so itself.
fn frames(_: Kernel) {
    for reclaims in [false, true] {
        for _ in 0..80 {
            drop(black_box(Vec::<u64>::with_capacity(1 << 20)));
            if reclaims {
                HEAP.reclaim();
            }
        }
    }
}

fn little_stack(arena: Kernel) {
    let within = |what: &str, most: usize, work: &mut dyn FnMut()| {
        let bytes = stack::taken(work);
        println!("stack {what}: {bytes} bytes");
        assert!(bytes <= most, "{what}: {bytes} bytes of stack");
    };
    let address = wild::address(arena, 0x34_5678);
    within("a fault", FAULT_STACK, &mut || _ = wild::read(address));
    expect_violation(arena, ViolationKind::Read, address);

    // The first of its class, which takes pages, and a run of pages.
    within("an object", ALLOC_STACK, &mut || drop(black_box(Vec::<u8>::with_capacity(24 << 10))));
    within("a run", ALLOC_STACK, &mut || drop(black_box(Vec::<u8>::with_capacity(100 << 10))));
    let count = PageCount::new(100).expect("a count");
    let mut pages = Vec::with_capacity(1);
    within("alloc_pages", ALLOC_STACK, &mut || {
        pages.extend(arena.alloc_pages(AllocRequest::new(count, Owner::Kernel)));
    });
    within("free_pages", FREE_STACK, &mut || {
        arena.free_pages(pages[0].to_ptr(), count, Owner::Kernel).expect("they are ours");
    });
    within("a run where memory is short", SHORT_STACK, &mut || {
        for _ in 0..4 {
            drop(black_box(Vec::<u64>::with_capacity(1 << 20)));
        }
    });
    within("reclaim", FREE_STACK, &mut || _ = HEAP.reclaim());
}
