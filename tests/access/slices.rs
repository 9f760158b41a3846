//! Slices, fields, snapshots, and who is refused the whole of it.

use kernel_arena::access::{AddrField, ArenaSlice, PrivateArena, PtrField, SnapshotError};
use kernel_arena::{ProgramAddr, ProgramBase};

use super::{alloc, at, byte, hole, machine};
use crate::machine::{Format, Machine};

fn a_slice_gives_its_values_up_to_a_hole<F: Format>() {
    let m = machine::<F>();
    alloc(&m, 20);
    let memory = m.memory(0);
    let slice = ArenaSlice::new(at::<u32>(byte(21, 0) - 12), 5).unwrap();
    memory.copy_out(slice.as_ptr(), &[1, 2, 3]).unwrap();
    let missing = |at: u32| Err(hole(&m, (byte(21, 0) + at).into()));
    assert_eq!(memory.try_iter(slice).collect::<Vec<_>>(), [Ok(1), Ok(2), Ok(3), missing(0), missing(4)]);
    assert_eq!(memory.iter(slice).rev().collect::<Vec<_>>(), [0, 0, 3, 2, 1]);
    assert_eq!(m.arena().stats().violations, 1);
    assert_eq!(slice.get(2).map(|third| memory.load(third)), Some(3));
    assert_eq!(slice.get(5), None);
    let middle = slice.slice(1..3).unwrap();
    assert_eq!(memory.iter(middle).collect::<Vec<_>>(), [2, 3]);
    m.finish();
}
each_format!(a_slice_gives_its_values_up_to_a_hole);

#[test]
fn a_slice_lies_in_the_window() {
    for (offset, len, holds) in [
        (0xffff_fff8, 1, true),
        (0xffff_fff8, 2, false),
        (0xffff_fff9, 1, false),
        (8, u32::MAX, false),
        (8, (1 << 29) - 1, true),
        (8, 1 << 29, false),
        (0xffff_ffff, 0, true),
    ] {
        assert_eq!(ArenaSlice::new(at::<u64>(offset), len).is_ok(), holds, "{offset:#x}, {len}");
    }
    let whole = ArenaSlice::new(at::<u8>(1), u32::MAX).unwrap();
    assert_eq!(whole.get(u32::MAX - 1), Some(at(u32::MAX)));
    assert_eq!(whole.get(u32::MAX), None);
    let of = ArenaSlice::new(at::<u64>(0xffff_ffe0), 4).unwrap();
    assert_eq!(of.slice(4..4), None, "it would point past the window");
    assert_eq!(of.slice(3..4).map(ArenaSlice::as_ptr), of.get(3));
    assert!(of.slice(0..0).is_some_and(ArenaSlice::is_empty));
    let reversed = std::ops::Range { start: 3, end: 2 };
    assert_eq!(of.slice(reversed), None);
    assert_eq!(of.slice(2..5), None);
    assert_eq!(
        of.pointers().map(|ptr| ptr.offset()).collect::<Vec<_>>(),
        [0xffff_ffe0, 0xffff_ffe8, 0xffff_fff0, 0xffff_fff8]
    );
}

#[test]
fn fields_have_the_sizes_and_the_bytes_that_c_knows() {
    use zerocopy::IntoBytes;
    let base = ProgramBase::new(ProgramAddr::new(0x70_0000_0000)).unwrap();
    let ptr = at::<u64>(0x1008);
    assert_eq!(PtrField::from(ptr).as_bytes(), [8, 0x10, 0, 0]);
    assert_eq!(AddrField::new(Some(ptr), base).as_bytes(), [8, 0x10, 0, 0, 0x70, 0, 0, 0]);
    assert_eq!((PtrField::<u64>::default().get(), AddrField::<u64>::default().get()), (None, None));
    // Whatever is above the low half: null stays null, and a pointer a pointer.
    let wild = |address| AddrField::<u64>::from_address(ProgramAddr::new(address)).get();
    assert_eq!(wild(0xffff_ffff_0000_0000), None);
    assert_eq!(wild(0xdead_beef_0000_1008), Some(ptr));
}

fn a_snapshot_is_what_was_read_once<F: Format>() {
    let m = machine::<F>();
    alloc(&m, 20);
    let memory = m.memory(0);
    let length = at::<u32>(byte(20, 0));
    let small = |said: u32| if said <= 64 { Ok(said) } else { Err(said) };
    memory.store(length, &64);
    // A program changes it while it is being validated: what is used is what was validated.
    let used = memory.try_snapshot(length, |said| {
        memory.store(length, &1_000_000);
        small(said)
    });
    assert_eq!(used, Ok(64));
    assert_eq!(memory.try_snapshot(length, small), Err(SnapshotError::Invalid(1_000_000)));
    let missing = SnapshotError::Hole(hole(&m, byte(21, 0).into()));
    assert_eq!(memory.try_snapshot(at(byte(21, 0)), small), Err(missing));
    m.finish();
}
each_format!(a_snapshot_is_what_was_read_once);

fn a_private_arena_is_refused<F: Format>() {
    let m = Machine::<F>::builder().private().build();
    assert_eq!(m.arena().memory_by(m.cpu(0)).err(), Some(PrivateArena));
    m.finish();
}
each_format!(a_private_arena_is_refused);
