#!/usr/bin/env bash
# Guess: path MTU discovery, which is on by default with a largest payload of 1452, finds 1452 on a path that carries 1500.
# Seen: it ends at 1444.
# mynah: takes what was found from ngtcp2 and reckons with that, never with 1452.
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs libngtcp2-dev=1.22.1-1~bpo13+1 libngtcp2-crypto-ossl-dev=1.22.1-1~bpo13+1 libssl-dev=3.5.9-1~deb13u1

compile measure -lngtcp2_crypto_ossl -lngtcp2 -lssl -lcrypto <<'C'
#include "pair.h"
static struct pair p;
int main(void)
{
	pair_init(&p);
	printf("wanted %zu\n", (size_t)p.settings.max_tx_udp_payload_size);
	pair_connect(&p);
	pair_run(&p, 60 * S);
	printf("found %zu\n", ngtcp2_conn_get_path_max_tx_udp_payload_size(p.end[CLIENT].q));
}
C
./measure >out
expect "the largest payload that the settings allow" "$(value wanted)" 1452
expect "the largest found in a minute, on a link that carries 1500" "$(value found)" 1444
finish
