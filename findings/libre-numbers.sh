#!/usr/bin/env bash
# Guess: libre's (baresip's) pl_u32() reads the digits that are there, as strtoul() does, and base64_decode() refuses what is not Base64.
# Seen: pl_u32() of "12abc", " 12" or "1.5" is 0, and of 2^32 + 1 it is 1. base64_decode() takes base64url, and of three characters without padding makes
#       nothing and says that all is well.
# mynah: has no SIP; its own readers of numbers refuse what does not fit.
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs libre-dev=2.0.1-3

compile measure -DHAVE_STDBOOL_H -I"$root/usr/include/re" -lre <<'C'
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <re.h>

int main(void)
{
	static const char *const numbers[] = {"12", "12abc", " 12", "1.5", "4294967297"};
	static const char *const codes[] = {"QUI=", "-_-_", "QUI"};
	static const char *const names[] = {"padded", "url", "bare"};

	for (size_t i = 0; i < 5; i++) {
		struct pl p;

		pl_set_str(&p, numbers[i]);
		printf("%zu %u\n", i, pl_u32(&p));
	}
	for (size_t i = 0; i < 3; i++) {
		uint8_t bytes[16];
		size_t n = sizeof bytes;
		int err = base64_decode(codes[i], strlen(codes[i]), bytes, &n);

		printf("%s %d %zu\n", names[i], err, n);
	}
}
C
./measure >out
expect "pl_u32() of \"12\"" "$(value 0)" 12
expect "   of \"12abc\"" "$(value 1)" 0
expect "   of \" 12\"" "$(value 2)" 0
expect "   of \"1.5\"" "$(value 3)" 0
expect "   of 2^32 + 1" "$(value 4)" 1
expect "base64_decode() of \"QUI=\": error, bytes" "$(value padded)" "0 2"
expect "   of \"-_-_\"" "$(value url)" "0 3"
expect "   of \"QUI\"" "$(value bare)" "0 0"
finish
