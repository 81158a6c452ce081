/* SPDX-License-Identifier: MIT */
/*
 * verdict - whether a session may open, and if not, why: one name, one status and one line of text for each reason.
 * Pure functions over a table.
 */
#pragma once
#include <stdint.h>

enum verdict {
	VERDICT_ADMITTED,       /* 0 */
	VERDICT_MOVED,          /* no answer yet: the room is, or is to be, in another shard, which decides again */
	VERDICT_BAD_ROOM,       /* the values of the query: see docs/protocol.md */
	VERDICT_BAD_NAME,
	VERDICT_BAD_RATE,
	VERDICT_BAD_CODEC,
	VERDICT_BAD_FRAMES,
	VERDICT_BAD_TEXT,       /* room or name are not text that may be shown */
	VERDICT_BAD_ORIGIN,     /* a page that may not connect */
	VERDICT_NO_SUCH_PATH,
	VERDICT_NO_SUCH_ROOM,   /* no rule allows it */
	VERDICT_DRAINING,
	VERDICT_SERVER_FULL,    /* max_sessions */
	VERDICT_SERVER_BUSY,    /* no shard has time for one more */
	VERDICT_ROOM_FULL,      /* max_participants of its rule */
	VERDICT_TOO_MANY_ROOMS, /* max_rooms */
	VERDICT_ADDRESS_SESSIONS, /* their address has its share of max_sessions ... */
	VERDICT_ADDRESS_ROOMS,    /* ... of max_rooms: see base/fair.h */
	VERDICT_NOT_MOVED,      /* too many connections are on their way to that shard */
	VERDICT_NO_MEMORY,
	VERDICT_N,
};

/* 200, 0 for VERDICT_MOVED, 400 to 599. */
unsigned verdict_status(enum verdict v);
/* One line without its end, fit to stand in JSON. */
const char *verdict_text(enum verdict v);

/* CONNECT requests refused, by status. */
struct refusals {
	uint64_t status_400, status_403, status_404, status_429, status_503;
	uint64_t address_sessions, address_rooms; /* of 429 */
};
void refusals_count(struct refusals *r, enum verdict v);
