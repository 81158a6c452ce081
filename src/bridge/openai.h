/* SPDX-License-Identifier: MIT */
/*
 * openai - a voice model behind the OpenAI Realtime dialect (as it is since it became GA, and by the old names of events
 * that some servers kept). The conversation outlives its connections: when one is lost, or grows too old, the next
 * is given what was said so far as text.
 *
 *   openai.c              connections: opening, refusals, pauses, roll-over; the room's calls
 *   openai_session.c      what differs between providers; what is said to them
 *   openai_events.c       what they say
 *   openai_talk.c         utterances as they are heard: barge-in, one response at a time
 *   openai_tools.c        calls of tools, and their answers
 *   openai_people.c       who is there and speaks
 *   openai_history.c      what was said, as text
 */
#pragma once
#include "bridge/bridge.h"
#include "bridge/ear.h"
#include "bridge/json.h"
#include "bridge/tool.h"
#include "bridge/voice.h"
#include "http/websocket.h"

#include <uv.h>

enum {
	AI_RATE_HZ = 24000,        /* of audio/pcm, the only one */
	AI_FRAME_MS = 40,
	AI_WAIT_MS = 160,          /* of what is to be heard, for a provider that is slow */
	AI_LEAD_MS = 320,          /* with the room's own turns: what he said before it was known that he speaks */
	AI_KERNEL_BYTES = 24576,   /* 380 ms; a third of that unsent */
	AI_MESSAGE_MAX = 4 << 20,
	AI_QUEUE_MAX = 1 << 20,    /* a session with all its tools; sixteen of their longest answers */
	AI_SETUP_MS = 15000,       /* from the connection to session.updated */
	AI_ITEMS = 32,             /* utterances that may wait to be heard; the room takes no more either */
	AI_ID_MAX = 96,
	AI_HISTORY = 64,           /* turns kept, and ... */
	AI_HISTORY_BYTES = 16384,  /* ... the text of all of them */
	AI_TURN_BYTES = 4096,      /* of one */
	AI_INSTRUCTIONS_MAX = 65536,
	AI_CALLS = TOOLS_CALLS,    /* of tools, with those whose answers are on their way */
	AI_VOICES = 4,             /* who speak at the same time and are named */
	AI_NAME_MAX = 65,
	AI_SAID_MAX = BRIDGE_TEXT_MAX + AI_NAME_MAX + 3, /* what somebody said, with his name before it */
	AI_LABEL_MAX = AI_VOICES * (AI_NAME_MAX + 5) + 40,
	AI_LABEL_MS = 500,         /* between two of them */
	AI_ANSWER_MS = 1000,       /* after somebody has finished the provider answers him by itself so soon, if it does ... */
	AI_STUCK_MS = 3000,        /* ... and says at least that he has finished */
	AI_ROLL_GRACE_MS = 60000,  /* a quiet moment is waited for so long */
};

enum ai_state {
	AI_RESTS,      /* between two connections: the timer runs */
	AI_CONNECTING,
	AI_SETTING_UP, /* session.update is to be answered */
	AI_READY,
	AI_GIVEN_UP,   /* refused too often: until the room closes us */
};

/* How bad the end of a connection is. */
enum ai_trouble {
	AI_PASSING,    /* try again, after pauses that double */
	AI_BUSY,       /* the same, when it said */
	AI_REFUSED,    /* key, quota, model or options: a person has to do something */
	AI_PLANNED,    /* a session that is old enough: at once, and nobody need know */
};

enum ai_role { AI_USER, AI_ASSISTANT, AI_SYSTEM };

/* A call of a tool. */
struct ai_call {
	char id[AI_ID_MAX];
	char name[AI_NAME_MAX];
	uint64_t number;           /* for the tools */
	uint64_t response;         /* which one it is a part of */
	bool over;                 /* that has ended */
	bool wanted;               /* its answer is to be spoken of */
	bool answered;             /* the provider was sent it ... */
	bool taken;                /* ... and says that it is part of the conversation */
};

struct ai_person {
	uint32_t id;               /* 0: nobody */
	char name[AI_NAME_MAX];
};

/* An utterance of the model's that the room has, or had just now. */
struct ai_item {
	char id[AI_ID_MAX];        /* "": of a session that is over */
	uint64_t number;           /* for the room */
	uint32_t content_index;
	uint64_t received;         /* samples */
	bool done;
};

struct ai_turn {
	bool assistant;
	uint64_t number;           /* of the utterance; 0: none */
	char *text;
};

/* What is being said and not yet whole. */
struct ai_words {
	char id[AI_ID_MAX];
	char text[AI_TURN_BYTES];
	size_t len;
};

struct openai {
	const struct bridge_opts *opts;
	const struct ai_profile *profile;
	const struct bridge_sink *sink;
	void *sink_ctx;
	const struct log *log;
	bool closed;               /* by the room: nothing is said to it any more */
	enum ai_state state;
	struct websocket *ws;      /* NULL: none. One that is closing is not ours any more */
	unsigned n_closing;        /* those */
	uv_timer_t timer;          /* pauses, set-up, age */
	bool timer_closed;
	char *instructions;        /* NULL: none */
	uint64_t ready_at_ms;      /* by the loop's clock */
	unsigned failures;         /* in a row */
	unsigned refusals;
	bool told_down;            /* people know that it is away */
	bool roll_due;             /* the session is old: a quiet moment is waited for */
	enum ai_trouble trouble;   /* what the provider said, before the connection's end */
	uint32_t retry_after_s;
	char why[160];             /* of that */
	struct ear ear;
	struct voice voice;
	struct json_pool json;
	struct buf out;            /* the message in the making */
	uint64_t n_sent;           /* for event_id */

	/* the conversation */
	struct ai_item items[AI_ITEMS]; /* oldest first */
	size_t n_items;
	bool responding;           /* between response.created and response.done */
	bool create_due;           /* a response is wanted as soon as there is none */
	bool greeted, greeting_due;
	char response[AI_ID_MAX];  /* the one that is or was last */
	char ignored[AI_ID_MAX];   /* whose sound is not wanted any more */
	bool server_interrupts;    /* it cancels by itself when somebody speaks */
	bool speech;               /* somebody is speaking, as the room tells */
	uint32_t unsent_ms;        /* heard since the last commit (turn_detection "room") */
	uint32_t quiet_ms;         /* since somebody was */
	bool turn_open;            /* the provider hears somebody speak, and may answer him */
	uint64_t turn_began_ms, turn_ended_ms; /* by the loop's clock; ended: 0: he has not finished */
	struct ai_person speaker;  /* who spoke last */
	struct ai_person said_by;  /* who spoke what is being transcribed */
	uint32_t n_people;
	struct ai_person voices[AI_VOICES]; /* who speak now, as they began to */
	size_t n_voices;
	char label[AI_LABEL_MAX];  /* what the model was told last of who speaks */
	uint64_t labelled_at_ms;
	enum bridge_mode mode;
	bool may_answer;           /* as the provider was told last */
	struct tools *tools;       /* NULL: none */
	struct ai_call calls[AI_CALLS]; /* oldest first */
	size_t n_calls;
	uint64_t call_numbers, n_responses;
	bool results_due;          /* as create_due, for what tools have found */
	bool calls_lost;           /* with the last session */
	char lost_names[200];
	struct ai_words heard, said; /* by people; by the model */

	struct ai_turn history[AI_HISTORY];
	size_t n_history, history_bytes;
};

/* What differs between providers. */
/* Plain facts; the only thing that a new provider should need. */
struct ai_profile {
	const char *url;           /* NULL: must be configured */
	const char *key_header;    /* its value is the key alone; NULL: Authorization: Bearer */
	const char *key_env;       /* where its users have their key; NULL: none is needed */
	uint32_t session_max_s;    /* its own limit, less a minute or two */
	bool flat;                 /* session.update as it was in the beta */
	bool truncates;            /* knows conversation.item.truncate, and means it */
};
const struct ai_profile *ai_profile(enum bridge_profile p);

/* --- openai.c --- */

/* The provider has said why it is about to end, or why we must. The most serious stands. */
void ai_trouble(struct openai *a, enum ai_trouble t, const char *why);
/* The connection is of no use any more. */
void ai_hang_up(struct openai *a);
void ai_ready(struct openai *a); /* session.updated came */

/* --- openai_session.c: the provider is told --- */

void ai_send_session(struct openai *a);
void ai_send_frame(struct openai *a, const uint8_t *pcm16, size_t n);
void ai_send_commit(struct openai *a);
void ai_send_response(struct openai *a, const char *instructions); /* NULL: none of its own */
void ai_send_cancel(struct openai *a);
void ai_send_truncate(struct openai *a, const struct ai_item *it, uint64_t ms);
void ai_send_delete(struct openai *a, const struct ai_item *it);
void ai_send_turn(struct openai *a, enum ai_role role, const char *text);
/* Whether it is to answer by itself who has spoken. */
void ai_send_turn_detection(struct openai *a);
/* Of a tool; returns whether it could not be sent. */
int ai_send_output(struct openai *a, const char *call, const char *json, size_t len);

/* --- openai_events.c: it says --- */

void ai_take(struct openai *a, yyjson_val *event);

/* --- openai_talk.c --- */

void ai_speech(struct openai *a, const char *response, const char *item, uint32_t content_index, const char *base64,
	size_t len);
void ai_item_done(struct openai *a, const char *item);
/* What the response that runs has still to say is not wanted. `cancel`: and the server is to be told. */
void ai_stop_response(struct openai *a, bool cancel);
/* The room took back what was waiting: the model must not think that it was heard. */
void ai_interrupted(struct openai *a, uint64_t number, uint32_t heard_ms);
void ai_response_began(struct openai *a, const char *id);
void ai_response_ended(struct openai *a, const char *id);
void ai_want_response(struct openai *a);
/* The same, but not while somebody speaks: the provider answers him with what is new. */
void ai_want_results(struct openai *a);
/* Once a tick. */
void ai_talk_tick(struct openai *a);
void ai_set_mode(struct openai *a, enum bridge_mode mode);
/* A new connection knows nothing of all this. */
void ai_forget_talk(struct openai *a);

/* --- openai_tools.c --- */

/* As an event has it; borrowed. */
struct ai_said_call {
	const char *id, *name, *arguments;
	size_t len;                /* of the arguments */
	bool last;                 /* no other event will name it */
};
/* The model calls; said again of the same call it means nothing. */
void ai_call(struct openai *a, const char *response, const struct ai_said_call *said);
/* The response that was begun last has ended. */
void ai_calls_over(struct openai *a);
/* The answer to this call is part of the conversation. */
void ai_call_taken(struct openai *a, const char *id);
bool ai_calls_run(const struct openai *a);
/* Some were sent and are not known to be taken. */
bool ai_answers_under_way(const struct openai *a);
void ai_forget_calls(struct openai *a);
/* To a new session, of calls that went with the last. */
void ai_tell_lost_calls(struct openai *a);
/* For struct tools_opts. */
void ai_on_tool(void *ctx, uint64_t number, bool good, const char *json, size_t len);

/* --- openai_people.c --- */

void ai_person_joined(struct openai *a, uint32_t id, const char *name);
void ai_person_left(struct openai *a, uint32_t id);
void ai_person_speaks(struct openai *a, uint32_t id, const char *name, bool speaking);
/* Once a tick: tells the model who speaks, if that is another one. */
void ai_label(struct openai *a, uint64_t now_ms);
/* "Ann: text" where the model is told who speaks. */
void ai_attribute(const struct openai *a, const struct ai_person *who, const char *text, char out[AI_SAID_MAX]);

/* --- openai_history.c --- */

void ai_remember(struct openai *a, bool assistant, uint64_t number, const char *text);
/* Of this utterance only `part` (0..1) was heard. */
void ai_remember_part(struct openai *a, uint64_t number, double part);
void ai_replay(struct openai *a);
void ai_forget_history(struct openai *a);
/* How much of a text fits into `len` bytes in whole characters. */
size_t ai_cut(const char *text, size_t len);
/* Begins again where `id` is another one. Returns whether something was added. */
bool ai_words_add(struct ai_words *w, const char *id, const char *text);
