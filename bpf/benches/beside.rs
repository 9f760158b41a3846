//! `cargo bench -p kernel-arena-bpf`: the interpreter beside that of `rbpf`, on programs that both can run, in turns. Memory is a
//! window of this process whose faults are real; `rbpf` has the same bytes as a slice. On Linux for x86_64.
//!
//! With the name of a program, and `ours` or `rbpf`, as arguments it is run once, for a tool that counts instructions.

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
fn main() {}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[expect(unreachable_pub, reason = "for the library's tests, too")]
#[expect(dead_code, reason = "for the library's tests, too")]
#[path = "../../tests/access/process/window.rs"]
mod window;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn main() {
    beside::main();
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod beside {
    use std::time::Instant;

    use kernel_arena::{ArenaPtr, ProgramAddr, ProgramBase};
    use kernel_arena_bpf::{Budget, Hosts, Insn, Program, Runner, Stack};

    use crate::window;

    /// How often each is measured; the median is told.
    const ROUNDS: usize = 21;
    /// How often the loop of each program goes round; a word of the page each time.
    const TURNS: i32 = 500;

    const fn insn(opcode: u8, dst: u8, src: u8, offset: i16, immediate: i32) -> Insn {
        Insn::new(opcode, dst, src, offset, immediate)
    }

    /// r1 is where a page is. What is in the loop, which r3 counts.
    fn looped(body: &[Insn]) -> Vec<Insn> {
        let back = -2 - i16::try_from(body.len()).expect("a body is short");
        [
            &[insn(0xb7, 0, 0, 0, 1), insn(0xb7, 3, 0, 0, TURNS)][..],
            body,
            &[insn(0x07, 3, 0, 0, -1), insn(0x55, 3, 0, back, 0), insn(0x95, 0, 0, 0, 0)],
        ]
        .concat()
    }

    fn programs() -> [(&'static str, Vec<Insn>); 5] {
        let next = insn(0x07, 1, 0, 0, 8);
        let arithmetic = [
            insn(0x0f, 0, 3, 0, 0),
            insn(0x27, 0, 0, 0, 31),
            insn(0xbf, 4, 0, 0, 0),
            insn(0x77, 4, 0, 0, 7),
            insn(0xaf, 0, 4, 0, 0),
            insn(0x04, 4, 0, 0, 5),
            insn(0x5f, 4, 3, 0, 0),
            insn(0x1f, 0, 4, 0, 0),
        ];
        let branches = [
            insn(0xbf, 4, 0, 0, 0),
            insn(0x57, 4, 0, 0, 1),
            insn(0x15, 4, 0, 2, 0),
            insn(0x27, 0, 0, 0, 3),
            insn(0x05, 0, 0, 1, 0),
            insn(0x77, 0, 0, 0, 1),
            insn(0x07, 0, 0, 0, 1),
            insn(0xa5, 0, 0, 1, 1000),
            insn(0x57, 0, 0, 0, 0xff),
        ];
        let loads =
            [insn(0x79, 4, 1, 0, 0), insn(0x0f, 0, 4, 0, 0), insn(0x61, 4, 1, 4, 0), insn(0x0f, 0, 4, 0, 0), next];
        let stores = [insn(0x7b, 1, 3, 0, 0), insn(0x6b, 1, 3, 2, 0), insn(0x72, 1, 0, 5, 7), next];
        let both = [insn(0x79, 4, 1, 0, 0), insn(0x0f, 4, 3, 0, 0), insn(0x7b, 1, 4, 8, 0), next];
        [
            ("arithmetic", looped(&arithmetic)),
            ("branches", looped(&branches)),
            ("loads", looped(&loads)),
            ("stores", looped(&stores)),
            ("both", looped(&both)),
        ]
    }

    const PAGE: u32 = 32;

    pub(crate) fn main() {
        window::alloc(PAGE);
        window::alloc(PAGE + 1);
        let arena = window::arena();
        let memory = arena.memory().expect("it is shared");
        let page: ArenaPtr<u8> = ArenaPtr::new(PAGE << 12).expect("not null");
        let bytes: *mut u8 = arena.layout().to_kernel(page).as_mut_ptr();
        let stack = Stack::new(ArenaPtr::new((PAGE + 1) << 12).expect("not null"), 8, 512).expect("it is aligned");
        let base = ProgramBase::new(ProgramAddr::new(0)).expect("a multiple of 4 GiB");
        let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
        let (only, by) = (arguments.next(), arguments.next());
        if only.is_none() {
            println!("nanoseconds an instruction, medians of {ROUNDS} rounds by turns");
        }
        for (name, code) in programs() {
            if only.as_deref().is_some_and(|only| only != name) {
                continue;
            }
            let program = Program::check(&code, Hosts::NONE).expect("it is well-formed");
            let runner = Runner::new(program, stack, base).with_budget(Budget::new(u64::MAX));
            let raw: Vec<u8> = code.iter().flat_map(|insn| insn.to_bytes()).collect();
            let rbpf = rbpf::EbpfVmRaw::new(Some(&raw)).expect("its verifier agrees");
            let ours = || runner.run(&memory, program.start(), [page.offset().into(), 4096, 0, 0, 0], &mut ());
            let theirs = || {
                // SAFETY: a page that is mapped, and nobody else accesses at the moment.
                let page = unsafe { std::slice::from_raw_parts_mut(bytes, 4096) };
                rbpf.execute_program(page).expect("it ends")
            };
            let zero = || memory.copy_out(page, &[0; 4096]).expect("it is there");
            zero();
            let ended = ours();
            zero();
            assert_eq!((ended.result, ended.holes), (Ok(theirs()), 0), "{name}: both end with the same");
            let spent = ended.spent;
            if let Some(by) = &by {
                if by == "ours" {
                    _ = ours()
                } else {
                    _ = theirs()
                }
                println!("{name} {by}: {spent} instructions, twice by ours and once by rbpf before");
                continue;
            }
            let many = 20_000_000 / spent;
            let time = |work: &dyn Fn()| {
                let started = Instant::now();
                (0..many).for_each(|_| work());
                started.elapsed().as_secs_f64() * 1e9 / (many * spent) as f64
            };
            let mut rounds = [const { Vec::new() }; 2];
            for _ in 0..ROUNDS {
                rounds[0].push(time(&|| _ = std::hint::black_box(ours())));
                rounds[1].push(time(&|| _ = std::hint::black_box(theirs())));
            }
            let [ours, theirs] = rounds.map(|mut times| {
                times.sort_by(f64::total_cmp);
                times[ROUNDS / 2]
            });
            println!("  {name:<12} {ours:>6.2}   rbpf {theirs:>6.2}   ({:.2} of its time)", ours / theirs);
        }
    }
}
