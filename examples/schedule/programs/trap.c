/* Gives up in the middle. */
/* objects: only clang-19.v3 */
/* objects: with lines */
#include "queue.h"

CALLBACK u64 init(u64 cpus, u64 tasks) { return 0; }
CALLBACK u64 set_cmask(u64 task, struct cmask *mask) { return 0; }
CALLBACK u64 enqueue(u64 task) { enqueue_last(task); return 0; }

extern void __bpf_trap(void) __attribute__((weak));

CALLBACK u64 dispatch(u64 cpu)
{
	u64 task = take_first(0, cpu);

	if (task > 3)
		__bpf_trap();
	return task;
}

CALLBACK u64 finish(u64 reason) { return 0; }
