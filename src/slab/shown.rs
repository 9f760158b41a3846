//! How figures are shown: without the classes that have nothing.

use core::fmt;

use super::classes::CLASS_COUNT;
use super::stats::{ClassStats, SlabStats};

/// The classes that have objects.
struct Filled<'a>(&'a [ClassStats; CLASS_COUNT]);

impl Filled<'_> {
    fn classes(&self) -> impl Iterator<Item = &ClassStats> {
        self.0.iter().filter(|class| class.objects != 0)
    }
}

/// How many objects of a class are live, of how many.
struct Live<'a>(&'a ClassStats);

impl fmt::Debug for Live<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.0.live, self.0.objects)
    }
}

impl fmt::Debug for Filled<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.classes().map(|class| (class.size, Live(class)))).finish()
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Filled<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        for class in self.classes() {
            defmt::write!(f, "{=usize}: {=u64}/{=u64} ", class.size, class.live, class.objects);
        }
    }
}

impl fmt::Debug for SlabStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlabStats")
            .field("live_bytes", &self.live_bytes)
            .field("peak_bytes", &self.peak_bytes)
            .field("held_bytes", &self.held_bytes)
            .field("run_bytes", &self.run_bytes)
            .field("kept_run_bytes", &self.kept_run_bytes)
            .field("peak_held_bytes", &self.peak_held_bytes)
            .field("metadata_bytes", &self.metadata_bytes)
            .field("misuses", &self.misuses)
            .field("classes", &Filled(&self.classes))
            .finish()
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for SlabStats {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(
            f,
            "SlabStats {{ live_bytes: {=u64}, peak_bytes: {=u64}, held_bytes: {=u64}, run_bytes: {=u64}, \
             kept_run_bytes: {=u64}, peak_held_bytes: {=u64}, metadata_bytes: {=u64}, misuses: {=u64}, classes: {} }}",
            self.live_bytes,
            self.peak_bytes,
            self.held_bytes,
            self.run_bytes,
            self.kept_run_bytes,
            self.peak_held_bytes,
            self.metadata_bytes,
            self.misuses,
            Filled(&self.classes)
        );
    }
}
