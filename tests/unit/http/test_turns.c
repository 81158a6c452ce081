/* SPDX-License-Identifier: MIT */
/*
 * What the server does when it is its turn, step by step, with a clock of the test's: who comes first, how much is done at
 * once, and what is left when connections, descriptors or memory run out. Linked with wrappers around malloc() and calloc().
 */
#include "support/http_turns.h"
#include "support/test.h"

#include "http/tls_stream.h"
#include "unit/http/pem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FEW_FDS = 64, RESERVE = FEW_FDS / 4, CLIENT_FDS = 300, CLIENTS = 128 };

/* --- memory ------------------------------------------------------------------------------- */

static int allocations_left = -1; /* then one fails; below 0: none does */

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);

static bool fails(void)
{
	return allocations_left >= 0 && allocations_left-- == 0;
}

void *__wrap_malloc(size_t n)
{
	return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

/* --- world -------------------------------------------------------------------------------- */

struct world {
	uv_loop_t loop;
	struct http_server *server;
	struct http_opts opts;
	uint16_t port;
	nsec now;
	unsigned served, served_at[10]; /* of "/0" to "/9" */
	struct http_deferred *later[4]; /* of "/later" */
	unsigned n_later;
	int client[CLIENTS];
	unsigned n_clients;
	rlim_t fds;
};

static void handle(void *ctx, const struct http_request *req, struct http_response *res)
{
	struct world *w = ctx;

	w->served++;
	if (req->path[1] >= '0' && req->path[1] <= '9')
		w->served_at[req->path[1] - '0']++;
	if (!strcmp(req->path, "/later")) {
		w->later[w->n_later++] = http_defer(req);
		return;
	}
	res->body = "copied when the handler has returned";
	res->len = strlen(res->body);
}

static void may_have_fds(struct world *w, rlim_t n)
{
	struct rlimit most;

	(void)w;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &most), 0);
	most.rlim_cur = n;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &most), 0);
}

static void start(struct world *w)
{
	static const struct log quiet = {0};

	assert_int_equal(http_server_new(&w->loop, &w->opts, handle, w, &quiet, &w->server), 0);
	assert_int_equal(http_server_listen(w->server, "127.0.0.1", 0, false, &w->port), 0);
}

/* One that can have `n` descriptors; what comes from here are its clients', which have others. */
static void start_with_fds(struct world *w, rlim_t n)
{
	may_have_fds(w, n);
	start(w);
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof *w);
	struct rlimit most;

	assert_non_null(w);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &most), 0);
	w->fds = most.rlim_cur;
	w->now = nsec_from_ms(1000000);
	uv_loop_init(&w->loop);
	http_opts_default(&w->opts);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	allocations_left = -1;
	may_have_fds(w, w->fds);
	for (unsigned i = 0; i < w->n_clients; i++)
		close(w->client[i]);
	http_server_close(w->server, NULL, NULL);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&w->loop), 0);
	free(w);
	return 0;
}

/* --- clients ------------------------------------------------------------------------------ */

/* Its descriptor is beyond those that a server with few of them may have. */
static int dial(struct world *w)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(w->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct rlimit most;

	getrlimit(RLIMIT_NOFILE, &most);
	may_have_fds(w, w->fds);
	int low = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd = fcntl(low, F_DUPFD_CLOEXEC, CLIENT_FDS);

	assert_true(low >= 0 && fd >= CLIENT_FDS && w->n_clients < CLIENTS);
	close(low);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0); /* the backlog takes it */
	may_have_fds(w, most.rlim_cur);
	w->client[w->n_clients++] = fd;
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static void say_times(int fd, const char *text, int n)
{
	while (n-- > 0)
		say(fd, text);
}

/* The loop alone, until it has nothing to do. */
static void poll_all(struct world *w)
{
	for (int i = 0; i < 20; i++)
		uv_run(&w->loop, UV_RUN_NOWAIT);
}

/* Everything that can be done. */
static void do_all(struct world *w)
{
	for (int i = 0; i < 20; i++) {
		uv_run(&w->loop, UV_RUN_NOWAIT);
		while (http_server_run_next(w->server, w->now))
			;
	}
}

/* The same, and time goes on until it makes work. */
static void do_all_in_time(struct world *w)
{
	do_all(w);
	while (!http_server_due(w->server))
		uv_run(&w->loop, UV_RUN_ONCE);
	do_all(w);
}

/* What has come so far. */
static const char *heard(int fd)
{
	static char text[65536];
	size_t len = 0;
	ssize_t n;

	while ((n = recv(fd, text + len, sizeof text - 1 - len, MSG_DONTWAIT)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	return text;
}

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static bool is_closed(int fd)
{
	char c;

	return recv(fd, &c, 1, MSG_DONTWAIT | MSG_PEEK) == 0 || (errno != EAGAIN && errno != 0);
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"

static void must_answer(struct world *w)
{
	int fd = dial(w);

	say(fd, GET("/"));
	do_all(w);
	assert_true(begins(heard(fd), "HTTP/1.1 200"));
}

/* --- turns -------------------------------------------------------------------------------- */

static void nothing_is_done_without_the_owner(void **state)
{
	struct world *w = *state;
	int fd;

	start(w);
	assert_false(http_server_due(w->server));
	fd = dial(w);
	say(fd, GET("/"));
	poll_all(w);
	assert_true(http_server_due(w->server));
	assert_int_equal(http_server_stats(w->server)->conns_accepted, 0);
	assert_true(http_server_run_next(w->server, w->now));
	poll_all(w);
	assert_int_equal(http_server_stats(w->server)->conns_accepted, 1);
	assert_int_equal(w->served, 0);
	do_all(w);
	assert_int_equal(w->served, 1);
	assert_false(http_server_due(w->server));
	assert_false(http_server_run_next(w->server, w->now));
}

static void a_turn_is_one_request_and_connections_take_turns(void **state)
{
	enum { N = 3, EACH = 30 };
	static const char *const ask[N] = {GET("/0"), GET("/1"), GET("/2")};
	struct world *w = *state;

	start(w);
	for (int i = 0; i < N; i++)
		say_times(dial(w), ask[i], i == 0 ? 5 * EACH : EACH);
	for (unsigned before = 0; w->served < N * EACH; before = w->served) {
		uv_run(&w->loop, UV_RUN_NOWAIT);
		http_server_run_next(w->server, w->now);
		assert_true(w->served <= before + 1);
		assert_true(w->served_at[0] <= w->served_at[1] + 4 && w->served_at[0] <= w->served_at[2] + 4);
	}
	assert_true(w->served_at[1] >= EACH - 4 && w->served_at[2] >= EACH - 4);
}

/* Who comes is not kept waiting by those who are there, nor the other way round. */
static void newcomers_and_connections_take_turns(void **state)
{
	struct world *w = *state;
	unsigned accepted;

	start(w);
	for (int i = 0; i < 10; i++)
		say_times(dial(w), GET("/0"), 10);
	do_all(w);
	assert_int_equal(w->served, 100);
	for (int i = 0; i < 10; i++)
		say(w->client[i], GET("/0"));
	for (int i = 0; i < 10; i++)
		dial(w);
	poll_all(w);
	accepted = (unsigned)http_server_stats(w->server)->conns_accepted;
	for (int i = 0; i < 10; i++)
		http_server_run_next(w->server, w->now);
	assert_int_equal(w->served, 105);
	assert_int_equal(http_server_stats(w->server)->conns_accepted, accepted + 5);
}

/* What follows a response is a turn, too: the next piece of it, or the next request. */
static void the_rest_of_a_response_waits_for_its_turn(void **state)
{
	struct world *w = *state;
	int fd;

	start(w);
	fd = dial(w);
	do_all(w);
	say(fd, GET("/0"));
	poll_all(w);
	assert_true(http_server_run_next(w->server, w->now));
	poll_all(w);
	assert_true(http_server_due(w->server));
	do_all(w);
	assert_false(http_server_due(w->server));
}

struct tls_client {
	struct tls_stream *stream;
	bool open;
	unsigned *n_open;
};

static void on_open(void *ctx)
{
	struct tls_client *c = ctx;

	c->open = true;
	(*c->n_open)++;
}

static void on_data(void *ctx, const uint8_t *p, size_t len)
{
	(void)ctx, (void)p, (void)len;
}

static void on_sent(void *ctx)
{
	(void)ctx;
}

static void on_end(void *ctx, int err)
{
	(void)ctx, (void)err;
}

static void on_closed(void *ctx)
{
	(void)ctx;
}

static const struct tls_stream_events client_events = {on_open, on_data, on_sent, on_end, on_closed, NULL};

static void handshakes_of_tls_wait_for_their_turn(void **state)
{
	enum { N = 12 };
	static const struct log quiet = {0};
	const struct tls_client_opts insecure = {.insecure = true};
	struct world *w = *state;
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct tls_client client[N] = {0};
	struct tls_context *tls;
	unsigned n_open = 0;
	struct pem pem;

	make_pem(&pem, "localhost");
	assert_int_equal(http_server_new(&w->loop, &w->opts, handle, w, &quiet, &w->server), 0);
	assert_int_equal(http_server_set_certificate(w->server, pem.chain, pem.key), 0);
	assert_int_equal(http_server_listen(w->server, "127.0.0.1", 0, true, &w->port), 0);
	assert_int_equal(tls_context_client(&insecure, &tls), 0);
	a.sin_port = htons(w->port);
	for (int i = 0; i < N; i++) {
		client[i].n_open = &n_open;
		assert_int_equal(tls_stream_connect(&w->loop, (struct sockaddr *)&a, tls, "localhost", 65536, &client_events, &client[i], &client[i].stream), 0);
	}
	poll_all(w);
	assert_int_equal(n_open, 0);
	for (unsigned steps = 1; n_open < N; steps++) {
		assert_true(http_server_run_next(w->server, w->now));
		poll_all(w);
		assert_true(n_open <= steps / 2); /* to accept, then one flight */
		assert_true(steps < 5 * N);
	}
	for (int i = 0; i < N; i++)
		tls_stream_close(client[i].stream);
	tls_context_unref(tls);
}

/* --- requests a second -------------------------------------------------------------------- */

static void more_requests_than_allowed_end_with_429(void **state)
{
	struct world *w = *state;
	const char *text;
	int fd;

	w->opts.requests_per_second = 5;
	start(w);
	fd = dial(w);
	say_times(fd, GET("/0"), 9);
	do_all(w);
	assert_int_equal(w->served, 5);
	text = heard(fd);
	assert_true(begins(text, "HTTP/1.1 200"));
	text = strstr(text, "HTTP/1.1 429");
	assert_non_null(text);
	assert_non_null(strstr(text, "\r\nConnection: close\r\n"));
	assert_non_null(strstr(text, "\r\nContent-Type: text/plain"));
	assert_null(strstr(text + 1, "HTTP/1.1"));
	assert_true(is_closed(fd));
	assert_int_equal(http_server_stats(w->server)->requests_limited, 1);
	must_answer(w); /* another connection is another matter */
}

static void requests_at_the_rate_are_served_for_ever(void **state)
{
	struct world *w = *state;
	int fd;

	w->opts.requests_per_second = 5;
	start(w);
	fd = dial(w);
	say_times(fd, GET("/0"), 5); /* what a page asks for at once */
	do_all(w);
	for (int i = 0; i < 50; i++) {
		w->now += nsec_from_ms(200);
		say(fd, GET("/0"));
		do_all(w);
		heard(fd);
	}
	assert_int_equal(w->served, 55);
	assert_int_equal(http_server_stats(w->server)->requests_limited, 0);
	w->now += nsec_from_ms(3600000);
	say_times(fd, GET("/0"), 6); /* an hour of silence buys no more than a second */
	do_all(w);
	assert_int_equal(w->served, 60);
}

/* --- places ------------------------------------------------------------------------------- */

static void all_that_wait_for_us_are_served_before_others_come(void **state)
{
	enum { PLACES = 2 };
	struct world *w = *state;
	int fd[PLACES + 1];

	w->opts.max_conns = PLACES;
	start(w);
	for (int i = 0; i < PLACES; i++)
		fd[i] = dial(w);
	do_all(w);
	for (int i = 0; i < PLACES; i++)
		say(fd[i], GET("/0"));
	poll_all(w);
	fd[PLACES] = dial(w);
	say(fd[PLACES], GET("/0"));
	do_all_in_time(w);
	for (int i = 0; i <= PLACES; i++)
		assert_true(begins(heard(fd[i]), "HTTP/1.1 200"));
	assert_int_equal(http_server_stats(w->server)->conns_refused, 0);
	assert_int_equal(http_server_stats(w->server)->conns_displaced, 1); /* when it had had its answer */
}

static void where_all_are_being_answered_others_are_told(void **state)
{
	struct world *w = *state;
	const struct http_response res = http_response_of(200);
	const char *text;
	int fd;

	w->opts.max_conns = 2;
	start(w);
	say(dial(w), GET("/later"));
	say(dial(w), GET("/later"));
	do_all(w);
	assert_int_equal(w->n_later, 2);
	fd = dial(w);
	say(fd, GET("/"));
	do_all_in_time(w);
	text = heard(fd);
	assert_true(begins(text, "HTTP/1.1 503"));
	assert_non_null(strstr(text, "\r\nContent-Type: text/plain"));
	assert_non_null(strstr(text, "\r\n\r\nservice unavailable\n"));
	assert_true(is_closed(fd));
	assert_int_equal(http_server_stats(w->server)->conns_refused, 1);
	for (unsigned i = 0; i < w->n_later; i++)
		http_respond(w->later[i], &res);
	do_all(w);
	must_answer(w);
}

/* --- descriptors -------------------------------------------------------------------------- */

/* How many could be opened now. */
static int free_fds(void)
{
	int fd[FEW_FDS], n = 0;

	while (n < FEW_FDS && (fd[n] = dup(STDERR_FILENO)) >= 0)
		n++;
	for (int i = 0; i < n; i++)
		close(fd[i]);
	return n;
}

static int take_all_fds(int *fd)
{
	int n = 0;

	while ((fd[n] = dup(STDERR_FILENO)) >= 0)
		n++;
	return n;
}

static void give_back(const int *fd, int n)
{
	while (n > 0)
		close(fd[--n]);
}

static void silent_connections_leave_descriptors_to_others(void **state)
{
	struct world *w = *state;

	start_with_fds(w, FEW_FDS);
	for (int i = 0; i < 100; i++) {
		dial(w);
		if (i % 10 == 0)
			do_all(w);
	}
	do_all(w);
	assert_true(free_fds() >= RESERVE);
	assert_true(http_server_stats(w->server)->conns > 10); /* and no more than needed are closed */
	must_answer(w);
	assert_true(free_fds() >= RESERVE);
	assert_int_equal(http_server_stats(w->server)->conns_refused, 0);
}

static void others_may_take_the_whole_reserve(void **state)
{
	struct world *w = *state;
	int fd[FEW_FDS], n;

	start_with_fds(w, FEW_FDS);
	for (int i = 0; i < 60; i++)
		dial(w);
	do_all(w);
	n = take_all_fds(fd);
	assert_true(n >= RESERVE);
	for (int i = 0; i < 20; i++) {
		dial(w);
		do_all(w);
	}
	must_answer(w);
	give_back(fd, n);
	n = take_all_fds(fd);
	assert_true(n >= RESERVE);
	give_back(fd, n);
}

static void without_a_descriptor_the_idle_give_up_theirs(void **state)
{
	struct world *w = *state;
	int fd[FEW_FDS], n;

	start_with_fds(w, FEW_FDS);
	for (int i = 0; i < 5; i++)
		dial(w);
	do_all(w);
	n = take_all_fds(fd);
	must_answer(w);
	assert_true(http_server_stats(w->server)->conns_displaced >= 1);
	give_back(fd, n);
}

static void without_any_descriptor_there_is_an_answer(void **state)
{
	struct world *w = *state;
	int fd[FEW_FDS], n, client;

	start_with_fds(w, FEW_FDS);
	n = take_all_fds(fd);
	for (int i = 0; i < 3; i++) {
		client = dial(w);
		say(client, GET("/"));
		do_all(w);
		assert_true(begins(heard(client), "HTTP/1.1 503"));
		assert_true(is_closed(client));
	}
	assert_false(http_server_due(w->server));
	give_back(fd, n);
	must_answer(w);
}

/* Not even for an answer. */
static void without_even_a_spare_one_they_wait_and_cost_nothing(void **state)
{
	struct world *w = *state;
	int client;

	start(w);
	client = dial(w);
	say(client, GET("/"));
	may_have_fds(w, 3);
	poll_all(w);
	assert_true(http_server_run_next(w->server, w->now));
	poll_all(w);
	assert_false(http_server_due(w->server));
	may_have_fds(w, w->fds);
	do_all_in_time(w);
	assert_true(begins(heard(client), "HTTP/1.1 200"));
}

/* --- memory ------------------------------------------------------------------------------- */

/* Whichever allocation fails: an answer with a type or none, and the next one is served. */
static void without_memory_it_goes_on_accepting(void **state)
{
	struct world *w = *state;
	bool all = false;
	unsigned refused = 0, failed = 0;

	start(w);
	for (int n = 0; !all; n++) {
		int fd = dial(w);

		say(fd, GET("/0"));
		allocations_left = n;
		do_all(w);
		all = allocations_left >= 0;
		allocations_left = -1;
		const char *text = heard(fd);

		refused += begins(text, "HTTP/1.1 503");
		failed += begins(text, "HTTP/1.1 500");
		assert_true(*text == '\0' || strstr(text, "\r\nContent-Type: "));
		assert_true(*text != '\0' || is_closed(fd));
		must_answer(w);
		assert_true(n < 50);
	}
	assert_true(refused >= 3); /* connection, parser, stream */
	assert_true(failed >= 1);  /* body */
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(nothing_is_done_without_the_owner),
		CASE(a_turn_is_one_request_and_connections_take_turns),
		CASE(newcomers_and_connections_take_turns),
		CASE(the_rest_of_a_response_waits_for_its_turn),
		CASE(handshakes_of_tls_wait_for_their_turn),
		CASE(more_requests_than_allowed_end_with_429),
		CASE(requests_at_the_rate_are_served_for_ever),
		CASE(all_that_wait_for_us_are_served_before_others_come),
		CASE(where_all_are_being_answered_others_are_told),
		CASE(silent_connections_leave_descriptors_to_others),
		CASE(others_may_take_the_whole_reserve),
		CASE(without_a_descriptor_the_idle_give_up_theirs),
		CASE(without_any_descriptor_there_is_an_answer),
		CASE(without_even_a_spare_one_they_wait_and_cost_nothing),
		CASE(without_memory_it_goes_on_accepting),
	};

	signal(SIGPIPE, SIG_IGN);
	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
