/* SPDX-License-Identifier: MIT */
/*
 * room - participants that hear one another. `struct rooms` holds all rooms of one shard
 * and their one clock: every room is mixed once a frame (10 or 20 ms) on a deadline that
 * never drifts, and rooms are staggered over the frame so that packets do not leave in one
 * burst. Sees neither QUIC nor HTTP: each participant has a sink.
 *
 * One thread, no clock of its own. Memory is taken at join and with somebody's first frame; a tick allocates nothing. A room in
 * which nobody makes a sound is not mixed and sends nothing.
 *
 *   participant_audio -> jitter -> sum of all -> each listener: sum - own -> limiter -> resample -> encode
 *   -> sink.packet; silent listeners of one format share all of it but the packets' heads
 */
#pragma once
#include "audio/packet.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/time.h"
#include "bridge/bridge.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rooms;
struct participant;
struct tap;

enum { ROOM_NAME_MAX = 64, PARTICIPANT_NAME_MAX = 64, MESSAGE_MAX = 4096 };

/* [[room]] and [private]: what rooms with a matching name are like. */
struct room_rule {
	char name[ROOM_NAME_MAX + 1];     /* exact, or a pattern with '*' (any run of characters) */
	char bridge[BRIDGE_NAME_MAX];     /* a [bridge.NAME] or a built-in type; "none" */
	uint32_t rate_hz;                 /* of the mix: 8000, 16000, 24000, 48000. default 16000 */
	uint32_t max_participants;        /* people; the bridge is not counted. default 100 */
};
void room_rule_default(struct room_rule *r); /* name "*", bridge "none" */

struct rooms_opts {
	const struct room_rule *rules;    /* first match wins; no match: there is no such room */
	size_t n_rules;
	struct room_rule private_rule;    /* of sessions that name no room. default bridge "parrot" */
	const struct bridge_opts *bridges;
	size_t n_bridges;
	uint32_t frame_ms;                /* 10 or 20. default 20 */
	uint32_t max_rooms;               /* default 1000 */
	uint32_t input_rate_hz;           /* meant by a rate field of 0. default 16000 */
	uint32_t min_delay_ms;            /* of a talker's playout buffer. default 3 */
	uint32_t max_delay_ms;            /* default 200 */
	uint32_t max_late_ms;             /* a tick later than this is skipped, not caught up. default 200 */
	/* Text, in bytes as listeners are sent it: of one room to all of its listeners together, and of one bridge. Twice as much
	 * in a burst; what is beyond is dropped. */
	uint32_t room_text_bytes_per_s;   /* default 2000000 */
	uint32_t bridge_text_bytes_per_s; /* default 32768 */
	uint32_t id_first, id_step;       /* ids of participants; default 1, 1 */
};
void rooms_opts_default(struct rooms_opts *o);
/* What room `wish` would be: its name as it is kept ("" or NULL: a private one) and its rule. ERR_RANGE: bad name;
 * ERR_NOTFOUND: no rule matches. Looks at nothing but the options: any thread. */
int rooms_place(const struct rooms_opts *o, const char *wish, char name[ROOM_NAME_MAX + 1], const struct room_rule **rule);
/* Would rooms_join() take this as a participant's name? "" or NULL: none is given. Any thread. */
bool participant_name_ok(const char *name);

/* Why somebody left; goes to the others' control streams. */
enum leave_reason { LEAVE_CLOSED, LEAVE_LOST, LEAVE_SHUTDOWN };
const char *leave_reason_name(enum leave_reason r);

struct room_member { /* as told to others */
	uint32_t id;     /* unique in these rooms, never 0 */
	const char *name;
	bool muted, speaking, bridge; /* a bridge that is not active is muted */
	enum bridge_mode mode;        /* of a bridge */
	const char *down; /* a bridge: why its worker is not connected; NULL: it is */
	bool left;        /* because it said goodbye: it is called again when somebody joins */
};

enum room_event_kind {
	ROOM_JOINED,     /* member */
	ROOM_LEFT,       /* member.id, reason */
	ROOM_SPEAKING,   /* member.id, member.speaking */
	ROOM_MUTED,      /* member.id, member.muted */
	ROOM_MESSAGE,    /* member.id is the sender; to (0: all), text */
	ROOM_TRANSCRIPT, /* member.id, text, final */
	ROOM_BRIDGE,     /* up: the worker went (text says why) or came back; or `by` has changed member.mode */
	ROOM_FLUSH,      /* member (the bridge), epoch: packets of older epochs are not to be played any more */
};
struct room_event {
	enum room_event_kind kind;
	uint64_t serial;  /* of an event that a whole room is told; 0: one participant alone is told */
	struct room_member member;
	enum leave_reason reason;
	uint32_t to, by;  /* by: 0: nobody */
	const char *text; /* UTF-8, NUL-terminated, borrowed */
	bool final, up;
	uint8_t epoch;
};

/* What a listener is sent. */
struct listener_opts {
	const struct codec *codec;  /* NULL: PCM */
	uint32_t rate_hz;           /* 8000..48000, and one that the codec has */
	uint32_t bitrate_bps;       /* 0: the codec's own choice */
	enum packet_kind packets;
};

/* One packet of what a listener hears, ready to be sent. All is borrowed. */
struct room_packet {
	struct packet packet;       /* head and body */
	const struct frame *frame;  /* what it was cut from: format, the whole payload, epoch, media time, silence around it */
	uint64_t frame_no;          /* of the tick: time / frame_ms + 1. It goes on while the room is asleep, so a gap is silence */
};

/* How a listener receives. All are called from rooms_run(), from the calls below (rooms_join() sets *out
 * before the newcomer's first event) and from a driver's own loop callbacks. They must not join, leave, listen, run or free
 * from inside (asserted); mute and message are fine, but what is sent in answer to an event of
 * the bridge does not reach that bridge. */
struct listener_sink {
	/* Most bytes that one packet may have now, head included; asked once a frame. */
	size_t (*packet_max)(void *user);
	void (*packet)(void *user, const struct room_packet *p, nsec now);
	/* Whether it hears what it is sent now: one that does not know yet that it is in throws it away. May be NULL: it does. */
	bool (*hears)(void *user);
	/* A frame that packet_max left no room for: one packet is missing. May be NULL. */
	void (*dropped)(void *user, nsec now);
	/* Also reports a participant's own mute and messages back to it, not its own joining. May be NULL. */
	void (*event)(void *user, const struct room_event *ev, nsec now);
	/* To a tap alone: the room is empty, and the tap gone with it. May be NULL. */
	void (*ended)(void *user, nsec now);
};

struct participant_opts {
	const char *room;     /* NULL or "": a private room */
	const char *name;     /* UTF-8; "": "guest-ID" is made up. Over-long is cut at a character */
	struct listener_opts hears;
};

/* Frames by the sequence numbers of v1. */
struct sequence_stats {
	uint64_t lost, reordered, duplicate, late;
};

struct participant_stats {
	uint64_t frames_in, samples_in, faults[FRAME_N_FAULTS];
	uint64_t frames_out, concealed, dropped_ms, rate_changes, muted_frames;
	struct sequence_stats sequence;
	uint32_t buffer_ms, target_ms;
	float jitter_ms, level_dbfs;
	int32_t drift_ppm;
};

struct rooms_stats {
	uint32_t rooms, participants, bridges; /* now */
	uint64_t joins, leaves, refused_full, refused_rooms, refused_name;
	uint64_t ticks, ticks_skipped, frames_in, frames_out, concealed, dropped_ms, faults[FRAME_N_FAULTS];
	uint64_t mixes, shared_mixes;          /* outputs computed; those that served several listeners */
	uint32_t bridges_down;                 /* now: failed, and waiting to be tried again */
	uint64_t bridge_failures, bridge_restarts, bridge_dropped_ms, bridge_input_dropped_ms;
	struct sequence_stats sequence;
	uint64_t text_limited, bridge_text_limited; /* messages and transcripts dropped: by the room's limit, by a bridge's */
	uint64_t flushes;                      /* speech of a bridge taken back */
	struct {
		uint64_t results, errors;
	} tool_calls;                          /* of models, by what they were answered */
	uint64_t talked_over;                  /* times that somebody talked over a bridge and it was turned down */
	/* How late ticks began: <= 0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 50 ms, more; and the sum. */
	uint64_t late_bucket[10];
	uint64_t late_sum_ns;
	/* Playout depth of every talker, sampled at each tick: <= 5, 10, 20, 40, 60, 100, 150, 200 ms, more. */
	uint64_t depth_bucket[9];
	uint64_t depth_sum_ms;
};
extern const double rooms_late_bound_ms[9];
extern const double rooms_depth_bound_ms[8];

/* Copies `opts`; rules and bridges are borrowed until free. ERR_NOMEM, ERR_NOTFOUND: a rule names
 * a bridge that is neither configured nor built in; ERR_RANGE: a rate, delay or size outside its range. */
int rooms_new(const struct rooms_opts *opts, const struct log *log, struct rooms **out);
/* Everybody has left before. Accepts NULL. */
void rooms_free(struct rooms *rs);

/* When rooms_run() wants to be called, maybe in the past; NSEC_NONE while nobody makes a sound. Cheap, whatever the
 * number of rooms: ask again after every batch of calls, and after a driver's loop callbacks. */
nsec rooms_deadline(const struct rooms *rs);
/* Mixes every room that is due. */
void rooms_run(struct rooms *rs, nsec now);
/* Valid until free; summed up by each call. */
const struct rooms_stats *rooms_stats(struct rooms *rs);
extern const struct metric_table rooms_metrics; /* of struct rooms_stats */

/* Joins. ERR_LIMIT: the room is full, or there are max_rooms; ERR_NOTFOUND: no rule matches;
 * ERR_RANGE: bad name (empty after trimming, over-long, control characters, not UTF-8) or rate; ERR_NOMEM.
 * `sink` and `user` are borrowed until participant_leave(). */
int rooms_join(struct rooms *rs, const struct participant_opts *opts, const struct listener_sink *sink, void *user,
	nsec now, struct participant **out);
/* The others are told; the pointer is invalid afterwards. */
void participant_leave(struct participant *p, enum leave_reason reason, nsec now);

/* The payload of one audio datagram, of either kind. Never fails: faults are counted and returned. */
enum frame_fault participant_audio(struct participant *p, const uint8_t *data, size_t len, nsec now);
/* The participant reports that it has played this number of samples of the epoch, at the rate that it hears. One that never
 * reports is taken to have heard what it was sent. A report that cannot be true is ignored. Epochs begin with 0 and grow by
 * one with each ROOM_FLUSH. */
void participant_played(struct participant *p, uint8_t epoch, uint64_t samples);
void participant_mute(struct participant *p, bool muted, nsec now);
/* Any participant may silence the bridge of its room, or let it speak again; until the room is empty. The others and the bridge are
 * told if it is a change. ERR_NOTFOUND: there is none in it. */
int participant_bridge(struct participant *p, enum bridge_mode mode, nsec now);
/* `to` 0: the room. ERR_NOTFOUND: nobody there with that id; ERR_RANGE: longer than MESSAGE_MAX, empty, or not UTF-8;
 * ERR_LIMIT: too much is written in this room, and this was dropped. */
int participant_message(struct participant *p, uint32_t to, const char *text, nsec now);

uint32_t participant_id(const struct participant *p);
const char *participant_name(const struct participant *p);
/* Of the room that it is in; "" for a private one. */
const char *participant_room(const struct participant *p);
uint32_t participant_room_rate(const struct participant *p);
void participant_stats(const struct participant *p, struct participant_stats *out);
/* Calls `each` for everybody in the room, the bridge and itself included. */
void participant_each_member(const struct participant *p, void (*each)(void *ctx, const struct room_member *m), void *ctx);

/*
 * A tap hears the room that somebody is in without being in it: it is not counted and not announced, and keeps the room neither
 * awake nor alive. It hears all (it shares an output with silent people) and is told the events that all are told. `frame_no`
 * and media time say how much silence lies between two packets. `sink` and `user` are borrowed until
 * sink.ended or tap_leave(). ERR_RANGE for a rate, ERR_NOMEM.
 */
int room_listen(const struct participant *in, const struct listener_opts *opts, const struct listener_sink *sink, void *user,
	struct tap **out);
void tap_leave(struct tap *t);
