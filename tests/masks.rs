//! CPU masks in the arena, on the software machine: what is refused, every operation against a plain model of sets, and programs
//! that change a mask while the kernel is at it.

mod edges;
mod kernel;
mod meddling;
mod model;
mod refusals;

use kernel_arena::access::Hole;
use kernel_arena::masks::{MaskError, MaskIds, SharedMask};
use kernel_arena::platform::CpuId;
use kernel_arena::{AllocRequest, ArenaPtr, KernelAddr, Owner, PageCount};

use crate::accessor::CpuMemory;
use crate::machine::access::Cpu;
use crate::machine::{Format, Host, Machine};

type Mask<'m, F> = SharedMask<'m, Host<F>, F, Cpu<'m, F>>;

/// Pages 16 to 31 are there, 32 and on are not.
const START: u32 = 0x1_0000;
const END: u32 = 0x2_0000;

fn machine<F: Format>() -> Machine<F> {
    let m = Machine::builder().extent(16, 64).build();
    let all = AllocRequest::new(PageCount::new(16).unwrap(), Owner::Program).exactly_at(at(START));
    m.arena().alloc_pages(all).expect("all are free");
    m
}

fn at<T>(offset: u32) -> ArenaPtr<T> {
    ArenaPtr::new(offset).expect("an offset that is not 0")
}

fn cpu(id: u32) -> CpuId {
    CpuId::new(id.try_into().unwrap())
}

fn ids(ids: u32) -> MaskIds {
    MaskIds::new(ids).unwrap()
}

/// Writes a header, as a program does.
fn header<F: Format>(memory: &CpuMemory<'_, F>, offset: u32, [base, nr, alloc_words]: [u32; 3]) {
    for (field, value) in [(0, base), (4, nr), (8, alloc_words)] {
        memory.try_store(at(offset + field), &value).expect("a page is there");
    }
}

/// Writes a word of bits.
fn word<F: Format>(memory: &CpuMemory<'_, F>, offset: u32, index: u32, bits: u64) {
    memory.try_store(at(offset + 16 + 8 * index), &bits).expect("a page is there");
}

/// Where a hole is, by offset.
fn hole<F: Format>(m: &Machine<F>, offset: u32) -> Hole {
    Hole { address: KernelAddr::new(m.arena().layout().base().value() + u64::from(offset)) }
}

/// What became of a snapshot: the ids, or why not.
fn taken<F: Format>(memory: &CpuMemory<'_, F>, at: u64, of: u32) -> Result<(u32, u32), MaskError> {
    SharedMask::snapshot(memory, at, ids(of)).map(|mask| (mask.span().base(), mask.span().nr()))
}

fn list<F: Format>(mask: &Mask<'_, F>) -> Vec<u32> {
    mask.iter().map(|cpu| cpu.expect("a page is there").number().into()).collect()
}
