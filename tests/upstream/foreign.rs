//! Words in slots that somebody else has written: named, passed over, never overwritten, and forgotten once they are gone.

use std::sync::atomic::Ordering;

use kernel_arena::arch::x86_64::X86_64;
use kernel_arena::platform::{PhysMap, Platform};
use kernel_arena::{
    Access, AllocError, ArenaPtr, Fault, FaultOutcome, FreeError, InstructionAddr, PageIndex, Reclaimable,
    ReserveError, SlotState, ValidateError,
};

use super::{after, alloc, defer, free, index, page, request, reserve, sleepless, state};
use crate::machine::{Format, Machine};

/// A word without a translation that no arena writes.
const ABSENT: u64 = 0b110;

/// What a mapper of the kernel's would write that maps the frame of a page somewhere else, too.
fn mapping<F: Format>(m: &Machine<F>, of: ArenaPtr) -> u64 {
    let attributes = m.arena().platform().phys_map().attributes();
    let mut leaf = F::decode_leaf(m.slot_word(of), attributes).expect("a page");
    leaf.software = 0;
    F::leaf(leaf, attributes)
}

fn arena<F: Format>(pages: u32) -> Machine<F> {
    Machine::<F>::builder().extent(1, pages).build()
}

/// Both kinds of foreign words, the second of which the arena's page at the end of the extent is behind.
fn words<F: Format>(m: &Machine<F>, last: u32) -> [u64; 2] {
    assert_eq!(alloc(m, request(1).exactly_at(page(last))), Ok(page(last)));
    [ABSENT, mapping(m, page(last))]
}

fn full(error: AllocError) -> Reclaimable {
    match error {
        AllocError::NoSpace(reclaimable) => reclaimable,
        other => panic!("{other:?}"),
    }
}

/// The lowest page is foreign: everybody gets others, and is told of it when there are none.
fn an_allocation_anywhere_passes_over_what_is_not_the_arenas<F: Format>() {
    for number in 0..2 {
        let m = arena::<F>(9);
        let word = words(&m, 9)[number];
        m.scribble(page(1), word);
        assert_eq!(alloc(&m, request(1)), Ok(page(2)));
        assert_eq!(alloc(&m, sleepless(2)), Ok(page(3)));
        assert_eq!(alloc(&m, request(4)), Ok(page(5)));
        let frames = m.frames_in_use();
        for wanted in [request(1), sleepless(1)] {
            let error = alloc(&m, wanted).unwrap_err();
            assert_eq!(full(error).foreign, Some(index(1)), "{error}");
            assert!(error.to_string().contains("page 1 "), "{error}");
        }
        assert_eq!((m.slot_word(page(1)), m.frames_in_use()), (word, frames));
        assert_eq!(m.arena().validate(), Err(ValidateError::ForeignWord { page: 1 }));
        m.arena().reclaim();
        assert_eq!(m.slot_word(page(1)), word, "reclaim leaves it, too");
        assert!(alloc(&m, request(1)).is_err());
        // The kernel unmaps what it should not have mapped.
        m.scribble(page(1), 0);
        let validated = m.arena().validate().unwrap_err();
        assert_eq!(validated, ValidateError::SetAside { page: 1 });
        assert!(validated.to_string().contains("reclaim"), "{validated}");
        m.arena().reclaim();
        m.validate();
        assert_eq!(alloc(&m, request(1)), Ok(page(1)));
        assert_eq!(m.read(1, page(1)), Ok(0), "nobody remembers what was there");
        assert_eq!(full(alloc(&m, request(1)).unwrap_err()).foreign, None);
        assert_eq!(m.finish(), 9);
    }
}

/// More than an allocation tries where faults come between.
fn however_many_pages_are_foreign_the_others_can_be_had<F: Format>() {
    let m = arena::<F>(100);
    let word = words(&m, 100)[1];
    let foreign: Vec<_> = (1..=90).filter(|number| number % 3 != 0).collect();
    foreign.iter().for_each(|number| m.scribble(page(*number), word));
    for number in (3..=90).step_by(3).chain(91..100) {
        let wanted = if number % 2 == 0 { request(1) } else { sleepless(1) };
        assert_eq!(alloc(&m, wanted), Ok(page(number)));
    }
    assert!(full(alloc(&m, request(1)).unwrap_err()).foreign.is_some());
    foreign.iter().for_each(|number| m.scribble(page(*number), 0));
    m.arena().reclaim();
    assert_eq!(alloc(&m, request(2)), Ok(page(1)));
    assert_eq!(m.finish(), 42);
}

/// Scratch must be healed before a page is had, foreign words never are: the one does not hide behind the other.
fn a_scratched_page_behind_a_foreign_one_is_healed<F: Format>() {
    let m = arena::<F>(3);
    let word = words(&m, 3)[1];
    m.scribble(page(1), word);
    m.write(0, page(2), 5).unwrap();
    assert!(matches!(alloc(&m, sleepless(1)), Err(AllocError::NoSpace(_))));
    assert_eq!(alloc(&m, request(1)), Ok(page(2)));
    m.scribble(page(1), 0);
    // A fault was faster than reclaim.
    m.arena().reclaim();
    m.write(1, page(1), 6).unwrap();
    assert_eq!(alloc(&m, request(1)), Ok(page(1)));
    assert_eq!(m.finish(), 3);
}

/// A fault may put scratch where the foreign word was, before reclaim has seen that it is gone.
fn scratch_in_a_foreign_words_place_is_healed<F: Format>() {
    let m = arena::<F>(2);
    let word = words(&m, 2)[0];
    m.scribble(page(1), word);
    assert_eq!(alloc(&m, request(1).exactly_at(page(1))), Err(AllocError::Foreign { page: index(1) }));
    m.scribble(page(1), 0);
    m.write(0, page(1), 5).unwrap();
    assert_eq!(state(&m, page(1)), SlotState::Scratch);
    m.arena().reclaim();
    assert_eq!(alloc(&m, sleepless(1)), Ok(page(1)), "healed, and free again");
    assert_eq!(m.finish(), 2);
}

fn pages_that_are_named_are_refused_by_name<F: Format>() {
    let m = arena::<F>(8);
    let word = words(&m, 8)[1];
    m.scribble(page(3), word);
    let foreign: PageIndex = index(3);
    // The first of these meets it, the others find it set aside.
    for _ in 0..2 {
        assert_eq!(reserve(&m, page(2), 3), Err(ReserveError::Foreign { page: foreign }));
        for wanted in [request(3), sleepless(3)] {
            assert_eq!(alloc(&m, wanted.exactly_at(page(2))), Err(AllocError::Foreign { page: foreign }));
        }
    }
    assert_eq!(free(&m, page(2), 3), Err(FreeError::NotAllocated { page: index(2) }));
    assert_eq!(free(&m, page(3), 1), Err(FreeError::Foreign { page: foreign }));
    assert_eq!(defer(&m, page(3), 1), Err(FreeError::Foreign { page: foreign }));
    assert_eq!(m.slot_word(page(3)), word);
    assert_eq!(alloc(&m, request(2)), Ok(page(1)), "their neighbours are free");
    m.scribble(page(3), 0);
    m.arena().reclaim();
    assert_eq!(reserve(&m, page(3), 1), Ok(()));
    assert_eq!(m.finish(), 3);
}

/// Pages of every kind that somebody has written over: nothing is done to them until their word is back.
fn a_page_that_was_written_over_waits_for_its_word<F: Format>() {
    let m = arena::<F>(8);
    assert_eq!(alloc(&m, request(3)), Ok(page(1)));
    assert_eq!(reserve(&m, page(4), 1), Ok(()));
    assert_eq!(defer(&m, page(2), 1), Ok(()));
    let before = [1, 2, 4].map(|number| (page(number), m.slot_word(page(number))));
    before.iter().for_each(|(at, _)| m.scribble(*at, ABSENT));
    let frames = m.frames_in_use();
    assert_eq!(free(&m, page(1), 1), Err(FreeError::Foreign { page: index(1) }));
    assert_eq!(free(&m, page(4), 1), Err(FreeError::Foreign { page: index(4) }));
    assert_eq!(alloc(&m, request(1).in_reservation(page(4))), Err(AllocError::Foreign { page: index(4) }));
    assert_eq!(alloc(&m, request(1).exactly_at(page(1))), Err(AllocError::Foreign { page: index(1) }));
    assert_eq!(m.arena().reclaim().freed_pages, 0);
    assert_eq!(alloc(&m, request(1)), Ok(page(5)));
    before.iter().for_each(|(at, word)| m.scribble(*at, *word));
    assert_eq!(m.arena().reclaim().freed_pages, 1, "the deferred one");
    assert_eq!(free(&m, page(1), 1), Ok(()));
    assert_eq!(alloc(&m, request(1).in_reservation(page(4))), Ok(page(4)));
    assert_eq!(m.frames_in_use(), frames, "two freed, two allocated");
    m.finish();
}

/// A translation that is there is tried again, as if an allocation had been faster; a word without one is its writer's.
fn faults_leave_foreign_words_to_their_writer<F: Format>() {
    let m = arena::<F>(4);
    let [absent, mapping] = words(&m, 4);
    m.scribble(page(1), absent);
    assert!(m.read(0, page(1)).is_err(), "declined");
    m.write(0, page(4), 77).unwrap();
    m.scribble(page(2), mapping);
    m.stutter(1);
    assert_eq!(m.read(0, page(2)), Ok(77), "spurious, and then the access goes through");
    assert_eq!((m.arena().stats().violations, m.arena().stats().spurious_faults), (0, 1));
    assert_eq!([m.slot_word(page(1)), m.slot_word(page(2))], [absent, mapping]);
    [1, 2].into_iter().for_each(|number| m.scribble(page(number), 0));
    assert_eq!(m.end(), (1, 0));
}

fn the_end_counts_foreign_words_and_gives_back_what_is_the_arenas<F: Format>() {
    let m = arena::<F>(8);
    let [absent, mapping] = words(&m, 8);
    assert_eq!(alloc(&m, request(2)), Ok(page(1)));
    m.scribble(page(4), absent);
    m.scribble(after(page(4), 1), mapping);
    assert_eq!(alloc(&m, request(2)), Ok(page(6)));
    assert_eq!(m.end(), (5, 2), "what a foreign word leads to is not freed a second time");
}

/// What a mapper of the `x86_64` crate does to the entries above a page of user mode.
#[test]
fn bits_that_others_set_in_a_lent_entry_are_named() {
    let m = arena::<X86_64>(4);
    m.upper_entry(1).fetch_or(1 << 2, Ordering::Relaxed);
    let named = ValidateError::UpperEntry { entry: 1, changed: 1 << 2 };
    assert_eq!(m.arena().validate(), Err(named));
    assert!(named.to_string().contains("0x4 of lent entry 1"), "{named}");
    assert_eq!(alloc(&m, request(1)), Ok(page(1)), "pages can be had all the same");
    m.upper_entry(1).fetch_and(!(1 << 2), Ordering::Relaxed);
    assert_eq!(m.finish(), 1);
}

/// A link to one of the arena's tables that is gone is found out, and the arena does without: it knows where its tables are.
fn a_directory_that_was_changed_is_named_and_slots_are_found_without_it<F: Format>() {
    let m = arena::<F>(600);
    let first = m.alloc(1);
    let next = m.arena().layout().to_kernel(after(first, 1));
    let fault = Fault { address: next, access: Access::Read, instruction: InstructionAddr::new(0) };
    let link = m.directory_entry(first).swap(0, Ordering::Relaxed);
    assert_eq!(m.arena().validate(), Err(ValidateError::DirectoryEntry { region: 0 }));
    assert!(matches!(state(&m, first), SlotState::Mapped(..)));
    assert_eq!(state(&m, after(first, 1)), SlotState::Vacant);
    let outcome = m.arena().handle_kernel_fault(&fault);
    assert_eq!(outcome, FaultOutcome::Recovered, "in the table that is the arena's");
    m.directory_entry(first).store(link, Ordering::Relaxed);
    assert_eq!(state(&m, after(first, 1)), SlotState::Scratch);
    m.arena().reclaim();
    m.validate();
    assert_eq!(m.finish(), 1);
}

/// What was put there may be another of the arena's tables, or none: each goes back once.
fn a_directory_that_was_changed_costs_no_table_when_the_arena_ends<F: Format>() {
    let m = arena::<F>(1500);
    let [first, second, third] = [1, 600, 1100].map(page);
    m.directory_entry(first).store(0, Ordering::Relaxed);
    let link = m.directory_entry(third).load(Ordering::Relaxed);
    m.directory_entry(second).store(link, Ordering::Relaxed);
    m.alloc(3);
    assert_eq!(m.end(), (3, 0));
}

each_format!(
    a_directory_that_was_changed_costs_no_table_when_the_arena_ends,
    a_directory_that_was_changed_is_named_and_slots_are_found_without_it,
    an_allocation_anywhere_passes_over_what_is_not_the_arenas,
    however_many_pages_are_foreign_the_others_can_be_had,
    a_scratched_page_behind_a_foreign_one_is_healed,
    scratch_in_a_foreign_words_place_is_healed,
    pages_that_are_named_are_refused_by_name,
    a_page_that_was_written_over_waits_for_its_word,
    faults_leave_foreign_words_to_their_writer,
    the_end_counts_foreign_words_and_gives_back_what_is_the_arenas,
);
