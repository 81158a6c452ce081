/* SPDX-License-Identifier: MIT */
/* Records for a reader that is slow: into a socket whose other end the test reads when it likes. */
#include "support/test.h"

#include "base/err.h"
#include "bridge/record_queue.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SOUND = 320 /* bytes of one record of audio */, MOST_AUDIO = 4 * SOUND, MOST_EVENTS = 1000 };

struct world {
	uv_loop_t loop;
	uv_pipe_t out;
	int reader;
	struct record_queue q;
	size_t samples_dropped;
	unsigned events_dropped, idle;
	char broken[64];
	bool closed;       /* on_broken said that the stream was closed */
	uint8_t next;      /* stamp of the next record of audio */
};

static void on_audio_dropped(void *ctx, size_t samples)
{
	((struct world *)ctx)->samples_dropped += samples;
}

static void on_event_dropped(void *ctx)
{
	((struct world *)ctx)->events_dropped++;
}

static void on_idle(void *ctx)
{
	((struct world *)ctx)->idle++;
}

static void on_broken(void *ctx, const char *why)
{
	struct world *w = ctx;

	w->closed = !why;
	strncpy(w->broken, why ? why : "", sizeof w->broken - 1);
}

static const struct record_queue_events events = {on_audio_dropped, on_event_dropped, on_idle, on_broken};

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof *w);
	int fd[2], small = 4096;

	assert_non_null(w);
	signal(SIGPIPE, SIG_IGN);
	uv_loop_init(&w->loop);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
	uv_pipe_init(&w->loop, &w->out, 0);
	assert_int_equal(uv_pipe_open(&w->out, fd[0]), 0);
	w->reader = fd[1];
	assert_int_equal(record_queue_init(&w->q, MOST_AUDIO, MOST_EVENTS, &events, w), 0);
	record_queue_start(&w->q, (uv_stream_t *)&w->out);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	record_queue_stop(&w->q);
	if (!uv_is_closing((uv_handle_t *)&w->out))
		uv_close((uv_handle_t *)&w->out, NULL);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	record_queue_fini(&w->q);
	assert_int_equal(uv_loop_close(&w->loop), 0);
	close(w->reader);
	free(w);
	return 0;
}

static void send_sound(struct world *w)
{
	uint8_t record[AS_HEAD + SOUND];

	as_put_head(record, AS_AUDIO, SOUND);
	memset(record + AS_HEAD, w->next++, SOUND);
	record_queue_send(&w->q, record, sizeof record);
}

static void send_event(struct world *w, size_t len)
{
	uint8_t record[AS_HEAD + MOST_EVENTS] = {0};

	as_put_head(record, AS_EVENT, len);
	record_queue_send(&w->q, record, AS_HEAD + len);
}

/* Until the kernel takes no more. */
static void fill(struct world *w)
{
	for (int i = 0; i < 1000 && !w->q.writing; i++)
		send_sound(w);
	assert_true(w->q.writing);
	assert_int_equal(w->samples_dropped, 0);
}

/* What the reader has got, after everything was written. */
static size_t read_all(struct world *w, uint8_t *out, size_t size)
{
	size_t n = 0;

	for (int i = 0; i < 1000 && (w->q.writing || w->q.n_waiting > 0 || i < 2); i++) {
		ssize_t got = read(w->reader, out + n, size - n);

		n += got > 0 ? (size_t)got : 0;
		uv_run(&w->loop, UV_RUN_NOWAIT);
	}
	ssize_t got = read(w->reader, out + n, size - n);

	return n + (got > 0 ? (size_t)got : 0);
}

static void a_reader_that_keeps_up_gets_each_record_at_once(void **state)
{
	struct world *w = *state;
	uint8_t got[AS_HEAD + SOUND + 1];

	for (int i = 0; i < 3; i++) {
		send_sound(w);
		assert_int_equal(read(w->reader, got, sizeof got), AS_HEAD + SOUND);
		assert_int_equal(got[AS_HEAD], i);
	}
	assert_false(w->q.writing);
}

static void the_oldest_audio_is_dropped_for_a_slow_reader(void **state)
{
	struct world *w = *state;
	static uint8_t got[1 << 20];

	fill(w);
	uint8_t first = w->next; /* the first that waits */

	for (int i = 0; i < 10; i++)
		send_sound(w);
	assert_int_equal(w->samples_dropped, 6 * SOUND / 2);
	assert_int_equal(w->q.n_audio, MOST_AUDIO);
	size_t n = read_all(w, got, sizeof got);

	assert_int_equal(n % (AS_HEAD + SOUND), 0);
	for (int i = 0; i < 4; i++) /* the last four are the youngest */
		assert_int_equal(got[n - (size_t)(4 - i) * (AS_HEAD + SOUND) + AS_HEAD], (uint8_t)(first + 6 + i));
	assert_int_equal(w->q.n_audio, 0);
	assert_true(w->idle > 0);
}

static void events_are_not_dropped_for_audio(void **state)
{
	struct world *w = *state;
	static uint8_t got[1 << 20];
	size_t events_got = 0;

	fill(w);
	send_event(w, 100);
	for (int i = 0; i < 10; i++)
		send_sound(w);
	size_t n = read_all(w, got, sizeof got);

	for (size_t at = 0; at < n; at += AS_HEAD + ((size_t)got[at + 1] << 8 | got[at + 2]))
		events_got += got[at] == AS_EVENT;
	assert_int_equal(events_got, 1);
	assert_int_equal(w->events_dropped, 0);
}

static void events_have_a_bound_of_their_own(void **state)
{
	struct world *w = *state;

	fill(w);
	send_event(w, MOST_EVENTS - AS_HEAD);
	assert_int_equal(w->events_dropped, 0);
	send_event(w, 1);
	assert_int_equal(w->events_dropped, 1);
	send_sound(w);
	assert_int_equal(w->samples_dropped, 0);
}

static void a_reader_that_is_gone_is_reported(void **state)
{
	struct world *w = *state;

	close(w->reader);
	w->reader = open("/dev/null", O_RDONLY);
	send_sound(w);
	assert_string_equal(w->broken, "it does not read any more");
}

static void waiting_records_are_dropped_when_the_reader_is_gone(void **state)
{
	struct world *w = *state;

	fill(w);
	send_sound(w);
	close(w->reader);
	w->reader = open("/dev/null", O_RDONLY);
	uv_run(&w->loop, UV_RUN_NOWAIT);
	assert_string_equal(w->broken, "it does not read any more");
	assert_int_equal(w->q.n_waiting, 0);
	assert_int_equal(w->q.n_audio, 0);
}

static void closing_the_stream_is_no_fault_of_the_reader(void **state)
{
	struct world *w = *state;

	fill(w);
	uv_close((uv_handle_t *)&w->out, NULL);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	assert_true(w->closed);
	assert_false(w->q.writing);
}

static void without_a_stream_nothing_waits(void **state)
{
	struct world *w = *state;

	record_queue_stop(&w->q);
	send_sound(w);
	assert_int_equal(w->q.n_waiting, 0);
	assert_string_equal(w->broken, "");
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(a_reader_that_keeps_up_gets_each_record_at_once),
		CASE(the_oldest_audio_is_dropped_for_a_slow_reader),
		CASE(events_are_not_dropped_for_audio),
		CASE(events_have_a_bound_of_their_own),
		CASE(a_reader_that_is_gone_is_reported),
		CASE(waiting_records_are_dropped_when_the_reader_is_gone),
		CASE(closing_the_stream_is_no_fault_of_the_reader),
		CASE(without_a_stream_nothing_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
