//! What is done when a thread ends, and in a child that was forked.
//!
//! The end is heard of by a `pthread` key, made once: to give the running thread a value for it takes no lock. The
//! other hook, a destructor of a thread-local, is registered under the dynamic loader's lock, so that a thread which a
//! library's constructor starts, and waits for, would wait for ever.

use core::ffi::c_void;
use core::ptr;

use libc::{pthread_atfork, pthread_key_create, pthread_key_delete, pthread_key_t, pthread_setspecific};

use crate::sync::{AtomicU64, Ordering};

/// The key's number plus one; 0 until there is one.
static KEY: AtomicU64 = AtomicU64::new(0);

/// What is done.
#[derive(Clone, Copy)]
pub(super) struct Hooks {
    /// When a thread ends, after the destructors of its thread-locals.
    pub(super) at_end: unsafe extern "C" fn(*mut c_void),
    /// In a forked child, by its only thread, before `fork` returns there.
    pub(super) in_child: unsafe extern "C" fn(),
}

/// Has the hook called when the running thread ends. All callers pass the same hooks. Says whether it will be: not where
/// the process has no key left, or no memory for the note.
///
/// It may allocate.
pub(super) fn call_at_end(hooks: Hooks) -> bool {
    // Any value but null stands for "to be called".
    let value = ptr::NonNull::<c_void>::dangling().as_ptr();
    // SAFETY: the key is one of this process's, and never deleted.
    key(hooks).is_some_and(|key| unsafe { pthread_setspecific(key, value) } == 0)
}

/// The key. Threads that come first make one each; the one that is published is the key, the others delete theirs. So
/// nobody waits, and a child forked in between finds none, or a whole one.
fn key(hooks: Hooks) -> Option<pthread_key_t> {
    // Acquire: pairs with the exchange below. The C library does not promise that a key that was made by another thread is
    // whole for this one.
    if let Some(key) = from_word(KEY.load(Ordering::Acquire)) {
        return Some(key);
    }
    let mut mine: pthread_key_t = 0;
    // SAFETY: there is a place for the key, and the destructor has the signature that is asked for.
    if unsafe { pthread_key_create(&raw mut mine, Some(hooks.at_end)) } != 0 {
        return None;
    }
    // A key is a small number, of another type on each host.
    match KEY.compare_exchange(0, mine as u64 + 1, Ordering::Release, Ordering::Acquire) {
        Ok(_) => {
            // SAFETY: the function has the signature that is asked for. Where there is no memory for the note, a child
            // has fewer numbers to give out, and no more than that.
            unsafe { pthread_atfork(None, None, Some(hooks.in_child)) };
            Some(mine)
        }
        Err(theirs) => {
            // SAFETY: made above, and no thread has a value for it.
            unsafe { pthread_key_delete(mine) };
            from_word(theirs)
        }
    }
}

fn from_word(word: u64) -> Option<pthread_key_t> {
    word.checked_sub(1).and_then(|key| key.try_into().ok())
}
