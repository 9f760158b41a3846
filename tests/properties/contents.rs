//! What memory holds: each page what was written to it and nothing else, the scratch page what wild stores left there.
//!
//! Every value that is written is unique, so a page that shows another's gives itself away.

use kernel_arena::views::FaultPolicy;
use kernel_arena::{PageRange, VirtAddr};

use super::model::{Class, State, WORDS};
use super::run::{Action, Run};
use super::tasks::{Kind, Trouble, Via};
use super::world::Oracle;
use crate::machine::{Cause, Declined, Format, Machine};

impl Oracle {
    /// Judges an access by what it says and by what the page is now; nothing has come between its end and this look.
    pub(super) fn accessed(&mut self, run: &Run, result: Result<u64, Declined>) {
        let Action::Access { page, word, kind, via, view, value } = run.action else { unreachable!() };
        let ghost = self.runs.last().filter(|outer| outer.arena == run.arena);
        let ghost = ghost.and_then(|outer| outer.ghosts.get(&page)).copied();
        let model = &mut self.models[run.arena];
        let class = model.class(page);
        let at = model.pages.get_mut(&page).expect("it is in the map");
        let before = run.start[&page].seen;
        let wrong = || -> ! { panic!("{:?}: {result:?}; it was {before:?}, is {at:?}, ghost {ghost:?}", run.action) };
        let not_writable = kind == Kind::Write && view.is_some_and(|view| !view.is_writable());
        if let Err(declined) = result {
            let is_there = at.seen.has_page() || at.seen.scratch;
            let forbidden = matches!(via, Via::Program | Via::UserInKernelView) && at.seen.is_the_kernels()
                || via == Via::UserInKernelView && at.seen.has_page()
                || not_writable && is_there;
            let level = if class == Class::Region { 2 } else { 3 };
            let alone = !run.interrupted && self.runs.is_empty() && matches!(run.trouble, Trouble::None);
            let lazy = via == Via::Program && view.is_some_and(|view| view.policy == FaultPolicy::Lazy);
            let given = lazy && !not_writable && alone && before.state == State::Free && !before.scratch;
            let missing = via != Via::Kernel && !is_there && !given;
            let gone = view.is_some_and(|view| self.views.iter().all(|other| other.base != view.base));
            let right = match declined.cause {
                Cause::Forbidden => forbidden || (via != Via::Kernel && ghost.is_some()),
                Cause::Missing { level: seen } => missing && seen == level || gone && seen == 1,
            };
            // A program's access is declined for what was there when it faulted.
            let moved = via == Via::Program && run.touched.contains(&page);
            if !right && !moved {
                wrong();
            }
            return;
        }
        if via == Via::UserInKernelView || not_writable {
            wrong();
        }
        if via == Via::Program && at.seen.is_the_kernels() && ghost.is_none() {
            wrong();
        }
        if at.seen.has_page() {
            // Faults on the way there were somebody else's doing.
            if run.touched.is_empty() && run.effects.scratched != 0 {
                wrong();
            }
            match kind {
                Kind::Read if result != Ok(at.words[word]) => wrong(),
                Kind::Read => {}
                Kind::Write => at.words[word] = value,
            }
            return;
        }
        let scratch = &mut model.scratch[word];
        let scratch_is_reached = at.seen.scratch && via != Via::Program;
        if ghost.is_none() {
            let recorded = u32::from(!before.scratch);
            if !scratch_is_reached || run.touched.is_empty() && run.effects.scratched != recorded {
                wrong();
            }
        }
        match (kind, ghost) {
            (Kind::Write, None) => *scratch = [value].into(),
            (Kind::Write, Some(_)) => _ = scratch.insert(value),
            (Kind::Read, _) => {
                let read = result.unwrap_or_else(|_| wrong());
                let old = ghost.and_then(|ghost| ghost.words).is_some_and(|words| words[word] == read);
                let reaches_scratch =
                    scratch_is_reached || ghost.is_some_and(|ghost| ghost.scratch) && via != Via::Program;
                let left = reaches_scratch && scratch.contains(&read);
                if !old && !left {
                    wrong();
                }
                if ghost.is_none() {
                    *scratch = [read].into();
                }
            }
        }
    }

    /// New pages read zero, but for what somebody wrote before they were handed out; now they are written to.
    pub(super) fn handed_out<F: Format>(&mut self, m: &Machine<F>, run: &Run, pages: PageRange, cpu: usize) {
        let pages =
            pages.pages().map(kernel_arena::PageIndex::number).filter(|page| !run.effects.stolen.contains(page));
        for (n, page) in pages.enumerate() {
            // A few thoroughly, and of many a word each.
            let words = if n < 4 { 0..WORDS.len() } else { n % WORDS.len()..n % WORDS.len() + 1 };
            for word in words {
                self.check_word(m, run.arena, page, word, cpu);
                let value = self.new_value();
                let model = &mut self.models[run.arena];
                let address = address(model.base, page, word);
                m.cpu(cpu).write_u64(address, value).expect("the page is there");
                model.pages.get_mut(&page).expect("it is in the map").words[word] = value;
            }
        }
    }

    /// Reads a word of a page on a CPU: no fault, and what was written last.
    pub(super) fn check_word<F: Format>(&self, m: &Machine<F>, arena: usize, page: u32, word: usize, cpu: usize) {
        let model = &self.models[arena];
        let expected = model.pages[&page].words[word];
        let exceptions = m.exceptions();
        let address = address(model.base, page, word);
        let read = m.cpu(cpu).read_u64(address);
        assert_eq!(read, Ok(expected), "page {page} of arena {arena}, word {word}, on CPU {cpu}");
        assert_eq!(m.peek(address), Some(expected), "page {page} in memory");
        assert_eq!(m.exceptions(), exceptions, "a page that is there faults");
    }

    /// The pages that have a frame.
    pub(super) fn live_pages(&self) -> Vec<(usize, u32)> {
        let arenas = self.models.iter().enumerate();
        arenas
            .flat_map(|(arena, model)| {
                let live =
                    model.extent().filter(|(_, at)| matches!(at.seen.state, State::Mapped(_) | State::Deferred(_)));
                live.map(move |(page, _)| (arena, page))
            })
            .collect()
    }
}

fn address(base: u64, page: u32, word: usize) -> VirtAddr {
    VirtAddr::new(base + (u64::from(page) << 12) + u64::from(WORDS[word]))
}
