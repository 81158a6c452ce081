/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "quic/addr_limit.h"
#include "quic/cid_table.h"
#include "quic/dgram.h"
#include "quic/schedule.h"
#include "quic/token.h"

#include "base/err.h"

#include <ngtcp2/ngtcp2_crypto.h>
#include <string.h>

/* --- connection ids ---------------------------------------------------------------------------- */

TEST(an_id_keeps_its_owner)
{
	struct cid_owner a = {CID_CONN}, b = {CID_CLOSING};
	static const uint8_t id[CID_MAX] = {1, 2, 3};
	struct cid_table *t;

	assert_int_equal(cid_table_new(&t), 0);
	assert_int_equal(cid_table_put(t, id, 8, &a), 0);
	assert_int_equal(cid_table_put(t, id, 8, &b), ERR_EXISTS);
	assert_ptr_equal(cid_table_get(t, id, 8), &a);
	assert_null(cid_table_get(t, id, 9));
	cid_table_remove(t, id, 8, &b); /* not its own */
	assert_ptr_equal(cid_table_get(t, id, 8), &a);
	cid_table_move(t, id, 8, &b, &b);
	assert_ptr_equal(cid_table_get(t, id, 8), &a);
	cid_table_move(t, id, 8, &a, &b);
	assert_ptr_equal(cid_table_get(t, id, 8), &b);
	cid_table_remove(t, id, 8, &b);
	assert_int_equal(cid_table_count(t), 0);
	assert_int_equal(cid_table_put(t, id, 0, &a), ERR_RANGE);
	assert_int_equal(cid_table_put(t, id, 21, &a), ERR_RANGE);
	cid_table_free(t);
	cid_table_free(NULL);
}

/* --- limits per address --------------------------------------------------------------------------- */

TEST(connections_of_an_address_are_limited)
{
	struct addr_limit *l;
	struct addr_entry *e[3], *x;
	struct quic_addr a, b;

	quic_addr_parse("10.0.0.1", 1, &a);
	quic_addr_parse("10.0.0.2", 1, &b);
	assert_int_equal(addr_limit_new(&l), 0);
	assert_int_equal(addr_limit_enter(l, &a, 0, &x), ERR_LIMIT);
	for (int i = 0; i < 3; i++)
		assert_int_equal(addr_limit_enter(l, &a, 3, &e[i]), 0);
	assert_int_equal(addr_limit_enter(l, &a, 3, &x), ERR_LIMIT);
	assert_int_equal(addr_limit_enter(l, &b, 3, &x), 0);
	addr_limit_leave(l, e[0]);
	assert_int_equal(addr_limit_enter(l, &a, 3, &e[0]), 0);
	for (int i = 0; i < 3; i++)
		addr_limit_leave(l, e[i]);
	addr_limit_leave(l, x);
	addr_limit_leave(l, NULL);
	addr_limit_free(l);
	addr_limit_free(NULL);
}

/* --- datagram buffers -------------------------------------------------------------------------------- */

TEST(the_pool_has_a_bound)
{
	enum { MAX = 100 };
	struct dgram_pool p;
	struct dgram_queue q;
	struct dgram *d;

	dgram_pool_init(&p, MAX);
	dgram_queue_init(&q);
	assert_null(dgram_pop(&q));
	for (uint32_t i = 0; i < MAX; i++) {
		d = dgram_get(&p);
		assert_non_null(d);
		d->len = i;
		dgram_push(&q, d);
	}
	assert_null(dgram_get(&p));
	assert_int_equal(q.n, MAX);
	for (uint32_t i = 0; i < MAX; i++) {
		d = dgram_pop(&q);
		assert_int_equal(d->len, i);
		dgram_put(&p, d);
	}
	assert_int_equal(q.n, 0);
	dgram_push(&q, dgram_get(&p)); /* an emptied queue can be filled again */
	dgram_put(&p, dgram_pop(&q));
	dgram_pool_fini(&p);
}

/* --- deadlines ---------------------------------------------------------------------------------------- */

TEST(deadlines_come_due_in_order)
{
	enum { N = 5000 };
	static struct cid_owner who[N];
	uint32_t slot[N], again, left = N;
	struct schedule s;
	nsec last = 0;

	schedule_init(&s);
	assert_int_equal(schedule_next(&s), NSEC_NONE);
	assert_null(schedule_pop(&s, 1));
	for (uint32_t i = 0; i < N; i++) {
		assert_int_equal(schedule_add(&s, &who[i], &slot[i]), 0);
		assert_int_equal(schedule_at(&s, slot[i]), NSEC_NONE);
		schedule_set(&s, slot[i], 1000 + (i * 7919) % N);
	}
	assert_int_equal(schedule_next(&s), 1000);
	assert_null(schedule_pop(&s, 999));
	for (; schedule_next(&s) <= 1000 + N / 2; left--) {
		nsec at = schedule_next(&s);
		struct cid_owner *w = schedule_pop(&s, 1000 + N / 2);

		assert_non_null(w);
		assert_int_equal(at, 1000 + (nsec)(w - who) * 7919 % N);
		assert_int_equal(schedule_at(&s, slot[w - who]), NSEC_NONE);
		assert_true(at >= last);
		last = at;
	}
	assert_int_equal(left, N / 2 - 1);
	schedule_remove(&s, slot[17]);
	assert_int_equal(schedule_add(&s, &who[17], &again), 0);
	assert_int_equal(again, slot[17]);
	assert_int_equal(schedule_at(&s, again), NSEC_NONE);
	for (uint32_t i = 0; i < N; i++)
		schedule_remove(&s, slot[i]);
	assert_int_equal(schedule_next(&s), NSEC_NONE);
	schedule_fini(&s);
}

/* Against a plain search, with few distinct times so that equal ones meet. */
TEST(the_next_deadline_is_always_the_least)
{
	enum { N = 300 };
	static struct cid_owner who;
	uint32_t slot[N], seed = 1;
	struct schedule s;

	schedule_init(&s);
	for (uint32_t i = 0; i < N; i++)
		assert_int_equal(schedule_add(&s, &who, &slot[i]), 0);
	for (int round = 0; round < 20000; round++) {
		nsec least = NSEC_NONE;

		seed = seed * 1664525u + 1013904223u;
		schedule_set(&s, slot[(seed >> 8) % N], (seed >> 20) % 5 ? (seed >> 17) % 97 : NSEC_NONE);
		for (uint32_t i = 0; i < N; i++)
			least = schedule_at(&s, slot[i]) < least ? schedule_at(&s, slot[i]) : least;
		assert_int_equal(schedule_next(&s), least);
	}
	for (uint32_t i = 0; i < N; i++)
		schedule_remove(&s, slot[i]);
	schedule_fini(&s);
}

/* --- tokens ---------------------------------------------------------------------------------------------- */

struct retry {
	struct secret secret;
	struct quic_addr client;
	ngtcp2_cid scid, odcid;
	uint8_t token[RETRY_TOKEN_LEN];
	size_t len;
};

static const nsec at = 5000000000000;

static void retry_init(struct retry *r)
{
	static const uint8_t zero[QUIC_SECRET_LEN];

	secret_init(&r->secret, zero);
	quic_addr_parse("10.0.0.1", 777, &r->client);
	ngtcp2_cid_init(&r->scid, (const uint8_t *)"retryid8", 8);
	ngtcp2_cid_init(&r->odcid, (const uint8_t *)"original dcid", 13);
	r->len = retry_token_make(&r->secret, NGTCP2_PROTO_VER_V1, &r->client, &r->scid, &r->odcid, at, r->token);
	assert_true(r->len > 0);
}

static enum token_kind check(const struct retry *r, const uint8_t *token, size_t len, nsec now)
{
	ngtcp2_pkt_hd hd = {.version = NGTCP2_PROTO_VER_V1, .dcid = r->scid, .token = token, .tokenlen = len};
	ngtcp2_cid odcid;
	enum token_kind k = retry_token_check(&r->secret, &hd, &r->client, now, &odcid);

	if (k == TOKEN_VALID)
		assert_true(ngtcp2_cid_eq(&odcid, &r->odcid));
	return k;
}

TEST(a_retry_token_is_valid_for_its_address_and_time)
{
	struct retry r;

	retry_init(&r);
	assert_int_equal(check(&r, r.token, r.len, at), TOKEN_VALID);
	assert_int_equal(check(&r, r.token, r.len, at + nsec_from_s(9)), TOKEN_VALID);
	assert_int_equal(check(&r, r.token, r.len, at + nsec_from_s(11)), TOKEN_BAD);
	quic_addr_parse("10.0.0.1", 778, &r.client);
	assert_int_equal(check(&r, r.token, r.len, at), TOKEN_BAD);
	quic_addr_parse("10.0.0.2", 777, &r.client);
	assert_int_equal(check(&r, r.token, r.len, at), TOKEN_BAD);
}

TEST(a_retry_token_is_valid_for_its_connection_id_and_secret)
{
	struct retry r;

	retry_init(&r);
	r.scid.data[0] ^= 1;
	assert_int_equal(check(&r, r.token, r.len, at), TOKEN_BAD);
	r.scid.data[0] ^= 1;
	r.secret.b[5] ^= 1;
	assert_int_equal(check(&r, r.token, r.len, at), TOKEN_BAD);
}

TEST(every_changed_byte_invalidates_a_retry_token)
{
	struct retry r;

	retry_init(&r);
	for (size_t i = 1; i < r.len; i++) {
		r.token[i] ^= 0x20;
		assert_int_equal(check(&r, r.token, r.len, at), TOKEN_BAD);
		r.token[i] ^= 0x20;
	}
}

TEST(a_token_of_another_form_counts_as_absent)
{
	struct retry r;

	retry_init(&r);
	assert_int_equal(check(&r, NULL, 0, at), TOKEN_NONE);
	assert_int_equal(check(&r, r.token, r.len - 1, at), TOKEN_NONE);
	r.token[0] ^= 1;
	assert_int_equal(check(&r, r.token, r.len, at), TOKEN_NONE);
}

TEST(reset_tokens_are_derived_from_secret_and_id)
{
	struct secret a, b;
	static const uint8_t given[QUIC_SECRET_LEN] = {9}, zero[QUIC_SECRET_LEN];
	uint8_t t1[16], t2[16];
	ngtcp2_cid id;

	ngtcp2_cid_init(&id, (const uint8_t *)"12345678", 8);
	secret_init(&a, given);
	secret_init(&b, given);
	assert_int_equal(reset_token_make(&a, &id, t1), 0);
	assert_int_equal(reset_token_make(&b, &id, t2), 0);
	assert_memory_equal(t1, t2, 16);
	id.data[0] ^= 1;
	assert_int_equal(reset_token_make(&a, &id, t2), 0);
	assert_memory_not_equal(t1, t2, 16);
	secret_init(&a, zero);
	secret_init(&b, zero);
	assert_memory_not_equal(a.b, b.b, QUIC_SECRET_LEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_id_keeps_its_owner),
		cmocka_unit_test(connections_of_an_address_are_limited),
		cmocka_unit_test(the_pool_has_a_bound),
		cmocka_unit_test(deadlines_come_due_in_order),
		cmocka_unit_test(the_next_deadline_is_always_the_least),
		cmocka_unit_test(a_retry_token_is_valid_for_its_address_and_time),
		cmocka_unit_test(a_retry_token_is_valid_for_its_connection_id_and_secret),
		cmocka_unit_test(every_changed_byte_invalidates_a_retry_token),
		cmocka_unit_test(a_token_of_another_form_counts_as_absent),
		cmocka_unit_test(reset_tokens_are_derived_from_secret_and_id),
	};

	return cmocka_run_group_tests_name("tables", tests, NULL, NULL);
}
