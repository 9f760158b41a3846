//! How much stack something takes: what lies below is painted before, and looked at after.

const PAINT: u8 = 0xa7;
/// Left alone, for the functions here.
const OWN: usize = 256;

/// The bytes of stack that `work` takes, its handlers included, to within 256 bytes.
#[inline(never)]
pub(crate) fn taken(work: &mut dyn FnMut()) -> usize {
    unsafe extern "C" {
        #[link_name = "boot_stack_begin"]
        static BEGIN: u8;
    }
    let marker = 0_u8;
    let begin = (&raw const BEGIN).cast_mut();
    let bytes = (&raw const marker).addr() - begin.addr();
    for offset in 0..bytes - OWN {
        // SAFETY: the stack below this function's frame is nobody's.
        unsafe { begin.wrapping_add(offset).write_volatile(PAINT) };
    }
    work();
    // SAFETY: as above.
    let is_painted = |offset: &usize| unsafe { begin.wrapping_add(*offset).read_volatile() } == PAINT;
    bytes - (0..bytes - OWN).take_while(is_painted).count()
}
