#!/usr/bin/env bash
# Guess: streams and frames of unknown types, which RFC 9114 has endpoints ignore (and send, as grease), cost nothing.
# Seen: each of them counts as a glitch: the 1001st of a burst ends the connection with H3_EXCESSIVE_LOAD, WebTransport's
#       unidirectional streams (0x54) among them.
# mynah: takes streams of WebTransport out before nghttp3 sees them, so that only a peer's grease counts.
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs libnghttp3-dev=1.15.0-1~bpo13+1

compile measure -lnghttp3 <<'C'
#include "h3.h"

/* How many streams, or frames on the control stream, were taken. */
static int taken(bool streams, const char *bytes, size_t len)
{
	nghttp3_conn *c = h3_server();
	long n = 0;
	int i = 0;

	for (; i < 5000 && n >= 0; i++)
		n = h3_read(c, streams ? 14 + 4 * i : 2, bytes, len);
	printf("error %s\n", n < 0 ? nghttp3_strerror((int)n) : "none");
	return i;
}

int main(void)
{
	printf("webtransport %d\n", taken(true, "\x40\x54\x00x", 4));
	printf("grease_streams %d\n", taken(true, "\x21x", 2));
	printf("grease_frames %d\n", taken(false, "\x21\x00", 2));
}
C
./measure >out
expect "streams of type 0x54 until it ends" "$(value webtransport)" 1001
expect "streams of grease" "$(value grease_streams)" 1001
expect "frames of grease on the control stream" "$(value grease_frames)" 1001
expect "error" "$(value error)" ERR_H3_EXCESSIVE_LOAD
finish
