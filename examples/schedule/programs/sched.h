/* What a scheduler and the kernel tell each other.
 *
 * A scheduler is an object with five functions; each gets its arguments in registers, and each may run on several CPUs at once:
 *
 *   init(cpus, tasks)       before anything else; anything but 0 refuses to begin
 *   set_cmask(task, mask)   where a task may run from now on; the mask is the kernel's, and good for this call alone
 *   enqueue(task)           a task wants to run
 *   dispatch(cpu)           which task is next on this CPU: its number and 1, or 0
 *   finish(reason)          after everything else
 *
 * All memory is the window's: globals lie in its pages, too. Tasks have the numbers 0 to 63, CPUs 0 to 63.
 */
#pragma once

/* Not every scheduler wants to know everything. */
#pragma clang diagnostic ignored "-Wunused-parameter"

typedef unsigned int u32;
typedef unsigned long long u64;

#define CALLBACK __attribute__((section("scheduler"), used))
#define TASKS 64
#define PAGE 4096

/* The kernel's CPU mask: bit `id` is in word (id - (base & ~63)) / 64, at position id % 64. */
struct cmask {
	u32 base;
	u32 nr;
	u32 alloc_words;
	u64 bits[];
};

/* What the kernel does for a scheduler. Addresses are the scheduler's own. */
extern u64 host_alloc(u64 pages);            /* zeroed pages, or 0 */
extern u64 host_free(u64 address);           /* a page; 0, or why not */
extern u64 host_kick(struct cmask *mask);    /* has these CPUs ask again */
extern u64 host_peek(u64 *address);          /* reads there, in the kernel */
