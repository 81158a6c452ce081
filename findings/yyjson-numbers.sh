#!/usr/bin/env bash
# Guess: yyjson_get_int() of 3.0 is 3, and of a number that does not fit it is 0 or the nearest that does.
# Seen: of 3.0 it is 0, of 2^32 + 1 it is 1, of 2^64 - 1 it is -1; of 2^64, which is read as a real number, 0. 1e400 makes the whole
#       document invalid.
# mynah: asks for the type first (yyjson_is_uint()), and has no use of yyjson_get_int().
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs libyyjson-dev=0.10.0+ds-1+b1

compile measure -lyyjson <<'C'
#include <stdio.h>
#include <string.h>
#include <yyjson.h>
int main(void)
{
	static const char *const numbers[] = {"3", "3.0", "4294967297", "18446744073709551615", "18446744073709551616", "1e400"};

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		yyjson_doc *d = yyjson_read(numbers[i], strlen(numbers[i]), 0);
		printf("%s ", numbers[i]);
		if (d)
			printf("%d\n", yyjson_get_int(yyjson_doc_get_root(d)));
		else
			printf("refused\n");
		yyjson_doc_free(d);
	}
}
C
./measure >out
expect "3" "$(value 3)" 3
expect "3.0" "$(value 3.0)" 0
expect "2^32 + 1" "$(value 4294967297)" 1
expect "2^64 - 1" "$(value 18446744073709551615)" -1
expect "2^64" "$(value 18446744073709551616)" 0
expect "1e400" "$(value 1e400)" refused
finish
