/* SPDX-License-Identifier: MIT */
/*
 * stream_events - events of the room as JSON for a worker, and a worker's as calls of the sink. One object each;
 * unknown types and fields are ignored, so either side may be newer. Allocates for each event.
 */
#pragma once
#include "bridge/bridge.h"

/* On the heap, `*len` bytes and a NUL; NULL without memory. */
char *stream_event_print(const struct bridge_event *ev, size_t *len);
/* Calls the sink. ERR_MALFORMED: not a JSON object in UTF-8, or a field that is needed is missing or wrong, as `why`
 * describes. Events of unknown types are ignored. */
int stream_event_handle(const uint8_t *json, size_t len, const struct bridge_sink *sink, void *sink_ctx, char *why,
	size_t why_size);
