//! One CPU's part in heavy weather: any operation of all that there are, in any order.

use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use kernel_arena::groups::{DisableError, EnableError};
use kernel_arena::masks::MaskIds;
use kernel_arena::views::FaultPolicy;
use kernel_arena::{AllocRequest, ArenaPtr, Owner};
use support::Random;

use super::blocks::Block;
use super::users::{self, Guarded};
use super::{Deeds, Weather, bytecode};
use crate::check::{Checked, Failure, equal, holds};
use crate::play::Player;
use crate::races::churn::{self, Tale, Way};
use crate::races::views::own_a_page;
use crate::site::{address_in, page, pages, pointer, read_in, write_in};
use crate::tally::{Event, count};

/// The most blocks that a CPU keeps.
const MOST_BLOCKS: usize = 32;
/// Pages outside of every extent, for wild accesses: one for each CPU from here on.
const WILD: u32 = 6000;

/// One CPU's part.
pub(super) struct Part<'a, 'w, 'b, 'c> {
    weather: &'a Weather<'w>,
    random: Random,
    /// Pages of the race's arena.
    churn: churn::Part<'c, 'b>,
    blocks: Vec<Block>,
    guarded: Option<Guarded>,
}

impl<'a, 'w, 'b, 'c> Part<'a, 'w, 'b, 'c> {
    pub(super) fn new(weather: &'a Weather<'w>, tale: &'c Tale, player: &'c mut Player<'b>) -> Self {
        let random = Random::new(player.random.bits() >> 1);
        let churn = churn::Part::new(player, tale, Way::Either);
        Self { weather, random, churn, blocks: Vec::with_capacity(MOST_BLOCKS), guarded: None }
    }

    /// One thing.
    pub(super) fn step(&mut self) -> Checked {
        match self.random.below(64) {
            0..=25 => self.churn.step(),
            26..=38 => self.block(),
            39..=42 => self.program_page(),
            43..=46 => self.call(),
            47..=49 => self.reserve(),
            50 => self.wild(),
            51 => self.come_or_go(),
            52 => self.enable_or_disable(),
            53 => self.tidy(),
            54..=55 => self.bytecode(),
            56 => self.weather.users.run(self.churn.player.number, &mut self.random),
            57 => self.guard(),
            58 => self.weather.users.come_or_go(&mut self.random),
            59..=61 => self.weather.visitors.look(&mut self.random).map_err(Failure::new),
            62 => self.weather.visitors.come_or_go(self.weather.site, &mut self.random),
            _ => Ok(()),
        }
    }

    /// Gives all back.
    pub(super) fn end(mut self) -> Checked {
        let (pages, blocks) = (self.churn.end(), self.give_blocks());
        let guarded = self.guarded.take().map_or(Ok(()), |page| page.give(&self.weather.users, &mut self.random));
        pages.and(blocks).and(guarded)
    }

    fn give_blocks(&mut self) -> Checked {
        self.blocks.drain(..).try_for_each(|block| block.give(self.weather)).map_err(Failure::new)
    }

    /// Takes a block or gives one, now and then all.
    fn block(&mut self) -> Checked {
        if self.random.one_in(128) {
            return self.give_blocks();
        }
        if self.blocks.len() == MOST_BLOCKS || (self.random.one_in(2) && !self.blocks.is_empty()) {
            let place = self.random.index(self.blocks.len());
            return self.blocks.swap_remove(place).give(self.weather).map_err(Failure::new);
        }
        let Some(block) = Block::any(self.weather, &mut self.random) else {
            Deeds::add(&self.weather.deeds.refusals);
            return Ok(());
        };
        Deeds::add(&self.weather.deeds.blocks);
        self.blocks.push(block);
        Ok(())
    }

    /// A page that a program asks for, or touches.
    fn program_page(&mut self) -> Checked {
        let weather = self.weather;
        own_a_page(self.churn.player, weather.shown, weather.rights, &weather.id, &weather.sums)
    }

    /// The view comes, or goes.
    fn come_or_go(&mut self) -> Checked {
        let weather = self.weather;
        let Some(_turn) = weather.turn.try_lock() else { return Ok(()) };
        if weather.shown.is_attached() {
            return weather.shown.detach();
        }
        *weather.id.lock() = Some(weather.shown.attach(weather.rights, FaultPolicy::Lazy)?);
        Deeds::add(&weather.deeds.views);
        Ok(())
    }

    /// The group comes, or goes, perhaps thrown out first.
    fn enable_or_disable(&mut self) -> Checked {
        let weather = self.weather;
        let Some(mut is_enabled) = weather.is_enabled.try_lock() else { return Ok(()) };
        if *is_enabled {
            if self.random.one_in(2) {
                weather.group.eject();
            }
            match weather.group.disable(|_| ()) {
                Ok(()) => *is_enabled = false,
                // Whoever comes next tries again.
                Err(DisableError::Busy { .. }) => {}
                Err(error) => return Err(error.into()),
            }
            return Ok(());
        }
        let ids = MaskIds::new(64 + self.random.below(1000)).ok_or_else(|| Failure::new("no such number of ids"))?;
        match weather.group.enable(ids, |_| Ok::<(), &str>(())) {
            Ok(()) => {
                *is_enabled = true;
                Deeds::add(&weather.deeds.groups);
            }
            Err(EnableError::Busy | EnableError::Masks(_)) => Deeds::add(&weather.deeds.refusals),
            Err(error) => return Err(Failure::new(alloc::format!("{error}"))),
        }
        Ok(())
    }

    /// A call of a program of the group, if it is there: its mask is nobody else's, and it may go wild.
    fn call(&mut self) -> Checked {
        let weather = self.weather;
        let Some(call) = weather.group.enter(1) else { return Ok(()) };
        Deeds::add(&weather.deeds.calls);
        let mask = call.mask().ok_or_else(|| Failure::new("this CPU has no mask"))?;
        let memory = weather.common.memory()?;
        let bits = self.random.bits();
        mask.set(&memory, [bits]).map_err(|_| Failure::new("a mask's page is gone"))?;
        let word = ArenaPtr::<u64>::new(mask.ptr().offset() + 16).ok_or_else(|| Failure::new("null"))?;
        let seen = memory.try_load(word).map_err(|_| Failure::new("a mask's page is gone"))?;
        equal("what this CPU has written in its mask", seen, bits)?;
        if self.random.one_in(16) {
            return self.goes_wild();
        }
        Ok(())
    }

    /// A wild write outside of the common arena's extent.
    fn goes_wild(&self) -> Checked {
        let place = page(WILD + self.churn.player.number);
        holds("a wild write is let go on", write_in(address_in(self.weather.common, place), 0))
    }

    /// A run of bytecode in the race's arena.
    fn bytecode(&mut self) -> Checked {
        let weather = self.weather;
        let Some(holes) = bytecode::run(weather.site, self.churn.player.number, &mut self.random)? else {
            Deeds::add(&weather.deeds.refusals);
            return Ok(());
        };
        Deeds::add(&weather.deeds.bytecode);
        weather.deeds.holes.fetch_add(holes, Ordering::Relaxed);
        Ok(())
    }

    /// Takes a page among those of programs, or gives it back.
    fn guard(&mut self) -> Checked {
        let users = &self.weather.users;
        if let Some(guarded) = self.guarded.take() {
            return guarded.give(users, &mut self.random);
        }
        self.guarded = Guarded::take(users, &mut self.random)?;
        match self.guarded {
            Some(_) => Deeds::add(&self.weather.deeds.guarded),
            None => Deeds::add(&self.weather.deeds.refusals),
        }
        Ok(())
    }

    /// A wild read of the heap's pages, or of the programs', or a wild write beside the common ones.
    fn wild(&mut self) -> Checked {
        match self.random.below(4) {
            0 => return users::wild(&self.weather.users, &mut self.random),
            1 | 2 => return self.goes_wild(),
            _ => {}
        }
        let arena = self.weather.heap.slab().map(|slab| slab.source().arena());
        let arena = arena.ok_or_else(|| Failure::new("the heap has no memory"))?;
        let extent = arena.layout().extent();
        let number = extent.first().number() + self.random.below(extent.count().get());
        let read = read_in(address_in(arena, page(number)));
        holds("a wild read of the heap's pages is let go on", read.is_some())
    }

    /// Reserves pages of the common arena, and allocates them or not; they are free again at last.
    fn reserve(&mut self) -> Checked {
        let common = self.weather.common;
        let (first, number) = (16 + self.random.below(180), pages(1 + self.random.below(4)));
        let at = pointer(first);
        count(Event::Operation);
        if common.reserve_pages(at, number, Owner::Kernel).is_err() {
            Deeds::add(&self.weather.deeds.refusals);
            return Ok(());
        }
        Deeds::add(&self.weather.deeds.reservations);
        let request = AllocRequest::new(number, Owner::Kernel).in_reservation(at);
        if self.random.one_in(2) && common.alloc_pages(request).is_ok() {
            let stamp = address_in(common, page(first));
            holds("a page that was reserved is written", write_in(stamp, 1))?;
        }
        match self.random.one_in(2) {
            true => common.free_pages(at, number, Owner::Kernel)?,
            false => common.free_pages_deferred(at, number, Owner::Kernel)?,
        }
        Ok(())
    }

    /// Has pages back that are queued, or not needed.
    fn tidy(&mut self) -> Checked {
        match self.random.below(8) {
            0 => _ = self.weather.heap.reclaim(),
            1 => _ = self.weather.heap.drain(),
            2 => _ = self.weather.pool.reclaim(),
            3 => _ = self.weather.common.reclaim(),
            _ => self.weather.users.reclaim(),
        }
        Ok(())
    }
}
