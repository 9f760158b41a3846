//! Cost against what grows: occupancy, extent, CPUs, arenas in a registry.

use std::hint::black_box;
use std::sync::Arc;

use kernel_arena::{Access, Fault, FaultOutcome, InstructionAddr, KernelAddr, Registry};

use super::ours::{AtOnce, Kernel};
use super::{Pages, WHOLE, pair, replaced, subjects};
use crate::harness::{Alone, Both, Case, Subject, ours};

fn point(name: &str, axis: &'static str, at: f64, threads: usize, subjects: Vec<Subject>) -> Case {
    Case { group: "pages", name: name.to_owned(), threads, at: Some((axis, at)), subjects }
}

/// The points of all curves.
pub(super) fn cases() -> Vec<Box<dyn FnOnce() -> Case>> {
    let mut cases: Vec<Box<dyn FnOnce() -> Case>> = Vec::new();
    for percent in [10u8, 25, 50, 75, 90, 95, 99] {
        cases.push(Box::new(move || {
            let work = move |pages: Arc<dyn Pages>| Alone(replaced(pages, percent.into()));
            point("a page replaced at random", "% taken", percent.into(), 1, subjects(WHOLE, work))
        }));
    }
    for bits in [12u32, 14, 16, 18, 20] {
        cases.push(Box::new(move || {
            let subjects = subjects((1 << bits) - 1, |pages| Alone(pair(pages, 1)));
            point("one page, by extent", "pages of the window", f64::from(1 << bits), 1, subjects)
        }));
    }
    cases.push(Box::new(|| {
        let subjects = subjects(WHOLE, |pages| Alone(pair(pages, 1)));
        point("one page, by CPUs", "CPUs", 1.0, 1, subjects)
    }));
    cases.push(Box::new(|| {
        let both = |pages: Arc<dyn Pages>| Both::new([pair(Arc::clone(&pages), 1), pair(pages, 1)]);
        point("one page, by CPUs", "CPUs", 2.0, 2, subjects(WHOLE, both))
    }));
    macro_rules! registries {
        ($($arenas:literal),*) => { $(cases.push(Box::new(|| registry::<$arenas>()));)* };
    }
    registries!(1, 2, 4, 8, 16, 32, 64);
    cases
}

/// A fault at an address that is in no window: all entries of a registry that is full are looked at.
fn registry<const ARENAS: usize>() -> Case {
    let registry: &'static Registry<Kernel, ARENAS> = Box::leak(Box::new(Registry::new()));
    for number in 0..ARENAS {
        let _for_ever = registry.register_static(AtOnce::at(number, 64).arena()).expect("there is room");
    }
    let nowhere = KernelAddr::new(0xffff_8800_0000_0000);
    let fault = Fault { address: nowhere, access: Access::Read, instruction: InstructionAddr::new(1) };
    let work = Alone(move || {
        assert_eq!(registry.handle_kernel_fault(black_box(&fault)), FaultOutcome::NotOurs);
    });
    #[expect(clippy::cast_precision_loss, reason = "few arenas")]
    let at = ARENAS as f64;
    point("a fault that is no arena's", "arenas in the registry", at, 1, vec![ours(work)])
}
