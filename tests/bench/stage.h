/* SPDX-License-Identifier: MIT */
/*
 * stage - a shard of the daemon with everything but its sockets, and people who talk to it, in one process
 * and in virtual time. Whatever the shard does happens between two calls of `server`, so a
 * program can count that alone.
 */
#pragma once
#include "base/time.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stage;

struct stage_opts {
	size_t sessions;
	size_t idle;            /* people on top, alone and without a bridge, who never talk */
	size_t room;            /* people in each; 0: everybody alone with a bridge */
	const char *bridge;     /* of those who are alone: "echo" */
	uint32_t rate_hz;       /* that people send and want to hear; the rooms have 16000 */
	bool post_quantum;      /* people's clients agree on their keys as browsers do */
	double drift_ppm;       /* by which the people's clocks are fast */
	uint32_t write_every_ms; /* everybody writes a message to the room that often; 0: never */
	void (*server)(bool on); /* may be NULL */
};

struct stage_counts {
	uint64_t datagrams_in, datagrams_out; /* of the shard */
	uint64_t packets_in, packets_out;
	uint64_t handshakes;
	uint64_t concealed, wakeups;
	uint64_t messages;  /* that people wrote to their room */
};

struct stage *stage_new(const struct stage_opts *opts);
/* Everybody comes; aborts if it takes longer than ten seconds. */
void stage_join(struct stage *s);
/* From now on everybody talks, or nobody. */
void stage_talk(struct stage *s, bool on);
void stage_run(struct stage *s, nsec time);
/* `n` people come one after the other, and go again as soon as they are in. */
void stage_visits(struct stage *s, size_t n);
/* `n` first packets in which nobody begins come from addresses of their own: noise behind a good header, or crumbs of a ClientHello. */
void stage_flood(struct stage *s, bool crumbs, size_t n);
struct stage_counts stage_counts(const struct stage *s);
/* Datagrams that people got, and frames among them in which nothing was to be heard. */
void stage_heard(const struct stage *s, uint64_t *frames, uint64_t *silent);
void stage_free(struct stage *s);
