//! Programs that have nodes from the kernel one by one, from a pool on the arena that they share.

use std::alloc::Layout;

use kernel_arena::ArenaPtr;
use kernel_arena::pool::Pool;
use kernel_arena::source::{ArenaPages, StaticMetadata};
use kernel_arena_bpf::{Call, Host, Hosts, Insn, Program, Runner};

use super::{ID, machine};
use crate::assembler::*;
use crate::machine::{Format, Host as Platform};
use crate::plain::{UPPER, base, stack};

type Nodes<'a, F> = Pool<ArenaPages<'a, Platform<F>, F>, &'static StaticMetadata<8>>;

/// A node: a pointer, and a value.
type Node = [u64; 2];

fn new_node<F: Format>(call: &mut Call<'_, &Nodes<'_, F>>) -> u64 {
    let node = call.state().alloc(Layout::new::<Node>()).expect("there is room");
    UPPER | u64::from(node.offset())
}

fn free_node<F: Format>(call: &mut Call<'_, &Nodes<'_, F>>) -> u64 {
    let node = call.pointer::<u8>(0).expect("a list ends before null");
    call.state().free(node, size_of::<Node>()).is_err().into()
}

/// Links so many nodes, values from 1 on from the head, and gives the head.
const BUILD: &[Insn] = &[
    copy(6, 1),
    mov(7, 0),
    jne(6, 0, 2),
    copy(0, 7),
    EXIT,
    host(1),
    store(0, 8, 6),
    store(0, 0, 7),
    copy(7, 0),
    add(6, -1),
    ja(-9),
];
/// Takes all apart, and says how many frees were refused.
const DELETE: &[Insn] = &[
    copy(6, 1),
    mov(7, 0),
    jne(6, 0, 2),
    copy(0, 7),
    EXIT,
    copy(1, 6),
    load(6, 6, 0),
    host(2),
    insn(0x0f, 7, 0, 0, 0),
    ja(-8),
];

/// T35, T36: a list of the program's is walked by the kernel with plain pointers, and the program takes it apart: pages go with
/// their last nodes.
fn a_list_is_built_and_taken_apart_node_by_node<F: Format>() {
    let m = machine::<F>(&[]);
    let before = m.arena().stats().claimed_pages;
    let metadata: &'static StaticMetadata<8> = Box::leak(Box::new(StaticMetadata::new()));
    let pool: Nodes<'_, F> = Pool::new(ArenaPages::new(m.arena()), metadata);
    let table = [
        Host { number: 1, name: "new_node", function: new_node::<F> },
        Host { number: 2, name: "free_node", function: free_node::<F> },
    ];
    let hosts = Hosts::new(&table).unwrap();
    let memory = m.memory(0);
    let runs = |code, argument| {
        let program = Program::check(code, hosts).unwrap();
        let runner = Runner::new(program, stack(), base()).for_program(ID.unwrap());
        let ended = runner.run(&memory, program.start(), [argument, 0, 0, 0, 0], &mut &pool);
        assert_eq!(ended.holes, 0);
        ended.result.unwrap()
    };
    // The last on several of the pool's chunks.
    for nodes in [1u64, 1000, 5000] {
        let head = runs(BUILD, nodes);
        let (mut next, mut found) = (head, Vec::new());
        while let Some(node) = ArenaPtr::<Node>::from_low_bits(next) {
            let [behind, value] = memory.load(node);
            found.push(value);
            next = behind;
        }
        assert!(found.into_iter().eq(1..=nodes));
        let pages = m.arena().stats().claimed_pages - before;
        assert!(pages >= (nodes * 16).div_ceil(4096) as u32, "{pages} pages");
        assert_eq!(pool.stats().live_blocks, nodes);
        assert_eq!(runs(DELETE, head), 0, "no free was refused");
        assert_eq!(pool.stats().live_blocks, 0);
        // Their frees may have come from anywhere, and were deferred.
        m.arena().reclaim();
        let left = m.arena().stats().claimed_pages - before;
        assert!(left <= 4, "{left} of {pages} pages are left, where one chunk is kept");
    }
    pool.reclaim();
    assert_eq!((m.arena().stats().claimed_pages, m.arena().stats().violations), (before, 0));
    let _figures = pool.destroy();
    m.finish();
}
each_format!(a_list_is_built_and_taken_apart_node_by_node);
