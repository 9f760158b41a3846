/* Names tasks that it was not asked about: that may not run here, that run already, or that there are not. */
/* objects: only clang-19.v3 */
/* objects: with lines */
#include "queue.h"

static u64 turn;

CALLBACK u64 init(u64 cpus, u64 tasks) { return 0; }
CALLBACK u64 set_cmask(u64 task, struct cmask *mask) { return 0; }
CALLBACK u64 enqueue(u64 task) { return 0; }
CALLBACK u64 dispatch(u64 cpu) { return __sync_fetch_and_add(&turn, 1) % 100 + 1; }
CALLBACK u64 finish(u64 reason) { return 0; }
