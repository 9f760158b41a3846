//! The TLB shootdown of x86_64, where no instruction reaches another processor's TLB: an interrupt
//! asks every other CPU to flush its own, and the one that asked waits for their answers.
//!
//! # Contract
//!
//! When [`shootdown`](InterruptShootdown::shootdown) returns, no CPU that is online will use a
//! translation of these addresses that was read before the call, under any PCID that it can load
//! without a flush; CPUs that sleep are included, and one that comes online meanwhile has none.
//! All that the others stored through such translations is visible to the caller.
//!
//! - Any number of CPUs may call it at once, at any interrupt level, interrupts masked or not, also
//!   from a handler that interrupted another call on the same CPU. Not from an NMI's handler: it
//!   sends by the local APIC, which that may have interrupted halfway.
//! - It takes no lock and allocates nothing: a request lives on the stack of the one who waits.
//! - The caller is not moved to another CPU meanwhile (preemption is off).
//! - Every CPU takes the interrupt sooner or later: one that spins with interrupts masked for
//!   something that another CPU is to do, calls [`serve`] as it spins, as [`crate::relax`] does.
//!   One that is in a shootdown itself does so here.
//! - A CPU calls [`come_online`] before its first access to such addresses. None goes offline.
//!
//! Whoever takes this file into a kernel of his own gives it four things: the number of CPUs at most,
//! the number of the CPU that runs, a way to interrupt all others, and an interrupt handler that
//! calls [`serve`].
//!
//! # How it works
//!
//! Each CPU has an inbox, a stack of letters without a lock: whoever asks pushes one, its owner takes
//! all of them with one exchange. There is a letter for each addressee, since each hangs in
//! another list; all lead to the one request, which counts the answers that are missing.
//!
//! *A request is seen.* The order is: push, then interrupt. So an addressee that has taken an
//! interrupt finds all letters whose interrupts came before or became one with it; looking into an
//! empty inbox does no harm. The sender never leaves out its interrupt because of another
//! letter in the inbox: that one's sender may have been interrupted before it sent its own.
//!
//! *What is flushed stays flushed.* The caller's change of the table comes before the push, which is a
//! locked instruction, so it is visible to every processor before the letter is (Intel SDM vol. 3,
//! 10.2.3.8, 10.2.3.9). The addressee takes the letter (Acquire, pairs with the push's Release), then
//! flushes: `invlpg` and writing CR3 or CR4 serialize, and no walk that comes after them uses what
//! was cached before (5.10.4.1, 10.3). Such a walk reads the changed table.
//!
//! *What was stored is there.* The addressee's stores through an old translation come before its
//! answer in program order, and the answer, a locked instruction (Release), is visible after them.
//! The caller's last look at the count (Acquire) reads the answer. So the frame may be used again.
//!
//! *A CPU that comes online* first says so and then flushes; the caller first changes the table and
//! then reads who is online; both have a full barrier in between. So either the caller sees it and
//! sends it a letter, or its flush comes after the change (store buffering, 10.2.3.4, forbidden by the
//! barriers).
//!
//! *No deadlock.* A CPU that waits for answers takes its own letters, so a call can only hang on a
//! letter that was taken but not answered yet, by a CPU whose [`serve`] was interrupted by a handler
//! that calls again. That call is younger than the letter. What it hangs on in turn is younger
//! again: there is no circle, and the youngest call of all hangs on nothing.

use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering, fence};

use kernel_arena::AddressRange;
use kernel_arena::arch::x86_64::tlb::flush_local;
use kernel_arena::platform::{FlushScope, Shootdown};

use super::segments::current;
use super::{apic, interrupts};
use crate::layout::MAX_CPUS;

/// The shootdown of all CPUs that are online.
#[derive(Clone, Copy, Debug, Default)]
pub struct InterruptShootdown;

/// What is asked. It lives until nobody's answer is missing, and its letters with it.
struct Request<'a> {
    ranges: &'a [AddressRange],
    scope: FlushScope,
    missing_answers: AtomicU32,
}

/// A request on its way to one CPU.
struct Letter<'a> {
    request: *const Request<'a>,
    /// The letter below it in the inbox. Only the sender writes this, before the push.
    next: AtomicPtr<Letter<'a>>,
}

/// The letters to one CPU that it has not taken yet; on a cache line of its own.
#[repr(align(64))]
struct Inbox {
    top: AtomicPtr<Letter<'static>>,
}

static INBOXES: [Inbox; MAX_CPUS] = [const { Inbox { top: AtomicPtr::new(null_mut()) } }; MAX_CPUS];

/// A bit for each CPU that is online.
static ONLINE: AtomicU64 = AtomicU64::new(0);

const _: () = assert!(MAX_CPUS <= 64, "ONLINE has a bit for each CPU");

impl Shootdown for InterruptShootdown {
    fn shootdown(&self, ranges: &[AddressRange], scope: FlushScope) {
        let cpu = current();
        // Between the caller's change of the table and the look at who is online.
        fence(Ordering::SeqCst);
        let others = ONLINE.load(Ordering::Relaxed) & !(1 << cpu);

        let request = Request { ranges, scope, missing_answers: AtomicU32::new(others.count_ones()) };
        let letters: [Letter<'_>; MAX_CPUS] =
            core::array::from_fn(|_| Letter { request: &raw const request, next: AtomicPtr::new(null_mut()) });
        for (index, letter) in letters.iter().enumerate().filter(|(index, _)| others >> index & 1 != 0) {
            // SAFETY: letter and request are not touched until this function returns, which it does
            // only when all answers are there.
            unsafe { push(&INBOXES[index], letter) };
        }
        if others != 0 {
            apic::interrupt_others(interrupts::SHOOTDOWN_VECTOR);
        }
        flush_local(ranges, scope);
        // Acquire: what the others did before they answered has happened.
        while request.missing_answers.load(Ordering::Acquire) != 0 {
            serve();
            core::hint::spin_loop();
        }
    }
}

/// Puts a letter into an inbox.
///
/// # Safety
///
/// The letter and its request stay where they are until its addressee has answered.
unsafe fn push(inbox: &Inbox, letter: &Letter<'_>) {
    let letter = (&raw const *letter).cast_mut().cast::<Letter<'static>>();
    let mut top = inbox.top.load(Ordering::Relaxed);
    loop {
        // SAFETY: the letter is the caller's, and not in the inbox yet.
        unsafe { &(*letter).next }.store(top, Ordering::Relaxed);
        // Release: the addressee sees the letter, the request, and the change of the table.
        match inbox.top.compare_exchange_weak(top, letter, Ordering::Release, Ordering::Relaxed) {
            Ok(_) => return,
            Err(now) => top = now,
        }
    }
}

/// Does what others have asked of this CPU. In any context.
pub(super) fn serve() {
    let inbox = &INBOXES[current()];
    if inbox.top.load(Ordering::Relaxed).is_null() {
        return;
    }
    // Acquire: pairs with each push, as every change of `top` is a read-modify-write.
    let mut letter = inbox.top.swap(null_mut(), Ordering::Acquire).cast_const();
    while !letter.is_null() {
        // SAFETY: this CPU took the letter, and has not answered it: it is still there.
        let next = unsafe { &(*letter).next }.load(Ordering::Relaxed);
        // SAFETY: as above.
        let request = unsafe { (*letter).request };
        // SAFETY: the request outlives its letters.
        let request = unsafe { &*request };
        flush_local(request.ranges, request.scope);
        // Release: after the flush, and after all that this CPU has stored before. From here on
        // the letter and the request may be gone.
        request.missing_answers.fetch_sub(1, Ordering::Release);
        letter = next;
    }
}

/// Declares this CPU able to answer: it has its descriptor tables, and will enable interrupts.
pub(super) fn come_online() {
    // A full barrier between saying so and the flush.
    ONLINE.fetch_or(1 << current(), Ordering::SeqCst);
    flush_local(&[], FlushScope::Tables);
}

/// How many CPUs are online.
pub(super) fn online_count() -> u32 {
    ONLINE.load(Ordering::Acquire).count_ones()
}
