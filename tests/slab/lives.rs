//! Random lives on pages of this process: sizes, alignments, CPUs, levels, ways of allocating, interrupts, scarcity;
//! judged by the bench's map.

use std::rc::Rc;

use kernel_arena::AllocError;
use kernel_arena::slab::{SizeClass, SlabError};
use proptest::test_runner::TestRunner;

use super::bench::Bench;
use super::cpus::{interrupt_at, interrupted, nameless, on};
use super::lab::Fail;
use super::tasks::{CPUS, How, Place, Step, Turn, config, life};

const PAGES: usize = 160;

fn at<R>(place: Place, run: impl FnOnce() -> R) -> R {
    match place {
        Some((cpu, level)) => on(cpu, level, run),
        None => nameless(run),
    }
}

pub(super) fn play(steps: &[Step]) {
    let bench = Bench::new(PAGES);
    for (number, step) in steps.iter().enumerate() {
        if let Some((points, turns)) = step.interrupt.clone() {
            let inner = Rc::clone(&bench);
            interrupt_at(points, move || turns.iter().for_each(|turn| _ = act(&inner, turn)));
        }
        let refused = at(step.place, || act(&bench, &step.turn));
        let calm = step.interrupt.is_none();
        interrupted();
        if let (Some(class), true) = (refused, calm) {
            judge(&bench, class);
        }
        bench.check_figures();
        if number % 8 == 0 {
            bench.check_all();
        }
    }
    bench.lab.book().pages_fail = Fail::Never;
    assert_eq!(bench.misuses(), []);
    bench.check_all();
    bench.check_lists();
    bench.free_all(bench.objects());
    bench.drain_everywhere(CPUS);
    assert_eq!(bench.lab.pages_out(), 0, "pages are lost");
    bench.check_figures();
    bench.finish();
}

/// Does it; the class of which there was no object.
fn act(bench: &Bench, turn: &Turn) -> Option<SizeClass> {
    match *turn {
        Turn::Alloc(layout, how, count) => {
            let count = count.min(1 + (64 << 10) / layout.size());
            for _ in 0..count {
                let taken = match how {
                    How::Plain => bench.alloc(layout),
                    How::Checked => bench.alloc_checked(layout),
                    How::Zeroed => bench.slab.alloc_zeroed(layout).map(|at| {
                        assert!((0..layout.size()).all(|byte| bench.peek(at, byte) == 0));
                        bench.hand_out(at, layout, false)
                    }),
                };
                match taken {
                    Ok(_) => {}
                    Err(SlabError::Pages(AllocError::NoSpace(_))) => return SizeClass::of(layout),
                    Err(error @ (SlabError::TooLarge | SlabError::TooAligned)) => {
                        assert_eq!(SizeClass::of(layout), None, "{error}");
                        break;
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        }
        Turn::Free(which, count) => {
            let objects = bench.objects();
            if !objects.is_empty() {
                let first = which % objects.len();
                for object in objects.into_iter().skip(first).take(count) {
                    // An interrupt may have come before us.
                    if bench.has(&object) {
                        bench.free(object);
                    }
                }
            }
        }
        Turn::Drain => _ = bench.slab.drain(),
        Turn::Reclaim => _ = bench.slab.reclaim(),
        Turn::Scarce(scarce) => bench.lab.book().pages_fail = if scarce { Fail::From(2) } else { Fail::Never },
    }
    None
}

/// Nothing was spurious: nobody's slab has an object of that class, and no pages are free that one would fit.
fn judge(bench: &Bench, class: SizeClass) {
    assert_eq!(bench.figures(class).free, 0, "{class:?}");
    let scarce = !matches!(bench.lab.book().pages_fail, Fail::Never);
    let least = u32::try_from(class.size().div_ceil(4096)).unwrap();
    assert!(scarce || bench.lab.longest_gap() < least, "{class:?}");
}

#[test]
fn random_lives_go_as_the_map_says() {
    let mut runner = TestRunner::new(config(50, 0x51ab));
    let outcome = runner.run(&life(1..60), |steps| {
        play(&steps);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}\n{runner}");
    }
}
