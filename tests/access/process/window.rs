// A window in the address space of this process: the processor's own accesses, with faults of its own, which come as SIGSEGV.
//
// The arena's page tables are walked by nobody. Whoever allocates a page has it mapped here (`Window::map`), and whoever frees
// it has it taken away; where the arena recovers a fault, memory is mapped there. Linux on x86_64.
use std::sync::OnceLock;

use kernel_arena::kit::{FrameFns, OneCpu, Parts};
use kernel_arena::platform::{EntryAttributes, FixedOffset, FlushScope, Shootdown, UpperSlots};
use kernel_arena::sync::AtomicU64;
use kernel_arena::{
    Access, AddressRange, AddressWidth, AllocRequest, Arena, ArenaLayout, ArenaPtr, Fault, FaultOutcome, GUARD_SIZE,
    InstructionAddr, KernelAddr, Owner, PageCount, WINDOW_SIZE,
};

/// No TLB is behind these tables.
#[derive(Clone, Copy, Debug)]
pub struct Nobody;

impl Shootdown for Nobody {
    fn shootdown(&self, _ranges: &[AddressRange], _scope: FlushScope) {}
}

/// Five words that nobody walks.
#[derive(Debug)]
pub struct Entries([AtomicU64; 5], KernelAddr);

impl UpperSlots for Entries {
    fn window_base(&self) -> KernelAddr {
        self.1
    }
    unsafe fn window_entries(&self) -> [&AtomicU64; 4] {
        let [a, b, c, d, _] = &self.0;
        [a, b, c, d]
    }
    unsafe fn guard_entry(&self) -> &AtomicU64 {
        &self.0[4]
    }
}

/// What this process lends.
pub type Process = Parts<FrameFns, FixedOffset, Nobody, OneCpu, Entries>;

static ARENA: OnceLock<Arena<Process>> = OnceLock::new();

/// The arena, whose window is reserved and whose faults are handled from the first call on.
pub fn arena() -> &'static Arena<Process> {
    ARENA.get_or_init(|| {
        let base = reserve();
        let first = kernel_arena::PageIndex::new(16).unwrap();
        let layout = ArenaLayout::new(KernelAddr::new(base), AddressWidth::BITS_48, first, PageCount::new(64).unwrap());
        let layout = layout.unwrap();
        let frames = FrameFns::new(alloc_frame, |_| {});
        // SAFETY: each frame is memory at its own address, and no other attributes are wanted.
        let map = unsafe { FixedOffset::new(0, EntryAttributes::default()) };
        let entries = Entries([const { AtomicU64::new(0) }; 5], layout.base());
        // SAFETY: one CPU, in that nothing interrupts an operation but the handler of faults; the addresses are reserved.
        let platform = unsafe { Parts::new(frames, map, Nobody, OneCpu, entries) };
        let metadata = Box::leak(Box::new_uninit_slice(layout.metadata_words()));
        handle_faults();
        Arena::new(platform, layout, metadata).unwrap()
    })
}

/// Allocates a page, and maps memory there.
pub fn alloc(page: u32) {
    let at = ArenaPtr::<u8>::new(page << 12).unwrap();
    let request = AllocRequest::new(PageCount::ONE, Owner::Program).exactly_at(at);
    arena().alloc_pages(request).unwrap();
    protect(arena().layout().to_kernel(at).value(), libc::PROT_READ | libc::PROT_WRITE);
}

/// Frees a page, and takes the memory away.
pub fn free(page: u32) {
    let at = ArenaPtr::<u8>::new(page << 12).unwrap();
    protect(arena().layout().to_kernel(at).value(), libc::PROT_NONE);
    arena().free_pages(at, PageCount::ONE, Owner::Program).unwrap();
}

/// Address space for window and guards, at a multiple of 4 GiB, without memory.
fn reserve() -> u64 {
    let bytes = usize::try_from(3 * WINDOW_SIZE).unwrap();
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: new address space, of which nobody knows.
    let start = unsafe { libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_NONE, flags, -1, 0) };
    assert_ne!(start, libc::MAP_FAILED, "no address space");
    ((start as u64) + GUARD_SIZE).next_multiple_of(WINDOW_SIZE)
}

fn alloc_frame() -> Option<u64> {
    let frame = std::alloc::Layout::from_size_align(4096, 4096).unwrap();
    // SAFETY: the size is not 0.
    let frame = unsafe { std::alloc::alloc_zeroed(frame) };
    Some(frame.expose_provenance() as u64)
}

fn protect(address: u64, rights: libc::c_int) {
    let page = std::ptr::with_exposed_provenance_mut(usize::try_from(address & !0xfff).unwrap());
    // SAFETY: a page of the window or its guard, which Rust knows nothing of.
    let done = unsafe { libc::mprotect(page, 4096, rights) };
    assert_eq!(done, 0, "a page is not protected");
}

fn handle_faults() {
    // SAFETY: all zero is a value of it.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = on_fault as *const () as usize;
    // On the stack of whom it interrupted, as a kernel's handler is: whoever used a red zone there is found out.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_NODEFER;
    // SAFETY: the handler is one of the kind that was asked for.
    let done = unsafe { libc::sigaction(libc::SIGSEGV, &raw const action, std::ptr::null_mut()) };
    assert_eq!(done, 0, "no handler of faults");
}

extern "C" fn on_fault(_: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: what the system passes to a handler of this kind.
    let info = unsafe { &*info };
    // SAFETY: of a SIGSEGV, which has an address.
    let address = unsafe { info.si_addr() } as u64;
    // SAFETY: as above.
    let registers = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    let saved = registers[libc::REG_RIP as usize] as u64;
    let access = if registers[libc::REG_ERR as usize] & 2 == 0 { Access::Read } else { Access::Write };
    let fault = Fault { address: KernelAddr::new(address), access, instruction: InstructionAddr::new(saved) };
    let outcome = ARENA.get().map_or(FaultOutcome::NotOurs, |arena| arena.handle_kernel_fault(&fault));
    let mut to = saved;
    if !outcome.returns_to(&mut to) {
        // SAFETY: the fault comes again, and ends the process.
        unsafe { libc::signal(libc::SIGSEGV, libc::SIG_DFL) };
    } else if outcome == FaultOutcome::Recovered {
        protect(address, libc::PROT_READ | libc::PROT_WRITE);
    }
    registers[libc::REG_RIP as usize] = to as i64;
}
