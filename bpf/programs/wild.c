/* What goes wrong in programs: each entry is one way. */
/* objects: with lines */
#include "arena.h"

struct cell {
	struct cell ARENA *next;
	u64 value;
};

extern void __bpf_trap(void) __attribute__((weak));

struct cell ARENA *kept;
u64 ARENA steps;

/* Follows a pointer that was good when it was kept. */
ENTRY("wild") u64 follow_kept(void)
{
	u64 value = kept->value;

	steps++;
	return value + 1;
}

/* Goes along a chain until it ends: into whatever the last pointer says. */
ENTRY("wild") u64 follow_chain(struct cell ARENA *cell)
{
	while (cell->value) {
		cell = cell->next;
		steps++;
	}
	return (u64)cell;
}

ENTRY("wild") u64 read_at(u32 ARENA *at)
{
	return *at;
}

ENTRY("wild") u64 write_at(u64 ARENA *at, u64 value)
{
	*at = value;
	return *at;
}

/* Runs over the end of what it was given. */
ENTRY("wild") u64 fill(u8 ARENA *from, u64 bytes)
{
	for (u64 i = 0; i < bytes; i++)
		from[i] = (u8)i;
	return bytes;
}

ENTRY("wild") u64 for_ever(void)
{
	for (;;)
		steps++;
}

ENTRY("wild") u64 give_up(u64 a)
{
	if (a)
		__bpf_trap();
	return 5;
}
