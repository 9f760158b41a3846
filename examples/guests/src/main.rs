//! A program: it is linked at a fixed address, enters at `_start` with four arguments, and knows its kernel only by its system calls.
//!
//! What it does is told by its first argument (`abi::does`). Most of it is what a good program does with memory that it shares with
//! the kernel; the rest is what a bad one does.

#![cfg_attr(target_os = "none", no_std, no_main)]
#![cfg_attr(not(target_os = "none"), allow(dead_code, reason = "a program for bare metal"))]

#[cfg(target_os = "none")]
mod atomics;
#[cfg(target_os = "none")]
mod forbidden;
#[cfg(target_os = "none")]
mod lists;
#[cfg(target_os = "none")]
mod machine;
#[cfg(target_os = "none")]
mod messages;
#[cfg(target_os = "none")]
mod registers;
#[cfg(target_os = "none")]
mod worst;

#[cfg(not(target_os = "none"))]
fn main() -> std::process::ExitCode {
    eprintln!(
        "this is a program of the kernels `programs`, `races` and `demo`: `cargo xtask test programs` boots the first"
    );
    std::process::ExitCode::from(2)
}

#[cfg(target_os = "none")]
mod start {
    use crate::machine::{call, jump, load, store};
    use crate::{atomics, forbidden, lists, messages, registers, worst};
    use guests::abi::{ALLOC, ECHO, EXIT, REFUSED, does};

    /// The entry.
    ///
    /// # Safety
    /// The kernel's to enter, once, on a stack.
    #[unsafe(no_mangle)]
    #[unsafe(link_section = ".text.start")]
    unsafe extern "C" fn _start(what: u64, first: u64, second: u64, third: u64) -> ! {
        exit(run(what, first, second, third))
    }

    pub(super) fn exit(value: u64) -> ! {
        loop {
            call(EXIT, [value, 0, 0, 0]);
        }
    }

    fn run(what: u64, first: u64, second: u64, third: u64) -> u64 {
        match what {
            does::COMPUTE => (1..=first).sum(),
            does::ECHOES => (0..first).filter(|n| call(ECHO, [*n, 2, 3, 4]) == n + 9).map(|_| 1).sum(),
            does::LOAD => load(first),
            does::STORE => {
                store(first, second);
                0
            }
            does::SPIN => loop {
                core::hint::spin_loop();
            },
            does::JUMP => {
                jump(first);
                0
            }
            does::WALK => lists::walk(first),
            does::BUILD => lists::build(first),
            does::LOOK_UP => lists::look_up(first, second),
            does::ENTER => lists::enter(first, second, third),
            does::ATOMICS => atomics::all(first, second),
            does::CALL => call(first, [second, third, 0, 0]),
            does::WATCH => messages::watch(first),
            does::ANSWER => messages::answer(first, second, third),
            does::WORST => worst::go(first, second, third),
            does::TOUCH => (0..second).filter(|page| lists::touch(first + page * 4096)).map(|_| 1).sum(),
            does::FORBIDDEN => {
                forbidden::do_it(first);
                0
            }
            does::FLAGS => forbidden::flags_are_kept().into(),
            does::REGISTERS => registers::lost(first, second, third),
            _ => REFUSED,
        }
    }

    /// Pages for its own use, or 0.
    pub(super) fn pages(count: u64) -> u64 {
        let at = call(ALLOC, [0, count, 0, 0]);
        if at & REFUSED == 0 { at } else { 0 }
    }

    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
        exit(REFUSED | 99)
    }
}
