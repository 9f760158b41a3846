/* A hash table with chains: entries from a pool, copied as structures. */
#include "arena.h"

#define BUCKETS 16
#define ENTRIES 64

struct item {
	u32 key;
	u16 weight;
	u8 tag;
	u8 spare;
	u64 value;
	u64 stamp;
};

struct entry {
	struct entry ARENA *next;
	struct item item;
};

struct entry ARENA *buckets[BUCKETS];
struct entry ARENA entries[ENTRIES];
struct entry ARENA *unused;
u32 ARENA taken;
u64 ARENA clock_now = 1000;
struct item ARENA found;

static NOINLINE u32 bucket_of(u32 key)
{
	u64 mixed = (u64)key * 0x9e3779b97f4a7c15ull;

	return mixed >> 60;
}

static NOINLINE struct entry ARENA *find(u32 key)
{
	struct entry ARENA *entry = buckets[bucket_of(key) % BUCKETS];

	while (entry && entry->item.key != key)
		entry = entry->next;
	return entry;
}

static struct entry ARENA *take(void)
{
	struct entry ARENA *entry = unused;

	if (entry) {
		unused = entry->next;
		return entry;
	}
	return taken < ENTRIES ? &entries[taken++] : NULL;
}

/* Puts a value in; 1 if the key is new, 2 if not, 0 if there is no room. */
ENTRY("table") u64 insert(u32 key, u64 value)
{
	struct entry ARENA *entry = find(key);
	struct item item = { .key = key, .weight = (u16)value, .tag = (u8)key, .value = value, .stamp = clock_now++ };

	if (entry) {
		entry->item = item;
		return 2;
	}
	entry = take();
	if (!entry)
		return 0;
	entry->item = item;
	entry->next = buckets[bucket_of(key) % BUCKETS];
	buckets[bucket_of(key) % BUCKETS] = entry;
	return 1;
}

/* Copies what is there under a key to `found`; its value, or all ones. */
ENTRY("table") u64 lookup(u32 key)
{
	struct entry ARENA *entry = find(key);

	if (!entry)
		return ~0ull;
	found = entry->item;
	return found.value;
}

/* Takes a key out; whether it was there. */
ENTRY("table") u64 take_out(u32 key)
{
	struct entry ARENA *entry = find(key);
	struct entry ARENA *before = buckets[bucket_of(key) % BUCKETS];

	if (!entry)
		return 0;
	if (before == entry) {
		buckets[bucket_of(key) % BUCKETS] = entry->next;
	} else {
		while (before->next != entry)
			before = before->next;
		before->next = entry->next;
	}
	entry->next = unused;
	unused = entry;
	return 1;
}
