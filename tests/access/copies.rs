//! Copies, and values that are copied: how far they come, and that what is not there stays as it is.

use kernel_arena::GUARD_SIZE;
use kernel_arena::access::{LeavesWindow, TryCopyError};

use super::{alloc, at, byte, hole, machine, nothing_is_left};
use crate::machine::Format;

/// Two pages with different bytes, then a hole.
const START: u32 = byte(20, 0);
const END: u32 = byte(22, 0);

fn pattern(n: usize) -> u8 {
    u8::try_from(n % 251).unwrap() + 1
}

fn a_copy_stops_at_the_very_byte<F: Format>() {
    let m = machine::<F>();
    [20, 21].iter().for_each(|page| alloc(&m, *page));
    let memory = m.memory(0);
    let all: Vec<u8> = (0..8192).map(pattern).collect();
    assert_eq!(memory.try_copy_out(at(START), &all), Ok(()));
    for distance in [1, 7, 8, 9, 255, 256, 4095, 4096, 4097, 8192] {
        for more in [1, 5000] {
            let stopped = Err(TryCopyError::Hole { hole: hole(&m, END.into()), copied: distance });
            let from = END - u32::try_from(distance).unwrap();
            let mut into = vec![0; distance + more];
            assert_eq!(memory.try_copy_in(at(from), &mut into), stopped, "{distance}, {more}");
            assert_eq!(into[..distance], all[8192 - distance..], "{distance}");
            assert!(into[distance..].iter().all(|byte| *byte == 0), "{distance}: what lies behind is as it was");
            let mut out = all[8192 - distance..].to_vec();
            out.resize(distance + more, 0xff);
            assert_eq!(memory.try_copy_out(at(from), &out), stopped, "{distance}, {more}");
        }
    }
    let mut back = vec![0; 8192];
    assert_eq!(memory.try_copy_in(at(START), &mut back), Ok(()));
    assert_eq!(back, all);
    nothing_is_left(&m);
    m.finish();
}
each_format!(a_copy_stops_at_the_very_byte);

fn a_copy_stops_at_scratch_and_starts_at_no_hole<F: Format>() {
    let m = machine::<F>();
    [20, 22].iter().for_each(|page| alloc(&m, *page));
    let memory = m.memory(0);
    memory.store(at::<u8>(byte(21, 5)), &1); // now page 21 holds scratch
    let mut into = [9u8; 100];
    let stopped = |copied| Err(TryCopyError::Hole { hole: hole(&m, byte(21, 0).into()), copied });
    assert_eq!(memory.try_copy_in(at(byte(21, 0) - 40), &mut into), stopped(40));
    assert_eq!(memory.try_copy_out(at(byte(21, 0) - 40), &into), stopped(40));
    assert_eq!(memory.try_copy_in(at(byte(21, 0)), &mut into), stopped(0));
    assert_eq!(memory.load::<u8>(at(byte(21, 5))), 1);
    assert_eq!(m.arena().stats().violations, 1);
    assert_eq!(memory.try_copy_in(at(byte(22, 0)), &mut into), Ok(()));
    m.finish();
}
each_format!(a_copy_stops_at_scratch_and_starts_at_no_hole);

fn a_plain_copy_runs_over_all<F: Format>() {
    let m = machine::<F>();
    [20, 22].iter().for_each(|page| alloc(&m, *page));
    let memory = m.memory(0);
    let words: Vec<u32> = (0..3 * 1024).collect();
    assert_eq!(memory.copy_out(at(START), &words), Ok(()));
    let mut back = vec![0; words.len()];
    assert_eq!(memory.copy_in(at(START), &mut back), Ok(()));
    assert_eq!(back, words, "the scratch page holds what was written there last");
    assert_eq!(m.arena().stats().violations, 1);
    assert_eq!(memory.load::<u32>(at(byte(22, 8))), 2050);
    m.finish();
}
each_format!(a_plain_copy_runs_over_all);

fn what_leaves_window_and_guard_is_refused_whole<F: Format>() {
    let m = machine::<F>();
    let memory = m.memory(0);
    let guard = usize::try_from(GUARD_SIZE).unwrap();
    let last = 0xffff_ffff;
    for (offset, room) in [(last, 1 + guard), (0xffff_0000, 0x1_0000 + guard)] {
        let mut just = vec![0u8; room];
        assert_eq!(memory.copy_in(at(offset), &mut just), Ok(()));
        assert_eq!(memory.copy_out(at(offset), &just), Ok(()));
        m.arena().reclaim();
        let holes = |tried| matches!(tried, Err(TryCopyError::Hole { copied: 0, .. }));
        assert!(holes(memory.try_copy_in(at(offset), &mut just)));
        let violations = m.arena().stats().violations;
        let mut more = vec![0u8; room + 1];
        let leaves = LeavesWindow { offset, bytes: room as u64 + 1 };
        assert_eq!(memory.copy_in(at(offset), &mut more), Err(leaves));
        assert_eq!(memory.copy_out(at(offset), &more), Err(leaves));
        assert_eq!(memory.try_copy_in(at(offset), &mut more), Err(leaves.into()));
        assert_eq!(memory.try_copy_out(at(offset), &more), Err(leaves.into()));
        assert_eq!(m.arena().stats().violations, violations, "nothing was accessed");
    }
    m.finish();
}
each_format!(what_leaves_window_and_guard_is_refused_whole);

fn an_empty_copy_touches_nothing<F: Format>() {
    let m = machine::<F>();
    let memory = m.memory(0);
    for offset in [1, byte(20, 0), 0xffff_ffff] {
        assert_eq!(memory.try_copy_in(at::<u64>(offset), &mut []), Ok(()));
        assert_eq!(memory.copy_out(at::<u64>(offset), &[]), Ok(()));
        assert_eq!(memory.try_load::<()>(at(offset)), Ok(()));
        memory.store(at::<()>(offset), &());
    }
    assert_eq!(m.exceptions(), 0);
    m.finish();
}
each_format!(an_empty_copy_touches_nothing);
