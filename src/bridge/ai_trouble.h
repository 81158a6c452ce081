/* SPDX-License-Identifier: MIT */
/* ai_trouble - how bad the end of a session is, by what the provider said of it. Pure. */
#pragma once
#include "http/websocket.h"

enum ai_trouble {
	AI_TROUBLE_PASSING, /* worth another attempt, after pauses that double */
	AI_TROUBLE_BUSY,    /* the same, but not before the time that the provider asked for */
	AI_TROUBLE_REFUSED, /* key, quota, model or options: a person has to do something */
	AI_TROUBLE_PLANNED, /* a session that is old enough: renewed at once, and nobody need know */
};

/* Of an `error` event, by its type and code. */
enum ai_trouble ai_trouble_of_error(const char *type, const char *code);
/* Of a connection's end, or of an upgrade that was refused. */
enum ai_trouble ai_trouble_of_end(const struct websocket_end *end);
/* What a person may want to know beside end->why, such as ": the key is refused"; "": nothing. */
const char *ai_trouble_hint(const struct websocket_end *end);
