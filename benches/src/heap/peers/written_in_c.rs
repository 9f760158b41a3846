//! Peers that are written in C and C++.

use mimalloc::MiMalloc;
use snmalloc_rs::SnMalloc;
use tikv_jemallocator::Jemalloc;

use super::{Home, Peer, peer};

struct Mi;
impl Home for Mi {
    type Heap = MiMalloc;
    fn heap() -> &'static MiMalloc {
        &MiMalloc
    }
}

struct Je;
impl Home for Je {
    type Heap = Jemalloc;
    fn heap() -> &'static Jemalloc {
        &Jemalloc
    }
}

struct Sn;
impl Home for Sn {
    type Heap = SnMalloc;
    fn heap() -> &'static SnMalloc {
        static HEAP: SnMalloc = SnMalloc;
        &HEAP
    }
}

pub(super) fn all() -> [Peer; 3] {
    [peer::<Sn>("snmalloc"), peer::<Je>("jemalloc"), peer::<Mi>("mimalloc")]
}
