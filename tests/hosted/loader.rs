//! The heap beside the dynamic loader: whoever holds its lock may wait for a thread that allocates.

use std::ffi::CString;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::child::in_a_child_of;

/// Where the library is built.
const LIBRARY: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/constructor.so");

/// Blocks that the constructors' threads took and gave back.
static BLOCKS: AtomicUsize = AtomicUsize::new(0);

/// What a constructor's thread does: the first allocations of its life.
extern "C" fn allocate() {
    for size in 1..200usize {
        BLOCKS.fetch_add(Box::<[u8]>::from(vec![1; size]).len().min(1), Ordering::Relaxed);
    }
}

#[test]
fn a_thread_that_a_constructor_waits_for_may_allocate() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hosted/constructor.c");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-pthread", "-o", LIBRARY]).arg(source);
    // Only the parent: the child has the variable, too.
    if std::env::var_os("HOOK").is_none() {
        assert!(compiler.status().expect("a C compiler, `cc`").success());
    }
    // The address is the child's own, so it is the child that puts it where the library looks.
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env("HOOK", "0");
    in_a_child_of(command, "loader::a_thread_that_a_constructor_waits_for_may_allocate", || {
        // SAFETY: the other threads of this program do not read the environment.
        unsafe { std::env::set_var("HOOK", format!("{:x}", (allocate as extern "C" fn()) as usize)) };
        let path = CString::new(LIBRARY).unwrap();
        // SAFETY: the constructor calls `allocate`, and nothing else of ours.
        let library = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) };
        assert!(!library.is_null());
        assert_eq!(BLOCKS.load(Ordering::Relaxed), 199);
        // And threads that come after it.
        thread::spawn(|| allocate()).join().unwrap();
        assert_eq!(BLOCKS.load(Ordering::Relaxed), 2 * 199);
    });
}
