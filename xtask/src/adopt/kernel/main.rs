//! The kernel's own beginning, without which nothing is linked.
#![no_std]
#![no_main]

use core::mem::MaybeUninit;

use kernel_arena::{Arena, MetadataWord};

static mut METADATA: [MaybeUninit<MetadataWord>; 4096] = [const { MaybeUninit::uninit() }; 4096];
static mut ARENA: MaybeUninit<Arena<kernel::Machine>> = MaybeUninit::uninit();

#[no_mangle]
extern "C" fn _start() -> ! {
    let (metadata, arena) = unsafe { (&mut *core::ptr::addr_of_mut!(METADATA), &mut *core::ptr::addr_of_mut!(ARENA)) };
    assert!(kernel::run(metadata, arena));
    loop {}
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
