//! `cargo bench --bench access --features zerocopy`: what typed access costs beside an access that nobody checks. On Linux for
//! x86_64, in a window of this process whose faults are real.

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[expect(unreachable_pub, reason = "for two benchmarks")]
mod median;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[expect(unreachable_pub, reason = "for a test, too")]
#[expect(dead_code, reason = "for a test, too")]
#[path = "../tests/access/process/window.rs"]
mod window;

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
fn main() {}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn main() {
    use std::hint::black_box;
    use std::sync::atomic::{AtomicU64, Ordering};

    use kernel_arena::ArenaPtr;
    use median::{ROUNDS, median};

    const MANY: usize = 512;
    println!("typed access, median of {ROUNDS} rounds; in brackets beside what it is compared with");
    window::alloc(32);
    window::alloc(33);
    let arena = window::arena();
    let memory = arena.memory().expect("it is shared");
    let page = 32u32 << 12;
    let words: [ArenaPtr<u64>; MANY] = std::array::from_fn(|n| {
        let offset = page as usize + 8 * n;
        u32::try_from(offset).ok().and_then(ArenaPtr::new).expect("in the window")
    });
    let raw: [*mut u64; MANY] = words.map(|word| arena.layout().to_kernel(word).as_mut_ptr());
    let show = |name: &str, ns: f64, than: f64| println!("  {name:<44} {ns:>8.2} ns  ({:.2})", ns / than);

    // SAFETY: words of a page that is mapped.
    let volatile = median(MANY, || raw.iter().for_each(|word| _ = black_box(unsafe { word.read_volatile() })));
    show("8 bytes: a volatile read", volatile, volatile);
    show(
        "8 bytes: load",
        median(MANY, move || words.iter().for_each(|word| _ = black_box(memory.load(*word)))),
        volatile,
    );
    let tried =
        median(MANY, move || words.iter().for_each(|word| _ = black_box(memory.try_load(*word).expect("mapped"))));
    show("8 bytes: try_load", tried, volatile);
    // SAFETY: as above.
    let stored = median(MANY, || raw.iter().for_each(|word| unsafe { word.write_volatile(black_box(1)) }));
    show("8 bytes: a volatile write", stored, stored);
    show(
        "8 bytes: store",
        median(MANY, move || words.iter().for_each(|word| memory.store(*word, &black_box(1)))),
        stored,
    );
    let tried =
        median(MANY, move || words.iter().for_each(|word| memory.try_store(*word, &black_box(1)).expect("mapped")));
    show("8 bytes: try_store", tried, stored);

    let mut buffer = [0u8; 4096];
    for bytes in [16, 64, 256, 4096] {
        let from: *const u8 = raw[0].cast();
        let into = &mut buffer[..bytes];
        let plain = median(16, || {
            for _ in 0..16 {
                // SAFETY: a page that is mapped, and a buffer that is as large.
                unsafe { black_box(from).copy_to_nonoverlapping(black_box(into.as_mut_ptr()), bytes) };
            }
        });
        show(&format!("{bytes} bytes: memcpy"), plain, plain);
        let copied = median(16, || {
            (0..16)
                .for_each(|_| memory.copy_in(black_box(words[0].cast()), black_box(&mut *into)).expect("in the window"))
        });
        show(&format!("{bytes} bytes: copy_in"), copied, plain);
        let copied = median(16, || {
            (0..16).for_each(|_| memory.try_copy_in(black_box(words[0].cast()), black_box(&mut *into)).expect("mapped"))
        });
        show(&format!("{bytes} bytes: try_copy_in"), copied, plain);
    }

    // SAFETY: an aligned word of a page that is mapped, which is accessed atomically alone here.
    let atomic = unsafe { AtomicU64::from_ptr(raw[0]) };
    let added = median(MANY, || (0..MANY).for_each(|_| _ = black_box(atomic.fetch_add(1, Ordering::AcqRel))));
    show("an atomic's fetch_add", added, added);
    let word = memory.atomic(words[0]).expect("aligned");
    show(
        "Atomic::fetch_add",
        median(MANY, || (0..MANY).for_each(|_| _ = black_box(word.fetch_add(1, Ordering::AcqRel)))),
        added,
    );
    show(
        "Atomic::try_fetch_add",
        median(MANY, || {
            (0..MANY).for_each(|_| _ = black_box(word.try_fetch_add(1, Ordering::AcqRel).expect("mapped")))
        }),
        added,
    );
}
