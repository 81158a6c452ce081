#!/usr/bin/env bash
# Guess: a datagram that is longer than a packet of this path is refused with an error, and 0 means "wait": congestion.
# Seen: it is never an error: 0 is returned and nothing accepted, again and again, on an idle connection, until the path's packets
#       grow.
# mynah: compares each datagram with the path's size before it asks, drops it and counts it.
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs libngtcp2-dev=1.22.1-1~bpo13+1 libngtcp2-crypto-ossl-dev=1.22.1-1~bpo13+1 libssl-dev=3.5.9-1~deb13u1

compile measure -lngtcp2_crypto_ossl -lngtcp2 -lssl -lcrypto <<'C'
#include "pair.h"
static struct pair p;
int main(void)
{
	unsigned waits = 0, sent = 0;
	int accepted;

	pair_init(&p);
	p.settings.no_pmtud = 1;
	pair_connect(&p);
	for (int i = 0; i < 100; i++) {
		if (pair_dgram(&p, CLIENT, 1250, &accepted) == 0 && !accepted)
			waits++;
		pair_run(&p, 100 * MS);
	}
	for (int i = 0; i < 100; i++) {
		if (pair_dgram(&p, CLIENT, 1150, &accepted) > 0 && accepted)
			sent++;
		pair_run(&p, 100 * MS);
	}
	printf("waits %u\nsent %u\ncame %u\n", waits, sent, p.end[SERVER].n_dgrams);
}
C
./measure >out
expect "of 100 tries with 1250 bytes on a path of 1200, in 10 s: \"wait\"" "$(value waits)" 100
expect "of 100 with 1150 bytes: sent" "$(value sent)" 100
expect "came" "$(value came)" 100
finish
