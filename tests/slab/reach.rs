//! Who reaches objects: user mode those of a shared arena, through its view; of a private one nobody but the kernel (I10).

use kernel_arena::Sharing;

use super::arena::slab_on;
use super::bench::bytes;
use crate::machine::{Cause, Format, Machine};

fn user_mode_reaches_objects_of_a_shared_arena<F: Format>() {
    let m = Machine::<F>::builder().build();
    assert_eq!(m.arena().layout().sharing(), Sharing::Shared);
    let view = m.attach_view(0, 1);
    let slab = slab_on(m.arena());
    let object = slab.alloc_checked(bytes(64)).unwrap();
    m.cpu(1).switch_to(1);
    m.cpu(1).user().write_u64(object.to_program(view), 99).unwrap();
    assert_eq!(m.read(0, object), Ok(99));
    assert_eq!(slab.free_checked(Some(object)), Ok(()));
    assert_eq!(slab.destroy().objects, 0);
    m.detach_view(view);
    m.finish();
}

/// Even if somebody linked the window's tables where user mode looks, which no kernel should.
fn user_mode_reaches_no_object_of_a_private_arena<F: Format>() {
    let m = Machine::<F>::builder().private().build();
    assert_eq!(m.arena().layout().sharing(), Sharing::Private);
    let view = m.link_by_hand(0, 1);
    let slab = slab_on(m.arena());
    m.cpu(1).switch_to(1);
    for size in [8, 64, 4096, 32_768] {
        let object = slab.alloc(bytes(size)).unwrap();
        m.write(0, object, 42).unwrap();
        let program = object.to_program(view);
        let user = m.cpu(1).user();
        assert_eq!(user.read_u64(program).unwrap_err().cause, Cause::Forbidden, "{size} bytes");
        assert_eq!(user.write_u64(program, 1).unwrap_err().cause, Cause::Forbidden);
        assert_eq!(m.cpu(1).user().read_u64(m.at(object)).unwrap_err().cause, Cause::Forbidden, "in the kernel view");
        assert_eq!(m.read(1, object), Ok(42));
    }
    assert_eq!(slab.destroy().objects, 4);
    m.detach_view(view);
    m.finish();
}

each_format!(user_mode_reaches_objects_of_a_shared_arena, user_mode_reaches_no_object_of_a_private_arena);
