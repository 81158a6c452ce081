/* SPDX-License-Identifier: MIT */
/* Sockets that share an address, and the program in the kernel that says which of them a packet goes to. */
#include "support/test.h"

#include "base/err.h"
#include "quic/udp.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

enum { SHARDS_MAX = 5 };

struct shard {
	struct udp *udp;
	uint64_t received, wrong;
	unsigned expect; /* the number of this shard */
};

struct world {
	uv_loop_t loop;
	struct shard shard[SHARDS_MAX];
	unsigned n;
	struct quic_addr addr;
	int fd;
};

/* The packets carry in their last byte where they ought to arrive. */
static void on_packet(void *ctx, const struct quic_path *path, uint8_t ecn, uint8_t *p, size_t len, nsec now)
{
	struct shard *s = ctx;

	(void)path, (void)ecn, (void)now;
	s->received++;
	s->wrong += p[len - 1] != s->expect;
}

static void on_batch(void *ctx, nsec now)
{
	(void)ctx, (void)now;
}

static void bind_all(struct world *w, const char *host, unsigned n)
{
	struct udp_opts o;
	struct quic_addr bound;

	memset(w, 0, sizeof *w);
	w->n = n;
	assert_int_equal(uv_loop_init(&w->loop), 0);
	assert_int_equal(quic_addr_parse(host, 0, &w->addr), 0);
	udp_opts_default(&o);
	o.rcvbuf_bytes = o.sndbuf_bytes = o.grid_us = 0;
	for (unsigned i = 0; i < n; i++) {
		const struct udp_handler h = {&w->shard[i], on_packet, on_batch};

		w->shard[i].expect = i;
		o.share = i == 0 ? UDP_FIRST : UDP_JOIN;
		assert_int_equal(udp_new(&w->loop, &o, &h, NULL, &w->shard[i].udp), 0);
		assert_int_equal(udp_steer(w->shard[i].udp, n), ERR_STATE);
		assert_int_equal(udp_bind(w->shard[i].udp, &w->addr, &bound), 0);
		w->addr = bound;
		if (i == 0)
			assert_int_equal(udp_steer(w->shard[0].udp, n), 0);
	}
	w->fd = socket(w->addr.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(w->fd >= 0);
}

static void close_all(struct world *w)
{
	close(w->fd);
	for (unsigned i = 0; i < w->n; i++)
		udp_close(w->shard[i].udp, NULL, NULL);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&w->loop), 0);
}

static void send_to(struct world *w, const uint8_t *p, size_t len)
{
	assert_int_equal(sendto(w->fd, p, len, 0, &w->addr.sa, w->addr.len), len);
	uv_run(&w->loop, UV_RUN_NOWAIT);
}

/* Every first byte of an id in both forms of header. Everything else of the packet would lead elsewhere. */
static void send_all_ids(struct world *w, unsigned *n)
{
	for (unsigned id = 0; id < 256; id++) {
		uint8_t expect = (uint8_t)(id % w->n), wrong = (uint8_t)(id + 1);
		uint8_t longer[32] = {0xc3, wrong, wrong, wrong, wrong, 8, (uint8_t)id, wrong, wrong};
		uint8_t shorter[24] = {0x40, (uint8_t)id, wrong, wrong, wrong, wrong, wrong, wrong};
		uint8_t other_bits[24] = {0x7f, (uint8_t)id, wrong, wrong, wrong, wrong, wrong, wrong};

		longer[31] = shorter[23] = other_bits[23] = expect;
		send_to(w, longer, sizeof longer);
		send_to(w, shorter, sizeof shorter);
		send_to(w, other_bits, sizeof other_bits);
		*n += 3;
	}
}

static uint64_t received(const struct world *w)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < w->n; i++)
		n += w->shard[i].received;
	return n;
}

static void every_id_is_steered_to_its_shard(const char *host, unsigned shards)
{
	struct world w;
	unsigned n = 0;

	bind_all(&w, host, shards);
	send_all_ids(&w, &n);
	for (int i = 0; i < 100 && received(&w) < n; i++)
		uv_run(&w.loop, UV_RUN_NOWAIT);
	assert_int_equal(received(&w), n);
	for (unsigned i = 0; i < shards; i++) {
		assert_int_equal(w.shard[i].wrong, 0);
		assert_true(w.shard[i].received > n / shards / 2);
	}
	close_all(&w);
}

TEST(both_forms_of_header_are_steered)
{
	every_id_is_steered_to_its_shard("127.0.0.1", 2);
	every_id_is_steered_to_its_shard("127.0.0.1", 3);
	every_id_is_steered_to_its_shard("0.0.0.0", SHARDS_MAX);
	every_id_is_steered_to_its_shard("::1", 4);
	every_id_is_steered_to_its_shard("127.0.0.1", 1);
}

TEST(packets_too_short_for_an_id_arrive_somewhere)
{
	struct world w;
	const uint8_t p[6] = {0xc0, 1, 1, 1, 1, 1};

	bind_all(&w, "127.0.0.1", 3);
	for (size_t len = 1; len <= sizeof p; len++)
		send_to(&w, p, len);
	for (int i = 0; i < 100 && received(&w) < sizeof p; i++)
		uv_run(&w.loop, UV_RUN_NOWAIT);
	assert_int_equal(received(&w), sizeof p);
	close_all(&w);
}

/* As a second daemon would: it must fail, not take half of the packets. */
TEST(an_address_in_use_is_not_shared_with_others)
{
	struct world w;
	struct udp *other;
	struct udp_opts o;
	const struct udp_handler h = {NULL, on_packet, on_batch};

	bind_all(&w, "127.0.0.1", 2);
	udp_opts_default(&o);
	o.rcvbuf_bytes = o.sndbuf_bytes = o.grid_us = 0;
	o.share = UDP_FIRST;
	assert_int_equal(udp_new(&w.loop, &o, &h, NULL, &other), 0);
	assert_int_equal(udp_bind(other, &w.addr, NULL), ERR_IO);
	udp_close(other, NULL, NULL);
	close_all(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_forms_of_header_are_steered),
		cmocka_unit_test(packets_too_short_for_an_id_arrive_somewhere),
		cmocka_unit_test(an_address_in_use_is_not_shared_with_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
