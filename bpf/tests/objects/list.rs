//! A list that program and kernel both push to, walk and bend.

use kernel_arena::ArenaPtr;

use crate::ground::{Ground, each};
use crate::machine::Format;

/// A node as the program has it: the pointer of 64 bits, and a value.
type Node = [u64; 2];

/// The values of the list, as the kernel finds them.
fn values<F: Format>(g: &Ground<'_, F>) -> Vec<u64> {
    let mut next = g.memory.load(g.variable::<u64>("head"));
    let mut values = Vec::new();
    while let Some(node) = ArenaPtr::<Node>::from_low_bits(next) {
        let [behind, value] = g.memory.try_load(node).expect("a page is there");
        values.push(value);
        next = behind;
    }
    values
}

fn program_and_kernel_share_a_list<F: Format>() {
    each::<F>("list", |g| {
        let spare = g.variable::<[Node; 4]>("spare");
        assert_eq!(g.memory.load(spare), [[0, 10], [0, 20], [0, 30], [0, 40]], "{}", g.name);
        for which in 0..3u32 {
            // The program's pointers are those of its view.
            let expected = g.to_program(ArenaPtr::<u8>::new(spare.offset() + which * 16).unwrap());
            assert_eq!(g.call("push", &[which.into()]), expected, "{}", g.name);
        }
        // The kernel pushes one of its own, in a page that the program has never seen, behind the program's head.
        let node = g.m.alloc(1).cast::<Node>();
        let head = g.variable::<u64>("head");
        g.memory.store(node, &[g.memory.load(head), 7]);
        g.memory.store(head, &g.to_program(node));
        // And has the program push another, from a pointer without an upper half.
        let another = ArenaPtr::<Node>::new(node.offset() + 64).unwrap();
        g.memory.store(another, &[0, 8]);
        assert_eq!(g.call("push_this", &[another.offset().into()]), 8, "{}", g.name);
        assert_eq!(values(g), [8, 7, 30, 20, 10], "{}", g.name);
        assert_eq!(g.call("sum", &[100]), 75, "{}", g.name);
        assert_eq!(g.memory.load(g.variable::<u64>("walked")), 5, "{}", g.name);
        assert_eq!(g.call("reverse", &[]), 5, "{}", g.name);
        assert_eq!(values(g), [10, 20, 30, 7, 8], "{}", g.name);
        assert_eq!(g.call("sum", &[2]), 30, "{}", g.name);
    });
}
each_format!(program_and_kernel_share_a_list);

/// The kernel frees the page of a node: the walk reads 0 there, which is the list's end, and goes on.
fn a_list_ends_where_its_page_was_freed<F: Format>() {
    each::<F>("list", |g| {
        g.call("push", &[0]);
        let page = g.m.alloc(1);
        g.memory.store(page.cast::<Node>(), &[g.memory.load(g.variable("head")), 7]);
        g.call("push_this", &[g.to_program(page)]);
        g.call("push", &[1]);
        assert_eq!(g.call("sum", &[100]), 37, "{}", g.name);
        g.m.free(page, 1);
        let ended = g.run("sum", &[100]);
        assert_eq!((ended.result, ended.holes), (Ok(20), 2), "{}", g.name);
        let hole = ended.first_hole.unwrap();
        assert!((page.offset().into()..i64::from(page.offset()) + 16).contains(&hole.offset), "{}", g.name);
        assert_eq!(g.loaded.symbol(hole.instruction).unwrap().name.text(), Some("sum"), "{}", g.name);
    });
}
each_format!(a_list_ends_where_its_page_was_freed);
