//! Faults: what one takes beyond a handler that knows everything beforehand.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::hint::black_box;
use core::sync::atomic::{AtomicU64, Ordering};

use kernel_arena::platform::{FlushScope, Shootdown};
use kernel_arena::{
    Access, AddressRange, Fault, FaultOutcome, InstructionAddr, KernelAddr, PAGE_SIZE, Platform as _, Registration,
    Registry, VirtAddr,
};
use support::check::{Failure, equal, holds};
use support::{
    ARCHITECTURE, FaultAction, FaultFrame, PHYSICAL_MAP, exceptions_taken, probe_read_u64, set_fault_handler,
};

use super::{Case, shared};
use crate::fault;
use crate::site::{KernelArena, Platform, Site, Upper};
use crate::steady::{count, steady};

pub(super) const CASES: &[Case] = &[
    shared("faults::recovered_by_the_arena_alone", |site| {
        fault::ARENA.store(core::ptr::from_ref(site.arena).cast_mut(), Ordering::Relaxed);
        recovered(site, fault::alone)
    }),
    shared("faults::recovered_in_a_registry_of_1", |site| {
        in_registry(site, &fault::OF_1, || recovered(site, fault::of_1))
    }),
    shared("faults::recovered_in_a_registry_of_8", |site| {
        in_registry(site, &fault::OF_8, || recovered(site, fault::of_8))
    }),
    shared("faults::recovered_in_a_registry_of_64", |site| {
        in_registry(site, &fault::OF_64, || recovered(site, fault::of_64))
    }),
    shared("faults::recovered_in_a_registry_of_64_half_full", |site| {
        among(site, &fault::OF_64, 31, || recovered(site, fault::of_64))
    }),
    shared("faults::not_ours_in_a_registry_of_64", |site| {
        in_registry(site, &fault::OF_64, || not_ours(site, fault::of_64))
    }),
    shared("faults::already_mapped_in_a_registry_of_64", |site| {
        in_registry(site, &fault::OF_64, || already_mapped(site, &fault::OF_64))
    }),
    shared("faults::of_these_decoding", decoding),
];

/// The first of the pages whose faults are counted, all in one table.
const FIRST: u32 = 600;
/// Reads a word whose page is not there; the instructions from before the access to after it.
fn touch(address: u64) -> Result<u64, Failure> {
    let before = exceptions_taken();
    // SAFETY: nothing that Rust knows of is in the window.
    let (counted, read) = count(|| unsafe { probe_read_u64(address) });
    equal("what is read", read, Some(0))?;
    equal("faults", exceptions_taken() - before, 1)?;
    Ok(counted)
}

fn recovered(site: &Site<'_>, handler: fn(&FaultFrame) -> FaultAction) -> Result<u64, Failure> {
    set_fault_handler(handler);
    let whole = steady(|number| {
        let counted = touch(site.address(FIRST + number))?;
        holds("the violation is recorded", site.arena.take_violation().is_some())?;
        Ok(counted)
    })?;
    // What stands in a slot after that is what a slot is to hold.
    let filled = slot(site, FIRST)?.load(Ordering::Relaxed);
    let (slot, address) = (slot(site, FIRST + 100)?, site.address(FIRST + 100));
    let vacant = slot.load(Ordering::Relaxed);
    holds("one slot is filled, the other vacant", filled & 1 == 1 && vacant & 1 == 0)?;
    fault::ENTRY.store(filled, Ordering::Relaxed);
    fault::SLOT.store(core::ptr::from_ref(slot).cast_mut(), Ordering::Relaxed);
    set_fault_handler(fault::store);
    let least = steady(|_| {
        let counted = touch(address)?;
        slot.store(vacant, Ordering::Relaxed);
        let page = AddressRange::new(VirtAddr::new(address), PAGE_SIZE);
        site.arena.platform().shootdown().shootdown(&[page], FlushScope::Leaves);
        Ok(counted)
    })?;
    Ok(whole - least)
}

/// The slot of a page, found as the processor finds it.
fn slot<'a>(site: &Site<'a>, page: u32) -> Result<&'a AtomicU64, Failure> {
    const FRAME: u64 = 0xffff_ffff_f000;
    let entry = |table: u64, index: u32| {
        let address = PHYSICAL_MAP + (table & FRAME) + 8 * u64::from(index);
        // SAFETY: tables of the arena, which is there as long; they are words that are only ever accessed atomically.
        unsafe { &*core::ptr::with_exposed_provenance::<AtomicU64>(usize::try_from(address).expect("64 bits")) }
    };
    let [gib, ..] = site.window.entries();
    let directory = entry(gib, page >> 9).load(Ordering::Relaxed);
    holds("there are tables", gib & directory & 1 == 1)?;
    Ok(entry(directory, page & 511))
}

fn not_ours(site: &Site<'_>, handler: fn(&FaultFrame) -> FaultAction) -> Result<u64, Failure> {
    // Between this window's upper guard and whatever comes next.
    let address = site.address(0) + (4 << 30) + (16 << 20);
    let give_up = |handler| {
        set_fault_handler(handler);
        steady(|_| {
            // SAFETY: as above.
            let (counted, read) = count(|| unsafe { probe_read_u64(address) });
            equal("what is read", read, None)?;
            Ok(counted)
        })
    };
    Ok(give_up(handler)? - give_up(fault::skip)?)
}

/// What the processor says about a fault becomes what an arena understands.
fn decoding(site: &Site<'_>) -> Result<u64, Failure> {
    let syndrome = if ARCHITECTURE == "x86_64" { 0 } else { 0x9600_0007 };
    let frame = FaultFrame { address: site.address(FIRST), syndrome, instruction: 1, from_user: false };
    steady(|_| {
        let (counted, fault) = count(|| black_box(&frame).decode());
        equal("the address", fault.map(|fault| fault.address.value()), Some(frame.address))?;
        Ok(counted)
    })
}

/// As when another CPU was faster: the handler's call alone.
fn already_mapped(site: &Site<'_>, registry: &Registry<Platform, 64>) -> Result<u64, Failure> {
    let page = site.alloc(1)?;
    let address = KernelAddr::new(site.address(page.first().number()));
    let fault = Fault { address, access: Access::Read, instruction: InstructionAddr::new(1) };
    let counted = steady(|_| {
        let (counted, outcome) = count(|| registry.handle_kernel_fault(&fault));
        equal("the outcome", outcome, FaultOutcome::Spurious)?;
        Ok(counted)
    })?;
    site.free(page)?;
    Ok(counted)
}

/// Does something while the arena is the last in a registry that is full, or has as many as there is room for.
fn in_registry<const N: usize>(
    site: &Site<'_>,
    registry: &'static Registry<Platform, N>,
    action: impl FnOnce() -> Result<u64, Failure>,
) -> Result<u64, Failure> {
    among(site, registry, N - 1, action)
}

/// The same beside so many others.
fn among<const N: usize>(
    site: &Site<'_>,
    registry: &'static Registry<Platform, N>,
    others: usize,
    action: impl FnOnce() -> Result<u64, Failure>,
) -> Result<u64, Failure> {
    let bases = Upper::others(site.address(0)).take(others);
    let mut others: Vec<(&'static mut KernelArena, Registration)> = Vec::new();
    for base in bases {
        let arena = Box::leak(Box::new(site.ground.other(KernelAddr::new(base))?));
        // SAFETY: it is removed below before it goes, or the kernel fails and ends.
        let registration = unsafe { registry.register(arena) }?;
        others.push((arena, registration));
    }
    // SAFETY: as above.
    let last = unsafe { registry.register(site.arena) }?;
    let counted = action();
    set_fault_handler(fault::skip);
    let gone = || Failure::new("a fault is in flight");
    registry.remove(last).map_err(|_| gone())?;
    // Tables that several are below were made for the first.
    for (arena, registration) in others.into_iter().rev() {
        registry.remove(registration).map_err(|_| gone())?;
        // SAFETY: it was leaked, and is in no registry any more.
        let arena = unsafe { Box::from_raw(arena) };
        site.ground.end(*arena)?;
    }
    counted
}
