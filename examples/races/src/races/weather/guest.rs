//! A timer's handler in heavy weather: it comes in the midst of anything, and takes, frees and faults in any context.
//!
//! It makes no text and takes nothing from the kernel's own heap, whose lock the code that it has interrupted may hold.

use core::alloc::Layout;
use core::cell::{Cell, RefCell};
use core::sync::atomic::{AtomicPtr, Ordering};

use kernel_arena::{AllocRequest, Context, Owner};
use support::{MAX_CPUS, Random, arm_timer, cpu_id, disarm_timer, fault_level};

use super::blocks::{Block, Damage};
use super::{Deeds, Weather};
use crate::check::{Checked, Failure};
use crate::races::churn::{CANARIES, any_page, canary, named};
use crate::site::{page, pages};

/// The handler of one CPU, and what it has.
pub(super) struct Guest<'a, 'w> {
    weather: &'a Weather<'w>,
    random: RefCell<Random>,
    page: Cell<Option<u32>>,
    blocks: RefCell<[Option<Block>; 8]>,
    damage: Cell<Option<Damage>>,
}

impl<'a, 'w> Guest<'a, 'w> {
    pub(super) fn new(weather: &'a Weather<'w>, seed: u64) -> Self {
        Self {
            weather,
            random: RefCell::new(Random::new(seed >> 1)),
            page: Cell::new(None),
            blocks: RefCell::default(),
            damage: Cell::new(None),
        }
    }

    /// What happens at a tick.
    fn tick(&self) {
        // One tick in the midst of another, on a machine that lets it, would be none of these.
        if fault_level() != 1 || self.damage.get().is_some() {
            return;
        }
        Deeds::add(&self.weather.deeds.ticks);
        let mut random = self.random.borrow_mut();
        self.damage.set(self.visit(&mut random).err());
        arm_timer(50 + random.below(2000));
    }

    fn visit(&self, random: &mut Random) -> Result<(), Damage> {
        match random.below(4) {
            0 => self.give_page()?,
            1 => self.take_page()?,
            2 if random.one_in(2) => self.weather.visitors.look(random)?,
            2 => self.look(random)?,
            _ => {}
        }
        let place = random.index(8);
        if let Some(block) = self.blocks.borrow_mut()[place].take() {
            return block.give(self.weather);
        }
        let layout = [Layout::new::<[u64; 3]>(), Layout::new::<[u64; 16]>(), Layout::new::<[u64; 200]>()];
        self.blocks.borrow_mut()[place] = Block::of_heap(self.weather, layout[random.index(3)], random.bits());
        Ok(())
    }

    fn take_page(&self) -> Result<(), Damage> {
        if self.page.get().is_some() {
            return Ok(());
        }
        let site = self.weather.site;
        let request = AllocRequest::new(pages(1), Owner::Kernel).in_context(Context::Any);
        let Ok(got) = site.alloc(request) else { return Ok(()) };
        let number = got.first().number();
        self.page.set(Some(number));
        for place in CANARIES.map(|place| page(number) + place) {
            if site.read(place) != Some(0) || !site.write(place, canary(number, cpu_id().number().into(), 0)) {
                return Err("a page that a handler was given is not zero, or not there");
            }
        }
        Ok(())
    }

    fn give_page(&self) -> Result<(), Damage> {
        let Some(number) = self.page.take() else { return Ok(()) };
        let site = self.weather.site;
        let word = canary(number, cpu_id().number().into(), 0);
        if CANARIES.iter().any(|place| site.read(page(number) + place) != Some(word)) {
            return Err("a handler's page does not hold what was written");
        }
        site.defer(number, 1, Owner::Kernel).map_err(|_| "a handler's page is refused")
    }

    /// A wild read, so that there is a fault in the handler.
    fn look(&self, random: &mut Random) -> Result<(), Damage> {
        let number = any_page(self.weather.site, random);
        match self.weather.site.read(page(number) + CANARIES[0]) {
            None => Err("a handler's read was given up"),
            Some(word) if word != 0 && named(word) != u64::from(number) => Err("a page shows another's canary"),
            Some(_) => Ok(()),
        }
    }

    /// Gives back what it has, when it comes no more.
    pub(super) fn end(self) -> Checked {
        let blocks = self.blocks.take().into_iter().flatten().try_for_each(|block| block.give(self.weather));
        let damage = self.damage.get().map_or(Ok(()), Err);
        damage.and(self.give_page()).and(blocks).map_err(Failure::new)
    }
}

/// What the timer's handler is on each CPU, a pointer to a `&dyn Fn()` on the stack of [`ticking`]; null if there is none.
static GUESTS: [AtomicPtr<()>; MAX_CPUS] = [const { AtomicPtr::new(core::ptr::null_mut()) }; MAX_CPUS];

/// Does something while a guest comes again and again on this CPU, as soon as it may be interrupted.
pub(super) fn ticking<R>(guest: &Guest<'_, '_>, action: impl FnOnce() -> R) -> R {
    let slot = &GUESTS[usize::from(cpu_id().number())];
    let tick = || guest.tick();
    let tick: &dyn Fn() = &tick;
    slot.store((&raw const tick).cast_mut().cast(), Ordering::Relaxed);
    arm_timer(20);
    let result = action();
    // One that is still on its way finds nobody.
    slot.store(core::ptr::null_mut(), Ordering::Relaxed);
    disarm_timer();
    result
}

/// The kernel's interrupt handler.
pub(super) fn ticked() {
    let tick = GUESTS[usize::from(cpu_id().number())].load(Ordering::Relaxed).cast_const().cast::<&dyn Fn()>();
    if !tick.is_null() {
        // SAFETY: `ticking` stored it on this CPU, which is inside it.
        let tick = unsafe { *tick };
        tick();
    }
}
