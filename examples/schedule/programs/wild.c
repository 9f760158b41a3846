/* Has the kernel read where there is no page. */
/* objects: only clang-19.v3 */
/* objects: with lines */
#include "queue.h"

static u64 pages;

CALLBACK u64 init(u64 cpus, u64 tasks) { return 0; }
CALLBACK u64 set_cmask(u64 task, struct cmask *mask) { return 0; }
CALLBACK u64 enqueue(u64 task) { enqueue_last(task); return 0; }

CALLBACK u64 dispatch(u64 cpu)
{
	/* Another page each time. */
	host_peek((u64 *)(0xdead00100000ull + __sync_fetch_and_add(&pages, 1) % 256 * PAGE));
	return take_first(0, cpu);
}

CALLBACK u64 finish(u64 reason) { return 0; }
