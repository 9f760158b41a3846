/* Frees the page of the kernel's mask, and pages that nobody has. */
/* objects: only clang-19.v3 */
/* objects: with lines */
#include "queue.h"

u64 refused;

CALLBACK u64 init(u64 cpus, u64 tasks) { return 0; }

CALLBACK u64 set_cmask(u64 task, struct cmask *mask)
{
	refused += host_free((u64)mask & ~(u64)(PAGE - 1)) != 0;
	refused += host_free(0x12345000) != 0;
	refused += host_free((u64)mask + 1) != 0;
	return 0;
}

CALLBACK u64 enqueue(u64 task) { enqueue_last(task); return 0; }
CALLBACK u64 dispatch(u64 cpu) { return take_first(0, cpu); }
CALLBACK u64 finish(u64 reason) { return 0; }
