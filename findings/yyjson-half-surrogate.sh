#!/usr/bin/env bash
# Guess: YYJSON_READ_ALLOW_INVALID_UNICODE reads whatever JavaScript's JSON.stringify() writes, half an emoji among it.
# Seen: the flag is for bytes that are no UTF-8; the escape "\ud83d" alone, which RFC 8259 (section 8.2) allows and JavaScript and
#       Python both write, makes the whole document invalid with the flag and without.
# mynah: puts U+FFFD in the place of such halves before it parses what peers send.
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs libyyjson-dev=0.10.0+ds-1+b1 nodejs=20.19.2+dfsg-1+deb13u3

compile measure -lyyjson <<'C'
#include <stdio.h>
#include <yyjson.h>
int main(void)
{
	char text[256];
	size_t n = fread(text, 1, sizeof text, stdin);

	printf("strict %s\n", yyjson_read(text, n, 0) ? "read" : "refused");
	printf("invalid_unicode %s\n", yyjson_read(text, n, YYJSON_READ_ALLOW_INVALID_UNICODE) ? "read" : "refused");
}
C
node -e 'process.stdout.write(JSON.stringify("half \u{1f600}".slice(0, 6)))' >half.json
expect "JavaScript writes" "$(cat half.json)" '"half \\ud83d"'
./measure <half.json >out
expect "yyjson" "$(value strict)" refused
expect "with YYJSON_READ_ALLOW_INVALID_UNICODE" "$(value invalid_unicode)" refused
printf '"half \200"' | ./measure >out
expect "bytes that are no UTF-8" "$(value strict)" refused
expect "with the flag" "$(value invalid_unicode)" read
finish
