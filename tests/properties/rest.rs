//! What must hold whenever nothing is going on: figures, contents, and that the arena agrees with itself.

use kernel_arena::views::{FaultPolicy, ViewRights};

use super::model::{Class, State};
use super::tasks::{Scenario, Step};
use super::world::World;
use crate::machine::{Format, Machine, Random};

/// More than all pages of two arenas and their tables: frames run out only where a step says so.
const FRAMES: usize = 400;
const CPUS: u16 = 3;

/// Runs a scenario from creation to destruction.
pub(super) fn play<F: Format>(scenario: &Scenario) {
    let shape = scenario.shape;
    let m = Machine::<F>::builder()
        .cpus(CPUS)
        .tags(3)
        .frames(FRAMES)
        .extent(shape.first_page, shape.pages)
        .arenas(shape.arenas)
        .tlb(shape.tlb)
        .seed(shape.seed)
        .build();
    let world = World::new(&m, shape.arenas);
    for tag in 0..shape.views {
        let policy = if shape.seed >> tag & 1 == 0 { FaultPolicy::Lazy } else { FaultPolicy::Segv };
        world.attach(&m, 0, tag, ViewRights::ReadWrite, policy);
    }
    let random = Random::new(shape.seed);
    for (number, step) in scenario.steps.iter().enumerate() {
        play_step(&m, &world, step, &random);
        if number % 8 == 0 {
            m.validate();
        }
    }
    world.check_contents(&m, &random, usize::MAX);
    let left: usize = world.oracle.borrow().models.iter().map(super::model::Model::frames).sum();
    m.clear_hooks();
    assert_eq!(m.finish() as usize, left);
}

fn play_step<F: Format>(m: &Machine<F>, world: &World, step: &Step, random: &Random) {
    world.step(m, step, FRAMES);
    world.check_figures(m);
    world.check_contents(m, random, 3);
}

impl World {
    fn check_figures<F: Format>(&self, m: &Machine<F>) {
        let oracle = self.oracle.borrow();
        let frames: usize = oracle.models.iter().map(|model| model.table_frames + model.frames()).sum();
        assert_eq!(m.frames_in_use(), frames, "frames in use");
        for (number, model) in oracle.models.iter().enumerate() {
            let stats = m.quietly(|| m.arena_at(number).stats());
            let pages = |so: fn(State) -> bool| model.extent().filter(|(_, at)| so(at.seen.state)).count();
            assert_eq!(stats.claimed_pages as usize, pages(|state| state != State::Free), "claimed");
            assert_eq!(stats.deferred_pages as usize, pages(|state| matches!(state, State::Deferred(_))), "queued");
            assert_eq!(stats.table_frames as usize, model.table_frames);
            assert_eq!((stats.violations, stats.violations_lost), (model.violations, model.lost), "violations");
            let of = |class: Class| model.pages.iter().filter(move |(page, _)| model.class(**page) == class);
            for (class, said) in [(Class::Slot, stats.tainted_pages), (Class::Region, stats.tainted_regions)] {
                let at_least = of(class).filter(|(_, at)| at.seen.scratch).count();
                let at_most = of(class).filter(|(_, at)| at.may_be_marked).count();
                assert!((at_least..=at_most).contains(&(said as usize)), "{said} marks, not {at_least} to {at_most}");
            }
        }
    }

    /// Reads words of so many pages, or all words of all.
    fn check_contents<F: Format>(&self, m: &Machine<F>, random: &Random, most: usize) {
        let oracle = self.oracle.borrow();
        let live = oracle.live_pages();
        let any = |bound: usize| usize::try_from(random.below(bound as u64)).unwrap();
        let cpu = || any(usize::from(CPUS));
        if most >= live.len() {
            for (arena, page) in live {
                (0..super::model::WORDS.len()).for_each(|word| oracle.check_word(m, arena, page, word, cpu()));
            }
            return;
        }
        for _ in 0..most {
            let (arena, page) = live[any(live.len())];
            oracle.check_word(m, arena, page, any(super::model::WORDS.len()), cpu());
        }
    }
}
