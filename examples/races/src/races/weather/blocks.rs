//! Blocks of the pool and of the heap that know what was written into them.

use core::alloc::Layout;
use core::ptr::NonNull;

use kernel_arena::ArenaPtr;
use support::Random;

use super::Weather;

/// What was wrong. No text that would have to be made: handlers say it, too.
pub(super) type Damage = &'static str;

/// Where a block is from.
#[derive(Clone, Copy, Debug)]
enum Home {
    Heap,
    Pool(ArenaPtr),
}

/// A block that somebody has.
#[derive(Debug)]
pub(super) struct Block {
    at: NonNull<u8>,
    layout: Layout,
    mark: u64,
    home: Home,
}

/// A layout of at least eight bytes: mostly small, now and then some pages.
fn any_layout(random: &mut Random) -> Option<Layout> {
    let most = [200, 200, 200, 2000, 5000, 60_000][random.index(6)];
    let align = 8 << random.below(5);
    Layout::from_size_align(8 + random.below(most) as usize, align).ok()
}

impl Block {
    /// A block of the heap, unless it refuses.
    pub(super) fn of_heap(weather: &Weather<'_>, layout: Layout, mark: u64) -> Option<Self> {
        let at = weather.heap.try_alloc(layout).ok()?;
        Some(Self { at, layout, mark, home: Home::Heap }.filled())
    }

    /// Any block of the heap or the pool, unless it refuses.
    pub(super) fn any(weather: &Weather<'_>, random: &mut Random) -> Option<Self> {
        let (layout, mark) = (any_layout(random)?, random.bits());
        if random.one_in(2) {
            return Self::of_heap(weather, layout, mark);
        }
        let ptr = weather.pool.alloc(layout).ok()?;
        let at = NonNull::new(weather.pool.to_kernel::<u8>(ptr.cast()))?;
        Some(Self { at, layout, mark, home: Home::Pool(ptr) }.filled())
    }

    /// Its first and its last eight bytes.
    fn ends(&self) -> [*mut u64; 2] {
        [0, self.layout.size() - 8].map(|place| self.at.as_ptr().wrapping_add(place).cast())
    }

    fn filled(self) -> Self {
        for end in self.ends() {
            // SAFETY: the block is ours, and has eight bytes there.
            unsafe { end.write_unaligned(self.mark) };
        }
        self
    }

    /// Gives it back, if it holds what was written.
    pub(super) fn give(self, weather: &Weather<'_>) -> Result<(), Damage> {
        // SAFETY: the block is ours, and was written there.
        let read = |end: *mut u64| unsafe { end.read_unaligned() };
        // The second was written last, and may overlap the first.
        let [first, last] = self.ends();
        if read(last) != self.mark || (self.layout.size() >= 16 && read(first) != self.mark) {
            return Err("a block does not hold what was written: two have it");
        }
        match self.home {
            // SAFETY: it came from there with this layout, and is given once.
            Home::Heap => unsafe { weather.heap.free(self.at, self.layout) },
            Home::Pool(ptr) => {
                weather.pool.free(ptr, self.layout.size()).map_err(|_| "the pool refuses its own block")?;
            }
        }
        Ok(())
    }
}
