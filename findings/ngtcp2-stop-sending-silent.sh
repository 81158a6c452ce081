#!/usr/bin/env bash
# Guess: the callback stream_stop_sending tells that the peer sent STOP_SENDING.
# Seen: it is never called for that: a peer's STOP_SENDING shuts the stream for writing inside the library without a word; who
#       writes nothing hears nothing, and the next write fails.
# mynah: treats the failed write as the end of the stream's own half, and lets nothing wait for the callback.
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs libngtcp2-dev=1.22.1-1~bpo13+1 libngtcp2-crypto-ossl-dev=1.22.1-1~bpo13+1 libssl-dev=3.5.9-1~deb13u1

compile measure -lngtcp2_crypto_ossl -lngtcp2 -lssl -lcrypto <<'C'
#include "pair.h"
static struct pair p;
int main(void)
{
	struct end *server = &p.end[SERVER];
	ngtcp2_path_storage ps;
	ngtcp2_pkt_info info;
	uint8_t bytes[LARGEST], text[] = "answer";
	ngtcp2_vec v = {text, 6};
	ngtcp2_ssize took;
	int64_t id;

	pair_init(&p);
	pair_connect(&p);
	must(!ngtcp2_conn_open_bidi_stream(p.end[CLIENT].q, &id, NULL));
	pair_stream(&p, CLIENT, id, "question");
	pair_run(&p, S);
	must(!ngtcp2_conn_shutdown_stream_read(p.end[CLIENT].q, 0, id, 7)); /* sends STOP_SENDING */
	pair_write(&p, CLIENT);
	pair_run(&p, S);
	ngtcp2_path_storage_zero(&ps);
	ngtcp2_ssize n = ngtcp2_conn_writev_stream(server->q, &ps.path, &info, bytes, sizeof bytes, &took, 0, id, &v, 1, p.now);
	printf("data %u\ncalls %u\nwrite %s\n", server->n_data, server->n_stop_sending,
		n < 0 ? ngtcp2_strerror((int)n) : "fine");
}
C
./measure >out
expect "the stream's data came" "$(value data)" 1
expect "calls of stream_stop_sending at the server" "$(value calls)" 0
expect "the server's next write" "$(value write)" ERR_STREAM_SHUT_WR
finish
