#!/usr/bin/env bash
# Guess: spandsp's dtmf_tx_put() takes "a" for "A", and says how many characters it cannot send.
# Seen: it returns 0, "all taken", and leaves out without a tone what is no digit, *, #, or A to D in capitals. A count comes back only for what does not
#       fit into its queue of 128.
# mynah: has no telephones; digits come to it as text.
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs libspandsp-dev=0.0.6+dfsg-2.2

compile measure -lspandsp -lm <<'C'
#include <spandsp.h>
#include <stdio.h>
#include <string.h>

static char heard[300];
static void on_digits(void *u, const char *digits, int n) { (void)u; strncat(heard, digits, (size_t)n); }

/* What dtmf_tx_put() says, and what is heard of it. */
static int send_digits(const char *digits)
{
	dtmf_tx_state_t *tx = dtmf_tx_init(NULL);
	dtmf_rx_state_t *rx = dtmf_rx_init(NULL, on_digits, NULL);
	int refused = dtmf_tx_put(tx, digits, -1);
	int16_t sound[160];

	heard[0] = 0;
	for (int n = 160; n > 0;) {
		memset(sound, 0, sizeof sound);
		n = dtmf_tx(tx, sound, 160);
		dtmf_rx(rx, sound, 160);
	}
	return refused;
}

int main(void)
{
	char many[201];

	printf("capitals_put %d\n", send_digits("0123456789*#ABCD"));
	printf("capitals %s\n", heard);
	printf("small_put %d\n", send_digits("12abw,34"));
	printf("small %s\n", heard);
	memset(many, '5', 200);
	many[200] = 0;
	printf("many_put %d\n", send_digits(many));
}
C
./measure >out
expect "\"0123456789*#ABCD\": refused" "$(value capitals_put)" 0
expect "   heard" "$(value capitals)" "0123456789\*#ABCD"
expect "\"12abw,34\": refused" "$(value small_put)" 0
expect "   heard" "$(value small)" 1234
expect "200 digits: refused" "$(value many_put)" 72
finish
