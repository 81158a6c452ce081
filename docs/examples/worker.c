/* SPDX-License-Identifier: MIT */
/*
 * A bridge worker in C, libc alone: listens until you pause for half a second, then says back what you said.
 *
 *     cc -O2 -o worker worker.c
 *
 *     [bridge.back]
 *     type = "process"
 *     command = ["/srv/worker"]
 *
 * Records on stdin and stdout: u8 type, u16 big-endian length, payload. Audio is 16-bit little-endian mono.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { HANGUP = 0x00, FIRST_AUDIO = 0x10, LAST_AUDIO = 0x18, MOST_S = 30, LOUD = 300 };

static uint8_t payload[65535];

/* The type of the next record, its payload and length; -1: the daemon is gone. */
static int next_record(size_t *len)
{
	uint8_t head[3];

	if (fread(head, 1, 3, stdin) != 3)
		return -1;
	*len = (size_t)head[1] << 8 | head[2];
	return fread(payload, 1, *len, stdin) == *len ? head[0] : -1;
}

static void put_record(int type, const void *p, size_t len)
{
	const uint8_t head[3] = {(uint8_t)type, (uint8_t)(len >> 8), (uint8_t)len};

	fwrite(head, 1, 3, stdout);
	fwrite(p, 1, len, stdout);
}

static int is_loud(const uint8_t *pcm, size_t len)
{
	for (size_t i = 0; i + 1 < len; i += 2)
		if (abs((int16_t)(pcm[i] | pcm[i + 1] << 8)) > LOUD)
			return 1;
	return 0;
}

int main(void)
{
	const char *rate = getenv("MYNAH_SAMPLE_RATE");
	size_t rate_hz = rate ? strtoul(rate, NULL, 10) : 16000, most = 2 * rate_hz * MOST_S;
	uint8_t *said = malloc(most);
	size_t n = 0, quiet = 0, len;

	if (!said)
		return 1;
	for (int type; (type = next_record(&len)) > HANGUP;) {
		if (type < FIRST_AUDIO || type > LAST_AUDIO)
			continue;
		quiet = is_loud(payload, len) ? 0 : quiet + len / 2;
		for (size_t i = 0; i < len && n < most && (n > 0 || quiet == 0); i++)
			said[n++] = payload[i];
		if (n == 0 || quiet < rate_hz / 2)
			continue;
		for (size_t at = 0; at < n; at += 3200) /* all at once: the daemon plays it in time */
			put_record(type, said + at, n - at < 3200 ? n - at : 3200);
		fflush(stdout);
		n = 0;
	}
	free(said);
	return 0;
}
