/* SPDX-License-Identifier: MIT */
/*
 * join - reads what a CONNECT asks for: the path, the query, and whether its Origin may.
 * Pure functions over strings.
 */
#pragma once
#include "base/http.h"
#include "config/config.h"

#include <stdbool.h>

struct join {
	char room[ROOM_NAME_MAX + 1];        /* "": a private room */
	char name[PARTICIPANT_NAME_MAX + 1]; /* "": none given */
	uint32_t out_rate_hz;
	bool v1;                             /* frames to him carry the long header */
};

enum { JOIN_ERROR = 128 };

/* Returns 200, or the status of the refusal (404 another path, 400 a bad query) with one line in `why`. Unknown keys
 * are ignored. `path` is that of [server]. */
unsigned join_parse(const struct http_request *req, const char *path, uint32_t default_rate_hz, struct join *out,
	char why[JOIN_ERROR]);

/* May a page of `origin` connect to `authority`? No Origin: not a page, allowed. With a list: exactly those
 * ("*": all). Without: the same host, and localhost. */
bool join_origin_ok(const char *origin, const char *authority, const struct config_server *cfg);
