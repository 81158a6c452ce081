/* SPDX-License-Identifier: MIT */
/* A tick allocates nothing. What a participant costs. */
#include "unit/room/stage.h"

#include <malloc.h>

#ifndef __has_feature
#define __has_feature(x) 0
#endif

static volatile struct {
	bool counts;
	size_t n_calls;
} heap;

#if defined __SANITIZE_ADDRESS__ || __has_feature(address_sanitizer)
/* as in <sanitizer/allocator_interface.h>, which not every compiler's package brings */
int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *, size_t),
	void (*on_free)(const volatile void *));

static void count_malloc(const volatile void *p, size_t n)
{
	(void)p, (void)n;
	heap.n_calls += heap.counts;
}

static void count_free(const volatile void *p)
{
	(void)p;
	heap.n_calls += heap.counts;
}

static void watch_heap(void)
{
	assert_true(__sanitizer_install_malloc_and_free_hooks(count_malloc, count_free) > 0);
}
#else
/* glibc lets a program bring its own; these only count. */
extern void *__libc_malloc(size_t n), *__libc_calloc(size_t n, size_t size), *__libc_realloc(void *p, size_t n);
extern void __libc_free(void *p);

void *malloc(size_t n)
{
	heap.n_calls += heap.counts;
	return __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	heap.n_calls += heap.counts;
	return __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	heap.n_calls += heap.counts;
	return __libc_realloc(p, n);
}

void free(void *p)
{
	heap.n_calls += heap.counts && p;
	__libc_free(p);
}

static void watch_heap(void)
{
}
#endif

/* Counts are taken while `ms` pass. */
static size_t calls_in(struct stage *s, uint32_t ms)
{
	heap.n_calls = 0;
	heap.counts = true;
	stage_run(s, ms);
	heap.counts = false;
	return heap.n_calls;
}

TEST(the_counter_counts)
{
	void *volatile p;

	heap.n_calls = 0;
	heap.counts = true;
	p = malloc(10);
	free(p);
	heap.counts = false;
	assert_int_equal(heap.n_calls, 2);
}

TEST(a_tick_of_a_full_room_allocates_nothing)
{
	static const uint32_t rates[] = {8000, 11025, 16000, 44100, 48000};
	struct stage *s = stage_new();

	stage_open(s);
	for (size_t i = 0; i < 30; i++)
		stage_join_at(s, i % 2 ? "one" : "two", rates[i % 5]);
	for (size_t i = 0; i < 10; i++)
		actor_talk(&s->actors[i], 300 + 50 * (double)i, 0.1);
	stage_run(s, 1000);
	assert_int_equal(calls_in(s, 2000), 0);
	for (size_t i = 0; i < 10; i++)
		s->actors[i].talks = false;
	assert_int_equal(calls_in(s, 2000), 0); /* falling asleep too */
	assert_true(rooms_deadline(s->rooms) == NSEC_NONE);
	stage_close(s);
}

TEST(echo_and_tone_allocate_nothing_in_a_tick)
{
	static const char *const types[] = {"echo", "tone"};

	for (size_t i = 0; i < 2; i++) {
		struct stage *s = stage_with_bridge(types[i]);

		actor_talk(stage_join_at(s, "one", 48000), 440, 0.1);
		actor_talk(stage_join_at(s, "all", 48000), 440, 0.1);
		stage_run(s, 1000);
		assert_int_equal(calls_in(s, 2000), 0);
		stage_close(s);
	}
}

/* While it records it must grow; listening to a microphone that stays open it must not. */
TEST(a_parrot_that_listens_allocates_nothing)
{
	struct stage *s = stage_with_bridge("parrot");
	struct actor *a = stage_join(s, "");

	actor_talk(a, 0, 0);
	a->noise = 0.001;
	stage_run(s, 1000);
	assert_int_equal(calls_in(s, 2000), 0);
	stage_close(s);
}

#if !defined __SANITIZE_ADDRESS__ && !__has_feature(address_sanitizer)
static size_t heap_in_use(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

/* A session may have 130 KB, of which QUIC needs 70. */
TEST(a_participant_is_cheap)
{
	static const char *const types[] = {"parrot", "echo"};

	for (size_t k = 0; k < 2; k++) {
		struct stage *s = stage_with_bridge(types[k]);
		struct participant_opts o = {.room = "", .name = "", .hears.rate_hz = 48000};
		struct participant *p[200];
		size_t before = heap_in_use();

		s->opts.private_rule = s->rules[0];
		s->actors[0].stage = s;
		for (size_t i = 0; i < 200; i++)
			assert_int_equal(rooms_join(s->rooms, &o, &stage_sink, &s->actors[0], s->now, &p[i]), 0);
		stage_run(s, 100);
		size_t each = (heap_in_use() - before) / 200;

		print_message("private %s room, idle: %zu bytes\n", types[k], each);
		assert_true(each < 32000);
		for (size_t i = 0; i < 200; i++)
			participant_leave(p[i], LEAVE_CLOSED, s->now);
		stage_close(s);
	}
}
#endif

TEST(a_parrot_frees_its_recording)
{
	struct stage *s = stage_with_bridge("parrot");
	struct actor *a = stage_join(s, "");

	actor_talk(a, 440, 0.3);
	stage_run(s, 3000);
	a->talks = false;
	size_t calls = calls_in(s, 8000);

	assert_true(calls >= 3000 * 16 / 1012); /* every chunk */
	assert_true(rooms_deadline(s->rooms) == NSEC_NONE);
	stage_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_counter_counts),
		cmocka_unit_test(a_tick_of_a_full_room_allocates_nothing),
		cmocka_unit_test(echo_and_tone_allocate_nothing_in_a_tick),
		cmocka_unit_test(a_parrot_that_listens_allocates_nothing),
#if !defined __SANITIZE_ADDRESS__ && !__has_feature(address_sanitizer)
		cmocka_unit_test(a_participant_is_cheap),
#endif
		cmocka_unit_test(a_parrot_frees_its_recording),
	};

	watch_heap();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
