//! The watch over the tables: what each word held when it was last looked at, and whether it may hold what it holds now.
//!
//! It looks whenever the machine gets control, and ends the test when
//! - a word is not one that an arena may write (what a leaf must say is the format's; absent words keep bits 51:12 zero, for a
//!   CPU with the L1 terminal fault speculates through them);
//! - a page is translated to a frame while some TLB still remembers another (I2 for pages, and where the architecture wants
//!   break-before-make for scratch too, and for tables: I1);
//! - a frame goes back that some TLB or walk cache remembers, or that is still in a table (I5).

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering;

use kernel_arena::platform::Frame;

use super::format::Entry;
use super::hardware::Hardware;
use super::rule;
use super::tlb::{AsTag, Level};

/// With more tables than this, only those that were asked for of late are looked at.
const ALWAYS_LOOK_AT: usize = 24;
const RECENT: usize = 8;
const GUARD_END: u64 = (1 << 32) + (1 << 15);

#[derive(Default)]
pub(super) struct Watch {
    state: RefCell<State>,
    /// The newest first, and 0 where there is none.
    recent: Cell<[u64; RECENT]>,
}

#[derive(Default)]
struct State {
    uppers: Vec<[u64; 5]>,
    /// What the entries of views held, by tag and base.
    views: BTreeMap<(AsTag, u64), [u64; 4]>,
    tables: BTreeMap<u64, Shadow>,
    /// In how many slots a frame is.
    slots: HashMap<u64, usize>,
}

/// A table as it was.
struct Shadow {
    words: Vec<u64>,
    level: Level,
    places: Vec<Place>,
}

/// Where a table is linked: window, offset of its first byte.
type Place = (usize, u64);

/// One look.
struct Look<'a> {
    hardware: &'a Hardware,
    state: &'a mut State,
    queue: Vec<u64>,
    changed: Vec<Place>,
}

impl Watch {
    /// A frame's pointer was asked for: what is changed through it is changed soon.
    pub(super) fn note(&self, frame: Frame) {
        let mut recent = self.recent.get();
        // Of what is checked by walking all tables, most is asked for again at once.
        if recent[0] == frame.address() {
            return;
        }
        let place = recent.iter().position(|known| *known == frame.address()).unwrap_or(RECENT - 1);
        recent.copy_within(..place, 1);
        recent[0] = frame.address();
        self.recent.set(recent);
    }
}

impl Hardware {
    /// Looks over the tables. Then CPUs may remember what has changed.
    pub(super) fn observe(&self) {
        let mut state = self.watch.state.borrow_mut();
        state.uppers.resize(self.windows.borrow().len(), Default::default());
        let mut look = Look { hardware: self, state: &mut state, queue: Vec::new(), changed: Vec::new() };
        look.at_uppers();
        look.at_views();
        let tables = look.state.tables.keys().copied();
        if look.state.tables.len() <= ALWAYS_LOOK_AT {
            look.queue.extend(tables);
        } else {
            look.queue.extend(self.watch.recent.get());
        }
        while let Some(table) = look.queue.pop() {
            look.at_table(table);
        }
        let changed = look.changed;
        drop(state);
        let windows = self.windows.borrow();
        for (number, offset) in changed {
            for (tag, address) in self.aliases(&windows[number], number, offset) {
                for cpu in (0..self.cpus.len()).filter(|_| self.fills_now()) {
                    self.fill(cpu, tag, address);
                }
            }
        }
    }

    /// Whether a slot leads to a frame.
    pub(super) fn is_in_a_slot(&self, frame: u64) -> bool {
        self.watch.state.borrow().slots.get(&frame).is_some_and(|slots| *slots != 0)
    }

    /// Whether a frame may go back to its source.
    pub(super) fn check_free(&self, frame: Frame) {
        let address = frame.address();
        for (number, cpu) in self.cpus.iter().enumerate() {
            rule(!cpu.tlb.borrow().remembers(address), || {
                format!("I5: CPU {number} still remembers {frame:?}, which is freed")
            });
        }
        let is_table = self.watch.state.borrow().tables.contains_key(&address);
        rule(!self.is_in_a_slot(address) && !is_table, || format!("I5: {frame:?} is freed and still in the tables"));
    }
}

impl Look<'_> {
    fn at_uppers(&mut self) {
        let hardware = self.hardware;
        for (number, window) in hardware.windows.borrow().iter().enumerate() {
            for (entry, offset) in (0..5).zip((0u64..).step_by(1 << 30)) {
                let now = window.upper.0[entry].load(Ordering::Relaxed);
                let was = std::mem::replace(&mut self.state.uppers[number][entry], now);
                let level = if entry == 4 { Level::Page } else { Level::Directory };
                if now != was {
                    self.relink(level, was, now, (number, offset));
                }
            }
        }
    }

    /// Each view's entries are vacant, or lead to what the same entries of its arena's window do.
    fn at_views(&mut self) {
        let hardware = self.hardware;
        let (windows, views) = (hardware.windows.borrow(), hardware.views.borrow());
        for view in views.iter() {
            for entry in 0..4 {
                let now = view.words[entry].load(Ordering::Relaxed);
                let was = &mut self.state.views.entry((view.tag, view.base)).or_default()[entry];
                if std::mem::replace(was, now) == now || now == super::IN_USE {
                    continue;
                }
                let Some(new) = (hardware.rules.view_entry)(now) else {
                    rule(now == 0, || format!("an entry of a view was made {now:#x}"));
                    continue;
                };
                let window = windows[view.window].upper.0[entry].load(Ordering::Relaxed);
                let same = (hardware.rules.table)(window).is_some_and(|window| window.frame == new.frame);
                rule(same, || format!("entry {entry} of a view was made {now:#x}, and the window's is {window:#x}"));
                rule(new.rights.write != view.read_only.get(), || format!("an entry of a view was made {now:#x}"));
                self.check_remembered(Level::Upper, new, (view.window, (entry as u64) << 30));
                self.show_again((view.window, entry as u64));
            }
        }
    }

    /// All pages of a gigabyte of a window have appeared at one address more.
    fn show_again(&mut self, (window, entry): (usize, u64)) {
        let leaves = self.state.tables.values().filter(|shadow| shadow.level == Level::Page);
        let slots = leaves.flat_map(|shadow| {
            let here = shadow.places.iter().filter(move |place| place.0 == window && place.1 >> 30 == entry);
            // A table that is linked in several places: its first and last pages stand for all.
            let step = if shadow.places.len() > 1 { 511 } else { 1 };
            here.flat_map(move |place| {
                let words = (0u64..).zip(&shadow.words).step_by(step).filter(|(_, word)| **word != 0);
                words.map(move |(n, word)| (*word, (place.0, place.1 + (n << 12))))
            })
        });
        let slots: Vec<(u64, Place)> = slots.collect();
        slots.into_iter().for_each(|(word, place)| self.check_slot(word, place));
    }

    fn at_table(&mut self, frame: u64) {
        let Some(shadow) = self.state.tables.get_mut(&frame) else {
            return;
        };
        let words = self.hardware.memory.table(frame);
        if shadow.words == words {
            return;
        }
        let changes: Vec<(usize, u64, u64)> =
            (0..512).map(|n| (n, shadow.words[n], words[n])).filter(|(_, was, now)| was != now).collect();
        shadow.words.copy_from_slice(words);
        let (level, places) = (shadow.level, shadow.places.clone());
        for (n, was, now) in changes {
            if level == Level::Page {
                self.slot_changed(was, now);
            }
            for (window, offset) in &places {
                let place = (*window, offset + ((n as u64) << level.shift()));
                match level {
                    Level::Page => self.check_slot(now, place),
                    _ => self.relink(Level::Page, was, now, place),
                }
            }
        }
    }

    /// An entry that points to a table of this level has changed.
    fn relink(&mut self, level: Level, was: u64, now: u64, place: Place) {
        let table = self.hardware.rules.table;
        if let Some(old) = table(was) {
            self.unlink(old.frame, place);
        }
        let Some(new) = table(now) else {
            rule(now == 0, || format!("an entry above a table was made {now:#x}"));
            return;
        };
        let above = if level == Level::Page { Level::Directory } else { Level::Upper };
        self.check_remembered(above, new, place);
        let shadow = self.state.tables.entry(new.frame).or_insert_with(|| Shadow {
            words: vec![0; 512],
            level,
            places: Vec::new(),
        });
        shadow.places.push(place);
        self.queue.push(new.frame);
        // A table that is linked elsewhere too: its first and last pages stand for all.
        if shadow.level == Level::Page && shadow.places.len() > 1 {
            let (first, last) = (shadow.words[0], shadow.words[511]);
            self.check_slot(first, place);
            self.check_slot(last, (place.0, place.1 + (511 << 12)));
        }
    }

    fn unlink(&mut self, frame: u64, place: Place) {
        let Some(shadow) = self.state.tables.get_mut(&frame) else {
            return;
        };
        shadow.places.retain(|other| *other != place);
        if !shadow.places.is_empty() {
            return;
        }
        let shadow = self.state.tables.remove(&frame).expect("it was just there");
        for (n, word) in (0u64..).zip(shadow.words) {
            match shadow.level {
                Level::Page => self.slot_changed(word, 0),
                _ => {
                    if let Some(below) = (self.hardware.rules.table)(word) {
                        self.unlink(below.frame, (place.0, place.1 + (n << 21)));
                    }
                }
            }
        }
    }

    /// Counts frames in slots.
    fn slot_changed(&mut self, was: u64, now: u64) {
        let leaf = self.hardware.rules.leaf;
        if let Some(old) = leaf(was) {
            *self.state.slots.get_mut(&old.frame).expect("it was counted") -= 1;
        }
        if let Some(new) = leaf(now) {
            *self.state.slots.entry(new.frame).or_default() += 1;
        }
    }

    fn check_slot(&mut self, now: u64, place: Place) {
        self.changed.push(place);
        let Some(new) = (self.hardware.rules.leaf)(now) else {
            rule(now & 0x000f_ffff_ffff_f000 == 0, || format!("an absent slot was made {now:#x}"));
            return;
        };
        rule(place.1 < GUARD_END, || format!("a slot beyond the guard was made {now:#x}"));
        self.check_remembered(Level::Page, new, place);
    }

    /// Nobody may still remember another translation of what is translated by `new` now.
    fn check_remembered(&self, level: Level, new: Entry, place: Place) {
        let hardware = self.hardware;
        let (number, offset) = place;
        let mapped = level == Level::Page && hardware.is_page(new.frame);
        let windows = hardware.windows.borrow();
        for (tag, address) in hardware.aliases(&windows[number], number, offset) {
            for (number, cpu) in hardware.cpus.iter().enumerate() {
                let old = cpu.tlb.borrow().get(level, tag, address);
                let other = old.is_some_and(|old| old.frame != new.frame);
                rule(!(other && (mapped || hardware.rules.break_before_make)), || {
                    format!(
                        "{}: {address:#x} now leads to {:#x}, and CPU {number} remembers {old:x?} under tag {tag}",
                        if mapped { "I2" } else { "I1" },
                        new.frame
                    )
                });
            }
        }
    }
}
