/* A lock in the arena, taken by programs on several CPUs and by the kernel. */
#include "arena.h"

struct guarded {
	u32 lock;
	u32 spins;
	u64 first;
	u64 second;
};

struct guarded ARENA guarded;

static NOINLINE void acquire(void)
{
	while (__sync_lock_test_and_set(&guarded.lock, 1))
		__sync_fetch_and_add(&guarded.spins, 1);
}

static void release(void)
{
	__sync_lock_test_and_set(&guarded.lock, 0);
}

/* Counts both numbers up, one after the other; how often they were found different. */
ENTRY("lock") u64 count(u64 times)
{
	u64 torn = 0;

	for (u64 i = 0; i < times; i++) {
		acquire();
		torn += guarded.first != guarded.second;
		*(volatile u64 ARENA *)&guarded.first = guarded.first + 1;
		*(volatile u64 ARENA *)&guarded.second = guarded.second + 1;
		release();
	}
	return torn;
}
