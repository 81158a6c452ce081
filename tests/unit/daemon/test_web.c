/* SPDX-License-Identifier: MIT */
/* Every route, asked as both HTTP servers ask it. Method and HEAD are theirs. */
#include "support/test.h"

#include "base/err.h"
#include "daemon/web.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yyjson.h>

enum { NOW = 1800000000 };

struct stage {
	struct config cfg;
	struct registry *registry;
	struct certs *certs;
	atomic_bool draining;
	atomic_ullong misdirected;
	bool stuck;
	struct web web;
};

static int show(void *ctx, const struct quic_cert *cert)
{
	(void)ctx, (void)cert;
	return 0;
}

static void answer_metrics(void *ctx, const struct http_request *req, struct http_response *res)
{
	(void)ctx;
	assert_string_equal(req->path, "/metrics");
	res->content_type = "text/plain; version=0.0.4; charset=utf-8";
	res->body = "mynah_x 1\n";
	res->len = 10;
	res->static_body = true;
}

static bool is_healthy(void *ctx)
{
	return !((struct stage *)ctx)->stuck;
}

static int open_stage(void **state)
{
	struct stage *s = calloc(1, sizeof *s);
	struct log silent = {0};

	assert_non_null(s);
	config_default(&s->cfg);
	s->cfg.rooms.n_rules = 1; /* one named room, of one */
	room_rule_default(&s->cfg.room[0]);
	strcpy(s->cfg.room[0].name, "team-*");
	s->cfg.rooms.rules = s->cfg.room;
	assert_int_equal(registry_new(&s->cfg, 1, &s->registry), 0);
	assert_int_equal(certs_new(&s->cfg.server, show, NULL, &silent, NOW, &s->certs), 0);
	s->web = (struct web){.cfg = &s->cfg, .registry = s->registry, .certs = s->certs, .port = 4433, .version = "9.9",
		.draining = &s->draining, .misdirected = &s->misdirected, .healthy = is_healthy, .metrics = answer_metrics, .ctx = s};
	*state = s;
	return 0;
}

static int close_stage(void **state)
{
	struct stage *s = *state;

	certs_free(s->certs);
	registry_free(s->registry);
	free(s);
	return 0;
}

/* The answer with its body as text; end() gives it back. */
struct answer {
	struct http_response res;
	char *text;
};

static struct answer ask_from(struct stage *s, const char *origin, const char *path, const char *query, const char *host)
{
	const struct http_request req = {.method = "GET", .path = path, .query = query, .host = host, .origin = origin,
		.authorization = "", .user_agent = ""};
	struct answer a;

	http_response_init(&a.res);
	web_answer(&s->web, &req, &a.res);
	assert_true(a.res.len == 0 || a.res.body);
	a.text = strndup(a.res.len ? a.res.body : "", a.res.len);
	assert_non_null(a.text);
	return a;
}

static struct answer ask(struct stage *s, const char *path, const char *query, const char *host)
{
	return ask_from(s, NULL, path, query, host);
}

static void end(struct answer *a)
{
	assert_true(!a->res.owned || !a->res.static_body);
	free(a->res.owned);
	free(a->text);
}

static yyjson_doc *json(const struct answer *a)
{
	yyjson_doc *doc = yyjson_read(a->res.body, a->res.len, 0);

	assert_string_equal(a->res.content_type, "application/json");
	assert_non_null(doc);
	return doc;
}

static const char *text_in(yyjson_doc *doc, const char *key)
{
	return yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(doc), key));
}

static void health_is_503_when_a_shard_is_stuck(void **state)
{
	struct stage *s = *state;

	s->stuck = true;
	struct answer a = ask(s, "/healthz", "", "localhost");
	yyjson_doc *doc = json(&a);

	assert_int_equal(a.res.status, 503);
	assert_string_equal(text_in(doc, "status"), "stuck");
	yyjson_doc_free(doc);
	end(&a);
	s->web.healthy = NULL; /* where it cannot be known */
	a = ask(s, "/healthz", "", "localhost");
	assert_int_equal(a.res.status, 200);
	end(&a);
}

static void health_is_503_while_draining(void **state)
{
	struct stage *s = *state;
	struct answer a = ask(s, "/healthz", "", "localhost");
	yyjson_doc *doc = json(&a);

	assert_int_equal(a.res.status, 200);
	assert_string_equal(a.res.cors, "*");
	assert_string_equal(text_in(doc, "status"), "ok");
	assert_string_equal(text_in(doc, "version"), "9.9");
	yyjson_doc_free(doc);
	end(&a);
	s->draining = true;
	a = ask(s, "/healthz", "", "localhost");
	doc = json(&a);
	assert_int_equal(a.res.status, 503);
	assert_string_equal(text_in(doc, "status"), "draining");
	yyjson_doc_free(doc);
	end(&a);
}

static void the_url_has_the_host_of_the_request(void **state)
{
	static const struct {
		const char *host, *url;
	} cases[] = {
		{"localhost", "https://localhost:4433/audio"},
		{"localhost:8080", "https://localhost:4433/audio"},
		{"Voice.Example.COM:1", "https://voice.example.com:4433/audio"},
		{"[::1]:8080", "https://[::1]:4433/audio"},
		{"[2001:db8::7]", "https://[2001:db8::7]:4433/audio"},
		{"192.0.2.1", "https://192.0.2.1:4433/audio"},
	};
	struct stage *s = *state;

	strcpy(s->cfg.http.names[0], "voice.example.com");
	s->cfg.http.n_names = 1;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct answer a = ask(s, "/mynah.json", "", cases[i].host);
		yyjson_doc *doc = json(&a);

		assert_int_equal(a.res.status, 200);
		assert_string_equal(text_in(doc, "url"), cases[i].url);
		yyjson_doc_free(doc);
		end(&a);
	}
}

static const char *const routes[] = {"/", "/index.html", "/mynah.js", "/nothing", "/metrics", "/mynah.json", "/certificate.sha256",
	"/check"};

/* DNS rebinding: the browser takes it for the page's own server. */
static void a_host_that_is_not_ours_gets_421(void **state)
{
	static const char *const hosts[] = {"evil.example", "evil.example:8080", "", "127.1", "localhost.evil.example", "a\",\"url\":\"https://evil",
		"user@localhost", "[::1", "192.0.2.1:"};
	struct stage *s = *state;
	unsigned long long n = 0;

	for (size_t h = 0; h < sizeof hosts / sizeof *hosts; h++)
		for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
			struct answer a = ask_from(s, "http://localhost", routes[i], "", hosts[h]);

			if (a.res.status != 421 || !strstr(a.text, "[http] names"))
				fail_msg("%s at \"%s\": %u", routes[i], hosts[h], a.res.status);
			assert_null(a.res.cors);
			end(&a);
			assert_int_equal(s->misdirected, ++n);
		}
}

static void health_is_told_under_any_host(void **state)
{
	static const char *const hosts[] = {"evil.example", "", "127.1", "mynah:8080"};
	struct stage *s = *state;

	for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
		struct answer a = ask(s, "/healthz", "", hosts[i]);

		assert_int_equal(a.res.status, 200);
		assert_string_equal(a.res.cors, "*");
		end(&a);
	}
	assert_int_equal(s->misdirected, 0);
}

static void a_host_becomes_ours_by_its_name(void **state)
{
	struct stage *s = *state;
	struct answer a = ask(s, "/metrics", "", "mynah:8080");

	assert_int_equal(a.res.status, 421);
	end(&a);
	strcpy(s->cfg.http.names[0], "mynah");
	s->cfg.http.n_names = 1;
	a = ask(s, "/metrics", "", "mynah:8080");
	assert_int_equal(a.res.status, 200);
	end(&a);
}

/* The page itself, its files and /metrics are for nobody else to read. */
static void pages_that_may_connect_may_read(void **state)
{
	static const char *const shared[] = {"/mynah.json", "/certificate.sha256", "/check"};
	static const char *const own[] = {"/", "/mynah.js", "/metrics", "/nothing"};
	static const struct {
		const char *origin;
		bool reads;
	} cases[] = {
		{NULL, false},
		{"http://localhost:3000", true},
		{"https://192.0.2.1", true},
		{"https://evil.example", false},
		{"null", false},
		{"", false},
	};
	struct stage *s = *state;

	for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
		for (size_t i = 0; i < sizeof shared / sizeof *shared; i++) {
			struct answer a = ask_from(s, cases[c].origin, shared[i], "", "192.0.2.1:8080");

			assert_int_equal(a.res.status, 200);
			assert_true((a.res.cors != NULL) == cases[c].reads);
			if (cases[c].reads)
				assert_string_equal(a.res.cors, cases[c].origin);
			assert_string_equal(a.res.vary, "origin");
			end(&a);
		}
		for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
			struct answer a = ask_from(s, cases[c].origin, own[i], "", "192.0.2.1:8080");

			assert_null(a.res.cors);
			end(&a);
		}
	}
	strcpy(s->cfg.server.origins[0], "*");
	s->cfg.server.n_origins = 1;
	for (size_t i = 0; i < sizeof shared / sizeof *shared; i++) {
		struct answer a = ask_from(s, "https://evil.example", shared[i], "", "192.0.2.1:8080");

		assert_string_equal(a.res.cors, "*");
		assert_null(a.res.vary);
		end(&a);
	}
}

static void the_page_gets_all_that_connecting_needs(void **state)
{
	struct stage *s = *state;
	struct answer a = ask(s, "/mynah.json", "", "localhost"), hex = ask(s, "/certificate.sha256", "", "localhost");
	yyjson_doc *doc = json(&a);
	yyjson_val *root = yyjson_doc_get_root(doc), *hashes = yyjson_obj_get(root, "certificate_hashes");

	assert_int_equal(yyjson_get_uint(yyjson_obj_get(root, "port")), 4433);
	assert_int_equal(yyjson_get_uint(yyjson_obj_get(root, "sample_rate")), 16000);
	assert_int_equal(yyjson_get_uint(yyjson_obj_get(root, "frame_ms")), 20);
	assert_string_equal(text_in(doc, "path"), "/audio");
	assert_string_equal(text_in(doc, "version"), "9.9");
	assert_int_equal(yyjson_arr_size(hashes), 1);
	assert_int_equal(hex.res.len, 65);
	assert_int_equal(strncmp(hex.text, yyjson_get_str(yyjson_arr_get(hashes, 0)), 64), 0);
	assert_int_equal(strspn(hex.text, "0123456789abcdef"), 64);
	yyjson_doc_free(doc);
	end(&a);
	end(&hex);
	certs_check(s->certs, NOW + CERTS_RENEW_AFTER_S); /* a second one is announced */
	a = ask(s, "/mynah.json", "", "localhost");
	hex = ask(s, "/certificate.sha256", "", "localhost");
	doc = json(&a);
	assert_int_equal(yyjson_arr_size(yyjson_obj_get(yyjson_doc_get_root(doc), "certificate_hashes")), 2);
	assert_int_equal(hex.res.len, 130);
	yyjson_doc_free(doc);
	end(&a);
	end(&hex);
}

static void check_gives_the_verdict_on_a_connect(void **state)
{
	static const struct {
		const char *query;
		unsigned status;
	} cases[] = {
		{"", 200},
		{"room=team-1", 200},
		{"room=other", 404},
		{"room=%00", 400},
		{"room=%2", 400},
		{"room=a%0Ab", 400},
		{"room=%ff", 400},
		{"room=\"},{", 404},
		{"name=a%0Ab", 400},
		{"rate=1", 400},
		{"frames=v2", 400},
		{"room=01234567890123456789012345678901234567890123456789012345678901234", 400},
		{"name=x&room=team-%22", 200},
	};
	struct stage *s = *state;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct answer a = ask(s, "/check", cases[i].query, "localhost");
		yyjson_doc *doc = json(&a);
		yyjson_val *root = yyjson_doc_get_root(doc);

		assert_int_equal(a.res.status, 200);
		assert_int_equal(yyjson_get_bool(yyjson_obj_get(root, "ok")), cases[i].status == 200);
		if (cases[i].status != 200) {
			assert_int_equal(yyjson_get_uint(yyjson_obj_get(root, "status")), cases[i].status);
			assert_true(strlen(text_in(doc, "reason")) > 8);
		}
		yyjson_doc_free(doc);
		end(&a);
	}
	registry_drain(s->registry);
	struct answer a = ask(s, "/check", "room=team-1", "localhost");

	assert_string_equal(a.text, "{\"ok\":false,\"status\":503,\"reason\":\"the server is shutting down\"}\n");
	end(&a);
}

static void metrics_are_served_over_http_1_only(void **state)
{
	struct stage *s = *state;
	struct answer a = ask(s, "/metrics", "", "localhost");

	assert_int_equal(a.res.status, 200);
	assert_string_equal(a.res.content_type, "text/plain; version=0.0.4; charset=utf-8");
	assert_string_equal(a.text, "mynah_x 1\n");
	end(&a);
	s->web.metrics = NULL;
	a = ask(s, "/metrics", "", "localhost");
	assert_int_equal(a.res.status, 404);
	end(&a);
}

static void the_page_is_embedded(void **state)
{
	struct stage *s = *state;
	struct answer root = ask(s, "/", "", "localhost"), index = ask(s, "/index.html", "", "localhost");

	assert_int_equal(root.res.status, 200);
	assert_string_equal(root.res.content_type, "text/html; charset=utf-8");
	assert_string_equal(root.res.cache_control, "no-cache");
	assert_non_null(strstr(root.res.csp, "default-src 'self'"));
	assert_true(root.res.static_body && root.res.len > 1000);
	assert_ptr_equal(root.res.body, index.res.body);
	end(&root);
	end(&index);
	for (size_t i = 0; i < web_files_count; i++) {
		struct answer a = ask(s, web_files[i].path, "", "localhost");

		assert_int_equal(a.res.status, 200);
		assert_ptr_equal(a.res.body, web_files[i].data);
		assert_int_equal(a.res.len, web_files[i].len);
		assert_string_equal(a.res.content_type, web_files[i].content_type);
		end(&a);
	}
}

static void unknown_paths_are_404(void **state)
{
	static const char *const paths[] = {"/nothing", "/healthz/", "/HEALTHZ", "/metrics/x", "/index.html/", "//", "/../etc/passwd",
		"/index.htm", "/mynah.json.bak", "/audio"};
	struct stage *s = *state;

	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		struct answer a = ask(s, paths[i], "", "localhost");

		assert_int_equal(a.res.status, 404);
		assert_string_equal(a.text, "not found\n");
		end(&a);
	}
}

static void a_directory_replaces_the_embedded_page(void **state)
{
	struct stage *s = *state;
	char dir[] = "/tmp/mynah-web-XXXXXX", path[64], sub[64];

	assert_non_null(mkdtemp(dir));
	snprintf(s->cfg.http.web_dir, sizeof s->cfg.http.web_dir, "%s", dir);
	snprintf(path, sizeof path, "%s/index.html", dir);
	snprintf(sub, sizeof sub, "%s/sub", dir);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs("<p>mine", f);
	fclose(f);
	assert_int_equal(mkdir(sub, 0700), 0);
	snprintf(path, sizeof path, "%s/sub/index.html", dir);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs("<p>sub", f);
	fclose(f);

	struct answer a = ask(s, "/", "", "localhost"), b = ask(s, "/sub/", "", "localhost");

	assert_string_equal(a.text, "<p>mine");
	assert_string_equal(a.res.content_type, "text/html; charset=utf-8");
	assert_string_equal(b.text, "<p>sub");
	assert_string_equal(b.res.content_type, "text/html; charset=utf-8");
	end(&a);
	end(&b);
	static const char *const gone[] = {"/mynah.js", "/../../etc/passwd", "/.hidden", "/sub"};

	for (size_t i = 0; i < sizeof gone / sizeof *gone; i++) {
		a = ask(s, gone[i], "", "localhost");
		assert_int_equal(a.res.status, 404);
		end(&a);
	}
	unlink(path);
	rmdir(sub);
	snprintf(path, sizeof path, "%s/index.html", dir);
	unlink(path);
	rmdir(dir);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, open_stage, close_stage)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(health_is_503_while_draining),
		CASE(health_is_503_when_a_shard_is_stuck),
		CASE(the_url_has_the_host_of_the_request),
		CASE(a_host_that_is_not_ours_gets_421),
		CASE(health_is_told_under_any_host),
		CASE(a_host_becomes_ours_by_its_name),
		CASE(pages_that_may_connect_may_read),
		CASE(the_page_gets_all_that_connecting_needs),
		CASE(check_gives_the_verdict_on_a_connect),
		CASE(metrics_are_served_over_http_1_only),
		CASE(the_page_is_embedded),
		CASE(unknown_paths_are_404),
		CASE(a_directory_replaces_the_embedded_page),
	};

	return cmocka_run_group_tests_name("web", tests, NULL, NULL);
}
