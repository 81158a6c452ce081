/* SPDX-License-Identifier: MIT */
/* Two sides of a WebSocket without a socket between them: what one sends lies here until the other is given it. */
#include "support/test.h"

#include "base/err.h"
#include "http/ws_frames.h"

#include <stdlib.h>
#include <string.h>

enum { MESSAGE_MAX = 1000, QUEUE_MAX = 4000 };

struct side {
	struct ws_frames frames;
	uint8_t sent[16384]; /* and not yet received by the other */
	size_t n_sent;
	size_t downstream;   /* what it claims to have queued below */
	int refuses;         /* what sending fails with */
	char last[MESSAGE_MAX + 1];
	unsigned n_texts, n_binaries;
	bool closes;         /* as soon as a message comes */
	bool over;
	struct ws_frames_end end;
};

struct pair {
	struct side client, server;
};

static int on_send(void *ctx, const uint8_t *p, size_t len)
{
	struct side *s = ctx;

	if (s->refuses)
		return s->refuses;
	assert_true(s->n_sent + len <= sizeof s->sent);
	memcpy(s->sent + s->n_sent, p, len);
	s->n_sent += len;
	return 0;
}

static size_t on_queued(void *ctx)
{
	return ((struct side *)ctx)->downstream;
}

static void on_message(void *ctx, bool text, const uint8_t *p, size_t len)
{
	struct side *s = ctx;

	assert_true(len <= MESSAGE_MAX);
	memcpy(s->last, p, len);
	s->last[len] = '\0';
	s->n_texts += text;
	s->n_binaries += !text;
	if (s->closes)
		assert_int_equal(ws_frames_close(&s->frames, 4000, "enough"), 0);
}

static const struct ws_frames_io io = {.send = on_send, .queued = on_queued, .on_message = on_message};

static int setup(void **state)
{
	struct pair *p = calloc(1, sizeof *p);

	assert_non_null(p);
	assert_int_equal(ws_frames_init(&p->client.frames, WS_CLIENT, MESSAGE_MAX, QUEUE_MAX, &io, &p->client), 0);
	assert_int_equal(ws_frames_init(&p->server.frames, WS_SERVER, MESSAGE_MAX, QUEUE_MAX, &io, &p->server), 0);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct pair *p = *state;

	ws_frames_fini(&p->client.frames);
	ws_frames_fini(&p->server.frames);
	free(p);
	return 0;
}

static bool give(struct side *to, const uint8_t *p, size_t len)
{
	if (!to->over)
		to->over = !ws_frames_receive(&to->frames, p, len, &to->end);
	return !to->over;
}

/* Everything that `from` has sent, in pieces of `step` bytes. */
static void deliver(struct side *from, struct side *to, size_t step)
{
	uint8_t bytes[sizeof from->sent];
	size_t n = from->n_sent;

	memcpy(bytes, from->sent, n);
	from->n_sent = 0;
	for (size_t at = 0; at < n; at += step)
		give(to, bytes + at, n - at < step ? n - at : step);
}

static int send_text(struct side *s, const char *text)
{
	int broken, err = ws_frames_send(&s->frames, true, text, strlen(text), &broken);

	return err ? err : broken;
}

static void messages_pass_in_both_directions_and_in_any_pieces(void **state)
{
	struct pair *p = *state;
	int broken;

	for (size_t step = 1; step <= 64; step *= 4) {
		assert_int_equal(send_text(&p->client, "hello"), 0);
		deliver(&p->client, &p->server, step);
		assert_string_equal(p->server.last, "hello");
		assert_int_equal(ws_frames_send(&p->server.frames, false, "\1\2", 2, &broken), 0);
		deliver(&p->server, &p->client, step);
		assert_string_equal(p->client.last, "\1\2");
	}
	assert_int_equal(p->server.n_texts, 4);
	assert_int_equal(p->client.n_binaries, 4);
}

static void only_a_client_masks(void **state)
{
	struct pair *p = *state;

	assert_int_equal(send_text(&p->client, "visible"), 0);
	assert_int_equal(send_text(&p->server, "visible"), 0);
	assert_int_equal(p->client.sent[1], 0x80 | 7);
	assert_int_equal(p->server.sent[1], 7);
	assert_null(memmem(p->client.sent, p->client.n_sent, "visible", 7));
	assert_memory_equal(p->server.sent + 2, "visible", 7);
}

static void a_server_refuses_what_is_not_masked(void **state)
{
	struct pair *p = *state;

	assert_false(give(&p->server, (const uint8_t *)"\x81\x02hi", 4));
	assert_int_equal(p->server.end.err, ERR_MALFORMED);
	assert_string_equal(p->server.end.what, "what came is not a WebSocket frame");
	assert_int_equal(p->server.n_texts, 0);
	deliver(&p->server, &p->client, 100); /* it said so */
	assert_true(p->client.over);
	assert_int_equal(p->client.end.close_code, 1002);
}

static void a_message_that_is_too_long_ends_it(void **state)
{
	struct pair *p = *state;
	char text[MESSAGE_MAX + 2];

	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	assert_int_equal(send_text(&p->client, text), 0);
	deliver(&p->client, &p->server, 300);
	assert_true(p->server.over);
	assert_int_equal(p->server.end.err, ERR_LIMIT);
	assert_string_equal(p->server.end.what, "a message is longer than 1000 bytes");
}

static void a_text_must_be_utf8(void **state)
{
	struct pair *p = *state;

	assert_int_equal(send_text(&p->client, "\xff"), 0);
	deliver(&p->client, &p->server, 100);
	assert_int_equal(p->server.end.err, ERR_MALFORMED);
	assert_string_equal(p->server.end.what, "a text message is not UTF-8");
}

static void a_full_queue_takes_nothing(void **state)
{
	struct pair *p = *state;

	p->client.downstream = QUEUE_MAX - 20;
	assert_int_equal(send_text(&p->client, "1234567"), ERR_LIMIT);
	assert_int_equal(p->client.n_sent, 0);
	assert_int_equal(send_text(&p->client, "123456"), 0);
	assert_int_equal(ws_frames_queued(&p->client.frames), QUEUE_MAX - 20);
}

static void a_failure_to_send_is_reported(void **state)
{
	struct pair *p = *state;

	p->client.refuses = ERR_LIMIT;
	assert_int_equal(send_text(&p->client, "x"), ERR_LIMIT);
	p->server.refuses = ERR_IO;
	p->client.refuses = 0;
	assert_int_equal(ws_frames_flush(&p->server.frames), 0); /* nothing to send */
	assert_false(give(&p->server, (const uint8_t *)"\x89\x80zzzz", 6)); /* a ping; the pong cannot go */
	assert_int_equal(p->server.end.err, ERR_IO);
}

static void a_quiet_side_is_pinged_and_then_given_up(void **state)
{
	struct pair *p = *state;
	int broken;

	assert_true(ws_frames_ping(&p->client.frames, &broken));
	assert_true(p->client.n_sent > 0);
	deliver(&p->client, &p->server, 100);
	deliver(&p->server, &p->client, 100); /* the pong */
	assert_true(ws_frames_ping(&p->client.frames, &broken));
	assert_int_equal(p->client.n_sent, 0); /* it was not quiet */
	assert_true(ws_frames_ping(&p->client.frames, &broken));
	assert_true(p->client.n_sent > 0);
	assert_false(ws_frames_ping(&p->client.frames, &broken));
}

static void a_close_goes_behind_what_waits_and_is_answered(void **state)
{
	struct pair *p = *state;
	char reason[200];

	memset(reason, 'r', sizeof reason - 1);
	reason[sizeof reason - 1] = '\0';
	assert_int_equal(send_text(&p->client, "last"), 0);
	assert_int_equal(ws_frames_close(&p->client.frames, 1001, reason), 0);
	assert_int_equal(send_text(&p->client, "too late"), ERR_STATE);
	deliver(&p->client, &p->server, 7);
	assert_string_equal(p->server.last, "last");
	assert_true(p->server.over);
	assert_int_equal(p->server.end.err, 0);
	assert_int_equal(p->server.end.close_code, 1001);
	assert_string_equal(p->server.end.what, "closed by the other side with code 1001");
	deliver(&p->server, &p->client, 100);
	assert_true(p->client.over);
	assert_int_equal(p->client.end.close_code, 1001);
}

static void closing_from_a_message_drops_those_that_follow(void **state)
{
	struct pair *p = *state;

	p->server.closes = true;
	assert_int_equal(send_text(&p->client, "first"), 0);
	assert_int_equal(send_text(&p->client, "second"), 0);
	deliver(&p->client, &p->server, 1000);
	assert_string_equal(p->server.last, "first");
	assert_int_equal(p->server.n_texts, 1);
	deliver(&p->server, &p->client, 1000);
	assert_int_equal(p->client.end.close_code, 4000);
}

static void a_zeroed_one_may_be_flushed_and_finished(void **state)
{
	struct ws_frames f = {0};

	(void)state;
	assert_false(ws_frames_is_open(&f));
	assert_int_equal(ws_frames_flush(&f), 0);
	assert_int_equal(ws_frames_queued(&f), 0);
	ws_frames_stop(&f);
	ws_frames_fini(&f);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(messages_pass_in_both_directions_and_in_any_pieces),
		CASE(only_a_client_masks),
		CASE(a_server_refuses_what_is_not_masked),
		CASE(a_message_that_is_too_long_ends_it),
		CASE(a_text_must_be_utf8),
		CASE(a_full_queue_takes_nothing),
		CASE(a_failure_to_send_is_reported),
		CASE(a_quiet_side_is_pinged_and_then_given_up),
		CASE(a_close_goes_behind_what_waits_and_is_answered),
		CASE(closing_from_a_message_drops_those_that_follow),
		CASE(a_zeroed_one_may_be_flushed_and_finished),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
