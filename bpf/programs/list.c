/* A list that program and kernel both push to and walk, in plain memory. */
#include "arena.h"

struct node {
	struct node ARENA *next;
	u64 value;
};

struct node ARENA *head;
u64 ARENA walked;
struct node ARENA spare[4] = { { NULL, 10 }, { NULL, 20 }, { NULL, 30 }, { NULL, 40 } };

/* The sum of all values; at most `limit` nodes are visited, for the list may be a ring. */
ENTRY("list/sum") u64 sum(u64 limit)
{
	u64 total = 0;

	walked = 0;
	for (struct node ARENA *node = head; node && walked < limit; node = node->next) {
		total += node->value;
		walked++;
	}
	return total;
}

/* Pushes one of the program's own nodes. */
ENTRY("list/push") u64 push(u32 which)
{
	struct node ARENA *node = &spare[which & 3];

	node->next = head;
	head = node;
	return (u64)node;
}

/* Pushes a node that the kernel has made. */
ENTRY("list/push_this") u64 push_this(struct node ARENA *node)
{
	node->next = head;
	head = node;
	return node->value;
}

/* Turns the list round. */
ENTRY("list/reverse") u64 reverse(void)
{
	struct node ARENA *behind = NULL;
	struct node ARENA *node = head;
	u64 count = 0;

	while (node) {
		struct node ARENA *next = node->next;

		node->next = behind;
		behind = node;
		node = next;
		count++;
	}
	head = behind;
	return count;
}
