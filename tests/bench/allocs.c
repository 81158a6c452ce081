/* SPDX-License-Identifier: MIT */
/*
 * allocs pairs|echo [SESSIONS [SECONDS]] - every call of the allocator that the shard makes for packets in steady
 * state, libraries included; and `allocs memory`: what a session takes. malloc and its family are this
 * program's own, so every library calls them; they count while the shard works and hand on to the C library. So do
 * the locks of pthreads.
 * Prints key=value lines and, for each place that allocates, a line "by N CALLER < CALLER < ...".
 */
#include "bench/stage.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* glibc's names for its own */
extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);
extern void *__libc_memalign(size_t align, size_t n);
extern void __libc_free(void *p);

enum { WARM_UP_S = 10, DEPTH = 10, SKIP = 2, PLACES = 1024, OVERHEAD = 8, BLOCKS = 1 << 20 };

struct place {
	void *stack[DEPTH];
	int depth;
	uint64_t n;
	int64_t bytes;
};

static struct {
	bool in_server, tracing, busy;
	uint64_t allocs, frees, locks;
	int64_t bytes; /* taken by the shard and not given back, with the allocator's overhead */
	size_t n_places;
	struct place places[PLACES];
	struct { /* by address: who took it */
		void *p;
		uint32_t place;
	} blocks[BLOCKS];
} count;

static size_t block_of(const void *p)
{
	size_t i = ((uintptr_t)p >> 4) * 0x9e3779b97f4a7c15u >> 44;

	for (size_t tries = 0; tries < 64; tries++, i++)
		if (count.blocks[i % BLOCKS].p == p)
			return i % BLOCKS;
	return BLOCKS;
}

static uint32_t find_place(const struct place *p)
{
	for (size_t i = 0; i < count.n_places; i++)
		if (count.places[i].depth == p->depth && memcmp(count.places[i].stack, p->stack, sizeof p->stack) == 0)
			return (uint32_t)i;
	if (count.n_places == PLACES)
		return PLACES - 1;
	count.places[count.n_places] = *p;
	return (uint32_t)count.n_places++;
}

static void note_place(void *block)
{
	struct place p = {.n = 0};
	size_t i = ((uintptr_t)block >> 4) * 0x9e3779b97f4a7c15u >> 44;

	count.busy = true;
	p.depth = backtrace(p.stack, DEPTH);
	uint32_t at = find_place(&p);

	count.places[at].n++;
	count.places[at].bytes += (int64_t)malloc_usable_size(block) + OVERHEAD;
	for (size_t tries = 0; tries < 64; tries++, i++) {
		if (count.blocks[i % BLOCKS].p)
			continue;
		count.blocks[i % BLOCKS].p = block;
		count.blocks[i % BLOCKS].place = at;
		break;
	}
	count.busy = false;
}

static void forget_place(void *block)
{
	size_t i = block_of(block);

	if (i == BLOCKS)
		return;
	count.places[count.blocks[i].place].bytes -= (int64_t)malloc_usable_size(block) + OVERHEAD;
	count.places[count.blocks[i].place].n--;
	count.blocks[i].p = NULL;
}

static void *note_alloc(void *p)
{
	if (!count.in_server || count.busy || !p)
		return p;
	count.allocs++;
	count.bytes += (int64_t)malloc_usable_size(p) + OVERHEAD;
	if (count.tracing)
		note_place(p);
	return p;
}

static void note_free(void *p)
{
	if (count.busy || !p)
		return;
	if (count.tracing)
		forget_place(p);
	if (!count.in_server)
		return;
	count.frees++;
	count.bytes -= (int64_t)malloc_usable_size(p) + OVERHEAD;
}

void *malloc(size_t n)
{
	return note_alloc(__libc_malloc(n));
}

void *calloc(size_t n, size_t size)
{
	return note_alloc(__libc_calloc(n, size));
}

void *realloc(void *p, size_t n)
{
	note_free(p);
	return note_alloc(__libc_realloc(p, n));
}

void *aligned_alloc(size_t align, size_t n)
{
	return note_alloc(__libc_memalign(align, n));
}

void *memalign(size_t align, size_t n)
{
	return note_alloc(__libc_memalign(align, n));
}

int posix_memalign(void **out, size_t align, size_t n)
{
	void *p = note_alloc(__libc_memalign(align, n));

	if (!p)
		return ENOMEM;
	*out = p;
	return 0;
}

void free(void *p)
{
	note_free(p);
	__libc_free(p);
}

/* A wrapper of the next function of that name. */
#define COUNT_LOCK(type, name)                                                                                        \
	int name(type *lock)                                                                                          \
	{                                                                                                             \
		static int (*next)(type *);                                                                           \
                                                                                                                      \
		if (!next)                                                                                            \
			*(void **)&next = dlsym(RTLD_NEXT, #name);                                                    \
		count.locks += count.in_server;                                                                       \
		return next(lock);                                                                                    \
	}
COUNT_LOCK(pthread_mutex_t, pthread_mutex_lock)
COUNT_LOCK(pthread_rwlock_t, pthread_rwlock_rdlock)
COUNT_LOCK(pthread_rwlock_t, pthread_rwlock_wrlock)

static void server(bool on)
{
	count.in_server = on;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static void print_places(void)
{
	for (size_t i = 0; i < count.n_places; i++) {
		const struct place *p = &count.places[i];

		if (p->bytes == 0 && !count.allocs)
			continue;
		printf("by %llu %lld", (unsigned long long)p->n, (long long)p->bytes);
		for (int k = SKIP; k < p->depth; k++) {
			Dl_info d;

			if (!dladdr(p->stack[k], &d))
				continue;
			printf(" %s %s", k > SKIP ? "<" : "", d.dli_sname ? d.dli_sname : "");
			if (!d.dli_sname)
				printf("%s+0x%zx", base_name(d.dli_fname), (size_t)((char *)p->stack[k] - (char *)d.dli_fbase));
		}
		printf("\n");
	}
}

static int steady(const char *what, size_t n, nsec time)
{
	const bool echo = strcmp(what, "echo") == 0;
	const struct stage_opts opts = {
		.sessions = n, .room = echo ? 0 : 2, .bridge = echo ? "echo" : "none", .rate_hz = 16000, .server = server};
	struct stage *s = stage_new(&opts);
	void *stack[1];

	backtrace(stack, 1); /* loads libgcc now */
	stage_join(s);
	stage_talk(s, true);
	stage_run(s, nsec_from_s(WARM_UP_S));
	struct stage_counts from = stage_counts(s);

	count.allocs = count.frees = count.locks = 0;
	count.tracing = true;
	stage_run(s, time);
	count.tracing = false;
	struct stage_counts to = stage_counts(s);

	printf("in=%llu\nout=%llu\nallocs=%llu\nfrees=%llu\nlocks=%llu\n", (unsigned long long)(to.datagrams_in - from.datagrams_in),
		(unsigned long long)(to.datagrams_out - from.datagrams_out), (unsigned long long)count.allocs,
		(unsigned long long)count.frees, (unsigned long long)count.locks);
	print_places();
	stage_free(s);
	return 0;
}

static int memory(size_t n)
{
	const struct stage_opts opts = {.sessions = n, .room = 2, .bridge = "none", .rate_hz = 16000, .server = server};
	struct stage *s = stage_new(&opts);
	int64_t empty = count.bytes;
	void *stack[1];

	backtrace(stack, 1);
	count.tracing = true;
	stage_join(s);
	stage_run(s, nsec_from_s(WARM_UP_S));
	count.tracing = false;
	int64_t idle = count.bytes;

	stage_talk(s, true);
	stage_run(s, nsec_from_s(WARM_UP_S));
	int64_t talking = count.bytes;

	if (count.locks == 0) { /* a handshake cannot do without */
		fprintf(stderr, "allocs: locks are not counted\n");
		return 1;
	}
	printf("sessions=%zu\nempty=%lld\nidle=%lld\ntalking=%lld\n", n, (long long)empty,
		(long long)(idle - empty) / (long long)n, (long long)(talking - empty) / (long long)n);
	print_places();
	stage_free(s);
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "pairs";
	size_t n = argc > 2 ? strtoul(argv[2], NULL, 10) : 20;

	if (strcmp(what, "memory") == 0)
		return memory(n);
	return steady(what, n, nsec_from_s(argc > 3 ? strtoul(argv[3], NULL, 10) : 20));
}
