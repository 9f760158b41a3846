//! Functions of the kernel's, as objects ask for them; and a lock that both hold in turn.

use kernel_arena_bpf::{Budget, Reason};

use crate::ground::{HOSTS, State, base, committed, each, machine};
use crate::machine::Format;
use kernel_arena_bpf::Insn;
use kernel_arena_bpf::object::{LoadError, Object};

fn functions_are_found_by_name_and_by_number<F: Format>() {
    each::<F>("host", |g| {
        let mut said = State::new();
        let ended = g.run_with(&g.runner, "say", &[4], &mut said);
        assert_eq!(ended.result, Ok(40 + 50), "{}", g.name);
        assert_eq!(said, [("from the program".to_owned(), 4), ("a string".to_owned(), 5)], "{}", g.name);
        assert_eq!(g.call("by_number", &[21]), 43, "{}", g.name);
        // One weak function is there, the other is not.
        assert_eq!(g.call("if_there", &[]), 77 + 100, "{}", g.name);
        assert_eq!(g.run("not_there", &[1]).result, Err(Reason::Trap), "{}", g.name);
    });
}
each_format!(functions_are_found_by_name_and_by_number);

#[test]
fn a_function_that_nobody_has_is_named() {
    for (name, bytes) in committed("host") {
        let m = machine::<kernel_arena::arch::portable::Portable>();
        let object = Object::parse(&bytes).unwrap();
        let mut code = vec![Insn::default(); object.needs().instructions as usize];
        let data = m.alloc(1);
        let hosts = |name: &str| HOSTS.number_of(name).filter(|number| *number != 1);
        let refused = object.load(&mut code, data, base(), hosts, &m.memory(0)).unwrap_err();
        let LoadError::Unknown { symbol } = refused else { panic!("{name}: {refused}") };
        assert_eq!(symbol.text(), Some("host_say"), "{name}");
        assert_eq!(refused.to_string(), "host_say is neither in the object nor a function of the kernel's", "{name}");
        m.finish();
    }
}

fn a_lock_is_held_by_one_at_a_time<F: Format>() {
    each::<F>("lock", |g| {
        assert_eq!(g.call("count", &[500]), 0, "{}", g.name);
        let guarded = g.variable::<[u64; 3]>("guarded");
        assert_eq!(g.memory.load(guarded)[1..], [500, 500], "{}", g.name);
        // The kernel holds it: the program spins until its budget is spent, and changes nothing.
        g.memory.store(guarded.cast::<u32>(), &1);
        let impatient = g.runner.with_budget(Budget::new(1000));
        let ended = g.run_with(&impatient, "count", &[1], &mut State::new());
        assert_eq!(ended.result, Err(Reason::OutOfBudget), "{}", g.name);
        let [lock, first, second] = g.memory.load(guarded);
        assert!(lock >> 32 > 10, "{}: it spun", g.name);
        assert_eq!((lock & 0xffff_ffff, first, second), (1, 500, 500), "{}", g.name);
    });
}
each_format!(a_lock_is_held_by_one_at_a_time);
