/* First come, first served, on any CPU. */
/* objects: only clang-19.v3 */
/* objects: with lines */
#include "queue.h"

CALLBACK u64 init(u64 cpus, u64 tasks) { return cpus > 64 || tasks > TASKS; }
CALLBACK u64 set_cmask(u64 task, struct cmask *mask) { return 0; }
CALLBACK u64 enqueue(u64 task) { enqueue_last(task); return 0; }
CALLBACK u64 dispatch(u64 cpu) { return take_first(0, cpu); }
CALLBACK u64 finish(u64 reason) { return 0; }
