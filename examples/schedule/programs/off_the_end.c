/* Reads the mask far beyond its end. */
/* objects: only clang-19.v3 */
/* objects: with lines */
#include "queue.h"

u64 sum;

CALLBACK u64 init(u64 cpus, u64 tasks) { return 0; }

CALLBACK u64 set_cmask(u64 task, struct cmask *mask)
{
	for (u64 word = 0; word < 8 * PAGE / 8; word++)
		sum += mask->bits[word];
	return 0;
}

CALLBACK u64 enqueue(u64 task) { enqueue_last(task); return 0; }
CALLBACK u64 dispatch(u64 cpu) { return take_first(0, cpu); }
CALLBACK u64 finish(u64 reason) { return 0; }
