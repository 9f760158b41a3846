//! Ours.

use kernel_arena::hosted::HostHeap;

use super::{Home, Peer, peer};
use crate::harness::{OURS, Role};

struct Ours;
impl Home for Ours {
    type Heap = HostHeap;
    #[inline]
    fn heap() -> &'static HostHeap {
        static HEAP: HostHeap = HostHeap::new();
        &HEAP
    }
}

pub(super) fn all() -> [Peer; 1] {
    [Peer { role: Role::Ours, ..peer::<Ours>(OURS) }]
}
