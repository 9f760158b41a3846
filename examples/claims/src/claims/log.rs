//! Wild accesses in the middle of a log message, where the logger's lock is held.

use core::cell::Cell;

use defmt::Formatter;
use support::{LogTally, log_tally};

use crate::check::{Checked, equal, holds};
use crate::claims::claims;
use crate::fault::Faults;
use crate::site::{Site, page};

claims! {
    a_wild_access_inside_a_log_call_recovers,
}

/// Reads two missing pages while it is written to the log: before its first part, and between its parts.
struct Wild<'a> {
    site: &'a Site<'a>,
    found: Cell<[Option<u64>; 2]>,
}

impl Wild<'_> {
    const PAGES: [u32; 2] = [100, 101];
}

impl defmt::Format for Wild<'_> {
    fn format(&self, formatter: Formatter<'_>) {
        let first = self.site.read(page(Self::PAGES[0]));
        defmt::write!(formatter, "{=u64} then ", first.unwrap_or(!0));
        let second = self.site.read(page(Self::PAGES[1]));
        defmt::write!(formatter, "{=u64}", second.unwrap_or(!0));
        self.found.set([first, second]);
    }
}

/// `cargo xtask test` looks for the three messages in what it decodes, too.
fn a_wild_access_inside_a_log_call_recovers(site: &Site<'_>) -> Checked {
    let before = log_tally();
    let faults = Faults::so_far();
    let wild = Wild { site, found: Cell::new([None; 2]) };
    defmt::info!("before the wild accesses");
    defmt::info!("wild accesses found {}", wild);
    equal("faults", Faults::so_far().since(faults), Faults::recovered(2))?;
    equal("values", wild.found.get(), [Some(0); 2])?;
    for number in Wild::PAGES {
        // Draining logs the violation, which the fault handler did not.
        equal("address", site.violation()?.address, site.address(page(number)))?;
    }
    site.no_violation()?;
    defmt::info!("after the wild accesses");
    let LogTally { sent, dropped } = log_tally();
    holds("all five messages were sent", sent - before.sent == 5)?;
    equal("messages of handlers", dropped, before.dropped)
}
