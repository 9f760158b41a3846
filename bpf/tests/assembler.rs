//! Instructions by short names, as a listing has them: `K` is the immediate value, `X` the source register.

use kernel_arena_bpf::Insn;

/// Any instruction: opcode, destination, source, offset, immediate.
pub(crate) const fn insn(opcode: u8, dst: u8, src: u8, offset: i16, immediate: i32) -> Insn {
    Insn::new(opcode, dst, src, offset, immediate)
}

pub(crate) const EXIT: Insn = insn(0x95, 0, 0, 0, 0);

/// `dst = immediate`, sign-extended.
pub(crate) const fn mov(dst: u8, immediate: i32) -> Insn {
    insn(0xb7, dst, 0, 0, immediate)
}

/// `dst = src`.
pub(crate) const fn copy(dst: u8, src: u8) -> Insn {
    insn(0xbf, dst, src, 0, 0)
}

/// `dst = value`, in two slots.
pub(crate) const fn wide(dst: u8, value: u64) -> [Insn; 2] {
    [insn(0x18, dst, 0, 0, value as u32 as i32), insn(0, 0, 0, 0, (value >> 32) as u32 as i32)]
}

/// `dst += immediate`.
pub(crate) const fn add(dst: u8, immediate: i32) -> Insn {
    insn(0x07, dst, 0, 0, immediate)
}

/// `dst = [src + offset]` of 8 bytes.
pub(crate) const fn load(dst: u8, src: u8, offset: i16) -> Insn {
    insn(0x79, dst, src, offset, 0)
}

/// `[dst + offset] = src` of 8 bytes.
pub(crate) const fn store(dst: u8, offset: i16, src: u8) -> Insn {
    insn(0x7b, dst, src, offset, 0)
}

/// Jumps by so many instructions from the next one.
pub(crate) const fn ja(offset: i16) -> Insn {
    insn(0x05, 0, 0, offset, 0)
}

/// The same, if the budget is spent.
pub(crate) const fn may_goto(offset: i16) -> Insn {
    insn(0xe5, 0, 0, offset, 0)
}

/// Jumps if `dst` is not the immediate value.
pub(crate) const fn jne(dst: u8, immediate: i32, offset: i16) -> Insn {
    insn(0x55, dst, 0, offset, immediate)
}

/// Calls a host function.
pub(crate) const fn host(number: i32) -> Insn {
    insn(0x85, 0, 0, 0, number)
}

/// Calls the function so many instructions from the next one.
pub(crate) const fn local(by: i32) -> Insn {
    insn(0x85, 0, 1, 0, by)
}
