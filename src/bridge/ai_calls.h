/* SPDX-License-Identifier: MIT */
/*
 * ai_calls - the model's calls of tools. A call is named by up to three events (its arguments are whole, its item is, its
 * response is) and begins with the first of them. Its result becomes an item of the conversation, once; when a response is
 * over and all its calls have results, the next response is asked for.
 *
 *   call -> tool -> result sent -> confirmed by the provider
 *
 * A call belongs to its session: what a tool finds after that is lost is dropped, since the next session does not know
 * the call. The model is told so.
 *
 * Uses ai_out, ai_response, tool. One thread, the loop's; no clock; takes no memory of its own.
 */
#pragma once
#include "bridge/ai_response.h"
#include "bridge/tool.h"

enum { AI_CALLS = TOOLS_CALLS }; /* with those whose results are not confirmed */

enum ai_call_state {
	AI_CALL_RUNNING,
	AI_CALL_ANSWERED,  /* its result was sent */
	AI_CALL_CONFIRMED, /* the provider says that it is part of the conversation */
};

struct ai_call {
	char id[AI_ID_MAX];
	char name[AI_NAME_MAX];
	uint64_t number;      /* for the tools */
	uint64_t response;    /* the number of the response that it is a part of */
	enum ai_call_state state;
	bool response_over;
	bool wanted;          /* its result is to be spoken of */
};

struct ai_calls {
	const struct ai_context *cx;
	struct ai_out *out;
	struct ai_response *response;
	struct tools *tools;  /* NULL: none are configured */
	struct ai_call calls[AI_CALLS]; /* oldest first */
	size_t n;
	uint64_t n_numbers;
	bool lost;            /* results were, with the last session */
	char lost_names[200];
};

/* As an event has it; borrowed. */
struct ai_called {
	const char *response, *id, *name, *arguments;
	size_t len;           /* of the arguments, "": it has none */
	bool last;            /* no other event will name it */
};

/* Borrows. Starts the tools where some are configured: ERR_NOMEM. */
int ai_calls_init(struct ai_calls *c, const struct ai_context *cx, struct ai_out *out, struct ai_response *response);
/* Ends all tools; they free themselves on the loop. Accepts a zeroed object. */
void ai_calls_fini(struct ai_calls *c);

/* The model calls. A second event of the same call means nothing. */
void ai_calls_add(struct ai_calls *c, const struct ai_called *called);
/* The response that began last has ended. */
void ai_calls_response_ended(struct ai_calls *c);
/* The result of this call is part of the conversation. */
void ai_calls_confirm(struct ai_calls *c, const char *id);
/* The result of a tool, for struct tools_opts; `ctx` is the struct ai_calls. */
void ai_calls_on_result(void *ctx, uint64_t number, bool good, const char *json, size_t len);

bool ai_calls_running(const struct ai_calls *c);
/* Some results were sent and are not known to be part of the conversation. */
bool ai_calls_unconfirmed(const struct ai_calls *c);

/* Tells the model of results that were lost with the last session, and wants an answer to that. */
void ai_calls_session_began(struct ai_calls *c);
/* Before ai_response_session_ended(): results that wait for silence are lost as well. */
void ai_calls_session_ended(struct ai_calls *c);
