/* SPDX-License-Identifier: MIT */
/* What threads pass one another: rings and mailboxes. */
#include "support/test.h"

#include "base/err.h"
#include "base/mailbox.h"
#include "base/ring.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

static void push(struct ring *r, uint64_t v)
{
	uint64_t *slot = ring_slot(r);

	assert_non_null(slot);
	*slot = v;
	ring_push(r);
}

TEST(a_ring_gives_back_in_order_and_says_when_it_is_full)
{
	struct ring *r;

	assert_int_equal(ring_new(0, 8, &r), ERR_RANGE);
	assert_int_equal(ring_new(3, 8, &r), ERR_RANGE);
	assert_int_equal(ring_new(4, 0, &r), ERR_RANGE);
	assert_int_equal(ring_new(4, sizeof(uint64_t), &r), 0);
	assert_null(ring_peek(r));
	for (uint64_t turn = 0; turn < 10; turn++) { /* the positions wrap */
		for (uint64_t i = 0; i < 4; i++)
			push(r, turn * 4 + i);
		assert_null(ring_slot(r));
		assert_int_equal(ring_ready(r), 4);
		for (uint64_t i = 0; i < 4; i++) {
			assert_int_equal(*(uint64_t *)ring_peek(r), turn * 4 + i);
			ring_pop(r);
		}
		assert_null(ring_peek(r));
	}
	push(r, 1); /* left in it */
	ring_free(r);
	ring_free(NULL);
}

TEST(a_slot_takes_any_type)
{
	struct ring *r;

	assert_int_equal(ring_new(2, 17, &r), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal((uintptr_t)ring_slot(r) % _Alignof(max_align_t), 0);
		ring_push(r);
	}
	ring_free(r);
}

/* --- two threads ------------------------------------------------------------------------------ */

enum { MANY = 200000, SLOT_WORDS = 9 };

struct slot {
	uint64_t v[SLOT_WORDS];
};

static void *writer(void *ctx)
{
	struct ring *r = ctx;

	for (uint64_t i = 0; i < MANY;) {
		struct slot *s = ring_slot(r);

		if (!s) {
			sched_yield();
			continue;
		}
		for (int k = 0; k < SLOT_WORDS; k++)
			s->v[k] = i * (uint64_t)(k + 1);
		ring_push(r);
		i++;
	}
	return NULL;
}

TEST(another_thread_reads_every_slot_complete_and_in_order)
{
	struct ring *r;
	pthread_t t;
	uint64_t torn = 0;

	assert_int_equal(ring_new(16, sizeof(struct slot), &r), 0);
	assert_int_equal(pthread_create(&t, NULL, writer, r), 0);
	for (uint64_t i = 0; i < MANY;) {
		struct slot *s = ring_peek(r);

		if (!s) {
			sched_yield();
			continue;
		}
		for (int k = 0; k < SLOT_WORDS; k++)
			torn += s->v[k] != i * (uint64_t)(k + 1);
		ring_pop(r);
		i++;
	}
	pthread_join(t, NULL);
	assert_int_equal(torn, 0);
	assert_null(ring_peek(r));
	ring_free(r);
}

/* --- mailboxes --------------------------------------------------------------------------------- */

struct letter {
	struct mail mail;
	unsigned number;
};

TEST(a_mailbox_keeps_the_order)
{
	struct mailbox b = {0};
	struct letter l[3];

	assert_true(mailbox_empty(&b));
	assert_null(mailbox_take(&b));
	for (unsigned i = 0; i < 3; i++) {
		l[i].mail.kind = i;
		mailbox_post(&b, &l[i].mail);
	}
	assert_false(mailbox_empty(&b));
	struct mail *m = mailbox_take(&b);

	for (unsigned i = 0; i < 3; i++, m = m->next)
		assert_ptr_equal(m, &l[i].mail);
	assert_null(m);
	assert_true(mailbox_empty(&b));
}

enum { SENDERS = 3, LETTERS = 20000 };

struct sender {
	struct mailbox *to;
	unsigned kind;
	struct letter letter[LETTERS];
};

static void *sender(void *ctx)
{
	struct sender *s = ctx;

	for (unsigned i = 0; i < LETTERS; i++) {
		s->letter[i].mail.kind = s->kind;
		s->letter[i].number = i;
		mailbox_post(s->to, &s->letter[i].mail);
	}
	return NULL;
}

TEST(mail_of_several_threads_arrives_in_the_order_of_each)
{
	struct mailbox b = {0};
	struct sender *s = calloc(SENDERS, sizeof *s);
	pthread_t t[SENDERS];
	unsigned next[SENDERS] = {0}, disordered = 0;

	assert_non_null(s);
	for (unsigned i = 0; i < SENDERS; i++) {
		s[i].to = &b;
		s[i].kind = i;
		assert_int_equal(pthread_create(&t[i], NULL, sender, &s[i]), 0);
	}
	for (unsigned n = 0; n < SENDERS * LETTERS;) {
		struct mail *m = mailbox_take(&b);

		if (!m)
			sched_yield();
		for (; m; m = m->next, n++)
			disordered += ((struct letter *)m)->number != next[m->kind]++;
	}
	for (unsigned i = 0; i < SENDERS; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(disordered, 0);
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_ring_gives_back_in_order_and_says_when_it_is_full),
		cmocka_unit_test(a_slot_takes_any_type),
		cmocka_unit_test(another_thread_reads_every_slot_complete_and_in_order),
		cmocka_unit_test(a_mailbox_keeps_the_order),
		cmocka_unit_test(mail_of_several_threads_arrives_in_the_order_of_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
