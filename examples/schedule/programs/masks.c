/* First come, first served, on the CPUs on which a task may run. It counts what it is told, for the kernel to compare. */
/* objects: only clang-19.v3 */
/* objects: with lines */
#include "queue.h"

u64 allowed[TASKS];

struct counts {
	u64 set_cmask;
	u64 first_cmask;   /* before the task's first enqueue */
	u64 enqueue;
	u64 bad_geometry;
	u64 late_cmask;    /* an enqueue came before any mask */
	u64 kicks;
} counts;

static u64 seen[TASKS];
static u64 cpu_count;

CALLBACK u64 init(u64 cpus, u64 tasks)
{
	cpu_count = cpus;
	return cpus > 64 || tasks > TASKS;
}

CALLBACK u64 set_cmask(u64 task, struct cmask *mask)
{
	u64 bits;

	task %= TASKS;
	if (mask->base != 0 || mask->nr != cpu_count || mask->alloc_words != (mask->nr + 63) / 64 + 1)
		__sync_fetch_and_add(&counts.bad_geometry, 1);
	bits = mask->bits[0];
	__sync_lock_test_and_set(&allowed[task], bits);
	__sync_fetch_and_add(&counts.set_cmask, 1);
	if (!__sync_fetch_and_add(&seen[task], 1))
		__sync_fetch_and_add(&counts.first_cmask, 1);
	return 0;
}

CALLBACK u64 enqueue(u64 task)
{
	task %= TASKS;
	if (!*(volatile u64 *)&seen[task])
		__sync_fetch_and_add(&counts.late_cmask, 1);
	__sync_fetch_and_add(&counts.enqueue, 1);
	enqueue_last(task);
	return 0;
}

CALLBACK u64 dispatch(u64 cpu) { return take_first(allowed, cpu); }
CALLBACK u64 finish(u64 reason) { return counts.set_cmask; }
