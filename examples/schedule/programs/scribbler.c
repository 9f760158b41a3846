/* Writes over the header of the kernel's mask, and has the kernel read it. */
/* objects: only clang-19.v3 */
/* objects: with lines */
#include "queue.h"

CALLBACK u64 init(u64 cpus, u64 tasks) { return 0; }

CALLBACK u64 set_cmask(u64 task, struct cmask *mask)
{
	mask->base = 1;
	mask->nr = ~0u;
	mask->alloc_words = ~0u;
	mask->bits[0] = ~0ull;
	host_kick(mask);
	return 0;
}

CALLBACK u64 enqueue(u64 task) { enqueue_last(task); return 0; }
CALLBACK u64 dispatch(u64 cpu) { return take_first(0, cpu); }
CALLBACK u64 finish(u64 reason) { return 0; }
