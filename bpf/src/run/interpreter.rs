//! The interpreter: one loop, one match on the opcode.
//!
//! What the check has shown is taken for granted, and nothing depends on it: an index without an instruction, or an opcode that is
//! unknown, ends the run as a trap.

use kernel_arena::access::Width;
use kernel_arena::{Access, ProgramHole};

use super::Runner;
use super::alu;
use super::memory::{address, in_window};
use super::stack::Frames;
use crate::budget::Meter;
use crate::ended::{Ended, Reason};
use crate::hosts::{Call, TRAP};
use crate::insn::Insn;
use crate::opcode::{call, cast};
use crate::program::Entry;
use crate::window::Window;

/// What a run has beside its registers, and where it is.
pub(super) struct Run<'r, 'a, W, S> {
    pub(super) runner: &'r Runner<'a, S>,
    pub(super) window: &'r W,
    pub(super) holes: u64,
    pub(super) first_hole: Option<ProgramHole>,
    meter: Meter,
}

impl<'r, 'a, W: Window, S> Run<'r, 'a, W, S> {
    pub(super) fn new(runner: &'r Runner<'a, S>, window: &'r W) -> Self {
        Self { runner, window, holes: 0, first_hole: None, meter: Meter::new(runner.budget) }
    }

    /// Runs from an entry of the program to the end.
    pub(super) fn from(mut self, entry: Entry, arguments: [u64; 5], state: &mut S) -> Ended {
        let upper = self.runner.base.address().value();
        let [r1, r2, r3, r4, r5] = arguments;
        let r10 = upper | u64::from(self.runner.stack.top());
        // As many as four bits name: none of them needs to be looked at.
        let mut registers = [0, r1, r2, r3, r4, r5, 0, 0, 0, 0, r10, 0, 0, 0, 0, 0];
        let (result, last) = self.go(entry.index() as usize, upper, &mut registers, state);
        let [r0, r1, r2, r3, r4, r5, r6, r7, r8, r9, r10, ..] = registers;
        Ended {
            result,
            instruction: u32::try_from(last).unwrap_or(u32::MAX),
            registers: [r0, r1, r2, r3, r4, r5, r6, r7, r8, r9, r10],
            spent: self.meter.spent(),
            holes: self.holes,
            first_hole: self.first_hole,
        }
    }

    /// Runs from an index to the end; how that was, and where.
    #[expect(clippy::cast_possible_truncation, reason = "operations of 32 bits have operands of 32 bits")]
    fn go(
        &mut self,
        entry: usize,
        upper: u64,
        registers: &mut [u64; 16],
        state: &mut S,
    ) -> (Result<u64, Reason>, usize) {
        let (code, window) = (self.runner.program.code(), self.window);
        let mut frames = Frames::new(self.runner.stack);
        let mut at = entry;
        // What lies from here to where the run is has been executed, and is not yet counted. A jump forwards moves it along.
        let mut uncounted = entry;
        let result = loop {
            let Some(&insn) = code.get(at) else { break Err(Reason::Trap) };
            let mut next = at + 1;
            let (dst, src) = (usize::from(insn.dst()), usize::from(insn.src()));

            /// Ends the run if it is to end.
            macro_rules! unless {
                ($reason:expr) => {
                    if let Some(reason) = $reason {
                        break Err(reason);
                    }
                };
            }
            /// Counts what was executed up to this instruction, and ends the run if that was the last of its budget.
            macro_rules! count {
                () => {
                    self.meter.spend((next - uncounted) as u64);
                    uncounted = at + 1;
                    if self.meter.is_over() {
                        break Err(Reason::OutOfBudget);
                    }
                };
            }
            macro_rules! jump {
                ($by:expr) => {{
                    let by = $by as isize;
                    if by < 0 {
                        count!();
                        next = next.wrapping_add_signed(by);
                        uncounted = next;
                    } else {
                        next = next.wrapping_add_signed(by);
                        uncounted = uncounted.wrapping_add_signed(by);
                    }
                }};
            }
            macro_rules! jump_if {
                ($holds:expr) => {
                    if $holds {
                        jump!(insn.offset());
                    }
                };
            }
            // The operands of arithmetic and of comparisons, by the letters of the RFC: K is the immediate value, X a register.
            macro_rules! k64 {
                ($f:expr) => {
                    $f(registers[dst], i64::from(insn.immediate()) as u64)
                };
            }
            macro_rules! x64 {
                ($f:expr) => {
                    $f(registers[dst], registers[src])
                };
            }
            macro_rules! k32 {
                ($f:expr) => {
                    $f(registers[dst] as u32, insn.immediate() as u32)
                };
            }
            macro_rules! x32 {
                ($f:expr) => {
                    $f(registers[dst] as u32, registers[src] as u32)
                };
            }
            macro_rules! set {
                ($value:expr) => {
                    registers[dst] = u64::from($value)
                };
            }
            // The address is worked out before the destination, which may be the same register.
            macro_rules! load {
                ($width:ident, $extend:expr) => {{
                    let address = address(registers[src], insn.offset());
                    let loaded = in_window(address).and_then(|at| window.load(at, Width::$width));
                    registers[dst] = $extend(loaded.unwrap_or(0));
                    if loaded.is_none() {
                        unless!(self.missed(at, address, Access::Read, Width::$width));
                    }
                }};
            }
            macro_rules! store {
                ($width:ident, $value:expr) => {{
                    let address = address(registers[dst], insn.offset());
                    let stored = in_window(address).and_then(|at| window.store(at, Width::$width, $value));
                    if stored.is_none() {
                        unless!(self.missed(at, address, Access::Write, Width::$width));
                    }
                }};
            }
            let zero = |value: u64| value;
            let immediate = || i64::from(insn.immediate()) as u64;
            let is_signed = insn.offset() != 0;

            // A table, which is read by its columns.
            #[rustfmt::skip]
            match insn.opcode() {
                // Arithmetic.
                0x04 => set!(k32!(u32::wrapping_add)),   0x07 => set!(k64!(u64::wrapping_add)),
                0x0c => set!(x32!(u32::wrapping_add)),   0x0f => set!(x64!(u64::wrapping_add)),
                0x14 => set!(k32!(u32::wrapping_sub)),   0x17 => set!(k64!(u64::wrapping_sub)),
                0x1c => set!(x32!(u32::wrapping_sub)),   0x1f => set!(x64!(u64::wrapping_sub)),
                0x24 => set!(k32!(u32::wrapping_mul)),   0x27 => set!(k64!(u64::wrapping_mul)),
                0x2c => set!(x32!(u32::wrapping_mul)),   0x2f => set!(x64!(u64::wrapping_mul)),
                0x34 if is_signed => set!(k32!(alu::sdiv32)), 0x37 if is_signed => set!(k64!(alu::sdiv64)),
                0x3c if is_signed => set!(x32!(alu::sdiv32)), 0x3f if is_signed => set!(x64!(alu::sdiv64)),
                0x34 => set!(k32!(alu::div32)),          0x37 => set!(k64!(alu::div64)),
                0x3c => set!(x32!(alu::div32)),          0x3f => set!(x64!(alu::div64)),
                0x44 => set!(k32!(|a, b| a | b)),        0x47 => set!(k64!(|a, b| a | b)),
                0x4c => set!(x32!(|a, b| a | b)),        0x4f => set!(x64!(|a, b| a | b)),
                0x54 => set!(k32!(|a, b| a & b)),        0x57 => set!(k64!(|a, b| a & b)),
                0x5c => set!(x32!(|a, b| a & b)),        0x5f => set!(x64!(|a, b| a & b)),
                0x64 => set!(k32!(u32::wrapping_shl)),   0x67 => set!(k64!(alu::lsh64)),
                0x6c => set!(x32!(u32::wrapping_shl)),   0x6f => set!(x64!(alu::lsh64)),
                0x74 => set!(k32!(u32::wrapping_shr)),   0x77 => set!(k64!(alu::rsh64)),
                0x7c => set!(x32!(u32::wrapping_shr)),   0x7f => set!(x64!(alu::rsh64)),
                0x84 => set!(k32!(|a: u32, _| a.wrapping_neg())), 0x87 => set!(k64!(|a: u64, _| a.wrapping_neg())),
                0x94 if is_signed => set!(k32!(alu::smod32)), 0x97 if is_signed => set!(k64!(alu::smod64)),
                0x9c if is_signed => set!(x32!(alu::smod32)), 0x9f if is_signed => set!(x64!(alu::smod64)),
                0x94 => set!(k32!(alu::mod32)),          0x97 => set!(k64!(alu::mod64)),
                0x9c => set!(x32!(alu::mod32)),          0x9f => set!(x64!(alu::mod64)),
                0xa4 => set!(k32!(|a, b| a ^ b)),        0xa7 => set!(k64!(|a, b| a ^ b)),
                0xac => set!(x32!(|a, b| a ^ b)),        0xaf => set!(x64!(|a, b| a ^ b)),
                0xb4 => set!(k32!(|_, b| b)),            0xb7 => set!(k64!(|_, b| b)),
                0xbc => set!(alu::sign_extended(registers[src], insn.offset()) as u32),
                0xbf if insn.offset() == cast::OFFSET => {
                    let low = registers[src] as u32;
                    let is_null = low == 0 || insn.immediate() == cast::TO_KERNEL;
                    set!(if is_null { low.into() } else { upper | u64::from(low) });
                }
                0xbf => set!(alu::sign_extended(registers[src], insn.offset())),
                0xc4 => set!(k32!(alu::arsh32)),         0xc7 => set!(k64!(alu::arsh64)),
                0xcc => set!(x32!(alu::arsh32)),         0xcf => set!(x64!(alu::arsh64)),
                0xd4 => set!(alu::truncated(registers[dst], insn.immediate())),
                0xdc | 0xd7 => set!(alu::swapped(registers[dst], insn.immediate())),

                // Loads and stores.
                0x61 => load!(Four, zero),               0x69 => load!(Two, zero),
                0x71 => load!(One, zero),                0x79 => load!(Eight, zero),
                0x81 => load!(Four, |value| alu::sign_extended(value, 32)),
                0x89 => load!(Two, |value| alu::sign_extended(value, 16)),
                0x91 => load!(One, |value| alu::sign_extended(value, 8)),
                0x62 => store!(Four, immediate()),       0x63 => store!(Four, registers[src]),
                0x6a => store!(Two, immediate()),        0x6b => store!(Two, registers[src]),
                0x72 => store!(One, immediate()),        0x73 => store!(One, registers[src]),
                0x7a => store!(Eight, immediate()),      0x7b => store!(Eight, registers[src]),
                0xc3 | 0xcb | 0xd3 | 0xdb => unless!(self.atomic(at, insn, registers).err()),

                // The 64-bit immediate.
                0x18 => {
                    let high = code.get(next).copied().unwrap_or_default().immediate() as u32;
                    set!(u64::from(insn.immediate() as u32) | u64::from(high) << 32);
                    next += 1;
                }

                // Jumps.
                0x05 => jump!(insn.offset()),            0x06 => jump!(insn.immediate()),
                0x15 => jump_if!(k64!(|a, b| a == b)),   0x16 => jump_if!(k32!(|a, b| a == b)),
                0x1d => jump_if!(x64!(|a, b| a == b)),   0x1e => jump_if!(x32!(|a, b| a == b)),
                0x25 => jump_if!(k64!(|a, b| a > b)),    0x26 => jump_if!(k32!(|a, b| a > b)),
                0x2d => jump_if!(x64!(|a, b| a > b)),    0x2e => jump_if!(x32!(|a, b| a > b)),
                0x35 => jump_if!(k64!(|a, b| a >= b)),   0x36 => jump_if!(k32!(|a, b| a >= b)),
                0x3d => jump_if!(x64!(|a, b| a >= b)),   0x3e => jump_if!(x32!(|a, b| a >= b)),
                0x45 => jump_if!(k64!(|a, b| a & b != 0)), 0x46 => jump_if!(k32!(|a, b| a & b != 0)),
                0x4d => jump_if!(x64!(|a, b| a & b != 0)), 0x4e => jump_if!(x32!(|a, b| a & b != 0)),
                0x55 => jump_if!(k64!(|a, b| a != b)),   0x56 => jump_if!(k32!(|a, b| a != b)),
                0x5d => jump_if!(x64!(|a, b| a != b)),   0x5e => jump_if!(x32!(|a, b| a != b)),
                0x65 => jump_if!(k64!(sgt64)),           0x66 => jump_if!(k32!(sgt32)),
                0x6d => jump_if!(x64!(sgt64)),           0x6e => jump_if!(x32!(sgt32)),
                0x75 => jump_if!(!k64!(slt64)),          0x76 => jump_if!(!k32!(slt32)),
                0x7d => jump_if!(!x64!(slt64)),          0x7e => jump_if!(!x32!(slt32)),
                0xa5 => jump_if!(k64!(|a, b| a < b)),    0xa6 => jump_if!(k32!(|a, b| a < b)),
                0xad => jump_if!(x64!(|a, b| a < b)),    0xae => jump_if!(x32!(|a, b| a < b)),
                0xb5 => jump_if!(k64!(|a, b| a <= b)),   0xb6 => jump_if!(k32!(|a, b| a <= b)),
                0xbd => jump_if!(x64!(|a, b| a <= b)),   0xbe => jump_if!(x32!(|a, b| a <= b)),
                0xc5 => jump_if!(k64!(slt64)),           0xc6 => jump_if!(k32!(slt32)),
                0xcd => jump_if!(x64!(slt64)),           0xce => jump_if!(x32!(slt32)),
                0xd5 => jump_if!(!k64!(sgt64)),          0xd6 => jump_if!(!k32!(sgt32)),
                0xdd => jump_if!(!x64!(sgt64)),          0xde => jump_if!(!x32!(sgt32)),
                0xe5 => jump_if!(self.meter.is_in_reserve((next - uncounted) as u64)),

                // Calls, and the end.
                0x85 if insn.src() == call::LOCAL => {
                    count!();
                    if frames.enter(registers, next).is_none() {
                        break Err(Reason::TooDeep);
                    }
                    next = next.wrapping_add_signed(insn.immediate() as isize);
                    uncounted = next;
                }
                0x85 => {
                    count!();
                    match self.call(at, insn, registers, state) {
                        Ok(value) => registers[0] = value,
                        Err(reason) => break Err(reason),
                    }
                }
                0x95 => {
                    let Some(back) = frames.leave(registers) else { break Ok(registers[0]) };
                    self.meter.spend((next - uncounted) as u64);
                    (next, uncounted) = (back, back);
                }
                _ => break Err(Reason::Trap),
            };
            at = next;
        };
        self.meter.spend((at + 1 - uncounted) as u64);
        (result, at)
    }

    /// Calls a function of the kernel's.
    #[inline(never)]
    fn call(&mut self, at: usize, insn: Insn, registers: &[u64; 16], state: &mut S) -> Result<u64, Reason> {
        let number = insn.immediate() as u32;
        if number == TRAP {
            return Err(Reason::Trap);
        }
        let host = self.runner.program.hosts().find(number).ok_or(Reason::Trap)?;
        let [_, r1, r2, r3, r4, r5, ..] = *registers;
        let mut call = Call {
            arguments: [r1, r2, r3, r4, r5],
            window: self.window,
            state,
            meter: &mut self.meter,
            number,
            instruction: u32::try_from(at).unwrap_or(u32::MAX),
            program: self.runner.id,
            end: None,
        };
        let value = (host.function)(&mut call);
        call.end.map_or(Ok(value), Err)
    }
}

fn sgt64(a: u64, b: u64) -> bool {
    (a as i64) > b as i64
}

fn slt64(a: u64, b: u64) -> bool {
    (a as i64) < b as i64
}

fn sgt32(a: u32, b: u32) -> bool {
    (a as i32) > b as i32
}

fn slt32(a: u32, b: u32) -> bool {
    (a as i32) < b as i32
}
