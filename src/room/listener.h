/* SPDX-License-Identifier: MIT */
/*
 * listener - what hears a room: part of a participant, or a tap, which is nobody. Its sound goes through a limiter and a
 * resampler, and both remember. Silent listeners of one format hear the same, so they share the output's path. A listener that
 * begins to talk must not hear itself: it leaves with a copy of the shared state, which so far held nothing of its
 * own sound, and goes on through its own path without a seam. A while after its last sound both paths have been fed the
 * same for longer than either remembers, and it returns, over one tick of cross-fade in case
 * the two stand at different fractions of a sample.
 *
 * One thread. Memory is taken in listener_init(); a tick allocates nothing.
 */
#pragma once
#include "audio/packet.h"
#include "base/list.h"
#include "room/output.h"
#include "room/room.h"

struct listener {
	struct list node;      /* in output.listeners */
	struct room *room;
	struct output *output;
	const struct listener_sink *sink;
	void *user;

	const float *own;      /* its part of this tick's sum, NULL: none */
	bool on_own_path;      /* it talks or did so lately */
	bool ringing;          /* was fed in the last tick: the filter has an end to give */
	bool is_tap;
	uint8_t epoch;         /* begins with 0, one more with each flush */
	uint64_t talked_at;    /* tick of its last sound */
	struct path path;

	struct packet_writer writer;
	uint32_t next_time;    /* media time after the last frame */
	uint64_t next_frame;   /* frame_no after it; 0: there was none */
	uint64_t frames;
	uint64_t sent;         /* samples of this epoch */
	uint64_t playout_lag;  /* samples between what it was sent and what it plays, by its reports; 0: it makes none */
};

/* `sink` and `user` are borrowed until listener_fini(). ERR_RANGE for a rate, ERR_NOMEM. */
int listener_init(struct listener *l, struct room *r, const struct listener_opts *opts, const struct listener_sink *sink,
	void *user);
void listener_fini(struct listener *l);

/* It talks in this tick: `own` is its part of the sum. Before outputs_deliver(). */
void listener_talks(struct listener *l, const float *own);
/* Its share of this tick; `n_sources`: how many sounds are in the sum. */
void listener_tick(struct listener *l, struct room *r, unsigned n_sources, nsec now);

/* Whether it is known to hear what it is sent. */
bool listener_hears(const struct listener *l);
void listener_report(struct listener *l, const struct room_event *ev, nsec now);
/* Sound sent under older epochs is not to be played any more. */
void listener_flush(struct listener *l, const struct room_member *bridge, nsec now);
/* The number of samples of this epoch that it has played. A report that cannot be true is ignored. */
void listener_played(struct listener *l, uint8_t epoch, uint64_t samples);
uint32_t listener_playout_lag_ms(const struct listener *l);
