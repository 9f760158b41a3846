//! One instruction, as RFC 9669 section 3 lays it out: eight bytes, of which nothing is hidden elsewhere.

use core::fmt;

/// An instruction of eight bytes: opcode, registers (destination in the low nibble), offset, immediate; little-endian. Holding
/// one proves nothing: any eight bytes are one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(transparent)]
pub struct Insn(u64);

impl Insn {
    /// The instruction that ends a run as a trap: a call of the function that nobody can provide. It stands behind each section of
    /// code, and for each call of a weak function that is not there.
    pub const TRAP: Self = Self::new(0x85, 0, 0, 0, i32::MIN);

    /// From its fields; of the registers the low four bits count.
    pub const fn new(opcode: u8, dst: u8, src: u8, offset: i16, immediate: i32) -> Self {
        let registers = (dst & 0xf | src << 4) as u64;
        Self(opcode as u64 | registers << 8 | (offset as u16 as u64) << 16 | (immediate as u32 as u64) << 32)
    }

    /// From its bytes in a program or an object.
    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(u64::from_le_bytes(bytes))
    }

    /// Its bytes in a program or an object.
    pub const fn to_bytes(self) -> [u8; 8] {
        self.0.to_le_bytes()
    }

    /// What is done.
    pub const fn opcode(self) -> u8 {
        (self.0 & 0xff) as u8
    }

    /// The number of the destination register, 0 to 15 (a valid program has 0 to 10).
    pub const fn dst(self) -> u8 {
        (self.0 >> 8 & 0xf) as u8
    }

    /// The number of the source register, 0 to 15.
    pub const fn src(self) -> u8 {
        (self.0 >> 12 & 0xf) as u8
    }

    /// The signed offset: bytes of an address, instructions of a jump.
    pub const fn offset(self) -> i16 {
        (self.0 >> 16 & 0xffff) as u16 as i16
    }

    /// The immediate value.
    pub const fn immediate(self) -> i32 {
        (self.0 >> 32) as u32 as i32
    }

    /// The same with another immediate value.
    #[must_use]
    pub const fn with_immediate(self, immediate: i32) -> Self {
        Self(self.0 & 0xffff_ffff | (immediate as u32 as u64) << 32)
    }
}

impl fmt::Debug for Insn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dst, src, offset, immediate) = (self.dst(), self.src(), self.offset(), self.immediate());
        write!(f, "{:02x} r{dst} r{src} {offset:+} {immediate:#x}", self.opcode())
    }
}
