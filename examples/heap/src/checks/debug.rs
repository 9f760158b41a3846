//! The debug mode: mistakes of the kernel's own code, made in the window and found there.

use alloc::format;
use alloc::vec::Vec;
use core::alloc::Layout;

use kernel_arena::slab::{Mode, Slab};
use kernel_arena::source::{ArenaPages, FrameMetadata};
use kernel_arena::{ArenaPtr, Misuse, ViolationKind};

use super::{Told, checks};
use crate::bench::{Kind, Site, violations};
use crate::check::{Checked, Failure, equal, holds};
use crate::memory::{Books, KernelArena, Pages};

checks! {
    debug_mode_finds_a_double_free,
    debug_mode_finds_a_write_beyond_the_end,
    debug_mode_finds_a_write_after_the_free,
    debug_mode_finds_a_free_of_another_size,
    debug_mode_never_hands_out_again_what_was_damaged,
    debug_mode_says_nothing_about_those_who_make_no_mistakes,
}

type ArenaSlab<'a> = Slab<Pages<'a>, Books<'a>>;

/// A slab in debug mode, with the arena it stands on.
struct Watched<'a> {
    arena: &'a KernelArena,
    slab: ArenaSlab<'a>,
}

/// Lets `body` have one; it tells how many objects are to be out in the end.
fn watch(site: &Site, body: impl FnOnce(&Watched<'_>) -> Result<u64, Failure>) -> Told {
    site.with_arena(Kind::Private, 512, |arena| {
        let slab = Slab::new(ArenaPages::new(arena), FrameMetadata::new(arena.platform()), Mode::Debug)?;
        let watched = Watched { arena, slab };
        let outcome = body(&watched);
        let left = watched.slab.destroy();
        equal("objects that stay out", left.objects, outcome?)
    })?;
    super::nothing()
}

impl Watched<'_> {
    fn alloc(&self, size: usize) -> Result<ArenaPtr, Failure> {
        Ok(self.slab.alloc(layout(size)?)?)
    }

    /// Gives an object back, rightly or not.
    fn free(&self, object: ArenaPtr, size: usize) -> Checked {
        let layout = layout(size)?;
        // SAFETY: rightly, or it is a mistake that this mode finds before it changes anything, which is the test.
        unsafe { self.slab.free(object, layout) };
        Ok(())
    }

    /// Writes a byte of an object, or beside it.
    fn write(&self, object: ArenaPtr, place: usize) {
        // SAFETY: the arena's page is there; what lies beside the object is nobody's that could mind.
        unsafe { self.slab.to_kernel(object).wrapping_add(place).write_volatile(0x77) };
    }

    /// Just this has been recorded since the last time.
    fn recorded(&self, expected: &[(ArenaPtr, Misuse)]) -> Checked {
        let base = self.arena.layout().base().value();
        let found: Vec<_> = violations(self.arena).map(|found| (found.address.value(), found.kind)).collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|(at, misuse)| (base + u64::from(at.offset()), ViolationKind::Object(*misuse)))
            .collect();
        equal("what was recorded", found, expected)
    }
}

fn layout(size: usize) -> Result<Layout, Failure> {
    Layout::from_size_align(size, 8).map_err(|_| Failure::new("no such layout"))
}

fn debug_mode_finds_a_double_free(site: &Site) -> Told {
    watch(site, |watched| {
        for size in [1, 8, 100, 5000] {
            let object = watched.alloc(size)?;
            watched.free(object, size)?;
            watched.recorded(&[])?;
            watched.free(object, size)?;
            watched.recorded(&[(object, Misuse::NotLive)])?;
        }
        Ok(0)
    })
}

fn debug_mode_finds_a_write_beyond_the_end(site: &Site) -> Told {
    watch(site, |watched| {
        let mut damaged = 0;
        for size in [1, 7, 8, 61, 100, 5000] {
            for beyond in [0, 1, 7] {
                let object = watched.alloc(size)?;
                watched.write(object, size - 1);
                watched.write(object, size + beyond);
                watched.free(object, size)?;
                watched.recorded(&[(object, Misuse::Overrun)])?;
                damaged += 1;
            }
        }
        Ok(damaged)
    })
}

fn debug_mode_finds_a_write_after_the_free(site: &Site) -> Told {
    watch(site, |watched| {
        for (size, place) in [(8, 0), (8, 7), (100, 50), (5000, 4999)] {
            let object = watched.alloc(size)?;
            watched.free(object, size)?;
            watched.write(object, place);
            watched.recorded(&[])?;
            // It leaves quarantine when that is emptied, or when so many others were freed.
            if size == 8 {
                watched.slab.drain();
            } else {
                for _ in 0..64 {
                    let other = watched.alloc(32)?;
                    watched.free(other, 32)?;
                }
            }
            watched.recorded(&[(object, Misuse::WrittenAfterFree)])?;
        }
        Ok(4)
    })
}

fn debug_mode_finds_a_free_of_another_size(site: &Site) -> Told {
    watch(site, |watched| {
        let object = watched.alloc(100)?;
        watched.free(object, 1000)?;
        watched.recorded(&[(object, Misuse::WrongSize)])?;
        let other = watched.alloc(100)?;
        watched.free(other.cast(), 100)?;
        watched.recorded(&[])?;
        let inside = ArenaPtr::new(other.offset() + 8).unwrap();
        watched.free(inside, 100)?;
        watched.recorded(&[(inside, Misuse::NotAtStart)])?;
        // The first one is nobody's any more.
        Ok(1)
    })
}

fn debug_mode_never_hands_out_again_what_was_damaged(site: &Site) -> Told {
    watch(site, |watched| {
        let damaged = watched.alloc(40)?;
        watched.write(damaged, 40);
        watched.free(damaged, 40)?;
        watched.recorded(&[(damaged, Misuse::Overrun)])?;
        let mut others = Vec::new();
        while let Ok(object) = watched.alloc(40) {
            holds("it is another", object != damaged)?;
            others.push(object);
        }
        holds("everything else was handed out", others.len() > 10_000)?;
        for object in others {
            watched.free(object, 40)?;
        }
        watched.recorded(&[])?;
        Ok(1)
    })
}

fn debug_mode_says_nothing_about_those_who_make_no_mistakes(site: &Site) -> Told {
    let steps = site.of((1500, 10_000));
    watch(site, |watched| {
        site.on_all(|player| {
            let mut held = Vec::with_capacity(32);
            for _ in 0..steps {
                let random = &mut player.random;
                if held.len() < 32 && random.one_in(2) {
                    let size = 1 + random.below(600) as usize;
                    let object = watched.alloc(size)?;
                    watched.write(object, 0);
                    watched.write(object, size - 1);
                    held.push((object, size));
                } else if !held.is_empty() {
                    let (object, size) = held.swap_remove(random.index(held.len()));
                    watched.free(object, size)?;
                }
            }
            held.into_iter().try_for_each(|(object, size)| watched.free(object, size))
        })?;
        watched.recorded(&[])?;
        equal("misuses", watched.slab.stats().misuses, 0)?;
        Ok(0)
    })?;
    Ok(format!("{steps} steps on each CPU"))
}
