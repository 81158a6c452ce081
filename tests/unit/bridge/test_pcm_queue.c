/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "base/err.h"
#include "bridge/pcm_queue.h"

#include <stdlib.h>

enum { MOST = 20000, AT_ONCE = 3000 };

/* A queue, and where it stands in one endless row of numbers. */
struct row {
	struct pcm_queue q;
	size_t wr, rd;
	int16_t pcm[AT_ONCE];
	float x[AT_ONCE];
};

static int16_t value(size_t i)
{
	return (int16_t)((int)(i * 7919 % 60001) - 30000);
}

static void push(struct row *r, size_t n)
{
	for (size_t i = 0; i < n; i++)
		r->pcm[i] = value(r->wr + i);
	int err = pcm_queue_push(&r->q, r->pcm, n);

	assert_int_equal(err, r->wr - r->rd + n > MOST ? ERR_LIMIT : 0);
	r->wr += err ? 0 : n;
}

static void pull(struct row *r, size_t n)
{
	size_t want = n < r->wr - r->rd ? n : r->wr - r->rd;

	switch (n % 3) {
	case 0:
		assert_int_equal(pcm_queue_pull(&r->q, NULL, n), want);
		break;
	case 1:
		assert_int_equal(pcm_queue_pull(&r->q, r->pcm, n), want);
		for (size_t i = 0; i < want; i++)
			assert_int_equal(r->pcm[i], value(r->rd + i));
		break;
	case 2:
		assert_int_equal(pcm_queue_pull_float(&r->q, r->x, n), want);
		for (size_t i = 0; i < want; i++)
			assert_true(r->x[i] * 32768 == value(r->rd + i));
		break;
	}
	r->rd += want;
}

static void peek(struct row *r, size_t at, size_t n)
{
	size_t len = r->wr - r->rd, want = at >= len ? 0 : n < len - at ? n : len - at;

	assert_int_equal(pcm_queue_peek_float(&r->q, at, r->x, n), want);
	for (size_t i = 0; i < want; i++)
		assert_true(r->x[i] * 32768 == value(r->rd + at + i));
}

static void cut(struct row *r, size_t n)
{
	peek(r, n % 5000, n % AT_ONCE);
	pcm_queue_cut(&r->q, n);
	if (r->wr - r->rd > n)
		r->wr = r->rd + n;
}

TEST(it_agrees_with_a_plain_array)
{
	static struct row r;
	unsigned seed = 1;

	pcm_queue_init(&r.q, MOST);
	for (int step = 0; step < 5000; step++) {
		seed = seed * 1103515245u + 12345u;
		size_t n = (seed >> 8) % AT_ONCE;

		if (seed >> 28 < 8)
			push(&r, n);
		else if (seed >> 28 < 15)
			pull(&r, n);
		else
			cut(&r, n);
		if (step % 500 == 499) {
			pcm_queue_clear(&r.q);
			r.wr = r.rd;
		}
		assert_int_equal(r.q.len, r.wr - r.rd);
	}
	pcm_queue_clear(&r.q);
}

TEST(full_scale_is_one)
{
	const int16_t pcm[3] = {INT16_MAX, INT16_MIN, 16384};
	struct pcm_queue q;
	float x[3];

	pcm_queue_init(&q, 3);
	assert_int_equal(pcm_queue_push(&q, pcm, 3), 0);
	assert_int_equal(pcm_queue_pull_float(&q, x, 3), 3);
	assert_true(x[0] == 32767.0f / 32768 && x[1] == -1 && x[2] == 0.5f);
	pcm_queue_clear(&q);
}

TEST(a_full_queue_takes_nothing)
{
	int16_t x[11] = {0};
	struct pcm_queue q;

	pcm_queue_init(&q, 10);
	assert_int_equal(pcm_queue_push(&q, x, 11), ERR_LIMIT);
	assert_int_equal(q.len, 0);
	assert_int_equal(pcm_queue_push(&q, x, 10), 0);
	assert_int_equal(pcm_queue_push(&q, x, 1), ERR_LIMIT);
	pcm_queue_clear(&q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_agrees_with_a_plain_array),
		cmocka_unit_test(full_scale_is_one),
		cmocka_unit_test(a_full_queue_takes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
