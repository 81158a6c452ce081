/* SPDX-License-Identifier: MIT */
/*
 * control - the lines of a session's control stream: UTF-8 JSON objects, one a line. Turns
 * lines into messages and events into lines; knows no stream.
 */
#pragma once
#include "base/buf.h"
#include "room/room.h"
#include "session/session.h"

enum control_type {
	CONTROL_MESSAGE, /* text, to (0: the room) */
	CONTROL_MUTE,    /* muted */
	CONTROL_BRIDGE,  /* mode */
	CONTROL_STATS,   /* every_ms; 0: just once */
	CONTROL_PING,    /* t */
	CONTROL_PLAYED,  /* epoch, samples */
	CONTROL_BYE,
	CONTROL_UNKNOWN, /* a type of a later version: ignored */
	CONTROL_N_TYPES,
};

enum { CONTROL_NUMBER = 64 }; /* bytes of a number that is sent back, its NUL included */

struct control_msg {
	enum control_type type;
	char text[MESSAGE_MAX + 1];
	uint32_t to, every_ms;
	bool muted;
	enum bridge_mode mode;
	uint8_t epoch;
	uint64_t samples;
	char t[CONTROL_NUMBER];  /* as a JSON number */
};

enum { CONTROL_WHY = 96, CONTROL_STATS_MIN_MS = 200 };

/* ERR_MALFORMED, with a phrase in `why`: not an object with a type, or a field of the wrong type. Half of a surrogate pair is
 * U+FFFD. */
int control_parse(const char *line, size_t len, struct control_msg *out, char why[CONTROL_WHY]);

/* Each of these appends one line, with its line feed. ERR_NOMEM, ERR_LIMIT (the buffer's `max`) alone. */
struct control_welcome {
	uint64_t session;
	const struct participant *participant;
	const struct listener_opts *hears; /* its codec is not NULL */
	uint32_t frame_ms;
};
int control_welcome(struct buf *out, const struct control_welcome *w);
/* Length of the longest welcome in a room with this number of people. */
size_t control_welcome_max(uint32_t people);
int control_event(struct buf *out, const struct room_event *ev, int64_t wall_ms);
int control_stats(struct buf *out, uint64_t datagrams_in, const struct participant_stats *p,
	const struct session_info *s);
int control_pong(struct buf *out, const char *t); /* a JSON number */
int control_warning(struct buf *out, const char *code, const char *text);
int control_messages_lost(struct buf *out, uint32_t n); /* a warning, too: lines that found no room */
int control_error(struct buf *out, const char *code, const char *text);
struct control_bye {
	const char *reason, *text;
	uint32_t reconnect_ms; /* 0: the client is not to reconnect by itself */
	unsigned status;       /* of a refusal, else 0 */
};
int control_bye(struct buf *out, const struct control_bye *b);
