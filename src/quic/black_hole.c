/* SPDX-License-Identifier: MIT */
#include "black_hole.h"

enum { WATCH_MS = 1500, WATCH_PTOS = 3, PAUSE_MS = 500 };

static void watch_from(struct black_hole *h, const ngtcp2_conn_info *info, nsec now)
{
	h->watched_since = now;
	h->sent = 0;
	h->lost_before = info->bytes_lost;
}

bool black_hole_try(struct black_hole *h, ngtcp2_conn *q, nsec now)
{
	nsec pause = nsec_since(h->tried_at, now);
	ngtcp2_conn_info info;

	if (h->found)
		return true; /* packets are short already */
	ngtcp2_conn_get_conn_info(q, &info);
	h->tried_at = now;
	if (pause > nsec_from_ms(PAUSE_MS))
		watch_from(h, &info, now);
	if (nsec_since(h->watched_since, now) <= nsec_from_ms(WATCH_MS) + WATCH_PTOS * ngtcp2_conn_get_pto(q))
		return true;
	if (info.bytes_in_flight + (info.bytes_lost - h->lost_before) < h->sent / 10 * 9) {
		watch_from(h, &info, now);
		return true;
	}
	h->found = true;
	return false;
}
