/* Functions of the kernel's: by name, by number, weak ones that are there, and weak ones that are not. */
#include "arena.h"

extern u64 host_say(const char *text, u64 number);
extern u64 host_now(void) __attribute__((weak));
extern u64 host_missing(u64 a) __attribute__((weak));
static u64 (*const host_double)(u64 number) = (void *)7;

static const char greeting[] = "from the program";

ENTRY("host") u64 say(u64 number)
{
	return host_say(greeting, number) + host_say("a string", number + 1);
}

ENTRY("host") u64 by_number(u64 number)
{
	return host_double(number) + 1;
}

ENTRY("host") u64 if_there(void)
{
	return (host_now ? host_now() : 1) + (host_missing ? host_missing(3) : 100);
}

/* Ends as a trap. */
ENTRY("host") u64 not_there(u64 a)
{
	return host_missing(a) + 1;
}
