/* SPDX-License-Identifier: MIT */
/*
 * Arbitrary datagrams into a server endpoint. The input is a row of packets, each a byte of
 * control, two of length (little endian) and the bytes; control says how much time passes
 * and from which port it comes.
 */
#include "quic/endpoint.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

static uint8_t *on_slot(void *ctx)
{
	return ctx;
}

static void on_commit(void *ctx, const struct quic_path *path, uint8_t ecn, size_t len)
{
	(void)ctx;
	(void)path;
	(void)ecn;
	assert(len <= QUIC_PACKET_MAX);
}

static int on_open(void *ctx, struct quic_conn *c, void **user, nsec now)
{
	(void)ctx;
	(void)now;
	*user = c;
	return 0;
}

static void on_event(void *user, nsec now)
{
	(void)user;
	(void)now;
}

static void on_stream_data(void *user, int64_t id, const uint8_t *p, size_t len, bool fin, nsec now)
{
	(void)p;
	(void)fin;
	(void)now;
	quic_stream_consume(user, id, len);
}

static void on_stream_code(void *user, int64_t id, uint64_t code, nsec now)
{
	(void)user;
	(void)id;
	(void)code;
	(void)now;
}

static void on_stream_acked(void *user, int64_t id, uint64_t len)
{
	(void)user;
	(void)id;
	(void)len;
}

static void on_stream(void *user, int64_t id)
{
	(void)user;
	(void)id;
}

static void on_datagram(void *user, const uint8_t *p, size_t len, nsec now)
{
	struct quic_vec v = {p, len};

	quic_conn_send_datagram(user, &v, 1, now);
}

static void next_data(void *user, struct quic_send *out)
{
	(void)user;
	out->id = -1;
}

static void data_sent(void *user, int64_t id, size_t len, bool fin)
{
	(void)user;
	(void)id;
	(void)len;
	(void)fin;
}

static void on_closed(void *user, const struct quic_close *why, nsec now)
{
	(void)user;
	(void)why;
	(void)now;
}

static const struct quic_app app = {
	.on_open = on_open, .on_handshake = on_event, .on_stream_data = on_stream_data, .on_stream_reset = on_stream_code,
	.on_stream_acked = on_stream_acked, .on_stream_credit = on_stream, .on_stream_closed = on_stream_code,
	.on_datagram = on_datagram, .next_data = next_data, .data_sent = data_sent, .data_blocked = on_stream,
	.data_refused = on_stream, .on_timer = on_event, .on_closed = on_closed,
};

static struct quic_tls *server_tls(void)
{
	static const char *const names[] = {"localhost"};
	static struct quic_tls *tls; /* one for all runs: making a key is slow */
	struct quic_cert cert;

	if (!tls && quic_cert_make(names, 1, 10, 1000000, &cert) == 0) {
		quic_tls_server(&cert, NULL, &tls);
		quic_cert_free(&cert);
	}
	return tls;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t slot[QUIC_PACKET_MAX];
	struct quic_out out = {slot, on_slot, on_commit};
	struct quic_endpoint *ep;
	struct quic_opts o;
	struct quic_path path;
	nsec now = nsec_from_s(1);

	quic_opts_default(&o);
	o.reset_secret[0] = 1;
	o.retry_half_open = 4;
	if (quic_endpoint_new(&o, &out, &app, NULL, server_tls(), NULL, &ep))
		return 0;
	quic_addr_parse("10.0.0.1", 4433, &path.local);
	while (size >= 3) {
		uint8_t control = data[0], packet[2048];
		size_t len = data[1] | (size_t)data[2] << 8;

		data += 3;
		size -= 3;
		if (len > size)
			len = size;
		if (len > sizeof packet)
			len = sizeof packet;
		memcpy(packet, data, len);
		quic_addr_parse("10.0.0.2", (uint16_t)(1000 + (control & 3)), &path.remote);
		now += nsec_from_ms(control >> 2);
		quic_endpoint_recv(ep, &path, control & 3, packet, len, now);
		quic_endpoint_flush(ep, now);
		if (quic_endpoint_deadline(ep) <= now)
			quic_endpoint_expire(ep, now);
		data += len;
		size -= len;
	}
	quic_endpoint_free(ep);
	return 0;
}
