//! What the Rust compiler makes of Rust: sections for each function and variable, constants that refer to each other, a lock.

use kernel_arena_bpf::{Budget, Reason};

use crate::ground::{State, each};
use crate::machine::Format;

fn a_list_of_the_kernels_is_walked_in_rust<F: Format>() {
    each::<F>("shared", |g| {
        assert_eq!(g.call("sum", &[100]), 0, "{}", g.name);
        let page = g.m.alloc(1);
        for (value, node) in (5..).zip([0, 16, 32].map(|at| page.offset() + at)) {
            g.memory.store(kernel_arena::ArenaPtr::<[u64; 2]>::new(node).unwrap(), &[0, value]);
            assert_eq!(g.call("push", &[node.into()]), value, "{}", g.name);
        }
        assert_eq!([100, 2, 0].map(|limit| g.call("sum", &[limit])), [18, 13, 0], "{}", g.name);
        // The last one is the first; the kernel takes it off.
        let head = g.variable::<u64>("HEAD");
        assert_eq!(g.memory.load(head) & 0xffff_ffff, u64::from(page.offset()) + 32, "{}", g.name);
        g.memory.store(head, &(u64::from(page.offset()) + 16));
        assert_eq!(g.call("sum", &[100]), 11, "{}", g.name);
    });
}
each_format!(a_list_of_the_kernels_is_walked_in_rust);

fn data_and_constants_are_where_rust_looks_for_them<F: Format>() {
    each::<F>("shared", |g| {
        let answers = [0, 1, 2, 3, 4, u64::MAX].map(|number| g.call("square", &[number]));
        assert_eq!(answers, [0, 1, 4, 9, u64::MAX, u64::MAX], "{}", g.name);
        g.memory.store(g.variable::<[u64; 4]>("SQUARES"), &[7, 8, 9, 10]);
        assert_eq!(g.call("square", &[2]), 9, "{}", g.name);
        let names = [0, 1, 2, 3].map(|number| g.call("name", &[number]));
        assert_eq!(names, [3 << 8 | 0x6f, 5 << 8 | 0x74, 6 << 8 | 0x65, 0], "{}: one, three, eleven", g.name);
    });
}
each_format!(data_and_constants_are_where_rust_looks_for_them);

fn a_lock_in_rust_is_held_by_one_at_a_time<F: Format>() {
    each::<F>("shared", |g| {
        assert_eq!(g.call("count", &[500]), 0, "{}", g.name);
        let guarded = g.variable::<[u64; 3]>("GUARDED");
        assert_eq!(g.memory.load(guarded), [0, 500, 500], "{}: it is free again", g.name);
        g.memory.store(guarded.cast::<u32>(), &1);
        let impatient = g.runner.with_budget(Budget::new(1000));
        let ended = g.run_with(&impatient, "count", &[1], &mut State::new());
        assert_eq!(ended.result, Err(Reason::OutOfBudget), "{}", g.name);
        let [lock, first, second] = g.memory.load(guarded);
        assert!(lock >> 32 > 10, "{}: it spun", g.name);
        assert_eq!((lock & 0xffff_ffff, first, second), (1, 500, 500), "{}", g.name);
    });
}
each_format!(a_lock_in_rust_is_held_by_one_at_a_time);
