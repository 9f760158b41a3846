//! Many arenas in one registry: each is found by its own faults, and by no others, whatever came and went before it.

use std::collections::BTreeMap;

use kernel_arena::arch::Root;
use kernel_arena::arch::x86_64::X86_64;
use kernel_arena::kit::{Parts, Unnamed, Window};
use kernel_arena::platform::{CpuCount, FixedOffset, FlushScope, Shootdown};
use kernel_arena::{
    Access, AddressRange, AddressWidth, Arena, ArenaLayout, Fault, FaultOutcome, GUARD_SIZE, InstructionAddr,
    KernelAddr, RegisterError, Registration, Registry, WINDOW_SIZE,
};

use super::memory::{Memory, map};

/// No TLB is behind these tables.
struct Nobody;

impl Shootdown for Nobody {
    fn shootdown(&self, _ranges: &[AddressRange], _scope: FlushScope) {}
}

type Kernel = Parts<&'static Memory, FixedOffset, Nobody, Unnamed, Window<X86_64>>;
type Small = Registry<Kernel, ENTRIES, X86_64>;

const ENTRIES: usize = 8;
/// Three times as many, so that several look for their entries from the same one on.
const ARENAS: u64 = 24;
const FIRST: u64 = 0xffff_9010_0000_0000;

/// Windows that leave room for each other's guards, by regular steps and by others.
fn window(number: u64) -> u64 {
    FIRST + (2 * number + number * number / 8) * WINDOW_SIZE
}

fn create(memory: &'static Memory, root: Root, base: u64) -> &'static Arena<Kernel, X86_64> {
    let layout = ArenaLayout::fixed(base, AddressWidth::BITS_48, 16);
    // SAFETY: the root and what is below are tables of this test's, at the map's addresses.
    let window = unsafe { Window::link_below(root, &layout, memory, &map()) }.unwrap();
    // SAFETY: a process; the entries are this arena's alone.
    let kernel = unsafe { Parts::new(memory, map(), Nobody, Unnamed::new(CpuCount::ONE), window) };
    let metadata = Box::leak(Box::new_uninit_slice(layout.metadata_words()));
    Box::leak(Box::new(Arena::new(kernel, layout, metadata).unwrap()))
}

/// Faults in each arena's first and last page, its guard, and beside it, find the arenas that are registered and no others.
fn check(registry: &Small, arenas: &[&'static Arena<Kernel, X86_64>], registered: &BTreeMap<usize, Registration>) {
    let handle = |address: u64| {
        let fault =
            Fault { address: KernelAddr::new(address), access: Access::Write, instruction: InstructionAddr::new(0) };
        registry.handle_kernel_fault(&fault)
    };
    for (number, arena) in arenas.iter().enumerate() {
        let base = arena.layout().base().value();
        let violations = || arena.stats().violations;
        let before = violations();
        let places = [0, WINDOW_SIZE - 8, WINDOW_SIZE, WINDOW_SIZE + GUARD_SIZE - 8];
        let is_handled = |offset: &u64| handle(base + offset) != FaultOutcome::NotOurs;
        let expected = if registered.contains_key(&number) { places.len() } else { 0 };
        assert_eq!(places.iter().filter(|offset| is_handled(offset)).count(), expected, "arena {number}");
        assert_eq!(violations() - before, expected as u64, "arena {number} itself");
        assert_eq!([base - 8, base + WINDOW_SIZE + GUARD_SIZE].map(handle), [FaultOutcome::NotOurs; 2]);
        arena.reclaim();
    }
}

#[test]
fn each_of_many_arenas_is_found_by_its_own_faults_whatever_came_and_went() {
    let memory: &'static Memory = Box::leak(Box::new(Memory::of(1024)));
    let (_, root) = memory.root(48);
    let arenas: Vec<_> = (0..ARENAS).map(|number| create(memory, root, window(number))).collect();
    let registry = Small::new();
    let mut registered = BTreeMap::new();
    check(&registry, &arenas, &registered);

    let mut random = 1_u64;
    let mut next = |below: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % below
    };
    for _ in 0..200 {
        let number = next(arenas.len());
        match registered.remove(&number) {
            Some(registration) => registry.remove(registration).unwrap(),
            None if registered.len() == ENTRIES => {
                assert_eq!(registry.register_static(arenas[number]), Err(RegisterError::Full));
                let nth = next(ENTRIES);
                let taken_out = *registered.keys().nth(nth).unwrap();
                registry.remove(registered.remove(&taken_out).unwrap()).unwrap();
            }
            None => _ = registered.insert(number, registry.register_static(arenas[number]).unwrap()),
        }
        check(&registry, &arenas, &registered);
    }
}

#[test]
fn a_registry_without_room_is_full_and_finds_nothing() {
    let memory: &'static Memory = Box::leak(Box::new(Memory::of(64)));
    let (_, root) = memory.root(48);
    let arena = create(memory, root, FIRST);
    let registry = Registry::<Kernel, 0, X86_64>::new();
    assert_eq!(registry.register_static(arena), Err(RegisterError::Full));
    let fault = Fault { address: arena.layout().base(), access: Access::Write, instruction: InstructionAddr::new(0) };
    assert_eq!(registry.handle_kernel_fault(&fault), FaultOutcome::NotOurs);
}
