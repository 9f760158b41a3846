//! The table walker, and what CPUs remember of its walks.

use std::sync::atomic::Ordering;

use super::format::{Cause, Entry, Intent, Rights};
use super::hardware::{Hardware, TlbMode};
use super::memory::index;
use super::rule;
use super::tlb::{AsTag, Level, Levels};

/// What a walk has found on its way down.
struct Walk {
    upper: Option<Entry>,
    directory: Option<Entry>,
    /// The page, or the level at which the walk ended.
    page: Result<Entry, u8>,
}

impl Hardware {
    /// Translates an access of a CPU: by its TLB if it can, else by a walk, which it remembers.
    pub(super) fn translate(&self, cpu: usize, intent: Intent, address: u64) -> Result<Entry, Cause> {
        let tag = self.cpus[cpu].tag.get();
        let remembered = self.cpus[cpu].tlb.borrow().get(Level::Page, tag, address);
        if let Some(entry) = remembered.filter(|entry| entry.rights.allow(intent)) {
            return Ok(entry);
        }
        // An entry that does not allow the access is walked again before the processor gives up.
        let mut tlb = self.cpus[cpu].tlb.borrow_mut();
        tlb.forget(tag, address, address, Levels::Leaves);
        drop(tlb);
        let walk = self.walk(Some(cpu), tag, address);
        self.remember(cpu, tag, address, &walk);
        match walk.page {
            Ok(entry) if entry.rights.allow(intent) => Ok(entry),
            Ok(_) => Err(Cause::Forbidden),
            Err(level) => Err(Cause::Missing { level }),
        }
    }

    /// What the tables say now, whatever TLBs remember.
    pub(super) fn look(&self, tag: AsTag, address: u64) -> Option<Entry> {
        self.walk(None, tag, address).page.ok()
    }

    /// Has a CPU remember a page, if it can be seen.
    pub(super) fn fill(&self, cpu: usize, tag: AsTag, address: u64) {
        let walk = self.walk(Some(cpu), tag, address);
        self.remember(cpu, tag, address, &walk);
    }

    fn remember(&self, cpu: usize, tag: AsTag, address: u64, walk: &Walk) {
        let found = [(Level::Upper, walk.upper), (Level::Directory, walk.directory), (Level::Page, walk.page.ok())];
        let mut tlb = self.cpus[cpu].tlb.borrow_mut();
        for (level, entry) in found {
            if let Some(entry) = entry {
                tlb.insert(level, tag, address, entry);
            }
        }
    }

    /// Has all CPUs forget `first..=last` under every tag, as far as the sabotage lets them. Until then they had it; from then
    /// on they may have it again.
    pub(super) fn forget(&self, first: u64, last: u64, levels: Levels) {
        for (number, cpu) in self.cpus.iter().enumerate() {
            for tag in 0..self.tags {
                let Some(levels) = self.sabotage.get().leaves(number, cpu, tag, levels) else {
                    continue;
                };
                let forgotten = cpu.tlb.borrow_mut().forget(tag, first, last, levels);
                for address in forgotten {
                    if self.fills_now() {
                        self.fill(number, tag, address);
                    }
                }
            }
        }
    }

    pub(super) fn fills_now(&self) -> bool {
        match self.mode {
            TlbMode::Eager => true,
            TlbMode::Random => self.random.one_in(2),
            TlbMode::Lazy => false,
        }
    }

    fn walk(&self, cpu: Option<usize>, tag: AsTag, address: u64) -> Walk {
        let remembered = |level| cpu.and_then(|cpu| self.cpus[cpu].tlb.borrow().get(level, tag, address));
        let upper = remembered(Level::Upper).map_or_else(|| self.upper(tag, address), Ok);
        let directory = remembered(Level::Directory).map_or_else(|| self.directory(upper, address), Ok);
        let page = directory.and_then(|directory| {
            let entry = (self.rules.leaf)(self.word(directory.frame, address >> 12)).ok_or(3)?;
            Ok(below(directory, entry))
        });
        if let Ok(page) = page {
            self.check_rights(tag, address, page);
        }
        Walk { upper: upper.ok(), directory: directory.ok(), page }
    }

    fn upper(&self, tag: AsTag, address: u64) -> Result<Entry, u8> {
        let in_window = self.windows.borrow().iter().find_map(|window| {
            let offset = address.wrapping_sub(window.base);
            (offset < 1 << 32).then(|| window.upper.0[index(offset >> 30)].load(Ordering::Relaxed))
        });
        if let Some(word) = in_window {
            return (self.rules.table)(word).ok_or(1);
        }
        let views = self.views.borrow();
        let mut here = views.iter().filter(|view| view.tag == tag);
        let word = here.find_map(|view| view.entry_for(address)).ok_or(0)?;
        (self.rules.view_entry)(word).ok_or(1)
    }

    fn directory(&self, upper: Result<Entry, u8>, address: u64) -> Result<Entry, u8> {
        let guard = self.windows.borrow().iter().find_map(|window| {
            let offset = address.wrapping_sub(window.base + (1 << 32));
            (offset < 1 << 21).then(|| window.upper.0[4].load(Ordering::Relaxed))
        });
        if let Some(word) = guard {
            return (self.rules.table)(word).ok_or(2);
        }
        let upper = upper?;
        let entry = (self.rules.table)(self.word(upper.frame, address >> 21)).ok_or(2)?;
        Ok(below(upper, entry))
    }

    fn word(&self, table: u64, number: u64) -> u64 {
        self.memory.table(table)[index(number & 511)]
    }

    /// All pages are writable but through a view that is not, and none is executable, in no view; the kernel view is not user
    /// mode's, and in no view is the scratch page.
    fn check_rights(&self, tag: AsTag, address: u64, page: Entry) {
        let kernel_view =
            self.windows.borrow().iter().any(|window| address.wrapping_sub(window.base) < (1 << 32) + (1 << 21));
        // Linked or not: a walk cache may remember an entry that is gone.
        let views = self.views.borrow();
        let here = views.iter().find(|view| view.tag == tag && view.entry_for(address).is_some());
        let read_only = here.is_some_and(|view| view.read_only.get());
        let right = Rights {
            user: page.rights.user && !kernel_view && self.is_page(page.frame),
            write: kernel_view || !read_only,
            kernel_fetch: false,
            user_fetch: false,
        };
        rule(page.rights == right, || format!("{address:#x} is translated with {:?}", page.rights));
    }

    /// Whether a frame is that of a page, and not of a table or the scratch page.
    pub(super) fn is_page(&self, frame: u64) -> bool {
        !self.windows.borrow().iter().any(|window| window.own.contains(&frame))
    }
}

/// What an entry gives under another.
fn below(above: Entry, entry: Entry) -> Entry {
    Entry { frame: entry.frame, rights: above.rights.and(entry.rights) }
}
