//! Several arenas, each of which gets its own faults.

use kernel_arena::{RegisterError, Registry};
use support::{KernelPlatform, probe_read_u64};

use crate::bench::{FIRST_PAGE, PAGES};
use crate::check::{Checked, equal};
use crate::claims::claims;
use crate::fault::{Faults, REGISTRY};
use crate::site::{END, GUARD, Site, page, pages};

claims! {
    a_fault_goes_to_the_arena_of_its_address,
    a_wild_store_in_one_arena_never_shows_in_another,
    reclaim_of_one_arena_leaves_another_alone,
    four_arenas_are_told_apart,
    a_removed_arena_is_not_helped_but_keeps_its_pages,
    an_arena_can_be_registered_again,
    a_full_registry_refuses_one_more,
}

/// N17.
fn a_fault_goes_to_the_arena_of_its_address(site: &Site<'_>) -> Checked {
    site.bench.with_arena(FIRST_PAGE, PAGES, |other| {
        for offset in [page(100), 0, 0x8000_0000, END, END + GUARD - 8] {
            site.reads(offset, 0, Faults::RECOVERED)?;
            equal("address", site.violation()?.address, site.address(offset))?;
            other.no_violation()?;
            other.writes(offset, 0, Faults::RECOVERED)?;
            equal("address", other.violation()?.address, other.address(offset))?;
            site.no_violation()?;
        }
        site.violations(5)?;
        other.violations(5)
    })
}

/// N8.
fn a_wild_store_in_one_arena_never_shows_in_another(site: &Site<'_>) -> Checked {
    site.bench.with_arena(FIRST_PAGE, PAGES, |other| {
        site.writes(page(100), 0xaaaa, Faults::RECOVERED)?;
        other.reads(page(100), 0, Faults::RECOVERED)?;
        other.reads(0x8000_0000, 0, Faults::RECOVERED)?;
        other.writes(page(100), 0xbbbb, Faults::NONE)?;
        site.reads(page(100), 0xaaaa, Faults::NONE)?;
        site.reads(page(200), 0xaaaa, Faults::RECOVERED)
    })
}

fn reclaim_of_one_arena_leaves_another_alone(site: &Site<'_>) -> Checked {
    site.bench.with_arena(FIRST_PAGE, PAGES, |other| {
        site.writes(page(100), 1, Faults::RECOVERED)?;
        other.writes(page(100), 2, Faults::RECOVERED)?;
        other.alloc_at(200, 1)?;
        other.defer(200, 1)?;
        site.arena.reclaim();
        site.reads(page(100), 0, Faults::RECOVERED)?;
        other.reads(page(100), 2, Faults::NONE)?;
        other.reads(page(200), 0, Faults::NONE)?;
        equal("still deferred", other.arena.stats().deferred_pages, 1)
    })
}

fn four_arenas_are_told_apart(site: &Site<'_>) -> Checked {
    site.bench.with_arena(1, 600, |second| {
        site.bench.with_arena(FIRST_PAGE, PAGES, |third| {
            site.bench.with_arena(1 << 19, 100, |fourth| {
                let all = [site, second, third, fourth];
                for (value, arena) in (1..).zip(all) {
                    arena.writes(0x10_0000, value, Faults::RECOVERED)?;
                }
                for (value, arena) in (1..).zip(all) {
                    arena.reads(0x10_0000, value, Faults::NONE)?;
                    arena.violations(1)?;
                }
                Ok(())
            })
        })
    })
}

fn a_removed_arena_is_not_helped_but_keeps_its_pages(site: &Site<'_>) -> Checked {
    let arena = site.bench.create(FIRST_PAGE, PAGES)?;
    // SAFETY: the arena stays where it is until `remove` below.
    let registration = unsafe { REGISTRY.register(&arena) }?;
    let probe = |offset: u64| {
        let address = arena.layout().base().value() + offset;
        // SAFETY: nothing that Rust knows of is in the window.
        unsafe { probe_read_u64(address) }
    };
    let allocated = arena.alloc_pages(pages(1));
    let before = Faults::so_far();
    let helped = probe(0x20_0000);
    let while_registered = Faults::so_far().since(before);
    REGISTRY.remove(registration).expect("no fault is in flight");
    let alone = (probe(0x30_0000), probe(0x8000_0000), probe(0x1_0000), probe(0x20_0000));
    let after_removal = Faults::so_far().since(before);
    let violations = arena.stats().violations;
    site.bench.destroy(arena)?;
    allocated?;
    equal("registered", (helped, while_registered), (Some(0), Faults::RECOVERED))?;
    // Missing pages are declined; an allocated one, and one with scratch, are as they were.
    equal("removed", alone, (None, None, Some(0), Some(0)))?;
    equal("faults", after_removal, Faults { taken: 3, declined: 2 })?;
    equal("violations", violations, 1)
}

fn an_arena_can_be_registered_again(site: &Site<'_>) -> Checked {
    let arena = site.bench.create(FIRST_PAGE, PAGES)?;
    let mut seen = [None; 3];
    for (round, value) in (0..).zip(&mut seen) {
        // SAFETY: the arena stays where it is until `remove` below.
        let registration = unsafe { REGISTRY.register(&arena) }?;
        let address = arena.layout().base().value() + 0x10_0000 + round * 0x1000;
        // SAFETY: nothing that Rust knows of is in the window.
        *value = unsafe { probe_read_u64(address) };
        REGISTRY.remove(registration).expect("no fault is in flight");
    }
    let violations = arena.stats().violations;
    site.bench.destroy(arena)?;
    equal("reads", seen, [Some(0); 3])?;
    equal("violations", violations, 3)
}

fn a_full_registry_refuses_one_more(site: &Site<'_>) -> Checked {
    let registry: Registry<KernelPlatform, 1> = Registry::new();
    // SAFETY: the arena outlives this claim, and the registration is taken back below.
    let first = unsafe { registry.register(site.arena) }?;
    // SAFETY: as above; it is refused.
    let second = unsafe { registry.register(site.arena) };
    let refusal = second.err();
    registry.remove(first).expect("no fault is in flight");
    // SAFETY: as above; it is removed at once.
    let third = unsafe { registry.register(site.arena) }?;
    registry.remove(third).expect("no fault is in flight");
    equal("one more", refusal, Some(RegisterError::Full))
}
