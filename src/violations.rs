//! The record of violations: a bounded ring that any context may write and anyone may drain.
//!
//! Queues on the market keep a record that is complete behind one whose writer was interrupted; here each cell stands for
//! itself, so a writer that an NMI caught half-way hides nothing but its own record, and only until it goes on. A record that
//! finds no free cell is counted as lost; its sequence number is missing then, so the reader sees where.
//!
//! A cell's first word is its state: empty, or a sequence number with "being written", "full" or "being read" in the low two
//! bits. Whoever changes it from empty to "being written" owns the other words until the store that says "full" (Release);
//! whoever changes that to "being read" (Acquire) owns them until the store that says "empty" (Release, paired with the
//! Acquire of the next writer's exchange). Nobody waits for anybody.

use core::{fmt, ptr};

use crate::addr::KernelAddr;
use crate::fault::{Access, Fault, InstructionAddr};
use crate::misuse::Misuse;
use crate::platform::CpuId;
use crate::programs::ProgramId;
use crate::sync::{AtomicU64, Ordering};

/// How many records an arena keeps until they are drained; under `cfg(kernel_arena_loom)` two, so that a model can fill it.
pub const VIOLATION_CAPACITY: usize = if cfg!(kernel_arena_loom) { 2 } else { 64 };

pub(crate) const RING_WORDS: usize = VIOLATION_CAPACITY * CELL_WORDS;
const CELL_WORDS: usize = 4;

/// What was done.
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ViolationKind {
    /// A load from a page that is not there.
    Read,
    /// A store to a page that is not there.
    Write,
    /// A free of pages that was refused, for whichever reason of [`FreeError`](crate::FreeError), or of which another free took
    /// some: the address is that which was passed.
    InvalidFree,
    /// An allocator on this arena refused a free, or found a sign of misuse, and which.
    Object(Misuse),
}

impl ViolationKind {
    const fn code(self) -> u64 {
        match self {
            Self::Read => 0,
            Self::Write => 1,
            Self::InvalidFree => 2,
            Self::Object(misuse) => FIRST_MISUSE + misuse.code(),
        }
    }

    fn from_code(code: u64) -> Self {
        match code {
            0 => Self::Read,
            1 => Self::Write,
            2 => Self::InvalidFree,
            code => Self::Object(Misuse::from_code(code - FIRST_MISUSE)),
        }
    }
}

/// The code of the first [`ViolationKind::Object`].
const FIRST_MISUSE: u64 = 3;

/// An access that needed the scratch page, or an invalid free.
///
/// ```
/// use kernel_arena::platform::CpuId;
/// use kernel_arena::{InstructionAddr, KernelAddr, Violation, ViolationKind};
/// let violation = Violation {
///     address: KernelAddr::new(0xffff_9000_0012_3458),
///     kind: ViolationKind::Read,
///     instruction: InstructionAddr::new(0x11_6280),
///     cpu: Some(CpuId::new(0)),
///     program: None,
///     sequence: 0,
/// };
/// assert_eq!(violation.to_string(), "wild read at 0xffff900000123458 by 0x116280 on CPU 0");
/// ```
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The exact address that was accessed, or the start of what was freed.
    pub address: KernelAddr,
    /// What was done.
    pub kind: ViolationKind,
    /// Where the access was made; 0 for a free.
    pub instruction: InstructionAddr,
    /// On which CPU, if the kernel knew.
    pub cpu: Option<CpuId>,
    /// For which program the CPU worked, if somebody said so ([`Arena::work_for`](crate::Arena::work_for)).
    pub program: Option<ProgramId>,
    /// Counts the arena's violations from 0, those that were lost included: a gap says how many.
    pub sequence: u64,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (address, instruction) = (self.address.value(), self.instruction.value());
        match self.kind {
            ViolationKind::Read => write!(f, "wild read at {address:#x} by {instruction:#x}"),
            ViolationKind::Write => write!(f, "wild write at {address:#x} by {instruction:#x}"),
            ViolationKind::InvalidFree => write!(f, "invalid free of {address:#x}"),
            ViolationKind::Object(misuse) => write!(f, "misuse at {address:#x}: {misuse}"),
        }?;
        if let Some(cpu) = self.cpu {
            write!(f, " on CPU {}", cpu.number())?;
        }
        match self.program {
            Some(program) => write!(f, " for program {}", program.number()),
            None => Ok(()),
        }
    }
}

/// What is known of a violation before it is recorded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offence {
    address: KernelAddr,
    kind: ViolationKind,
    instruction: InstructionAddr,
}

/// The ring: its cells lie in the arena's metadata.
#[derive(Debug)]
pub(crate) struct ViolationRing {
    cells: &'static [Cell; VIOLATION_CAPACITY],
    next_sequence: AtomicU64,
    lost: AtomicU64,
}

/// State, address, instruction, kind and CPU.
type Cell = [AtomicU64; CELL_WORDS];

const EMPTY: u64 = 0;
const WRITING: u64 = 1;
const FULL: u64 = 2;
const READING: u64 = 3;
const PHASE_MASK: u64 = 3;
const SEQUENCE_SHIFT: u32 = 2;

// The last word: CPU in 15:0, or NO_CPU; kind in 24:17; program in 63:32.
const NO_CPU: u64 = 1 << 16;
const KIND_SHIFT: u32 = 17;
const KIND_MASK: u64 = 0xff;
const PROGRAM_SHIFT: u32 = 32;

impl ViolationRing {
    /// A ring over words that hold 0.
    pub(crate) fn new(words: &'static [AtomicU64; RING_WORDS]) -> Self {
        // SAFETY: an array of `N * M` words has the size and layout of `N` arrays of `M` words.
        let cells = unsafe { &*ptr::from_ref(words).cast::<[Cell; VIOLATION_CAPACITY]>() };
        Self { cells, next_sequence: AtomicU64::new(0), lost: AtomicU64::new(0) }
    }

    /// Writes a record into a free cell, or counts it as lost: at most one look at each cell. A cell that was emptied a moment
    /// ago, by a drainer that nothing orders before us, may not be seen as free.
    pub(crate) fn record(&self, offence: Offence, cpu: Option<CpuId>, program: Option<ProgramId>) {
        // Relaxed: the number is only a name; the cell's own exchange orders the record.
        let sequence = self.next_sequence.fetch_add(1, Ordering::Relaxed);
        let tagged = sequence << SEQUENCE_SHIFT;
        for probe in 0..VIOLATION_CAPACITY as u64 {
            let [state, words @ ..] = self.cell(sequence.wrapping_add(probe));
            if state.load(Ordering::Relaxed) != EMPTY {
                continue;
            }
            // Acquire: the last reader's loads of this cell come before our stores.
            if state.compare_exchange(EMPTY, tagged | WRITING, Ordering::Acquire, Ordering::Relaxed).is_err() {
                continue;
            }
            for (word, value) in words.iter().zip(offence.encode(cpu, program)) {
                word.store(value, Ordering::Relaxed);
            }
            state.store(tagged | FULL, Ordering::Release);
            return;
        }
        self.lost.fetch_add(1, Ordering::Relaxed);
    }

    fn cell(&self, number: u64) -> &Cell {
        let index = number % VIOLATION_CAPACITY as u64;
        &self.cells[(index & 0xffff) as usize]
    }

    /// Takes the oldest record that is complete; `None` if there is none.
    pub(crate) fn take(&self) -> Option<Violation> {
        loop {
            let full = self.cells.iter().filter_map(|cell| {
                let state = cell[0].load(Ordering::Relaxed);
                (state & PHASE_MASK == FULL).then_some((state, cell))
            });
            let (tagged, [state, words @ ..]) = full.min_by_key(|(state, _)| *state)?;
            // Acquire: pairs with the writer's Release. Another reader may be first; then there is one record less to find.
            let reading = tagged & !PHASE_MASK | READING;
            if state.compare_exchange(tagged, reading, Ordering::Acquire, Ordering::Relaxed).is_err() {
                continue;
            }
            let record = words.each_ref().map(|word| word.load(Ordering::Relaxed));
            state.store(EMPTY, Ordering::Release);
            return Some(decode(record, tagged >> SEQUENCE_SHIFT));
        }
    }

    /// How many violations there have been, and how many of them found no free cell.
    pub(crate) fn totals(&self) -> (u64, u64) {
        (self.next_sequence.load(Ordering::Relaxed), self.lost.load(Ordering::Relaxed))
    }
}

impl Offence {
    /// A free that was refused.
    pub(crate) const fn free(address: KernelAddr, kind: ViolationKind) -> Self {
        Self { address, kind, instruction: InstructionAddr::new(0) }
    }

    /// The words of a cell behind its state.
    fn encode(self, cpu: Option<CpuId>, program: Option<ProgramId>) -> [u64; CELL_WORDS - 1] {
        let cpu = cpu.map_or(NO_CPU, |cpu| u64::from(cpu.number()));
        let program = program.map_or(0, |program| u64::from(program.number()));
        let rest = cpu | self.kind.code() << KIND_SHIFT | program << PROGRAM_SHIFT;
        [self.address.value(), self.instruction.value(), rest]
    }
}

impl From<&Fault> for Offence {
    fn from(fault: &Fault) -> Self {
        let kind = match fault.access {
            Access::Read => ViolationKind::Read,
            Access::Write => ViolationKind::Write,
        };
        Self { address: fault.address, kind, instruction: fault.instruction }
    }
}

fn decode([address, instruction, rest]: [u64; CELL_WORDS - 1], sequence: u64) -> Violation {
    Violation {
        address: KernelAddr::new(address),
        kind: ViolationKind::from_code(rest >> KIND_SHIFT & KIND_MASK),
        instruction: InstructionAddr::new(instruction),
        cpu: (rest & NO_CPU == 0).then(|| CpuId::new((rest & 0xffff) as u16)),
        program: ProgramId::new((rest >> PROGRAM_SHIFT) as u32),
        sequence,
    }
}
