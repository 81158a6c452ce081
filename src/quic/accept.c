/* SPDX-License-Identifier: MIT */
#include "ep.h"

#include "base/err.h"
#include "base/fair.h"
#include "base/random.h"

#include <string.h>

enum {
	RESET_MIN = 21,      /* bytes of the shortest stateless reset (RFC 9000 10.3) */
	RESET_RAND_MAX = 27, /* in front of its token: 43 bytes in all look like any short packet */
};

/* Limits packets that belong to no connection, except Retry: `stateless_per_s`, and as many at once. */
static bool stateless_allowed(struct quic_endpoint *ep)
{
	const struct rate rate = rate_make(ep->opts.stateless_per_s, nsec_from_s(1), nsec_from_s(1));
	bool allowed = limit_take(&ep->stateless, &rate, 1, ep->now);

	ep->stats.dropped_stateless += !allowed;
	return allowed;
}

static bool send_stateless(struct quic_endpoint *ep, const struct quic_path *path, ngtcp2_ssize n)
{
	if (n <= 0)
		return false;
	ep->out.commit(ep->out.ctx, path, 0, (size_t)n);
	ep->stats.packets_out++;
	ep->stats.bytes_out += (size_t)n;
	return true;
}

void ep_send_version_negotiation(struct quic_endpoint *ep, const struct quic_path *path, const ngtcp2_version_cid *vc,
	size_t len)
{
	/* The first is reserved: it keeps clients honest about unknown versions (RFC 9000 6.3). */
	static const uint32_t versions[] = {0x1a2a3a4a, NGTCP2_PROTO_VER_V1};
	uint8_t r;

	if (!ep->tls || len < INITIAL_MIN) {
		ep->stats.unknown_packets++;
		return;
	}
	if (!stateless_allowed(ep))
		return;
	random_bytes(&r, 1);
	uint8_t *b = ep->out.slot(ep->out.ctx);

	if (send_stateless(ep, path,
		    ngtcp2_pkt_write_version_negotiation(b, QUIC_PACKET_MAX, r, vc->scid, vc->scidlen, vc->dcid, vc->dcidlen,
			    versions, sizeof versions / sizeof *versions)))
		ep->stats.version_negotiations++;
}

/* Answers a packet of an unknown connection. Always shorter than that packet, so two endpoints
 * cannot keep each other busy. */
static void send_reset(struct quic_endpoint *ep, const struct quic_path *path, const ngtcp2_version_cid *vc, size_t len)
{
	ngtcp2_stateless_reset_token token;
	uint8_t noise[RESET_RAND_MAX];
	size_t n = len - 1 - sizeof token.data;
	ngtcp2_cid cid;

	if (n > RESET_RAND_MAX)
		n = RESET_RAND_MAX;
	if (!stateless_allowed(ep))
		return;
	ngtcp2_cid_init(&cid, vc->dcid, vc->dcidlen);
	if (reset_token_make(&ep->reset_secret, &cid, token.data))
		return;
	random_bytes(noise, n);
	uint8_t *b = ep->out.slot(ep->out.ctx);

	if (send_stateless(ep, path, ngtcp2_pkt_write_stateless_reset2(b, QUIC_PACKET_MAX, &token, noise, n)))
		ep->stats.stateless_resets++;
}

/* `why` is for people. The client reads it; the page of a browser does not. */
static bool send_close(struct quic_endpoint *ep, const struct quic_path *path, const ngtcp2_pkt_hd *hd, uint64_t code,
	const char *why)
{
	if (!stateless_allowed(ep))
		return false;
	uint8_t *b = ep->out.slot(ep->out.ctx);

	return send_stateless(ep, path,
		ngtcp2_crypto_write_connection_close(b, QUIC_PACKET_MAX, hd->version, &hd->scid, &hd->dcid, code,
			(const uint8_t *)why, strlen(why)));
}

/* A Retry costs a hundredth of a handshake and has a tenth of the size of what it answers. It has no limit: in a flood,
 * forged clients would use the limit up. */
void ep_send_retry(struct quic_endpoint *ep, const struct quic_path *path, const ngtcp2_pkt_hd *hd)
{
	uint8_t token[RETRY_TOKEN_LEN];
	ngtcp2_cid scid;

	ep_random_cid(ep, &scid);
	size_t n = retry_token_make(&ep->retry_secret, hd->version, &path->remote, &scid, &hd->dcid, ep->now, token);

	if (n == 0)
		return;
	uint8_t *b = ep->out.slot(ep->out.ctx);

	if (send_stateless(ep, path,
		    ngtcp2_crypto_write_retry(b, QUIC_PACKET_MAX, hd->version, &hd->scid, &scid, &hd->dcid, token, n)))
		ep->stats.retries_sent++;
}

/* Accepts a new client, or answers why not. */
static void admit(struct quic_endpoint *ep, const struct quic_path *path, uint8_t ecn, const uint8_t *p, size_t len,
	const ngtcp2_pkt_hd *hd, const ngtcp2_cid *odcid)
{
	struct quic_conn *c;
	int err = qconn_accept(ep, path, hd, odcid, &c);

	if (err == ERR_LIMIT) {
		ep->stats.refused_addr++;
		send_close(ep, path, hd, NGTCP2_CONNECTION_REFUSED, "too many connections from this address");
		return;
	}
	if (err)
		return;
	/* A ClientHello of several packets whose first came late: the others are stored only for a
	 * validated address. */
	if (qconn_read(c, path, ecn, p, len) == ERR_STATE)
		ep_send_retry(ep, path, hd);
}

/* Many handshakes are under way or have just failed: a new client must validate its address by Retry; where shares count at
 * the latest, so that nobody can use up that of another. */
static bool must_prove(const struct quic_endpoint *ep)
{
	uint32_t half_open = ep_half_open(ep);

	return half_open + recent_count(&ep->failed, ep->now) >= ep->opts.retry_half_open ||
		fair_counts(half_open, ep->opts.max_half_open);
}

static bool has_its_share(const struct quic_endpoint *ep, const struct quic_addr *from)
{
	uint32_t taken = ep_half_open(ep), max = ep->opts.max_half_open;

	return fair_counts(taken, max) && !quic_nets_have(&ep->exempt, &from->sa) &&
		!fair_allows(addr_limit_proven(ep->addrs, from), taken, max, ep->opts.address_share_percent);
}

/* Makes room for one more handshake: at the limit the oldest is dropped. A real client needs a round trip or two; an
 * attacker leaves its handshakes open until the timeout, and a few addresses are enough to open them. */
static bool make_room(struct quic_endpoint *ep)
{
	if (ep_half_open(ep) < ep->opts.max_half_open)
		return true;
	if (!qconn_drop_oldest_half_open(ep))
		return false;
	ep->stats.dropped_half_open++;
	return true;
}

static void recv_initial(struct quic_endpoint *ep, const struct quic_path *path, uint8_t ecn, const uint8_t *p,
	size_t len, const ngtcp2_pkt_hd *hd)
{
	enum initial_kind kind = initial_open(ep->opener, p, len);
	ngtcp2_cid odcid;

	if (kind == INITIAL_NOISE) {
		ep->stats.initials_dropped++;
		return;
	}
	enum token_kind token = retry_token_check(&ep->retry_secret, hd, &path->remote, ep->now, &odcid);

	if (token == TOKEN_BAD) {
		ep->stats.bad_tokens++;
		send_close(ep, path, hd, NGTCP2_INVALID_TOKEN, "bad token");
	} else if (ep->refuse || ep_conns(ep) >= ep->opts.max_conns) {
		ep->stats.refused_limit++;
		send_close(ep, path, hd, NGTCP2_CONNECTION_REFUSED,
			ep->refuse ? "the server is shutting down" : "too many connections");
	} else if (ep->turn_away) {
		ep->stats.refused_busy++;
		send_close(ep, path, hd, NGTCP2_CONNECTION_REFUSED, "the server is busy");
	} else if (token == TOKEN_NONE && (kind == INITIAL_PIECE || must_prove(ep))) {
		ep_send_retry(ep, path, hd);
	} else if (has_its_share(ep, &path->remote)) {
		ep->stats.refused_share++;
		send_close(ep, path, hd, NGTCP2_CONNECTION_REFUSED, "too many handshakes from this address");
	} else if (!make_room(ep)) {
		ep->stats.dropped_half_open++;
	} else {
		admit(ep, path, ecn, p, len, hd, token == TOKEN_VALID ? &odcid : NULL);
	}
}

void ep_recv_unknown(struct quic_endpoint *ep, const struct quic_path *path, uint8_t ecn, const uint8_t *p, size_t len,
	const ngtcp2_version_cid *vc)
{
	ngtcp2_pkt_hd hd;

	if (ep->tls && vc->version != 0 && ngtcp2_accept(&hd, p, len) == 0 && hd.dcid.datalen >= NGTCP2_MIN_INITIAL_DCIDLEN) {
		recv_initial(ep, path, ecn, p, len, &hd);
		return;
	}
	ep->stats.unknown_packets++;
	if (ep->tls && vc->version == 0 && !(p[0] & 0x80) && len > RESET_MIN)
		send_reset(ep, path, vc, len);
}
