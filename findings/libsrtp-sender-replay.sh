#!/usr/bin/env bash
# Guess: replay protection is the receiver's; srtp_protect() encrypts whatever it is given: a packet again, or one that comes late.
# Seen: the sender has a window, too: a sequence number a second time is srtp_err_status_replay_fail (9), and one that is more than the window behind the
#       newest is srtp_err_status_replay_old (10), so a relay that passes on what came late loses it here. An older number within the window is fine. A
#       window_size below 64 is refused, 0 is 128.
# mynah: has no SRTP.
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs libsrtp2-dev=2.7.0-3

compile measure -lsrtp2 <<'C'
#include <arpa/inet.h>
#include <srtp2/srtp.h>
#include <stdio.h>
#include <string.h>

static int sender(srtp_t *out, unsigned long window)
{
	static unsigned char key[SRTP_MAX_KEY_LEN] = {1, 2, 3};
	srtp_policy_t p = {.ssrc.type = ssrc_any_outbound, .key = key, .window_size = window};

	srtp_crypto_policy_set_rtp_default(&p.rtp);
	srtp_crypto_policy_set_rtcp_default(&p.rtcp);
	return srtp_create(out, &p);
}

static int protect(srtp_t s, unsigned seq)
{
	union { uint32_t words[100]; uint16_t halves[200]; unsigned char bytes[400]; } packet = {.bytes = {0x80, 111}};
	int len = 172;

	packet.halves[1] = htons((uint16_t)seq);
	packet.words[2] = htonl(42);
	return srtp_protect(s, packet.bytes, &len);
}

int main(void)
{
	srtp_t s;

	srtp_init();
	printf("window_32 %d\n", sender(&s, 32));
	printf("window_0 %d\n", sender(&s, 0));
	printf("first %d\n", protect(s, 1000));
	printf("newest %d\n", protect(s, 1200));
	printf("again %d\n", protect(s, 1200));
	printf("late_127 %d\n", protect(s, 1200 - 127));
	printf("late_128 %d\n", protect(s, 1200 - 128));
}
C
./measure >out
expect "srtp_create() with a window of 32" "$(value window_32)" 2
expect "   of 0" "$(value window_0)" 0
expect "a packet, and one 200 later" "$(value first), $(value newest)" "0, 0"
expect "that one again" "$(value again)" 9
expect "one that is 127 behind" "$(value late_127)" 0
expect "one that is 128 behind" "$(value late_128)" 10
finish
