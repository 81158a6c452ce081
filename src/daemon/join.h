/* SPDX-License-Identifier: MIT */
/* join - what the query of a CONNECT asks for. A pure function over strings. */
#pragma once
#include "config/config.h"
#include "daemon/verdict.h"

#include <stdbool.h>

struct join {
	char room[ROOM_NAME_MAX + 1];        /* "": a private room */
	char name[PARTICIPANT_NAME_MAX + 1]; /* "": none given */
	struct listener_opts hears;          /* its codec is never NULL */
};

/* The client understands a session that is closed with a `bye` better than a status: see link_refused.c. */
bool join_wants_bye(const char *query);

/* VERDICT_ADMITTED, or which value is bad. Unknown keys are ignored. */
enum verdict join_parse(const char *query, uint32_t default_rate_hz, struct join *out);
