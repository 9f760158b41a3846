/* What all programs here include: types, and how data come into the arena.
 *
 * With -DSPACE the pointers say that they lead into the arena (address space 1), and compilers from clang 19 on cast them
 * before each access. Without it they are plain pointers. Both run the same: the runner takes every access for one to the
 * arena. */
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef signed char s8;
typedef short s16;
typedef int s32;
typedef long long s64;

#ifdef SPACE
#define ARENA __attribute__((address_space(1)))
#else
#define ARENA
#endif

#define NULL ((void ARENA *)0)
#define NOINLINE __attribute__((noinline))
/* An entry: any function that is not static is one; sections are for the reader. */
#define ENTRY(section_name) __attribute__((section(section_name), used))
