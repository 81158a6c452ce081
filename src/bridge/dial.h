/* SPDX-License-Identifier: MIT */
/*
 * dial - opens the WebSocket of a worker or a provider, and decides whether its key may go with it: over TLS, or
 * to this machine, and nowhere else. One thread, the loop's. Reads the key when it is called, so that a new one counts
 * from the next connection on; wipes its copies, and never logs it.
 */
#pragma once
#include "bridge/key.h"
#include "http/websocket.h"

enum { DIAL_WHY = 160 };

/* The row of the member `url` in a driver's options. */
#define DIAL_URL_ROW(type_of_options, ...) \
	{.key = "url", .type = OPTION_TEXT, OPTION_TEXT_AT(type_of_options, url), \
		.accepts = "\"ws://HOST:PORT/PATH\" or \"wss://HOST/PATH\"", __VA_ARGS__ \
		.help = "where the worker or the provider listens; its certificate is verified; empty: the profile's own"}

/* Borrowed for the call. */
struct dial {
	const struct bridge_key *key;
	const char *usual_env;      /* read where no key is configured; NULL: no variable */
	bool usual_is_optional;     /* without that variable it connects without a key */
	const char *key_header;     /* its value is the key alone; NULL: "Authorization: Bearer KEY" */
	struct websocket_opts to;   /* the headers are added here */
};

/* Whether a connection to this URL is one over TLS. */
bool dial_needs_tls(const char *url);
/* Connects as websocket_connect() does. On an error no callback comes and `why` has the reason:
 * ERR_DENIED: the key cannot be read, or may not go over this connection: somebody has to change something first;
 * ERR_RANGE: the URL is none of a WebSocket; others as from websocket_connect(). */
int dial(const struct dial *d, uv_loop_t *loop, const struct websocket_events *ev, void *ctx, struct websocket **out,
	char why[DIAL_WHY]);
