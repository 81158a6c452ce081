/* SPDX-License-Identifier: MIT */
#include "silence.h"

enum {
	SILENT_PTOS = 2, /* after which nobody answers */
	RESERVE = 3000,  /* bytes of the window: one datagram more, and 40 probes */
	PROBE_MS = 500,
};

void silence_check(struct silence *s, ngtcp2_conn *q, nsec now)
{
	if (s->unanswered || ngtcp2_conn_get_cwnd_left(q) >= RESERVE ||
		nsec_since(s->heard_at, now) <= SILENT_PTOS * ngtcp2_conn_get_pto(q))
		return;
	s->unanswered = true;
	silence_set_keep_alive(q, PROBE_MS);
}
