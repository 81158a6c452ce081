/* SPDX-License-Identifier: MIT */
/*
 * openai - a voice model behind the OpenAI Realtime dialect (GA, and the names of events from the beta that some servers
 * kept). The conversation outlives its connections: when one is lost, or grows too old, the next one is given what was
 * said so far as text.
 *
 *   openai      the driver: what the room calls
 *   ai_events   what the provider says: a table of handlers
 *   ai_calls    calls of tools                          -> ai_response, ai_out
 *   ai_response what the model says, one at a time      -> ai_turn, ai_history, ai_out
 *   ai_turn     whose turn it is, what people say       -> ai_people, ai_history, ai_out
 *   ai_people   who is there and speaks                 -> ai_out
 *   ai_history  what was said, as text                  -> ai_out
 *   ai_conn     dialling, set-up, renewal, retry        -> ai_out
 *   ai_out      what the provider is told
 *
 * Each object calls only those below it that stand behind its arrow; openai and ai_events call all of them.
 */
#pragma once
#include "bridge/ai_calls.h"
#include "bridge/ai_conn.h"

struct openai {
	struct ai_context cx;
	char *instructions; /* NULL: none */
	struct ai_out out;
	struct ai_conn conn;
	struct ai_history history;
	struct ai_people people;
	struct ai_turn turn;
	struct ai_response response;
	struct ai_calls calls;
};

/* Everything but the connection's first dialling. ERR_NOMEM; ERR_IO: the file with the instructions cannot be read. On an
 * error nothing is left. */
int openai_init(struct openai *a, const struct bridge_opts *opts, const struct bridge_sink *sink, void *sink_ctx,
	const struct log *log);
/* Frees what openai_init() took, once ai_conn_close() has reported. */
void openai_fini(struct openai *a);
