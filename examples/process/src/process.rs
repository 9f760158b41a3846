//! A process: an address space with the program in it, and perhaps a view of the arena.

use kernel_arena::kit::ProgramWindow;
use kernel_arena::platform::Platform;
use kernel_arena::views::{FaultPolicy, View, ViewId, ViewRights};
use kernel_arena::{Arena, ProgramAddr};
use support::Machine;
use support::check::{Checked, Failure};
use support::user::{AddressSpace, Rights, Thread};

use crate::image;

/// Where a process's stack ends; it has four pages. A page below the program's own 1 GiB entry's end.
pub const STACK_END: u64 = 0x1_0000_0000 + (1 << 29);
const STACK_BYTES: u64 = 4 * 4096;

/// A page that is free.
pub const OWN_PAGE: u64 = STACK_END + (1 << 21);

/// Where views usually are.
pub const BASE: u64 = 0x70_0000_0000;

/// A process. Its space stays where it is as long as threads run in it.
#[derive(Debug)]
pub struct Process {
    space: AddressSpace,
    entry: u64,
}

/// A view that is attached to a process.
pub type Attached = View<ProgramWindow>;

impl Process {
    /// A process that has not begun.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn new(machine: &Machine) -> Result<Self, Failure> {
        let space =
            AddressSpace::new(machine.frames()).ok_or_else(|| Failure::new("no frames for an address space"))?;
        let entry = image::load(&space)?;
        if !space.map(STACK_END - STACK_BYTES, &[], STACK_BYTES, Rights::Data) {
            return Err(Failure::new("no frames for a stack"));
        }
        Ok(Self { space, entry })
    }

    /// Its address space.
    #[must_use]
    pub const fn space(&self) -> &AddressSpace {
        &self.space
    }

    /// Where its text begins to run.
    #[must_use]
    pub const fn entry(&self) -> u64 {
        self.entry
    }

    /// The program, about to begin.
    #[must_use]
    pub fn thread(&self, what: u64, arguments: [u64; 3]) -> Thread {
        let [first, second, third] = arguments;
        Thread::new(self.entry, STACK_END, [what, first, second, third])
    }

    /// Has the arena appear in it.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn attach<P: Platform>(
        &self,
        arena: &Arena<P>,
        base: u64,
        rights: ViewRights,
        policy: FaultPolicy,
    ) -> Result<Attached, Failure> {
        let platform = arena.platform();
        let (frames, map) = (platform.frames(), platform.phys_map());
        // SAFETY: the root is this process's, which the kernel edits no more; each platform of these kernels has the one map, of all RAM.
        let window = unsafe {
            ProgramWindow::link_below(self.space.root(), ProgramAddr::new(base), arena.layout(), frames, map)
        }?;
        arena.attach_view(window, rights, policy).map_err(|refused| {
            let error = refused.error.into();
            give_back(arena, refused.entries).err().unwrap_or(error)
        })
    }
}

/// Takes a view away, and its tables; gives its number, which is stale now.
///
/// # Errors
///
/// What went wrong.
pub fn detach<P: Platform>(arena: &Arena<P>, view: Attached) -> Result<ViewId, Failure> {
    let id = view.id();
    give_back(arena, arena.detach_view(view)?).map(|()| id)
}

/// The tables that were made for a view go back.
///
/// # Errors
/// What went wrong.
pub fn give_back<P: Platform>(arena: &Arena<P>, window: ProgramWindow) -> Checked {
    let platform = arena.platform();
    // SAFETY: source and map are those of `link_below`, and no other root leads there.
    unsafe { window.unlink(platform.frames(), platform.phys_map(), platform.shootdown()) }?;
    Ok(())
}

/// Both: a process with a view, and what is to be done with them.
///
/// # Errors
///
/// What went wrong.
pub fn with_view<P: Platform>(
    machine: &Machine,
    arena: &Arena<P>,
    (rights, policy): (ViewRights, FaultPolicy),
    body: impl FnOnce(&Process, &Attached) -> Checked,
) -> Checked {
    let process = Process::new(machine)?;
    let view = process.attach(arena, BASE, rights, policy)?;
    let outcome = body(&process, &view);
    detach(arena, view)?;
    outcome
}
