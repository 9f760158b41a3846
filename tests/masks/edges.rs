//! The first and the last id.

use kernel_arena::masks::{KernelMask, SharedMask};

use super::{START, at, cpu, ids, list, machine};
use crate::machine::Format;

/// T112, T113: a new mask is empty; its first id, one in the middle and its last are set and cleared, and say what they were.
fn a_new_mask_is_empty_and_has_its_last_id<F: Format>() {
    for nr in [1, 2, 63, 64, 65, 100, 128, 129, 8192] {
        let m = machine::<F>();
        let memory = m.memory(0);
        // What was in the memory before is not in the mask.
        memory.try_copy_out(at(START), &[u64::MAX; 140]).unwrap();
        let new: [u64; 0] = [];
        KernelMask::new(at(START), ids(nr).span()).unwrap().set(&memory, new).unwrap();
        let mask = SharedMask::snapshot(&memory, START.into(), ids(nr)).unwrap();
        assert_eq!((mask.is_empty(), mask.weight()), (Ok(true), Ok(0)), "{nr} ids");
        let some = std::collections::BTreeSet::from([0, nr / 2, nr - 1]);
        for id in &some {
            assert_eq!((mask.set(cpu(*id)), mask.set(cpu(*id))), (Ok(false), Ok(true)), "{id} of {nr}");
        }
        assert!(list(&mask).into_iter().eq(some.iter().copied()), "{nr} ids");
        for outside in [nr, nr + 1, nr.next_multiple_of(64)] {
            assert_eq!((mask.set(cpu(outside)), mask.test(cpu(outside))), (Ok(false), Ok(false)), "{outside} of {nr}");
        }
        assert!(list(&mask).into_iter().eq(some.iter().copied()), "{nr} ids");
        for id in &some {
            assert_eq!(
                (mask.test(cpu(*id)), mask.clear(cpu(*id)), mask.clear(cpu(*id))),
                (Ok(true), Ok(true), Ok(false))
            );
        }
        assert_eq!(mask.is_empty(), Ok(true), "{nr} ids");
        m.finish();
    }
}
each_format!(a_new_mask_is_empty_and_has_its_last_id);
