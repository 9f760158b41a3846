/* A box for one message: filled and emptied with release and acquire, by programs or by the kernel. */
/* objects: only clang-22 */
#include "arena.h"

struct box {
	u64 message;
	u32 full;
	u32 tries;
};

struct box ARENA box;

/* Puts a message in; whether there was room. */
ENTRY("order") u64 put(u64 message)
{
	if (__atomic_load_n(&box.full, __ATOMIC_ACQUIRE))
		return 0;
	box.message = message;
	__atomic_store_n(&box.full, 1, __ATOMIC_RELEASE);
	return 1;
}

/* Takes the message out; 0 if there is none. */
ENTRY("order") u64 take(void)
{
	u64 message;

	box.tries++;
	if (!__atomic_load_n(&box.full, __ATOMIC_ACQUIRE))
		return 0;
	message = box.message;
	__atomic_store_n(&box.full, 0, __ATOMIC_RELEASE);
	return message;
}
