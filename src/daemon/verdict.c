/* SPDX-License-Identifier: MIT */
#include "daemon/verdict.h"

#include <assert.h>
#include <stddef.h>

static const struct {
	unsigned status;
	const char *text;
} verdicts[VERDICT_N] = {
	[VERDICT_ADMITTED] = {200, "admitted"},
	[VERDICT_MOVED] = {0, "moved to another shard"},
	[VERDICT_BAD_ROOM] = {400, "room: badly encoded or longer than 64 bytes"},
	[VERDICT_BAD_NAME] = {400, "name: badly encoded or longer than 64 bytes"},
	[VERDICT_BAD_RATE] = {400, "rate: use 8000 to 48000"},
	[VERDICT_BAD_CODEC] = {400, "codec: this server speaks pcm"},
	[VERDICT_BAD_FRAMES] = {400, "frames: this server speaks legacy and v1"},
	[VERDICT_BAD_TEXT] = {400, "room and name: 1 to 64 bytes of UTF-8 without control characters"},
	/* 401 is for tokens. */
	[VERDICT_BAD_ORIGIN] = {403, "pages of this origin may not connect"},
	[VERDICT_NO_SUCH_PATH] = {404, "no voice at this path"},
	[VERDICT_NO_SUCH_ROOM] = {404, "there is no such room here"},
	[VERDICT_DRAINING] = {503, "the server is shutting down"},
	[VERDICT_SERVER_FULL] = {503, "the server is full"},
	[VERDICT_SERVER_BUSY] = {503, "the server is busy"},
	[VERDICT_ROOM_FULL] = {503, "the room is full"},
	[VERDICT_TOO_MANY_ROOMS] = {503, "the server has no place for another room"},
	[VERDICT_ADDRESS_SESSIONS] = {429, "the server fills up, and there are too many sessions from this address"},
	[VERDICT_ADDRESS_ROOMS] = {429, "the server fills up, and there are too many rooms from this address"},
	[VERDICT_NOT_MOVED] = {503, "the server is busy with others who move; try again"},
	[VERDICT_NO_MEMORY] = {503, "the server cannot take more people now"},
};

unsigned verdict_status(enum verdict v)
{
	return verdicts[v].status;
}

const char *verdict_text(enum verdict v)
{
	return verdicts[v].text;
}

void refusals_count(struct refusals *r, enum verdict v)
{
	r->address_sessions += v == VERDICT_ADDRESS_SESSIONS;
	r->address_rooms += v == VERDICT_ADDRESS_ROOMS;
	switch (verdicts[v].status) {
	case 400:
		r->status_400++;
		break;
	case 403:
		r->status_403++;
		break;
	case 404:
		r->status_404++;
		break;
	case 429:
		r->status_429++;
		break;
	default:
		assert(verdicts[v].status == 503); /* a new status wants a counter, and a row among the metrics */
		r->status_503++;
	}
}
