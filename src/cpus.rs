//! What an arena keeps of each CPU: words that code on that CPU alone writes.

use crate::platform::CpuId;
use crate::sync::AtomicU64;

/// One CPU's, side by side: a fault that is recovered writes one and reads the other.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct CpuWords {
    /// The faults in a row (`arena::faults::rows`).
    pub(crate) row: AtomicU64,
    /// The program that it works for (`programs`).
    pub(crate) running: AtomicU64,
}

/// All CPUs'.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cpus {
    /// Never empty. CPUs that are not known, or beyond those the layout was made for, share the last. They work for no program.
    words: &'static [CpuWords],
}

impl Cpus {
    /// Lent words for so many CPUs.
    pub(crate) const fn words_for(count: usize) -> usize {
        2 * (count + 1)
    }

    /// Over [`words_for`](Self::words_for) words that hold 0; `None` if there are fewer than for no CPU.
    pub(crate) fn new(lent: &'static [AtomicU64]) -> Option<Self> {
        // SAFETY: two words one after the other are a `CpuWords`, whose alignment is a word's; there are as many, for ever.
        let words = unsafe { core::slice::from_raw_parts(lent.as_ptr().cast::<CpuWords>(), lent.len() / 2) };
        (!words.is_empty()).then_some(Self { words })
    }

    /// A CPU's words.
    #[inline]
    pub(crate) fn of(&self, cpu: Option<CpuId>) -> &CpuWords {
        let last = self.words.len() - 1;
        let place = cpu.map_or(last, |cpu| last.min(cpu.number().into()));
        // SAFETY: there is a last one, and this is none behind it.
        unsafe { self.words.get_unchecked(place) }
    }

    /// The same, if they are its own.
    #[inline]
    pub(crate) fn named(&self, cpu: Option<CpuId>) -> Option<&CpuWords> {
        let (_, named) = self.words.split_last()?;
        named.get(usize::from(cpu?.number()))
    }
}

const _: () = assert!(size_of::<CpuWords>() == 2 * size_of::<AtomicU64>());

#[cfg(all(test, not(kernel_arena_loom)))]
pub(crate) mod tests {
    use super::*;

    /// Of so many CPUs.
    pub(crate) fn cpus(count: usize) -> Cpus {
        let words: Vec<_> = (0..Cpus::words_for(count)).map(|_| AtomicU64::new(0)).collect();
        Cpus::new(words.leak()).unwrap()
    }

    #[test]
    fn each_cpu_has_words_of_its_own_and_the_others_share() {
        let cpus = cpus(2);
        let words = [Some(CpuId::new(0)), Some(CpuId::new(1)), None].map(|cpu| core::ptr::from_ref(cpus.of(cpu)));
        assert!(words[0] != words[1] && words[1] != words[2] && words[2] != words[0]);
        assert_eq!(core::ptr::from_ref(cpus.of(Some(CpuId::new(2)))), words[2]);
        assert!(cpus.named(Some(CpuId::new(1))).is_some() && cpus.named(Some(CpuId::new(2))).is_none());
        assert!(cpus.named(None).is_none());
        assert!(Cpus::new(&[]).is_none());
    }
}
