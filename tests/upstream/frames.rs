//! Which page gets which frame: in the order of both.

use kernel_arena::{AllocRequest, ArenaPtr, Context, Owner};

use super::{after, alloc, count, page, request, reserve, sleepless};
use crate::machine::{Format, Machine, Point};

/// The frames of so many pages from one on.
fn frames<F: Format>(m: &Machine<F>, at: ArenaPtr, pages: u32) -> Vec<u64> {
    (0..pages).map(|number| m.frame_of(m.at(after(at, number))).expect("a page")).collect()
}

fn frames_of_a_request_ascend_as_the_source_gives_them<F: Format>() {
    let ways: [fn(&Machine<F>) -> AllocRequest; 4] = [
        |_| request(5),
        |_| sleepless(5),
        |_| request(5).exactly_at(page(7)),
        |m| {
            reserve(m, page(3), 9).unwrap();
            request(5).in_reservation(page(4))
        },
    ];
    for way in ways {
        let m = Machine::<F>::builder().extent(1, 64).build();
        m.frames_ascend();
        let at = alloc(&m, way(&m)).unwrap();
        let got = frames(&m, at, 5);
        assert!(got.is_sorted(), "{got:x?}");
        for number in 0..5 {
            assert_eq!(m.read(0, after(at, number)), Ok(0), "a link was left");
        }
        m.finish();
    }
}

/// Nor are they reversed where a fault comes between, and pages before it take theirs with them.
fn frames_that_were_put_back_keep_their_place<F: Format>() {
    let m = Machine::<F>::builder().extent(1, 64).build();
    m.frames_ascend();
    // Where nothing may wait a scratched page is passed over, with the frames that were taken for it.
    let fault = |m: &Machine<F>| _ = m.write(1, page(3), 1);
    let calls = m.frame_calls();
    m.hook(Point::FrameAlloc, move |m| {
        if m.frame_calls() == calls + 4 {
            fault(m);
        }
    });
    let wanted = AllocRequest::new(count(5), Owner::Program).in_context(Context::Any);
    let at = alloc(&m, wanted).unwrap();
    m.clear_hooks();
    let got = frames(&m, at, 5);
    assert!(got.is_sorted(), "{got:x?} at {at:?}");
    for number in 0..5 {
        assert_eq!(m.read(0, after(at, number)), Ok(0), "a link was left");
    }
    m.finish();
}

each_format!(frames_of_a_request_ascend_as_the_source_gives_them, frames_that_were_put_back_keep_their_place);
