#!/usr/bin/env bash
# Guess: ngtcp2_conn_update_pkt_tx_time() only spreads bursts: forgotten after datagrams it does no harm where each goes alone.
# Seen: called after streams only, all datagrams since the last call are billed at once: five minutes of voice, then one line on a
#       stream, and nothing leaves for many seconds.
# mynah: calls it after every write, of whatever.
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs libngtcp2-dev=1.22.1-1~bpo13+1 libngtcp2-crypto-ossl-dev=1.22.1-1~bpo13+1 libssl-dev=3.5.9-1~deb13u1

compile measure -lngtcp2_crypto_ossl -lngtcp2 -lssl -lcrypto <<'C'
#include "pair.h"
static struct pair p;

/* Voice for a time; the longest while without a frame that was taken, in ms. */
static unsigned speak(unsigned n_frames, bool tx_time)
{
	unsigned longest = 0, gap = 0;
	int accepted;

	for (unsigned i = 0; i < n_frames; i++) {
		pair_dgram(&p, CLIENT, 640, &accepted);
		if (tx_time)
			ngtcp2_conn_update_pkt_tx_time(p.end[CLIENT].q, p.now);
		gap = accepted ? 0 : gap + 20;
		longest = gap > longest ? gap : longest;
		pair_run(&p, 20 * MS);
	}
	return longest;
}

int main(int n, char **argv)
{
	bool each = n > 1 && !strcmp(argv[1], "each");
	int64_t id;

	pair_init(&p);
	pair_connect(&p);
	must(!ngtcp2_conn_open_bidi_stream(p.end[CLIENT].q, &id, NULL));
	p.writes_tx_time = each; /* acknowledgements, which go in between */
	printf("before %u\n", speak(5 * 60 * 50, each));
	p.writes_tx_time = true;
	pair_stream(&p, CLIENT, id, "a line\n");
	p.writes_tx_time = each;
	printf("after %u\n", speak(60 * 50, each));
}
C
./measure streams >out
between "longest gap in five minutes of voice, ms" "$(value before)" 0 20
between "longest gap in the minute after a line on a stream, ms" "$(value after)" 5000 60000
./measure each >out
between "the same, with a call after each datagram, ms" "$(value after)" 0 20
finish
