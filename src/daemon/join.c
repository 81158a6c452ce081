/* SPDX-License-Identifier: MIT */
#include "daemon/join.h"

#include "audio/packet.h"
#include "base/err.h"
#include "base/http.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* 0 if it is not a rate. */
static uint32_t rate_of(const char *s)
{
	char *end;
	unsigned long v = strtoul(s, &end, 10);

	if (!isdigit((unsigned char)s[0]) || *end || v > 48000 || !audio_rate_ok((uint32_t)v))
		return 0;
	return (uint32_t)v;
}

static enum verdict parse_room(const char *query, struct join *out)
{
	int err = http_query_get(query, "room", out->room, sizeof out->room);

	return err && err != ERR_NOTFOUND ? VERDICT_BAD_ROOM : VERDICT_ADMITTED;
}

static enum verdict parse_name(const char *query, struct join *out)
{
	int err = http_query_get(query, "name", out->name, sizeof out->name);

	if (err && err != ERR_NOTFOUND)
		return VERDICT_BAD_NAME;
	return participant_name_ok(out->name) ? VERDICT_ADMITTED : VERDICT_BAD_TEXT;
}

static enum verdict parse_rate(const char *query, struct join *out)
{
	char value[16];
	int err = http_query_get(query, "rate", value, sizeof value);

	if (err != ERR_NOTFOUND)
		out->hears.rate_hz = err ? 0 : rate_of(value);
	if (!out->hears.rate_hz)
		return VERDICT_BAD_RATE;
	out->hears.rate_hz = packet_rate(out->hears.rate_hz); /* the sound must have the rate of its header */
	return VERDICT_ADMITTED;
}

static enum verdict parse_codec(const char *query, struct join *out)
{
	char value[16];
	int err = http_query_get(query, "codec", value, sizeof value);

	if (err == ERR_NOTFOUND)
		return VERDICT_ADMITTED;
	out->hears.codec = err ? NULL : codec_by_name(value);
	return out->hears.codec ? VERDICT_ADMITTED : VERDICT_BAD_CODEC;
}

static enum verdict parse_frames(const char *query, struct join *out)
{
	char value[16];
	int err = http_query_get(query, "frames", value, sizeof value);

	if (err == ERR_NOTFOUND || (!err && !strcmp(value, "legacy")))
		return VERDICT_ADMITTED;
	out->hears.packets = PACKET_V1;
	return !err && !strcmp(value, "v1") ? VERDICT_ADMITTED : VERDICT_BAD_FRAMES;
}

bool join_wants_bye(const char *query)
{
	char value[16];

	return !http_query_get(query, "refuse", value, sizeof value) && !strcmp(value, "bye");
}

enum verdict join_parse(const char *query, uint32_t default_rate_hz, struct join *out)
{
	static enum verdict (*const keys[])(const char *query, struct join *out) = {
		parse_room, parse_name, parse_rate, parse_codec, parse_frames,
	};
	enum verdict v = VERDICT_ADMITTED;

	*out = (struct join){.hears = {.codec = &codec_pcm, .rate_hz = default_rate_hz, .packets = PACKET_LEGACY}};
	for (size_t i = 0; i < sizeof keys / sizeof *keys && v == VERDICT_ADMITTED; i++)
		v = keys[i](query, out);
	return v;
}
