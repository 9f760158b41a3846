/* Each atomic that compilers know, in both sizes, on words that the kernel reads. */
#include "arena.h"

u32 ARENA word;
u64 ARENA wide;

ENTRY("atomics") u64 on_word(u32 which, u32 a, u32 b)
{
	switch (which) {
	case 0: return __sync_fetch_and_add(&word, a);
	case 1: return __sync_fetch_and_or(&word, a);
	case 2: return __sync_fetch_and_and(&word, a);
	case 3: return __sync_fetch_and_xor(&word, a);
	case 4: return __sync_lock_test_and_set(&word, a);
	case 5: return __sync_val_compare_and_swap(&word, a, b);
	default: return ~0ull;
	}
}

ENTRY("atomics") u64 on_wide(u32 which, u64 a, u64 b)
{
	switch (which) {
	case 0: return __sync_fetch_and_add(&wide, a);
	case 1: return __sync_fetch_and_or(&wide, a);
	case 2: return __sync_fetch_and_and(&wide, a);
	case 3: return __sync_fetch_and_xor(&wide, a);
	case 4: return __sync_lock_test_and_set(&wide, a);
	case 5: return __sync_val_compare_and_swap(&wide, a, b);
	default: return ~0ull;
	}
}

/* Nobody wants to know what was there. */
ENTRY("atomics") u64 unanswered(u32 a)
{
	(void)__sync_fetch_and_add(&word, a);
	(void)__sync_fetch_and_or(&wide, (u64)a << 32);
	return 0;
}
