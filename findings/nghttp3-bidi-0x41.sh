#!/usr/bin/env bash
# Guess: to an HTTP/3 library without WebTransport a bidirectional stream that begins with 0x41 is an error (H3_FRAME_UNEXPECTED or
#       H3_FRAME_ERROR), or comes back to the application.
# Seen: all of it is taken for unknown frames: no error, no callback, every byte counted as consumed.
# mynah: looks at the first bytes of each stream itself and gives nghttp3 only what is HTTP/3.
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs libnghttp3-dev=1.15.0-1~bpo13+1

compile measure -lnghttp3 <<'C'
#include "h3.h"
int main(void)
{
	static const char text[] = "\x40\x41\x00hello world, and once more hello world";
	nghttp3_conn *c = h3_server();
	long n = 0;

	for (size_t i = 0; i < sizeof text - 1 && n >= 0; i++) {
		long one = h3_read(c, 4, text + i, 1);
		n = one < 0 ? one : n + one;
	}
	printf("given %zu\nconsumed %ld\ncalls %u\n", sizeof text - 1, n, h3_calls);
}
C
./measure >out
expect "bytes consumed, of $(value given)" "$(value consumed)" "$(value given)"
expect "callbacks" "$(value calls)" 0
finish
