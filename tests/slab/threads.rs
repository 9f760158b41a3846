//! Real threads, each a CPU: producers and consumers, mixed sizes, drains in between; totals are exact afterwards.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use kernel_arena::ArenaPtr;
use kernel_arena::slab::{Mode, SizeClass, Slab};

use super::bench::{bytes, class};
use super::cpus::{nameless, on};
use super::lab::{Lab, Metadata, Pages};
use crate::machine::Random;

type Stage = (Arc<Lab>, Slab<Pages, Metadata>);

fn stage(pages: usize, mode: Mode) -> Stage {
    let lab = Lab::new(pages);
    let slab = Slab::new(Pages(Arc::clone(&lab)), Metadata(Arc::clone(&lab)), mode).unwrap();
    (lab, slab)
}

/// All is freed: what is left is in magazines, and then nowhere.
fn at_rest((lab, slab): Stage, cpus: u16) {
    let stats = slab.stats();
    for of in &stats.classes {
        assert_eq!((of.live, of.objects), (0, of.cached + of.free), "{of:?}");
    }
    assert_eq!(stats.live_bytes, 0);
    assert_eq!(stats.held_bytes, (lab.pages_out() as u64) << 12);
    assert_eq!(stats.metadata_bytes, (lab.metadata_out() as u64) << 12);
    assert_eq!((stats.misuses, lab.book().misuses.len()), (0, 0));
    (0..cpus).for_each(|cpu| _ = on(cpu, 0, || slab.drain()));
    assert_eq!(lab.pages_out(), 0);
    let stats = slab.stats();
    assert!(stats.classes.iter().all(|of| (of.slabs, of.objects) == (0, 0)));
    assert_eq!(slab.destroy().objects, 0);
    assert_eq!(lab.metadata_out(), 0);
}

struct Block {
    at: ArenaPtr,
    size: usize,
    mark: u8,
    checked: bool,
}

fn take(slab: &Slab<Pages, Metadata>, random: &Random) -> Option<Block> {
    let size = 1 + usize::try_from(random.below(1 << (3 + random.below(11)))).unwrap();
    let checked = random.one_in(4);
    let taken = if checked { slab.alloc_checked(bytes(size)) } else { slab.alloc(bytes(size)) };
    let at = taken.ok()?;
    let mark = u8::try_from(random.below(200)).unwrap();
    // SAFETY: the object is ours, and that large.
    unsafe { slab.to_kernel(at).write_bytes(mark, size) };
    Some(Block { at, size, mark, checked })
}

fn give(slab: &Slab<Pages, Metadata>, block: &Block) {
    // SAFETY: the object is ours, and that large, until it is freed below.
    let memory = unsafe { std::slice::from_raw_parts(slab.to_kernel(block.at), block.size) };
    assert!(*memory == *vec![block.mark; block.size], "somebody wrote to {:?}", block.at);
    if block.checked {
        slab.free_checked(Some(block.at)).unwrap();
    } else {
        // SAFETY: taken with this layout, and used no more.
        unsafe { slab.free(block.at, bytes(block.size)) };
    }
}

#[test]
fn objects_made_here_and_freed_there_are_all_accounted_for() {
    let stage = stage(1024, Mode::Fast);
    let slab = &stage.1;
    thread::scope(|scope| {
        for pair in 0..2 {
            let (to, from) = channel::<Vec<ArenaPtr>>();
            scope.spawn(move || on(pair * 2, 0, || produce(slab, &to)));
            scope.spawn(move || on(pair * 2 + 1, 0, || consume(slab, &from)));
        }
    });
    assert!(slab.stats().classes[class(56).index()].cached > 0);
    at_rest(stage, 4);
}

fn produce(slab: &Slab<Pages, Metadata>, to: &Sender<Vec<ArenaPtr>>) {
    for _ in 0..400 {
        let batch = (0..50).map(|_| slab.alloc(bytes(56)).unwrap());
        // SAFETY: objects of 56 bytes, ours alone.
        let marked = batch.inspect(|at| unsafe { slab.to_kernel(*at).cast::<u32>().write(at.offset()) });
        to.send(marked.collect()).unwrap();
    }
}

fn consume(slab: &Slab<Pages, Metadata>, from: &Receiver<Vec<ArenaPtr>>) {
    for at in from.iter().flatten() {
        // SAFETY: the producer wrote there, and sent it here.
        assert_eq!(unsafe { slab.to_kernel(at).cast::<u32>().read() }, at.offset());
        // SAFETY: handed to us by whoever took it, with this layout.
        unsafe { slab.free(at, bytes(56)) };
    }
}

fn mixed(mode: Mode, steps: usize, named: bool) {
    // Few pages, so that some allocations fail and drain what others keep.
    let stage = stage(256, mode);
    let slab = &stage.1;
    let pool = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for cpu in 0..4 {
            let pool = &pool;
            let work = move || {
                let random = Random::new(u64::from(cpu) + 1);
                for step in 0..steps {
                    let victim = {
                        let mut pool = pool.lock().unwrap();
                        let many = pool.len() as u64;
                        let give = many > 400 || many > 0 && random.one_in(2);
                        give.then(|| pool.swap_remove(usize::try_from(random.below(many)).unwrap()))
                    };
                    match victim {
                        Some(block) => give(slab, &block),
                        None => pool.lock().unwrap().extend(take(slab, &random)),
                    }
                    if step % 256 == 255 {
                        slab.drain();
                    }
                }
            };
            scope.spawn(move || if named { on(cpu, 0, work) } else { nameless(work) });
        }
    });
    pool.into_inner().unwrap().iter().for_each(|block| give(slab, block));
    slab.drain();
    at_rest(stage, 4);
}

#[test]
fn threads_that_share_what_they_take_lose_nothing() {
    mixed(Mode::Fast, 6000, true);
}

#[test]
fn threads_without_a_name_lose_nothing() {
    mixed(Mode::Fast, 4000, false);
}

#[test]
fn threads_in_debug_mode_are_not_blamed() {
    mixed(Mode::Debug, 1500, true);
}

/// I9: an object that one thread alone needs is there, whatever the others drain and retire meanwhile.
#[test]
fn who_always_has_room_never_finds_none() {
    let stage = stage(64, Mode::Fast);
    let slab = &stage.1;
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for cpu in 1..4_u16 {
            let over = &over;
            scope.spawn(move || {
                on(cpu, 0, || {
                    let size = SizeClass::all().nth(usize::from(cpu) * 9).unwrap().size();
                    while !over.load(Ordering::Relaxed) {
                        let few: Vec<_> = (0..4).map(|_| slab.alloc(bytes(size)).unwrap()).collect();
                        // SAFETY: taken above, used by nobody.
                        few.into_iter().for_each(|at| unsafe { slab.free(at, bytes(size)) });
                        slab.drain();
                    }
                });
            });
        }
        for _ in 0..1500 {
            let few: Vec<_> = (0..3).map(|_| slab.alloc(bytes(4096)).unwrap()).collect();
            // SAFETY: taken above, used by nobody.
            few.into_iter().for_each(|at| unsafe { slab.free(at, bytes(4096)) });
            slab.drain();
        }
        over.store(true, Ordering::Relaxed);
    });
    at_rest(stage, 4);
}
