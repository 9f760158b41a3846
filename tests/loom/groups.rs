//! A group's callers against those who set it up and take it down.
//!
//! Guards: no caller is inside while what the group is equipped with is made or given back, and each finds what was made; of
//! several who enable or disable one does it. Violations are all counted when the group is taken down, have ejected it if they are
//! too many, and never eject its next life. What is equipped is a *watched* flag, true while it is there: loom reports every
//! look at it that is not ordered against its changes.
//!
//! No bound on preemptions but where it is stated.

use std::sync::Arc;

use crate::account::Account;
use crate::explore::{UNBOUNDED, explore_without_arena, preemptions};
use crate::presence::{NotNow, Presence};
use crate::race::{race, race_of_three};
use crate::watched::Watched;

/// A group, as far as it is a question of who may what.
struct Group {
    presence: Presence,
    account: Account,
    equipment: Watched,
}

impl Group {
    /// With no violation to spare.
    fn at_rest() -> Arc<Self> {
        Self::with_budget(0)
    }

    fn with_budget(budget: u64) -> Arc<Self> {
        Arc::new(Self { presence: Presence::new(), account: Account::new(budget), equipment: Watched::new(false) })
    }

    fn enabled() -> Arc<Self> {
        Self::enabled_with_budget(0)
    }

    fn enabled_with_budget(budget: u64) -> Arc<Self> {
        let group = Self::with_budget(budget);
        assert_eq!(group.enable(), Ok(()));
        group
    }

    fn enable(&self) -> Result<(), NotNow> {
        self.presence.begin_up()?;
        assert!(!self.equipment.get(), "it was there");
        self.equipment.set(true);
        self.account.begin();
        self.presence.set();
        Ok(())
    }

    /// A step of setting up fails.
    fn enable_in_vain(&self) -> Result<(), NotNow> {
        self.presence.begin_up()?;
        self.equipment.set(true);
        self.equipment.set(false);
        self.presence.end_down();
        Ok(())
    }

    fn disable(&self) -> Result<(), NotNow> {
        self.disable_and_look().map(drop)
    }

    /// How many violations there were, as `exit` is told.
    fn disable_and_look(&self) -> Result<u64, NotNow> {
        self.presence.close();
        self.presence.begin_down()?;
        assert!(self.equipment.get(), "it was not there");
        self.equipment.set(false);
        let violations = self.account.violations();
        self.presence.end_down();
        Ok(violations)
    }

    /// Until callers have left; whether it was this call that did it.
    fn disable_at_last(&self) -> bool {
        loop {
            match self.disable() {
                Ok(()) => return true,
                Err(NotNow::State) => return false,
                Err(NotNow::Busy(_)) => loom::thread::yield_now(),
            }
        }
    }

    /// A call; whether it was let in.
    fn call(&self) -> bool {
        self.call_with(0)
    }

    /// The same, with as many violations.
    fn call_with(&self, violations: u64) -> bool {
        let entered = self.presence.enter();
        if entered {
            assert!(self.equipment.get(), "a caller without equipment");
            self.account.leave(&self.presence, violations);
        }
        entered
    }

    fn charge(&self, violations: u64) -> bool {
        self.account.charge(&self.presence, violations)
    }

    /// While nobody is at work on it: it is there just as long as its violations are within the budget.
    fn assert_ejected_if_over(&self) {
        let (is_present, violations) = (self.presence.is_present(), self.account.violations());
        assert_eq!(is_present, violations <= self.account.budget(), "{violations} violations");
    }

    /// At the end it is at rest, and can be enabled.
    fn retire(&self) {
        assert!(!self.presence.is_present());
        assert_eq!(self.enable(), Ok(()));
        assert_eq!(self.disable(), Ok(()));
    }
}

#[test]
fn no_callback_runs_when_the_masks_are_gone() {
    explore_without_arena("a call against disabling", UNBOUNDED, 2, |first| {
        let group = Group::enabled();
        let (done, _) = race(first, &group, Group::disable_at_last, Group::call);
        assert!(done);
        assert!(!group.call(), "called after the end");
        group.retire();
    });
    explore_without_arena("two calls against disabling", preemptions(3), 3, |first| {
        let group = Group::enabled();
        let (done, ..) = race_of_three(first, &group, Group::disable_at_last, Group::call, Group::call);
        assert!(done);
        group.retire();
    });
}

#[test]
fn a_callback_finds_what_was_set_up() {
    explore_without_arena("a call against enabling", UNBOUNDED, 2, |first| {
        let group = Group::at_rest();
        let (enabled, called) = race(first, &group, Group::enable, Group::call);
        match enabled {
            Ok(()) => assert!(group.disable_at_last()),
            // The caller was just counting itself out.
            Err(not_now) => assert!(not_now == NotNow::Busy(1) && !called),
        }
        group.retire();
    });
}

#[test]
fn setting_up_in_vain_lets_nobody_in() {
    explore_without_arena("a call against enabling that fails", UNBOUNDED, 2, |first| {
        let group = Group::at_rest();
        let (_, called) = race(first, &group, Group::enable_in_vain, Group::call);
        assert!(!called);
        group.retire();
    });
}

#[test]
fn of_two_who_disable_one_does() {
    explore_without_arena("disabling against disabling", UNBOUNDED, 2, |first| {
        let group = Group::enabled();
        let (ours, theirs) = race(first, &group, Group::disable_at_last, Group::disable_at_last);
        assert!(ours != theirs);
        group.retire();
    });
}

#[test]
fn a_group_that_is_enabled_again_has_what_is_new() {
    explore_without_arena("a call against disabling and enabling", preemptions(4), 2, |first| {
        let group = Group::enabled();
        let again = |group: &Group| {
            assert!(group.disable_at_last());
            group.enable()
        };
        let (again, _) = race(first, &group, again, Group::call);
        if again.is_ok() {
            assert!(group.disable_at_last());
        }
        group.retire();
    });
}

#[test]
fn what_one_gave_back_another_sets_up() {
    explore_without_arena("disabling against enabling again", preemptions(3), 2, |first| {
        let group = Group::enabled();
        let again = |group: &Group| {
            while group.enable().is_err() {
                loom::thread::yield_now();
            }
        };
        let (done, ()) = race(first, &group, Group::disable_at_last, again);
        assert!(done && group.disable_at_last());
        group.retire();
    });
}

#[test]
fn an_ejected_group_is_taken_down_once() {
    explore_without_arena("ejecting, disabling and a call", preemptions(3), 3, |first| {
        let group = Group::enabled();
        let eject = |group: &Group| group.presence.close();
        let (_, done, _) = race_of_three(first, &group, eject, Group::disable_at_last, Group::call);
        assert!(done);
        group.retire();
    });
}

#[test]
fn who_takes_a_group_down_finds_all_violations_counted() {
    explore_without_arena("two calls with violations against disabling", preemptions(3), 3, |first| {
        let group = Group::enabled_with_budget(2);
        let down = |group: &Group| {
            loop {
                match group.disable_and_look() {
                    Ok(violations) => break violations,
                    Err(_) => loom::thread::yield_now(),
                }
            }
        };
        let (found, one, two) =
            race_of_three(first, &group, down, |group| group.call_with(1), |group| group.call_with(2));
        assert_eq!(found, u64::from(one) + 2 * u64::from(two));
        group.retire();
    });
}

#[test]
fn what_is_charged_to_one_life_does_not_eject_the_next() {
    for by_a_caller in [true, false] {
        let name = format!("disabling and enabling against a violation, by a caller: {by_a_caller}");
        explore_without_arena(&name, UNBOUNDED, 2, move |first| {
            let group = Group::enabled();
            let again = |group: &Group| {
                assert!(group.disable_at_last());
                group.enable()
            };
            let wrong = move |group: &Group| if by_a_caller { group.call_with(1) } else { group.charge(1) };
            let (again, _) = race(first, &group, again, wrong);
            if again.is_ok() {
                group.assert_ejected_if_over();
                assert!(group.disable_at_last());
            }
            group.retire();
        });
    }
}

#[test]
fn of_those_who_spend_the_budget_one_ejects() {
    explore_without_arena("two charges and a call", preemptions(3), 3, |first| {
        let group = Group::enabled_with_budget(2);
        let charge = |group: &Group| group.charge(2);
        let (ours, theirs, called) = race_of_three(first, &group, charge, charge, |group| group.call_with(1));
        assert!(!(ours && theirs), "ejected twice");
        assert!(called || ours || theirs, "ejected by nobody, and a caller was refused");
        assert!(!group.presence.is_present(), "over the budget, and there");
        assert!(group.account.violations() > 2);
        assert!(group.disable_at_last());
        group.retire();
    });
}
