/* SPDX-License-Identifier: MIT */
#include "bridge/audiosocket_codec.h"

#include "base/err.h"

#include <stdio.h>
#include <string.h>

static const uint32_t rates[] = {8000, 12000, 16000, 24000, 32000, 44100, 48000, 96000, 192000};

enum { OUR_RATES = 7 }; /* what a room can mix */

uint8_t as_audio_type(uint32_t rate_hz)
{
	for (size_t i = 0; i < OUR_RATES; i++)
		if (rates[i] == rate_hz)
			return (uint8_t)(AS_AUDIO + i);
	return 0;
}

uint32_t as_audio_rate(uint8_t type)
{
	return type >= AS_AUDIO && type <= AS_AUDIO_LAST ? rates[type - AS_AUDIO] : 0;
}

void as_put_head(uint8_t out[AS_HEAD], uint8_t type, size_t len)
{
	out[0] = type;
	out[1] = (uint8_t)(len >> 8);
	out[2] = (uint8_t)len;
}

static int malformed(struct as_parser *ps, const char *what, size_t len)
{
	snprintf(ps->why, sizeof ps->why, "a record of type 0x%02x with %zu bytes: %s", ps->head[0], len, what);
	return ERR_MALFORMED;
}

static int check_head(struct as_parser *ps, size_t len)
{
	static const struct { uint8_t type; size_t min, max; } known[] = {
		{AS_HANGUP, 0, 256},
		{AS_UUID, AS_UUID_LEN, AS_UUID_LEN},
		{AS_DTMF, 1, 1},
		{AS_FLUSH, 0, 0},
		{AS_MARK, 0, AS_MARK_MAX},
		{AS_EVENT, 2, AS_EVENT_MAX},
		{AS_ERROR, 0, 256},
	};

	if (as_audio_rate(ps->head[0]))
		return len % 2 ? malformed(ps, "half a sample too many", len) : 0;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (known[i].type == ps->head[0])
			return len >= known[i].min && len <= known[i].max ? 0 : malformed(ps, "a wrong length", len);
	return malformed(ps, "no such type", len);
}

static size_t min(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* As much of the record as has arrived, in whole samples; half a sample waits for the other half. */
static bool next_audio(struct as_parser *ps, const uint8_t **p, size_t *len, struct as_record *out)
{
	size_t n = min(*len, ps->left);

	if (ps->n_pair == 0 && n >= 2) {
		n -= n % 2;
		*out = (struct as_record){ps->head[0], *p, n};
	} else {
		ps->pair[ps->n_pair++] = **p;
		n = 1;
		*out = (struct as_record){ps->head[0], ps->pair, 2};
	}
	*p += n;
	*len -= n;
	ps->left -= n;
	if (ps->left == 0)
		ps->n_head = 0;
	if (ps->n_pair == 1)
		return false;
	ps->n_pair = 0;
	return true;
}

static bool next_body(struct as_parser *ps, const uint8_t **p, size_t *len, struct as_record *out)
{
	size_t n = min(*len, ps->left);

	memcpy(ps->body + ps->n_body, *p, n);
	*p += n;
	*len -= n;
	ps->n_body += n;
	ps->left -= n;
	if (ps->left > 0)
		return false;
	*out = (struct as_record){ps->head[0], ps->body, ps->n_body};
	ps->n_head = 0;
	return true;
}

/* Returns ERR_MALFORMED, or 0 with the head complete or all bytes used up. */
static int next_head(struct as_parser *ps, const uint8_t **p, size_t *len)
{
	while (ps->n_head < AS_HEAD && *len > 0) {
		ps->head[ps->n_head++] = *(*p)++;
		--*len;
	}
	if (ps->n_head < AS_HEAD)
		return 0;
	ps->left = (size_t)ps->head[1] << 8 | ps->head[2];
	ps->n_body = 0;
	return check_head(ps, ps->left);
}

static bool next_payload(struct as_parser *ps, const uint8_t **p, size_t *len, struct as_record *out)
{
	if (!as_audio_rate(ps->head[0]))
		return next_body(ps, p, len, out);
	if (ps->left == 0) { /* an empty record of audio is skipped */
		ps->n_head = 0;
		return false;
	}
	return next_audio(ps, p, len, out);
}

int as_next(struct as_parser *ps, const uint8_t **p, size_t *len, struct as_record *out)
{
	if (ps->why[0])
		return ERR_MALFORMED;
	while (*len > 0) {
		bool fresh = ps->n_head < AS_HEAD;
		int err = fresh ? next_head(ps, p, len) : 0;

		if (err)
			return err;
		if (ps->n_head < AS_HEAD)
			return 0;
		if ((*len > 0 || ps->left == 0) && next_payload(ps, p, len, out))
			return 1;
	}
	return 0;
}

bool as_cut(const struct as_parser *ps)
{
	return ps->n_head > 0;
}
