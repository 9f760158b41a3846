/* What compilers make of plain C: data that refer to each other, a switch, local functions, recursion, copies, divisions. */
#include "arena.h"

struct point {
	s32 x, y, z;
	u32 colour;
	u64 mass;
};

struct named {
	u64 number;
	struct named ARENA *other;
	const char *name;
};

extern struct named ARENA second;
struct named ARENA first = { 1, &second, "first" };
struct named ARENA second = { 2, &first, "second" };

u32 ARENA squares[8] = { 0, 1, 4, 9, 16, 25, 36, 49 };
u32 ARENA *middle = &squares[3];
u64 fifth_as_number = (u64)&squares[5];
struct point ARENA here = { 1, -2, 3, 0xff8000, 1000 };
struct point ARENA there;
u64 zeros[100];
const u16 primes[8] = { 2, 3, 5, 7, 11, 13, 17, 19 };

/* The pointers in data and in code lead to the same places. */
ENTRY("data") u64 linked(void)
{
	struct named ARENA *at = &first;
	u64 sum = 0;

	for (int i = 0; i < 4; i++) {
		sum = sum * 10 + at->number;
		at = at->other;
	}
	if (at != &first || at->other != &second)
		return 0;
	return sum + *middle + *(u32 ARENA *)fifth_as_number + (u8)first.name[0];
}

/* All of a large .bss is zero, and can be written. */
ENTRY("data") u64 cleared(u64 value)
{
	u64 sum = 0;

	for (int i = 0; i < 100; i++) {
		sum |= zeros[i];
		zeros[i] = value + i;
	}
	return sum;
}

ENTRY("code") u64 chosen(u64 a, u64 b, u32 which)
{
	switch (which) {
	case 0: return a + b;
	case 1: return a - b;
	case 2: return a * b;
	case 3: return b ? a / b : 0;
	case 4: return a % (b | 1);
	case 5: return a << (b & 63);
	case 6: return (s64)a >> (b & 63);
	case 7: return (u32)a / ((u32)b | 1);
	case 40: return __builtin_bswap64(a);
	case 41: return (u64)(s64)(s8)a;
	case 42: return (u64)(s64)(s16)a;
	case 43: return (u64)(s64)(s32)a;
	case 1000: return a > b;
	case 1001: return (s64)a > (s64)b;
	case 1002: return (s32)a < (s32)b;
	default: return ~0ull;
	}
}

static NOINLINE u64 fibonacci(u32 n)
{
	return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

ENTRY("code") u64 recursion(u32 n)
{
	return fibonacci(n > 6 ? 6 : n);
}

/* Goes deeper than any stack. */
static NOINLINE u64 deeper(volatile u64 *above)
{
	volatile u64 here_too = *above + 1;

	return here_too ? deeper(&here_too) + here_too : 0;
}

ENTRY("code") u64 too_deep(u64 start)
{
	volatile u64 local = start;

	return deeper(&local);
}

/* Structures are copied between the stack and the arena. */
ENTRY("data") u64 copied(s32 dx)
{
	struct point local = here;

	local.x += dx;
	local.mass *= 2;
	there = local;
	return there.mass + there.colour + (u64)(s64)there.x;
}

ENTRY("data") u64 prime(u32 which)
{
	volatile u16 table[8];

	for (int i = 0; i < 8; i++)
		table[i] = primes[i];
	return table[which & 7];
}
