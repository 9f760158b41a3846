//! Masks that the kernel writes for programs.

use std::alloc::Layout;

use kernel_arena::masks::{KernelMask, MaskSpan, PerCpuMasks, SharedMask};
use kernel_arena::platform::CpuCount;
use kernel_arena::pool::Pool;
use kernel_arena::source::{ArenaPages, MetadataPage, StaticMetadata};

use super::{START, at, cpu, header, ids, list, machine, taken, word};
use crate::machine::Format;

/// T158: base 0, all ids, as many words as they need, and every bit as the kernel has it.
fn a_program_finds_what_the_kernel_wrote<F: Format>() {
    let m = machine::<F>();
    let memory = m.memory(0);
    let mask = KernelMask::new(at(START), ids(100).span()).unwrap();
    mask.set(&memory, [1 << 63 | 5, u64::MAX, u64::MAX]).unwrap();
    let field = |offset| memory.try_load::<u32>(at(START + offset)).unwrap();
    assert_eq!([0, 4, 8].map(field), [0, 100, 3]);
    let words = [0, 1].map(|n| memory.try_load::<u64>(at(START + 16 + 8 * n)).unwrap());
    assert_eq!(words, [1 << 63 | 5, (1 << 36) - 1], "no bit behind the last id");
    let snapshot = SharedMask::snapshot(&memory, START.into(), ids(100)).unwrap();
    assert_eq!(list(&snapshot), [0, 2, 63].into_iter().chain(64..100).collect::<Vec<_>>());
    // What is not given is 0.
    mask.set(&memory, [2]).unwrap();
    assert_eq!(list(&snapshot), [1]);
    m.finish();
}
each_format!(a_program_finds_what_the_kernel_wrote);

fn a_base_within_a_word_is_kept_to<F: Format>() {
    let m = machine::<F>();
    let memory = m.memory(0);
    let span = MaskSpan::new(70, 60, ids(200)).unwrap();
    let mask = KernelMask::new(at(START), span).unwrap();
    mask.set(&memory, [u64::MAX; 3]).unwrap();
    let words = [0, 1].map(|n| memory.try_load::<u64>(at(START + 16 + 8 * n)).unwrap());
    assert_eq!(words, [u64::MAX << 6, 0b11]);
    assert_eq!(list(&SharedMask::snapshot(&memory, START.into(), ids(200)).unwrap()), (70..130).collect::<Vec<_>>());
    m.finish();
}
each_format!(a_base_within_a_word_is_kept_to);

/// The header, too, is written anew, and never asked.
fn what_a_program_scribbles_is_gone_with_the_next<F: Format>() {
    let m = machine::<F>();
    let memory = m.memory(0);
    let mask = KernelMask::new(at(START), ids(100).span()).unwrap();
    for scribbled in [[u32::MAX; 3], [0; 3], [64, u32::MAX - 63, 1]] {
        header(&memory, START, scribbled);
        for index in 0..3 {
            word(&memory, START, index, 0xdead_beef_dead_beef);
        }
        mask.set(&memory, [0b101, 1]).unwrap();
        assert_eq!(taken(&memory, START.into(), 100), Ok((0, 100)));
        assert_eq!(list(&SharedMask::snapshot(&memory, START.into(), ids(100)).unwrap()), [0, 2, 64]);
    }
    m.finish();
}
each_format!(what_a_program_scribbles_is_gone_with_the_next);

fn each_cpu_has_a_mask_of_its_own_in_a_block_of_a_pool<F: Format>() {
    let m = machine::<F>();
    let metadata: &'static StaticMetadata<8> = Box::leak(Box::new(StaticMetadata::new()));
    let pool = Pool::new(ArenaPages::new(m.arena()), metadata);
    let (cpus, all) = (CpuCount::new(5).unwrap(), ids(300));
    let layout: Layout = PerCpuMasks::layout(cpus, all);
    let block = pool.alloc(layout).unwrap();
    let masks = PerCpuMasks::new(block, cpus, all).unwrap();
    let memory = m.memory(0);
    for n in 0..5 {
        masks.of(cpu(n)).unwrap().set(&memory, (0..5).map(|word| 1 << (n + word))).unwrap();
    }
    for n in 0..5 {
        let ptr = masks.of(cpu(n)).unwrap().ptr();
        assert_eq!(ptr.offset() % 64, 0);
        let snapshot = SharedMask::snapshot(&memory, ptr.offset().into(), all).unwrap();
        let expected: Vec<_> = (0..5).map(|word| word * 64 + n + word).filter(|id| *id < 300).collect();
        assert_eq!(list(&snapshot), expected, "nobody writes into another's");
    }
    pool.free(masks.block(), layout.size()).unwrap();
    assert_eq!(pool.destroy().live_blocks, 0);
    assert_eq!(size_of::<MetadataPage>(), 4096);
    m.finish();
}
each_format!(each_cpu_has_a_mask_of_its_own_in_a_block_of_a_pool);
