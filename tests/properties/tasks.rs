//! What a scenario is made of: plain values, so that a failing one shrinks to few steps and can be read.
//!
//! Nothing here names a page by what the arena did with it before. A target says "the third run of pages that somebody owns";
//! which that is, is looked up when the task comes up. So a step may be left out, and what is left still means something.

use kernel_arena::views::{FaultPolicy, ViewRights};
use kernel_arena::{Context, Owner};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::machine::{Point, TlbMode};

/// A machine and what happens on it.
#[derive(Clone, Debug)]
pub(super) struct Scenario {
    pub(super) shape: Shape,
    pub(super) steps: Vec<Step>,
}

/// What does not change while a scenario runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) first_page: u32,
    pub(super) pages: u32,
    pub(super) arenas: usize,
    /// Program views at the start.
    pub(super) views: u16,
    pub(super) tlb: TlbMode,
    pub(super) seed: u64,
}

/// A task, and what comes in between.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) task: Task,
    pub(super) trouble: Trouble,
    pub(super) interrupts: Vec<Interrupt>,
}

/// A task in the middle of another: at the arena's `after`-th call of the platform since the one before, counting only those
/// of one kind if it says so.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interrupt {
    pub(super) at: Option<Point>,
    pub(super) after: u32,
    pub(super) task: Task,
}

/// What the frame source has against the step.
#[derive(Clone, Copy, Debug)]
pub(super) enum Trouble {
    None,
    /// The n-th request, counted from 0, finds nothing.
    FailAt(u32),
    /// Only so many frames are left.
    Left(u32),
}

/// An operation, by whom, and where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Task {
    pub(super) cpu: usize,
    /// The address space that is loaded.
    pub(super) tag: u16,
    pub(super) arena: usize,
    /// The program that the CPU works for, or 0.
    pub(super) program: u32,
    /// Whether the kernel does not know which CPU it is on.
    pub(super) nameless: bool,
    /// What a program has in the upper half of its numbers, if it is a program that asks.
    pub(super) upper_half: Option<u32>,
    pub(super) op: Op,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Op {
    Alloc {
        count: u32,
        align: u32,
        exactly: Option<Target>,
        owner: Owner,
        context: Context,
    },
    Free {
        target: Target,
        count: u32,
        whose: Whose,
        when: When,
        flaw: Flaw,
    },
    Reserve {
        target: Target,
        count: u32,
        owner: Owner,
        flaw: Flaw,
    },
    Reclaim,
    Access {
        target: Target,
        word: usize,
        kind: Kind,
        via: Via,
    },
    /// Takes that many violations out of the record.
    Drain(u32),
    /// So many frees of what is no page: more violations than the record may have room for.
    Flood(u32),
    /// Creates the second arena.
    Create,
    Attach {
        rights: ViewRights,
        policy: FaultPolicy,
    },
    Detach,
}

/// A page, by what is known of it when the task comes up.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target {
    /// A page of the extent.
    Page(u32),
    /// A run of pages that one owner has.
    Owned(u32),
    /// A page that the interrupted operation names, or a page of the extent.
    Interrupted(u32),
    /// One of the places that are never allocated.
    Elsewhere(u32),
}

/// By whom a free is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Whose {
    Owner,
    Not(Owner),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    Now,
    Deferred,
}

/// What is wrong with a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    None,
    Misaligned,
    Outside,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Read,
    Write,
}

/// How memory is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Via {
    /// The kernel, in its own view.
    Kernel,
    /// User mode, in a program view.
    Program,
    /// The kernel, in a program view.
    KernelInProgramView,
    /// User mode, at the kernel's address: never allowed.
    UserInKernelView,
}

pub(super) fn scenario(steps: std::ops::Range<usize>) -> impl Strategy<Value = Scenario> {
    (shape(), vec(step(), steps)).prop_map(|(shape, steps)| Scenario { shape, steps })
}

fn shape() -> impl Strategy<Value = Shape> {
    let extent = prop_oneof![
        4 => Just((1, 5)),
        4 => Just((509, 6)),
        3 => Just((1000, 40)),
        2 => Just((450, 150)),
    ];
    let tlb = select(&[TlbMode::Random, TlbMode::Eager, TlbMode::Lazy]);
    (extent, 1..=2usize, 0..3u16, tlb, 0..1u64 << 32).prop_map(|((first_page, pages), arenas, views, tlb, seed)| {
        Shape { first_page, pages, arenas, views, tlb, seed }
    })
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let trouble = prop_oneof![
        14 => Just(Trouble::None),
        1 => (0..4u32).prop_map(Trouble::FailAt),
        1 => (0..4u32).prop_map(Trouble::Left),
    ];
    let interrupts = prop_oneof![
        2 => Just(Vec::new()),
        4 => vec(interrupt(), 1),
        3 => vec(interrupt(), 2..5),
        2 => vec(wild_store(), 1..4),
    ];
    (task(0), trouble, interrupts).prop_map(|(task, trouble, interrupts)| Step { task, trouble, interrupts })
}

fn interrupt() -> impl Strategy<Value = Interrupt> {
    use Point::*;
    let at = prop_oneof![
        3 => Just(None),
        1 => select(&[FrameAlloc, FrameFree, BeforeFlush, AfterFlush, CpuIdentity, PhysMap]).prop_map(Some),
    ];
    let after = prop_oneof![6 => 0..3u32, 9 => 0..24u32, 1 => 0..300u32];
    (at, after, task(5)).prop_map(|(at, after, task)| Interrupt { at, after, task })
}

/// A wild store where an operation is at work: what makes allocations give up.
fn wild_store() -> impl Strategy<Value = Interrupt> {
    (6..20u32, 0..3usize, 0..2u32).prop_map(|(after, cpu, nth)| {
        let op = Op::Access { target: Target::Interrupted(nth), word: 0, kind: Kind::Write, via: Via::Kernel };
        let task = Task { cpu, tag: 0, arena: 0, program: 0, nameless: false, upper_half: None, op };
        Interrupt { at: None, after, task }
    })
}

/// A task; the larger the number, the more often its target is what it interrupts.
fn task(interrupting: u32) -> impl Strategy<Value = Task> {
    let nameless = prop_oneof![12 => Just(false), 1 => Just(true)];
    let arena = prop_oneof![3 => Just(0), 1 => Just(1usize)];
    let upper_half = prop_oneof![3 => Just(None), 1 => any::<u32>().prop_map(Some)];
    (0..3usize, 0..3u16, arena, 0..3u32, nameless, upper_half, op(interrupting)).prop_map(
        |(cpu, tag, arena, program, nameless, upper_half, op)| Task {
            cpu,
            tag,
            arena,
            program,
            nameless,
            upper_half,
            op,
        },
    )
}

fn op(interrupting: u32) -> impl Strategy<Value = Op> {
    let exactly = prop_oneof![3 => Just(None), 1 => target(interrupting).prop_map(Some)];
    let align = prop_oneof![6 => Just(1), 2 => select(&[2u32, 4, 16, 1024]), 1 => select(&[0u32, 3, 64, 1 << 19])];
    let context = select(&[Context::MayWait, Context::Any]);
    let alloc = (count(), align, exactly, owner(), context)
        .prop_map(|(count, align, exactly, owner, context)| Op::Alloc { count, align, exactly, owner, context });
    let whose = prop_oneof![9 => Just(Whose::Owner), 1 => owner().prop_map(Whose::Not)];
    let mostly_owned = prop_oneof![6 - interrupting => any::<u32>().prop_map(Target::Owned), 3 => target(interrupting)];
    let free = (mostly_owned, count(), whose, select(&[When::Now, When::Deferred]), flaw())
        .prop_map(|(target, count, whose, when, flaw)| Op::Free { target, count, whose, when, flaw });
    let reserve = (target(interrupting), count(), owner(), flaw())
        .prop_map(|(target, count, owner, flaw)| Op::Reserve { target, count, owner, flaw });
    let kind = select(&[Kind::Read, Kind::Write]);
    let via = prop_oneof![
        6 => Just(Via::Kernel),
        2 => Just(Via::Program),
        1 => Just(Via::KernelInProgramView),
        1 => Just(Via::UserInKernelView),
    ];
    let access = (target(interrupting), 0..super::model::WORDS.len(), kind, via)
        .prop_map(|(target, word, kind, via)| Op::Access { target, word, kind, via });
    let rights = select(&[ViewRights::ReadWrite, ViewRights::ReadWrite, ViewRights::ReadOnly]);
    let attach = (rights, select(&[FaultPolicy::Segv, FaultPolicy::Lazy]))
        .prop_map(|(rights, policy)| Op::Attach { rights, policy });
    prop_oneof![
        8 => alloc,
        7 => free,
        3 => reserve,
        3 => Just(Op::Reclaim),
        9 => access,
        1 => (0..70u32).prop_map(Op::Drain),
        1 => (20..70u32).prop_map(Op::Flood),
        1 => Just(Op::Create),
        2 => attach,
        1 => Just(Op::Detach),
    ]
}

fn target(interrupting: u32) -> impl Strategy<Value = Target> {
    prop_oneof![
        5 => any::<u32>().prop_map(Target::Page),
        4 => any::<u32>().prop_map(Target::Owned),
        1 => any::<u32>().prop_map(Target::Elsewhere),
        2 * interrupting => (0..4u32).prop_map(Target::Interrupted),
    ]
}

/// Batches have 64 pages: counts about that, too.
fn count() -> impl Strategy<Value = u32> {
    prop_oneof![16 => 1..5u32, 4 => 4..20u32, 4 => 60..70u32, 1 => Just(0)]
}

fn owner() -> impl Strategy<Value = Owner> {
    prop_oneof![3 => Just(Owner::Program), 1 => Just(Owner::Kernel), 1 => Just(Owner::Allocator)]
}

fn flaw() -> impl Strategy<Value = Flaw> {
    prop_oneof![20 => Just(Flaw::None), 1 => Just(Flaw::Misaligned), 1 => Just(Flaw::Outside)]
}
