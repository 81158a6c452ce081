/* SPDX-License-Identifier: MIT */
/*
 * ai_out - the client events of the OpenAI Realtime dialect: each is written as JSON into one buffer and sent at once. It
 * knows what differs between providers and nothing of the conversation.
 *
 *   the objects of the conversation -> ai_out -> transport (the WebSocket of ai_conn; a recorder in tests)
 *
 * One thread, the loop's; no clock. Takes memory when an event is longer than all before it, up to AI_QUEUE_MAX.
 * Sending may end the session before it returns: look at `ready` after it.
 */
#pragma once
#include "base/buf.h"
#include "bridge/ai_context.h"

enum {
	AI_FRAME_MS = 40,
	AI_QUEUE_MAX = 1 << 20, /* a session with all its tools; sixteen of their longest results */
};

enum ai_role { AI_USER, AI_ASSISTANT, AI_SYSTEM };

struct ai_transport {
	/* Copies. ERR_LIMIT, ERR_NOMEM: the event was not sent; ERR_STATE: nothing can be sent any more. */
	int (*send)(void *ctx, const void *text, size_t len);
	/* Bytes that the kernel would not take: more than 0 means that the provider is slow. */
	size_t (*unsent)(void *ctx);
	/* The session is of no use any more. */
	void (*fail)(void *ctx, const char *why);
};

struct ai_out {
	const struct ai_context *cx;
	const struct ai_transport *transport;
	void *transport_ctx;
	bool ready;            /* the session is set up. Before that only session.update is sent, all else is dropped */
	bool create_response;  /* the provider answers by itself, as it was last asked to */
	struct buf event;      /* the one in the making */
	int err;               /* of that; the first one stands */
	uint64_t n_events;     /* for event_id */
};

/* Borrows everything until ai_out_fini(). */
void ai_out_init(struct ai_out *o, const struct ai_context *cx, const struct ai_transport *transport, void *transport_ctx);
void ai_out_fini(struct ai_out *o);

/* session.update with the whole configuration. `create_response`: the provider answers by itself when a turn has ended. */
void ai_out_session(struct ai_out *o, bool create_response);
/* The same with nothing but that, if it has changed and the provider detects turns. */
void ai_out_create_response(struct ai_out *o, bool create_response);

/* input_audio_buffer.append: `n` samples, AI_FRAME_MS at most, 16 bits little endian. */
void ai_out_audio(struct ai_out *o, const uint8_t *pcm16, size_t n);
void ai_out_commit(struct ai_out *o);
/* response.create. `instructions` NULL: none of its own. */
void ai_out_response(struct ai_out *o, const char *instructions);
void ai_out_cancel(struct ai_out *o, const char *response);
void ai_out_truncate(struct ai_out *o, const char *item, uint32_t content_index, uint64_t end_ms);
void ai_out_delete(struct ai_out *o, const char *item);
/* conversation.item.create with a text. */
void ai_out_text(struct ai_out *o, enum ai_role role, const char *text);
/* conversation.item.create with the result of a tool, a JSON document. Returns the transport's error; ERR_STATE: not ready. */
int ai_out_result(struct ai_out *o, const char *call, const char *json, size_t len);

size_t ai_out_unsent(struct ai_out *o);
void ai_out_fail(struct ai_out *o, const char *why);
