/* SPDX-License-Identifier: MIT */
/* Spellings of origins, authorities and hosts, and which of them are let in: each that is not in the table's favour was
 * thought of by somebody who wanted in. */
#include "support/test.h"

#include "daemon/admission.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NOW = 1800000000 };

struct world {
	struct config cfg;
	struct admission a;
};

static int show(void *ctx, const struct quic_cert *cert)
{
	(void)ctx, (void)cert;
	return 0;
}

/* The certificate has the names voice.example, *.wild.example, localhost, and this machine's. */
static int open_world(void **state)
{
	struct world *w = calloc(1, sizeof *w);
	struct log silent = {0};

	assert_non_null(w);
	config_default(&w->cfg);
	strcpy(w->cfg.server.host[0], "Voice.example"); /* which the check of the key would refuse */
	strcpy(w->cfg.server.host[1], "*.wild.example");
	w->cfg.server.n_hosts = 2;
	w->a.cfg = &w->cfg;
	assert_int_equal(certs_new(&w->cfg.server, show, NULL, &silent, NOW, &w->a.certs), 0);
	*state = w;
	return 0;
}

static int close_world(void **state)
{
	struct world *w = *state;

	certs_free(w->a.certs);
	free(w);
	return 0;
}

static void list(struct world *w, const char *origin)
{
	snprintf(w->cfg.server.origins[w->cfg.server.n_origins++], CONFIG_TEXT_MAX, "%s", origin);
}

static bool allowed(struct world *w, const char *origin, const char *authority)
{
	const struct http_request req = {.method = "CONNECT", .path = "/audio", .query = "", .host = authority, .origin = origin,
		.authorization = "", .user_agent = ""};

	return admission_origin_ok(&w->a, &req);
}

/* --- without a list ------------------------------------------------------------------------ */

struct pair {
	const char *origin, *authority;
};

static const struct pair let_in[] = {
	{NULL, "voice.example:4433"},
	{NULL, "evil.example:4433"},
	{NULL, ""},
	{"https://voice.example", "voice.example:4433"},
	{"https://voice.example", "voice.example"},
	{"http://voice.example", "voice.example:4433"},
	{"https://voice.example:8443", "voice.example:4433"},
	{"https://voice.example:443", "voice.example:4433"},
	{"https://voice.example:1", "voice.example:65535"},
	{"https://voice.example:65535", "voice.example:4433"},
	{"HTTPS://VOICE.EXAMPLE", "voice.example:4433"},
	{"https://voice.example", "Voice.Example:4433"},
	{"https://a.wild.example", "a.wild.example:4433"},
	{"https://A.Wild.example", "a.wild.example:4433"},
	{"https://xn--caf-dma.wild.example", "xn--caf-dma.wild.example:4433"},
	{"http://localhost", "voice.example:4433"},
	{"http://localhost:8080", "127.0.0.1:4433"},
	{"http://localhost:8080", "evil.example:4433"},
	{"http://localhost:8080", ""},
	{"https://localhost", "localhost"},
	{"HTTP://LOCALHOST:8080", "localhost:4433"},
	{"http://127.0.0.1:8080", "localhost:4433"},
	{"http://127.0.0.1", "127.0.0.1:4433"},
	{"http://[::1]:8080", "localhost:4433"},
	{"http://[::1]", "[::1]:4433"},
	{"http://[0:0:0:0:0:0:0:1]:8080", "localhost:4433"},
	{"http://[::0001]", "localhost:4433"},
	{"http://192.0.2.1:8080", "192.0.2.1:4433"},
	{"http://192.0.2.1", "192.0.2.1"},
	{"https://10.0.0.7:8080", "10.0.0.7:4433"},
	{"http://0.0.0.0:8080", "0.0.0.0:4433"},
	{"https://[2001:db8::7]", "[2001:db8::7]:4433"},
	{"https://[2001:DB8::0:7]:8080", "[2001:db8::7]:4433"},
	{"https://[2001:db8::7]:8080", "[2001:db8:0:0:0:0:0:7]:4433"},
	{"https://[::ffff:192.0.2.1]", "[::ffff:c000:201]:4433"},
};

/* At the authority voice.example:4433, which is ours. */
static const char *const kept_out_of_ours[] = {
	/* other places */
	"https://evil.example",
	"https://evil.example:4433",
	"http://evil.example",
	"https://example",
	"https://xvoice.example",
	"https://a.voice.example",
	"https://voice.example.evil.example",
	"https://voice.example-evil.example",
	"https://voiceXexample",
	"https://voice-example",
	"https://voice.exampl",
	"https://voice.examplee",
	"https://oice.example",
	"https://voice",
	"https://wild.example",
	"https://a.wild.example",
	"https://v\xd0\xbeice.example",
	"https://voice\xe3\x80\x82" "example",
	"https://localhost.evil.example",
	"https://localhost.localdomain",
	"https://evil.localhost",
	"https://local-host",
	"https://localhos",
	"https://localhostt",
	"https://127.0.0.1.evil.example",
	"https://127.0.0.1.nip.example",
	"https://127-0-0-1.evil.example",
	"http://127.0.0.2",
	"http://127.1.1.1",
	"http://0.0.0.0",
	"http://192.0.2.1",
	"http://[::]",
	"http://[::2]",
	"http://[::1:1]",
	"http://[1::1]",
	"http://[fe80::1]",
	"http://[::127.0.0.1]",
	"http://[::ffff:127.0.0.1]",
	"http://[::ffff:7f00:1]",
	"http://[64:ff9b::127.0.0.1]",
	/* spellings of 127.0.0.1 that are none */
	"http://127.1",
	"http://127.0.1",
	"http://2130706433",
	"http://0x7f000001",
	"http://0x7f.1",
	"http://0x7f.0.0.1",
	"http://0X7F.0.0.1",
	"http://0177.0.0.1",
	"http://0177.1",
	"http://017700000001",
	"http://127.0.0.01",
	"http://127.000.000.001",
	"http://127.0.0.1.",
	"http://127.0.0.1..",
	"http://.127.0.0.1",
	"http://127.0.0.1.0",
	"http://127.0.0",
	"http://127",
	"http://127.0.0.257",
	"http://127.0.0.-1",
	"http://127.0.0.+1",
	"http://127.0.0. 1",
	"http://[127.0.0.1]",
	"http://127.0.0.1:",
	"http://127%2e0.0.1",
	"http://\xef\xbc\x91" "27.0.0.1",
	/* spellings of ::1 that are none */
	"http://::1",
	"http://::1:8080",
	"http://[::1",
	"http://::1]",
	"http://[::1]]",
	"http://[[::1]]",
	"http://[]",
	"http://[",
	"http://]",
	"http://[:1]",
	"http://[1:]",
	"http://[::1::]",
	"http://[:::1]",
	"http://[::00001]",
	"http://[::g]",
	"http://[0:0:0:0:0:0:0:0:1]",
	"http://[0:0:0:0:0:0:1]",
	"http://[::1%lo]",
	"http://[::1%25lo]",
	"http://[::1%1]",
	"http://[::1 ]",
	"http://[ ::1]",
	"http://[::1]evil.example",
	"http://[::1].evil.example",
	"http://[::1]@evil.example",
	"http://[::1]:8080@evil.example",
	"http://[::1]8080",
	"http://[::1]:",
	"http://[::1]/",
	"http://[v1.::1]",
	"http://[localhost]",
	/* spellings of localhost and voice.example that are none */
	"http://localhost.",
	"http://localhost..",
	"http://.localhost",
	"http://localhost,",
	"http://localhost;",
	"http://localhost\\",
	"http://localhost\\.evil.example",
	"http://localhost%2eevil.example",
	"http://localhost%00.evil.example",
	"http://local%68ost",
	"http://localhost\x01",
	"http://localhost\x7f",
	"http://localhost\t",
	"http://loc\talhost",
	"http://loc\nalhost",
	"http://loc\xc2\xad" "alhost",
	"http://l\xc3\xb6" "calhost",
	"http://\xef\xbd\x8c" "ocalhost",
	"http://localho\xc5\xbft",
	"http:// localhost",
	"http://localhost evil",
	"http://'localhost'",
	"http://\"localhost\"",
	"http://<localhost>",
	"http://{localhost}",
	"http://*",
	"http://*.example",
	"http://*.wild.example",
	"https://voice.example.",
	"https://voice..example",
	"https://.voice.example",
	"https://-voice.example",
	"https://voice-.example",
	"https://voice.-example",
	"https://voice.example-",
	"https://voice .example",
	"https://voice%2eexample",
	/* behind and before the host */
	"https://voice.example/",
	"https://voice.example//",
	"https://voice.example/path",
	"https://voice.example?",
	"https://voice.example?query",
	"https://voice.example#",
	"https://voice.example#fragment",
	"https://voice.example\\",
	"https://voice.example@evil.example",
	"https://evil@voice.example",
	"https://evil.example@voice.example",
	"https://user:secret@voice.example",
	"https://@voice.example",
	"https://:@voice.example",
	"http://evil@localhost",
	"http://localhost@evil.example",
	"http://localhost:80@evil.example",
	"http://localhost#@evil.example",
	"http://localhost/@evil.example",
	"http://localhost?@evil.example",
	"http://evil.example/localhost",
	"http://evil.example#localhost",
	"http://evil.example?localhost",
	"http://evil.example:localhost",
	"http://evil.example://localhost",
	/* ports */
	"https://voice.example:",
	"https://voice.example:0",
	"https://voice.example:00",
	"https://voice.example:080",
	"https://voice.example:0443",
	"https://voice.example:65536",
	"https://voice.example:99999",
	"https://voice.example:4294967739",
	"https://voice.example:18446744073709552059",
	"https://voice.example:-1",
	"https://voice.example:+443",
	"https://voice.example: 443",
	"https://voice.example:443 ",
	"https://voice.example:443:443",
	"https://voice.example:443/",
	"https://voice.example:https",
	"https://voice.example:4e3",
	"https://voice.example:0x1bb",
	"https://voice.example::443",
	"https://voice.example:443evil.example",
	"http://localhost:",
	"http://localhost:0",
	"http://localhost:65536",
	"http://localhost:evil.example",
	"http://localhost:80.evil.example",
	/* schemes */
	"",
	" ",
	"null",
	"NULL",
	"Null",
	"null ",
	"undefined",
	"*",
	"voice.example",
	"voice.example:443",
	"localhost",
	"//localhost",
	"//voice.example",
	"://localhost",
	":localhost",
	"http:localhost",
	"http:/localhost",
	"http:///localhost",
	"http:////localhost",
	"http//localhost",
	"http:\\\\localhost",
	"http;//localhost",
	"http:// ",
	"http://",
	"https://",
	"http",
	"http:",
	"http:/",
	" http://localhost",
	"\thttp://localhost",
	"http ://localhost",
	"ht tp://localhost",
	"h\xc3\xa4ttp://localhost",
	"http://http://localhost",
	"http\x01://localhost",
	"0http://localhost",
	"+http://localhost",
	"ftp://localhost",
	"ws://localhost",
	"wss://voice.example",
	"file://",
	"file://localhost",
	"file:///localhost",
	"data:text/html,localhost",
	"about:blank",
	"blob:http://localhost",
	"blob:https://voice.example",
	"javascript:http://localhost",
	"view-source:https://voice.example",
	"filesystem:https://voice.example",
	"chrome-extension://localhost",
	"chrome-extension://abcdefghijklmnopabcdefghijklmnop",
	"moz-extension://voice.example",
	"capacitor://localhost",
	"ionic://localhost",
	"app://localhost",
	"tauri://localhost",
	"android-app://voice.example",
	"httpx://localhost",
	"httpss://voice.example",
	"xhttps://voice.example",
	"https+x://voice.example",
	/* more than one */
	"http://localhost http://localhost",
	"https://voice.example https://evil.example",
	"https://evil.example https://voice.example",
	"https://voice.example,https://evil.example",
	"https://voice.example, https://voice.example",
	"https://voice.example;https://evil.example",
	"https://voice.example\thttps://evil.example",
	"https://voice.example\r\nOrigin: https://evil.example",
	"https://evil.example, http://localhost",
	"http://localhost null",
	"null http://localhost",
	"http://localhost,",
	",http://localhost",
};

/* Both sides agree, but it is not ours: a name that somebody makes lead here. And what is no authority. */
static const struct pair kept_out[] = {
	{"https://evil.example", "evil.example:4433"},
	{"https://evil.example:4433", "evil.example:4433"},
	{"http://evil.example", "evil.example"},
	{"http://evil.example:8080", "evil.example:4433"},
	{"https://example", "example:4433"},
	{"https://wild.example", "wild.example:4433"},
	{"https://b.a.wild.example", "b.a.wild.example:4433"},
	{"https://a-wild.example", "a-wild.example:4433"},
	{"https://a.voice.example", "a.voice.example:4433"},
	{"https://mynah.invalid", "mynah.invalid:4433"},
	{"https://localhost.evil.example", "localhost.evil.example:4433"},
	{"https://evil.localhost", "evil.localhost:4433"},
	{"https://voice.example.", "voice.example.:4433"},
	{"https://voice.example", "voice.example.:4433"},
	{"https://localhost.", "localhost.:4433"},
	{"https://voice.example", "voice.example:0"},
	{"https://voice.example", "voice.example:"},
	{"https://voice.example", "voice.example:04433"},
	{"https://voice.example", "voice.example:99999"},
	{"https://voice.example", "x@voice.example:4433"},
	{"https://voice.example", "voice.example:4433/"},
	{"https://voice.example", "voice.example,evil.example"},
	{"https://voice.example", "a.wild.example:4433"},
	{"https://voice.example", "localhost:4433"},
	{"https://voice.example", "192.0.2.1:4433"},
	{"https://voice.example", ""},
	{"https://192.0.2.1", "192.0.2.2:4433"},
	{"https://192.0.2.1", "192.0.2.1.:4433"},
	{"https://192.0.2.1", "voice.example:4433"},
	{"http://127.1", "127.1:4433"},
	{"http://127.1", "127.0.0.1:4433"},
	{"http://2130706433", "2130706433"},
	{"http://0x7f.1", "0x7f.1:4433"},
	{"http://[::1", "[::1"},
	{"http://[::1%lo]", "[::1%lo]:4433"},
	{"http://[2001:db8::7]", "[2001:db8::8]:4433"},
	{"http://[2001:db8::7]", "2001:db8::7"},
	{"http://[::ffff:192.0.2.1]", "192.0.2.1:4433"},
	{"http://192.0.2.1", "[::ffff:192.0.2.1]:4433"},
	{"ws://192.0.2.1", "192.0.2.1:4433"},
	{"https://", ""},
	{"https://", "https://"},
	{"", ""},
	{"null", "null"},
};

/* --- Host ------------------------------------------------------------------------------------ */

/* With names = ["proxy.example", "my_container"] and origins = ["https://listed.example:8443", "*", "app://wrapped"]. */
static const char *const hosts_of_ours[] = {
	"localhost", "localhost:8080", "LOCALHOST", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:8080", "[0::1]", "192.0.2.1", "192.0.2.1:80",
	"0.0.0.0:8080", "[2001:DB8::7]", "[2001:db8::7]:65535", "voice.example", "Voice.Example:443", "a.wild.example", "proxy.example", "PROXY.example:81",
	"my_container", "my_container:8080", "listed.example", "listed.example:8443", "listed.example:1", "wrapped",
};

static const char *const hosts_of_others[] = {
	"", " ", "*", "evil.example", "evil.example:8080", "example", "wild.example", "b.a.wild.example", "a.voice.example", "xproxy.example",
	"proxy.example.", "proxy.example.evil.example", "a.proxy.example", "proxy", "my-container", "listed.example.", "a.listed.example", "localhost.", "localhost.:8080",
	"localhost.evil.example", "evil.localhost", "localhost.localdomain", "127.1", "127.0.0.1.", "0x7f.1", "2130706433", "0177.0.0.1", "127.0.0.1:0",
	"127.0.0.1:", "127.0.0.1:080", "127.0.0.1:65536", "127.0.0.1.evil.example", "::1", "[::1", "::1]", "[::1]x", "[::1%lo]", "[127.0.0.1]", "localhost:", "localhost:0",
	"localhost:x", "localhost/", "localhost:80/", "http://localhost", "x@localhost", "localhost@evil.example", "localhost,evil.example", "localhost evil.example", " localhost",
	"localhost ", "localhost\t", "localhost\x01", "local%68ost", "l\xc3\xb6tus", "null", ":8080", ".", "-", "..", "localhost\\",
};

/* --- the tests ------------------------------------------------------------------------------- */

#define COUNT(a) (sizeof(a) / sizeof *(a))

_Static_assert(COUNT(let_in) + COUNT(kept_out_of_ours) + COUNT(kept_out) + COUNT(hosts_of_ours) + COUNT(hosts_of_others) >= 300,
	"the spellings are 300 at least");

static void pages_from_near_are_let_in(void **state)
{
	for (size_t i = 0; i < COUNT(let_in); i++)
		if (!allowed(*state, let_in[i].origin, let_in[i].authority))
			fail_msg("\"%s\" at \"%s\"", let_in[i].origin, let_in[i].authority);
}

static void pages_from_elsewhere_are_kept_out(void **state)
{
	for (size_t i = 0; i < COUNT(kept_out_of_ours); i++)
		if (allowed(*state, kept_out_of_ours[i], "voice.example:4433"))
			fail_msg("\"%s\"", kept_out_of_ours[i]);
	for (size_t i = 0; i < COUNT(kept_out); i++)
		if (allowed(*state, kept_out[i].origin, kept_out[i].authority))
			fail_msg("\"%s\" at \"%s\"", kept_out[i].origin, kept_out[i].authority);
}

static void without_a_certificate_no_name_is_ours(void **state)
{
	struct world *w = *state;
	struct certs *certs = w->a.certs;

	w->a.certs = NULL;
	assert_false(allowed(w, "https://voice.example", "voice.example:4433"));
	assert_true(allowed(w, "https://192.0.2.1", "192.0.2.1:4433"));
	assert_true(allowed(w, "https://localhost", "voice.example:4433"));
	assert_false(admission_host_ok(&w->a, "voice.example"));
	assert_true(admission_host_ok(&w->a, "192.0.2.1") && admission_host_ok(&w->a, "localhost:8080"));
	w->a.certs = certs;
}

static void a_list_takes_the_place_of_what_is_near(void **state)
{
	static const struct {
		const char *origin;
		bool allowed;
	} cases[] = {
		{NULL, true},
		{"https://a.example", true},
		{"https://a.example:443", true},
		{"HTTPS://A.Example", true},
		{"http://b.example:8080", true},
		{"https://[2001:DB8:0::1]", true},
		{"app://page", true},
		{"https://a.example:444", false},
		{"http://a.example", false},
		{"http://b.example", false},
		{"http://b.example:08080", false},
		{"https://a.example.", false},
		{"https://a.example/", false},
		{"https://a.example, https://a.example", false},
		{"https://x.a.example", false},
		{"http://localhost", false},
		{"https://voice.example", false},
		{"https://192.0.2.1", false},
		{"null", false},
		{"", false},
	};
	struct world *w = *state;

	list(w, "https://a.example");
	list(w, "http://b.example:8080");
	list(w, "https://[2001:db8::1]");
	list(w, "app://page");
	for (size_t i = 0; i < COUNT(cases); i++)
		if (allowed(w, cases[i].origin, "voice.example:4433") != cases[i].allowed)
			fail_msg("\"%s\"", cases[i].origin);
}

static void a_star_lists_all_that_is_an_origin(void **state)
{
	static const struct {
		const char *origin;
		bool allowed;
	} cases[] = {
		{NULL, true},
		{"https://evil.example", true},
		{"chrome-extension://abcdefgh", true},
		{"http://localhost:8080", true},
		{"null", true},
		{"", false},
		{"*", false},
		{"evil.example", false},
		{"https://evil.example/", false},
		{"https://evil.example https://a.example", false},
		{"http://127.1", false},
	};
	struct world *w = *state;

	list(w, "https://a.example");
	list(w, "*");
	for (size_t i = 0; i < COUNT(cases); i++)
		if (allowed(w, cases[i].origin, "voice.example:4433") != cases[i].allowed)
			fail_msg("\"%s\"", cases[i].origin);
}

static void hosts_are_known_or_not(void **state)
{
	struct world *w = *state;

	assert_false(admission_host_ok(&w->a, "proxy.example") || admission_host_ok(&w->a, "listed.example"));
	strcpy(w->cfg.http.names[0], "proxy.example");
	strcpy(w->cfg.http.names[1], "my_container");
	w->cfg.http.n_names = 2;
	list(w, "https://listed.example:8443");
	list(w, "*");
	list(w, "app://wrapped");
	for (size_t i = 0; i < COUNT(hosts_of_ours); i++)
		if (!admission_host_ok(&w->a, hosts_of_ours[i]))
			fail_msg("\"%s\"", hosts_of_ours[i]);
	for (size_t i = 0; i < COUNT(hosts_of_others); i++)
		if (admission_host_ok(&w->a, hosts_of_others[i]))
			fail_msg("\"%s\"", hosts_of_others[i]);
}

static void answers_are_read_by_pages_that_may_connect(void **state)
{
	static const struct {
		const char *origin, *reader;
	} near[] = {
		{NULL, NULL},
		{"", NULL},
		{"null", NULL},
		{"https://evil.example", NULL},
		{"https://voice.example:8443", "https://voice.example:8443"},
		{"http://localhost:3000", "http://localhost:3000"},
	};
	struct world *w = *state;
	struct http_request req = {.host = "voice.example:8080"};

	for (size_t i = 0; i < COUNT(near); i++) {
		req.origin = near[i].origin;
		if (near[i].reader)
			assert_string_equal(admission_reader(&w->a, &req), near[i].reader);
		else
			assert_null(admission_reader(&w->a, &req));
	}
	list(w, "*");
	for (size_t i = 0; i < COUNT(near); i++) {
		req.origin = near[i].origin;
		assert_string_equal(admission_reader(&w->a, &req), "*");
	}
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(pages_from_near_are_let_in),
		CASE(pages_from_elsewhere_are_kept_out),
		CASE(without_a_certificate_no_name_is_ours),
		CASE(a_list_takes_the_place_of_what_is_near),
		CASE(a_star_lists_all_that_is_an_origin),
		CASE(hosts_are_known_or_not),
		CASE(answers_are_read_by_pages_that_may_connect),
	};

	return cmocka_run_group_tests_name("origins", tests, NULL, NULL);
}
