//! The machine's parts in one place, and what happens whenever the arena calls the platform: the tables are looked over, TLBs
//! may remember what they like, the test's hooks run.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use kernel_arena::platform::{CpuCount, CpuId, CpuLevel};

use super::flush::{Flush, Sabotage};
use super::format::Rules;
use super::hooks::{Hooks, Point};
use super::memory::Memory;
use super::platform::Upper;
use super::random::Random;
use super::tlb::{AsTag, Levels, Tlb};
use super::views::Entries;
use super::watch::Watch;

pub(crate) struct Hardware {
    pub(super) rules: Rules,
    pub(super) memory: Memory,
    pub(super) cpus: Vec<CpuState>,
    pub(super) tags: AsTag,
    pub(super) windows: RefCell<Vec<Window>>,
    pub(super) views: RefCell<Vec<Rc<Entries>>>,
    pub(super) next_view: Cell<u64>,
    pub(super) watch: Watch,
    pub(super) hooks: Hooks,
    pub(super) sabotage: Cell<Sabotage>,
    pub(super) flushes: RefCell<Vec<Flush>>,
    pub(super) exceptions: Cell<u64>,
    pub(super) current: Cell<usize>,
    pub(super) nameless: Cell<bool>,
    pub(super) without_level: Cell<bool>,
    pub(super) in_handler: Cell<bool>,
    pub(super) quiet: Cell<bool>,
    pub(super) mode: TlbMode,
    pub(super) random: Random,
}

/// What TLBs remember, beside what is accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TlbMode {
    /// Everything, as soon as it can be seen, on every CPU under every tag: no flush that is missing goes unseen.
    Eager,
    /// Something now and then, and they forget now and then too.
    Random,
    /// Nothing.
    Lazy,
}

#[derive(Default)]
pub(super) struct CpuState {
    pub(super) tlb: RefCell<Tlb>,
    pub(super) tag: Cell<AsTag>,
    pub(super) level: Cell<u8>,
}

/// The kernel view of an arena: in every address space.
pub(super) struct Window {
    pub(super) base: u64,
    pub(super) first_page: u32,
    pub(super) pages: u32,
    pub(super) upper: Rc<Upper>,
    /// The frames that the arena took when it was created: tables, and the scratch page.
    pub(super) own: Vec<u64>,
}

impl Hardware {
    pub(super) fn new(rules: Rules, frames: usize, cpus: usize, tags: AsTag, mode: TlbMode, seed: u64) -> Self {
        let random = Random::new(seed);
        Self {
            rules,
            memory: Memory::new(frames, &random),
            cpus: (0..cpus).map(|_| CpuState::default()).collect(),
            tags,
            windows: RefCell::default(),
            views: RefCell::default(),
            next_view: Cell::new(0),
            watch: Watch::default(),
            hooks: Hooks::default(),
            sabotage: Cell::new(Sabotage::None),
            flushes: RefCell::default(),
            exceptions: Cell::new(0),
            current: Cell::new(0),
            nameless: Cell::new(false),
            without_level: Cell::new(false),
            in_handler: Cell::new(false),
            quiet: Cell::new(false),
            mode,
            random,
        }
    }

    /// The arena has called the platform.
    pub(super) fn control(&self, point: Point) {
        if self.quiet.get() || std::thread::panicking() {
            return;
        }
        self.observe();
        self.stir();
        self.hooks.fire(point, |run| {
            let in_handler = self.in_handler.replace(false);
            self.on_cpu(self.current.get(), || self.raised(run));
            self.in_handler.set(in_handler);
            self.observe();
        });
    }

    /// Runs something without looking or interrupting.
    pub(super) fn quietly<R>(&self, run: impl FnOnce() -> R) -> R {
        let was = self.quiet.replace(true);
        let result = run();
        self.quiet.set(was);
        result
    }

    pub(super) fn on_cpu<R>(&self, cpu: usize, run: impl FnOnce() -> R) -> R {
        assert!(cpu < self.cpus.len(), "there is no CPU {cpu}");
        let was = self.current.replace(cpu);
        let result = run();
        self.current.set(was);
        result
    }

    /// Runs something at the next interrupt level of the current CPU.
    pub(super) fn raised<R>(&self, run: impl FnOnce() -> R) -> R {
        let level = &self.cpus[self.current.get()].level;
        level.set(level.get() + 1);
        let result = run();
        level.set(level.get() - 1);
        result
    }

    /// Runs the fault handler of the current CPU.
    pub(super) fn in_handler<R>(&self, run: impl FnOnce() -> R) -> R {
        let was = self.in_handler.replace(true);
        let result = self.raised(run);
        self.in_handler.set(was);
        result
    }

    pub(super) fn cpu_count(&self) -> CpuCount {
        u32::try_from(self.cpus.len()).ok().and_then(CpuCount::new).expect("a machine has a few CPUs")
    }

    pub(super) fn identity(&self) -> Option<CpuLevel> {
        let cpu = self.cpu().filter(|_| !self.without_level.get())?;
        let level = self.cpus[usize::from(cpu.number())].level.get();
        Some(CpuLevel { cpu, level })
    }

    pub(super) fn cpu(&self) -> Option<CpuId> {
        let cpu = CpuId::new(u16::try_from(self.current.get()).unwrap());
        (!self.nameless.get()).then_some(cpu)
    }

    /// Now and then, one CPU remembers a page and one forgets another.
    fn stir(&self) {
        if self.mode != TlbMode::Random || self.windows.borrow().is_empty() {
            return;
        }
        if self.random.one_in(3) {
            let (cpu, tag, address) = self.any_page();
            self.fill(cpu, tag, address);
        }
        if self.random.one_in(6) {
            let (cpu, tag, address) = self.any_page();
            let mut tlb = self.cpus[cpu].tlb.borrow_mut();
            tlb.forget(tag, address, address, Levels::Leaves);
        }
    }

    fn any_page(&self) -> (usize, AsTag, u64) {
        let windows = self.windows.borrow();
        let number = super::memory::index(self.random.below(windows.len() as u64));
        let window = &windows[number];
        let page = match self.random.below(9) {
            0 => 1 << 20 | self.random.below(8),
            _ => u64::from(window.first_page) + self.random.below(u64::from(window.pages)),
        };
        let aliases = self.aliases(window, number, page << 12);
        let (tag, address) = aliases[super::memory::index(self.random.below(aliases.len() as u64))];
        let cpu = super::memory::index(self.random.below(self.cpus.len() as u64));
        (cpu, tag, address)
    }

    /// Every name of a byte of a window: under every tag in the kernel view, under its own in each program view for which
    /// entries are lent, linked or not.
    pub(super) fn aliases(&self, window: &Window, number: usize, offset: u64) -> Vec<(AsTag, u64)> {
        let kernel = (0..self.tags).map(|tag| (tag, window.base + offset));
        let views = self.views.borrow();
        let programs = views
            .iter()
            .filter(|view| view.window == number && offset < 1 << 32)
            .map(|view| (view.tag, view.base + offset));
        kernel.chain(programs).collect()
    }
}
