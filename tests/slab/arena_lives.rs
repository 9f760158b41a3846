//! Random lives on arenas of the software machine, in all formats, with wild accesses in between and whole other
//! allocators in the middle of operations. Contents are written and read by the machine's CPUs.

use std::collections::BTreeMap;

use kernel_arena::slab::{SizeClass, Slab, SlabError};
use kernel_arena::source::{MetadataSource, PageSource};
use kernel_arena::{AllocError, ArenaPtr};
use proptest::test_runner::TestRunner;

use super::arena::slab_on;
use super::tasks::{CPUS, How, Place, Step, Turn, config, life};
use crate::machine::{Format, Machine, TlbMode};

const PAGES: u32 = 96;
/// Objects of a turn, at most: machines are slow.
const MANY: usize = 12;

struct Life<'m, F: Format, S, M> {
    m: &'m Machine<F>,
    slab: &'m Slab<S, M>,
    objects: BTreeMap<u32, Held>,
    marks: u64,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    layout: std::alloc::Layout,
    checked: bool,
    mark: u64,
}

impl<F: Format, S: PageSource, M: MetadataSource> Life<'_, F, S, M> {
    fn at<R>(&self, place: Place, run: impl FnOnce() -> R) -> R {
        match place {
            Some((cpu, _)) => self.m.on_cpu(cpu.into(), run),
            None => self.m.nameless(run),
        }
    }

    fn alloc(&mut self, place: Place, layout: std::alloc::Layout, how: How) -> Result<(), SlabError> {
        let checked = how == How::Checked;
        let take = || if checked { self.slab.alloc_checked(layout) } else { self.slab.alloc(layout) };
        let at = match self.at(place, take) {
            Ok(at) => at,
            Err(
                error @ (SlabError::Pages(AllocError::NoSpace(_) | AllocError::Busy(_) | AllocError::OutOfFrames)
                | SlabError::OutOfMetadata
                | SlabError::TooLarge),
            ) => return Err(error),
            Err(error) => panic!("{error}"),
        };
        let (start, end) = (at.offset(), at.offset() + u32::try_from(layout.size()).unwrap());
        assert_eq!(u64::from(start) % layout.align() as u64, 0);
        let below = self.objects.range(..end).next_back();
        assert!(
            below.is_none_or(|(at, held)| at + u32::try_from(held.layout.size()).unwrap() <= start),
            "{at:?} overlaps"
        );
        self.marks += 1;
        self.objects.insert(start, Held { layout, checked, mark: self.marks });
        for word in words(start, layout) {
            self.m.write(0, word, self.marks).unwrap();
        }
        Ok(())
    }

    fn free(&mut self, place: Place, at: u32) {
        let held = self.objects.remove(&at).unwrap();
        for word in words(at, held.layout) {
            assert_eq!(self.m.read(1, word), Ok(held.mark), "{held:?} at {at:#x}");
        }
        let object = ArenaPtr::new(at).unwrap();
        self.at(place, || match held.checked {
            true => self.slab.free_checked(Some(object)).unwrap(),
            // SAFETY: taken with this layout, says the map.
            false => unsafe { self.slab.free(object, held.layout) },
        });
    }

    fn act(&mut self, place: Place, turn: &Turn) {
        match *turn {
            Turn::Alloc(layout, how, count) => {
                let refused = (0..count.min(MANY)).find_map(|_| self.alloc(place, layout, how).err());
                // One that nobody interrupts finds what slabs have. What lacks bookkeeping does not need to: a checked object
                // takes some after it was found.
                let class = SizeClass::of(layout).filter(|_| matches!(refused, Some(SlabError::Pages(_))));
                if let (Some(class), true) = (class, self.m.interrupted()) {
                    assert_eq!(self.slab.stats().classes[class.index()].free, 0, "{class:?}");
                }
            }
            Turn::Free(which, count) => {
                for _ in 0..count.min(MANY).min(self.objects.len()) {
                    let at = *self.objects.keys().nth(which % self.objects.len()).unwrap();
                    self.free(place, at);
                }
            }
            Turn::Drain => _ = self.at(place, || self.slab.drain()),
            Turn::Reclaim => _ = self.at(place, || self.slab.reclaim()),
            Turn::Scarce(scarce) => self.m.limit_frames(if scarce { self.m.frames_in_use() + 3 } else { 256 }),
        }
    }
}

/// The words of an object that are marked: its first and its last.
fn words(at: u32, layout: std::alloc::Layout) -> impl Iterator<Item = ArenaPtr> {
    let words = u32::try_from(layout.size() / 8).unwrap();
    [(words > 0, 0), (words > 1, words.saturating_sub(1) * 8)]
        .into_iter()
        .filter(|(there, _)| *there)
        .map(move |(_, offset)| ArenaPtr::new(at + offset).unwrap())
}

/// A whole allocator's life in the middle of another's operation, and a wild access.
fn intrude<F: Format>(m: &Machine<F>, wild: u64) {
    let _ = m.read(1, ArenaPtr::new(u32::try_from(wild % u64::from(PAGES) + 1).unwrap() << 12).unwrap());
    let metadata_may_run_out = || slab_on(m.arena());
    if m.frames_in_use() + 16 > 256 {
        return;
    }
    let slab = metadata_may_run_out();
    let object = slab.alloc_checked(super::bench::bytes(100));
    if let Ok(object) = object {
        assert_eq!(slab.free_checked(Some(object)), Ok(()));
    }
    assert_eq!(slab.destroy().objects, 0);
}

pub(super) fn play<F: Format>(steps: &[Step]) {
    let m = Machine::<F>::builder().cpus(CPUS).extent(1, PAGES).tlb(TlbMode::Random).build();
    let tables = m.frames_in_use();
    let slab = slab_on(m.arena());
    let mut life = Life { m: &m, slab: &slab, objects: BTreeMap::new(), marks: 0 };
    for step in steps {
        let scarce = matches!(step.turn, Turn::Scarce(true));
        if let (Some((points, _)), false) = (&step.interrupt, scarce) {
            let wild = points * 7;
            m.limit_frames(256);
            m.interrupt_at(points * 5, move |m| intrude(m, wild));
        }
        life.act(step.place, &step.turn);
        m.clear_hooks();
        let stats = slab.stats();
        let live = life.objects.values().map(|held| SizeClass::of(held.layout).unwrap().size() as u64).sum::<u64>();
        assert_eq!(stats.live_bytes, live);
        let frames = stats.metadata_bytes + stats.held_bytes + (u64::from(m.arena().stats().deferred_pages) << 12);
        assert_eq!((m.frames_in_use() - tables) as u64, frames >> 12);
    }
    m.limit_frames(256);
    while let Some((at, _)) = life.objects.first_key_value() {
        let at = *at;
        life.free(None, at);
    }
    assert_eq!(slab.stats().misuses, 0);
    for cpu in 0..CPUS {
        m.on_cpu(cpu.into(), || slab.drain());
    }
    m.arena().reclaim();
    assert_eq!((slab.stats().held_bytes, m.arena().stats().claimed_pages), (0, 0), "pages are lost");
    assert_eq!(slab.destroy().objects, 0);
    assert_eq!(m.frames_in_use(), tables);
    assert_eq!(m.finish(), 0);
}

fn random_lives_go_as_the_map_says<F: Format>() {
    let mut runner = TestRunner::new(config(16, 0xa3e4a));
    let outcome = runner.run(&life(1..40), |steps| {
        play::<F>(&steps);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}\n{runner}");
    }
}

each_format!(random_lives_go_as_the_map_says);
