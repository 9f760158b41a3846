/* A queue without a lock: each task that wants to run has a ticket, and the lowest that may run here is next. Whoever exchanges
 * a ticket for 0 has the task. It is first come, first served, in the order of the tickets. */
#pragma once
#include "sched.h"

static u64 next_ticket;
static u64 tickets[TASKS];

static inline void enqueue_last(u64 task)
{
	u64 ticket = __sync_fetch_and_add(&next_ticket, 1) + 1;
	__sync_lock_test_and_set(&tickets[task % TASKS], ticket);
}

/* The task with the lowest ticket of those in `allowed`, and 1; or 0. */
static inline u64 take_first(const u64 *allowed, u64 cpu)
{
	/* Each try fails only because another CPU took one. */
	for (u32 tries = 0; tries < TASKS; tries++) {
		u64 lowest = ~0ull, found = TASKS;
		for (u64 task = 0; task < TASKS; task++) {
			u64 ticket = *(volatile u64 *)&tickets[task];
			if (ticket && ticket < lowest && (!allowed || allowed[task] >> (cpu & 63) & 1)) {
				lowest = ticket;
				found = task;
			}
		}
		if (found == TASKS)
			return 0;
		if (__sync_val_compare_and_swap(&tickets[found], lowest, 0) == lowest)
			return found + 1;
	}
	return 0;
}
