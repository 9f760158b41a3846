//! Programs that go wrong, and what is said of each: the function and the line, what was at the place, the registers.

use kernel_arena::{AllocRequest, ArenaPtr, Owner, PageCount};
use kernel_arena_bpf::{Found, OnHole, Report};

use crate::ground::{Ground, State, each};
use crate::machine::Format;

/// What is said of a run.
fn report<F: Format>(g: &Ground<'_, F>, policy: OnHole, function: &str, arguments: &[u64]) -> (Option<Found>, String) {
    let ended = g.run_with(&g.runner.on_hole(policy), function, arguments, &mut State::new());
    let report = Report::new("wild", &ended).with_object(g.loaded).with_arena(g.m.arena());
    (report.found(), report.to_string())
}

/// The number of the line of the source with this text.
fn line_with(text: &str) -> usize {
    let source = include_str!("../../programs/wild.c");
    1 + source.lines().position(|line| line.contains(text)).unwrap()
}

fn a_report_says_where_and_what<F: Format>() {
    each::<F>("wild", |g| {
        let page = g.m.alloc(1);
        g.memory.store(g.variable::<u64>("kept"), &g.to_program(page));
        assert_eq!(g.call("follow_kept", &[]), 1, "{}", g.name);
        g.m.free(page, 1);
        let (found, text) = report(g, OnHole::Eject, "follow_kept", &[]);
        assert!(matches!(found, Some(Found::Free | Found::JustFreed)), "{}: {found:?}", g.name);
        let line = line_with("u64 value = kept->value;");
        let mut lines = text.lines();
        let first = lines.next().unwrap();
        assert!(first.starts_with("program wild (9): thrown out at a hole, after "), "{}: {text}", g.name);
        assert!(first.ends_with(" instructions and 1 hole"), "{}: {text}", g.name);
        let offset = page.offset() + 8;
        let second = format!("  read of 8 bytes at offset {offset:#x}: {}", found.unwrap());
        assert_eq!(lines.next(), Some(second.as_str()), "{}", g.name);
        let third = lines.next().unwrap();
        assert!(third.starts_with("    by instruction "), "{}: {text}", g.name);
        assert!(third.contains(", follow_kept+"), "{}: {text}", g.name);
        let place = format!(", ./bpf/programs/wild.c:{line}: u64 value = kept->value;");
        assert!(third.ends_with(&place), "{}: {text}", g.name);
        let registers: String = lines.collect::<Vec<_>>().join(" ");
        assert!(registers.starts_with("   r0 0000000000000000  r1 ") && registers.contains(" r10 00007f00"), "{text}");
        assert_eq!(registers.matches(" r").count(), 11, "{}: {text}", g.name);
    });
}
each_format!(a_report_says_where_and_what);

fn each_place_has_its_name<F: Format>() {
    each::<F>("wild", |g| {
        let at = |page: u32| ArenaPtr::<u8>::new(page << 12).unwrap();
        let arena = g.m.arena();
        let request = |page| AllocRequest::new(PageCount::ONE, Owner::Program).exactly_at(at(page));
        arena.alloc_pages(request(60)).unwrap();
        arena.alloc_pages(request(61)).unwrap();
        arena.free_pages_deferred(at(61), PageCount::ONE, Owner::Program).unwrap();
        arena.reserve_pages(at(62), PageCount::ONE, Owner::Kernel).unwrap();
        // A plain access of the kernel's leaves scratch.
        assert_eq!(g.memory.load(at(64)), 0);
        g.memory.store(at(63).cast::<u64>(), &1);
        let cases = [
            (0, Found::Null),
            (8, Found::Null),
            (1 << 12, Found::OutsideExtent),
            (50 << 12, Found::Free),
            ((60 << 12) + 0xffd, Found::BeingFreed(Owner::Program)),
            (62 << 12, Found::Reserved(Owner::Kernel)),
            (63 << 12, Found::Scratched),
            (64 << 12, Found::Scratched),
            (90 << 12, Found::OutsideExtent),
            (0xffff_fff0, Found::OutsideExtent),
            (0xffff_ffff, Found::OutsideExtent),
        ];
        for (offset, expected) in cases {
            if matches!(expected, Found::BeingFreed(_)) {
                // Not a hole: what is queued can still be reached.
                assert_eq!(g.run("read_at", &[offset]).holes, 0, "{}", g.name);
                assert_eq!(Found::at(arena, offset as i64 + 3), expected, "{}", g.name);
                continue;
            }
            let (found, text) = report(g, OnHole::Continue, "read_at", &[offset]);
            assert_eq!(found, Some(expected), "{}: {text}", g.name);
            assert!(text.starts_with("program wild (9): returned 0x0, after "), "{}: {text}", g.name);
            assert!(text.contains("read of 4 bytes") && text.contains(&expected.to_string()), "{}: {text}", g.name);
            assert!(text.contains("\n  ended at instruction "), "{}: {text}", g.name);
        }
        assert_eq!(Found::at(arena, -1), Found::LowerGuard);
        assert_eq!(Found::at(arena, -0x8001), Found::Outside);
        assert_eq!(Found::at(arena, 1 << 32), Found::UpperGuard);
        assert_eq!(Found::at(arena, (1 << 32) + 0x8000), Found::Outside);
        assert_eq!(Found::at(arena, i64::MAX), Found::Outside);
        assert_eq!(Found::at(arena, i64::MIN), Found::Outside);
        assert_eq!(Found::at(arena, 60 << 12), Found::Page(Owner::Program));
        arena.reclaim();
    });
}
each_format!(each_place_has_its_name);

fn a_report_is_made_of_the_record_too<F: Format>() {
    each::<F>("wild", |g| {
        while g.m.arena().take_violation().is_some() {}
        let _ended = g.run("write_at", &[50 << 12, 5]);
        let violation = g.m.arena().take_violation().expect("it was recorded");
        let report = Report::of_violation("wild", &violation, g.m.arena().layout()).expect("it is of bytecode");
        let text = report.with_object(g.loaded).with_arena(g.m.arena()).to_string();
        let line = line_with("*at = value;");
        let expected = "program wild (9) met a hole\n  write of 8 bytes at offset 0x32000: a free page\n    by ";
        assert!(text.starts_with(expected) && text.contains(", write_at+"), "{}: {text}", g.name);
        assert!(text.ends_with(&format!(", ./bpf/programs/wild.c:{line}: *at = value;")), "{}: {text}", g.name);
    });
}
each_format!(a_report_is_made_of_the_record_too);

fn an_end_without_a_hole_is_told<F: Format>() {
    each::<F>("wild", |g| {
        let (_, text) = report(g, OnHole::Stop, "for_ever", &[]);
        assert!(text.starts_with("program wild: its budget is spent, after 1000"), "{}: {text}", g.name);
        assert!(text.contains(", for_ever+"), "{}: {text}", g.name);
        let (_, text) = report(g, OnHole::Stop, "give_up", &[1]);
        assert!(text.starts_with("program wild: it came to a trap"), "{}: {text}", g.name);
        assert_eq!(g.call("give_up", &[0]), 5, "{}", g.name);
    });
}
each_format!(an_end_without_a_hole_is_told);
