/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "base/err.h"
#include "base/origin.h"

#include <stdio.h>
#include <string.h>

#define LABEL_63 "a23456789012345678901234567890123456789012345678901234567890123"
#define NAME_253 LABEL_63 "." LABEL_63 "." LABEL_63 ".a234567890123456789012345678901234567890123456789012345678901"

/* The host that each text means, NULL: none. */
static const struct {
	const char *text, *host;
	uint16_t port;
	bool is_address;
} authorities[] = {
	{"localhost", "localhost", 0, false},
	{"LocalHost:8080", "localhost", 8080, false},
	{"voice.example.com:443", "voice.example.com", 443, false},
	{"xn--bcher-kva.example", "xn--bcher-kva.example", 0, false},
	{"my_app-1:65535", "my_app-1", 65535, false},
	{"a", "a", 0, false},
	{"3com.example", "3com.example", 0, false},
	{"1.2.3.4a", "1.2.3.4a", 0, false},
	{"0xg", "0xg", 0, false},
	{LABEL_63 ":1", LABEL_63, 1, false},
	{NAME_253, NAME_253, 0, false},
	{"192.0.2.1", "192.0.2.1", 0, true},
	{"255.255.255.255:1", "255.255.255.255", 1, true},
	{"0.0.0.0", "0.0.0.0", 0, true},
	{"[::1]", "[::1]", 0, true},
	{"[::1]:8080", "[::1]", 8080, true},
	{"[0:0:0:0:0:0:0:1]", "[::1]", 0, true},
	{"[2001:DB8::0:7]", "[2001:db8::7]", 0, true},
	{"[::ffff:192.0.2.1]", "[::ffff:192.0.2.1]", 0, true},
	{"[::FFFF:c000:201]", "[::ffff:192.0.2.1]", 0, true},
	{"[1:2:3:4:5:6:7:8]:9", "[1:2:3:4:5:6:7:8]", 9, true},
	{"", NULL, 0, false},
	{".", NULL, 0, false},
	{"localhost.", NULL, 0, false},
	{".localhost", NULL, 0, false},
	{"a..b", NULL, 0, false},
	{"-a", NULL, 0, false},
	{"a-", NULL, 0, false},
	{"a.-b", NULL, 0, false},
	{"a-.b", NULL, 0, false},
	{LABEL_63 "x", NULL, 0, false},
	{NAME_253 "x", NULL, 0, false},
	{"caf\xc3\xa9", NULL, 0, false},
	{"a b", NULL, 0, false},
	{" a", NULL, 0, false},
	{"a ", NULL, 0, false},
	{"a\t", NULL, 0, false},
	{"a\x01", NULL, 0, false},
	{"a\x7f", NULL, 0, false},
	{"a%62", NULL, 0, false},
	{"*", NULL, 0, false},
	{"*.example", NULL, 0, false},
	{"user@a", NULL, 0, false},
	{"user:pass@a", NULL, 0, false},
	{"a/", NULL, 0, false},
	{"a?b", NULL, 0, false},
	{"a#b", NULL, 0, false},
	{"a\\b", NULL, 0, false},
	{"a,b", NULL, 0, false},
	{"a:", NULL, 0, false},
	{":80", NULL, 0, false},
	{"a:0", NULL, 0, false},
	{"a:080", NULL, 0, false},
	{"a:65536", NULL, 0, false},
	{"a:99999", NULL, 0, false},
	{"a:100000", NULL, 0, false},
	{"a:18446744073709551697", NULL, 0, false},
	{"a:+80", NULL, 0, false},
	{"a:-80", NULL, 0, false},
	{"a: 80", NULL, 0, false},
	{"a:80 ", NULL, 0, false},
	{"a:80:80", NULL, 0, false},
	{"a:8o", NULL, 0, false},
	{"127.1", NULL, 0, false},
	{"127.0.1", NULL, 0, false},
	{"2130706433", NULL, 0, false},
	{"0x7f.1", NULL, 0, false},
	{"0x7f.0.0.1", NULL, 0, false},
	{"127.0.0.0x1", NULL, 0, false},
	{"0x7F000001", NULL, 0, false},
	{"0x", NULL, 0, false},
	{"0177.0.0.1", NULL, 0, false},
	{"127.0.0.01", NULL, 0, false},
	{"127.0.0.1.", NULL, 0, false},
	{"127.0.0.256", NULL, 0, false},
	{"1.2.3.4.5", NULL, 0, false},
	{"example.1", NULL, 0, false},
	{"[", NULL, 0, false},
	{"[]", NULL, 0, false},
	{"]", NULL, 0, false},
	{"[::1", NULL, 0, false},
	{"::1", NULL, 0, false},
	{"::1]", NULL, 0, false},
	{"[::1]x", NULL, 0, false},
	{"[::1]x80", NULL, 0, false},
	{"[::1]:", NULL, 0, false},
	{"[::1]]", NULL, 0, false},
	{"[[::1]]", NULL, 0, false},
	{"[::1%lo]", NULL, 0, false},
	{"[::1%25lo]", NULL, 0, false},
	{"[fe80::1%251]", NULL, 0, false},
	{"[127.0.0.1]", NULL, 0, false},
	{"[::1::]", NULL, 0, false},
	{"[12345::]", NULL, 0, false},
	{"[1:2:3:4:5:6:7:8:9]", NULL, 0, false},
	{"[::ffff:0127.0.0.1]", NULL, 0, false},
	{"[v1.fe80::]", NULL, 0, false},
	{"[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0001]", NULL, 0, false},
	{"[a]", NULL, 0, false},
};

TEST(an_authority_is_a_host_and_perhaps_a_port)
{
	for (size_t i = 0; i < sizeof authorities / sizeof *authorities; i++) {
		struct authority a = {.port = 7};
		int err = authority_parse(authorities[i].text, &a);

		if (err != (authorities[i].host ? 0 : ERR_MALFORMED))
			fail_msg("\"%s\": %d", authorities[i].text, err);
		if (err) {
			assert_int_equal(a.port, 7); /* untouched */
			continue;
		}
		assert_string_equal(a.host, authorities[i].host);
		assert_int_equal(a.port, authorities[i].port);
		assert_int_equal(a.is_address, authorities[i].is_address);
	}
}

/* An origin is a scheme before an authority, and all that is no authority makes no origin. */
TEST(an_origin_holds_an_authority)
{
	for (size_t i = 0; i < sizeof authorities / sizeof *authorities; i++) {
		char text[512];
		struct origin o;

		snprintf(text, sizeof text, "https://%s", authorities[i].text);
		int err = origin_parse(text, &o);

		if (err != (authorities[i].host ? 0 : ERR_MALFORMED))
			fail_msg("\"%s\": %d", text, err);
		if (!err)
			assert_string_equal(o.at.host, authorities[i].host);
	}
}

TEST(an_origin_has_one_spelling)
{
	static const struct {
		const char *text, *spelling; /* NULL: not an origin */
		bool web;
	} cases[] = {
		{"https://voice.example.com", "https://voice.example.com", true},
		{"HTTPS://Voice.Example.COM:443", "https://voice.example.com", true},
		{"http://a:80", "http://a", true},
		{"http://a:443", "http://a:443", true},
		{"https://a:80", "https://a:80", true},
		{"http://[0::1]:8080", "http://[::1]:8080", true},
		{"chrome-extension://abcdefgh", "chrome-extension://abcdefgh", false},
		{"a+b.c-9://x:443", "a+b.c-9://x:443", false},
		{"ws://localhost", "ws://localhost", false},
		{"https:\xc5\xbf://a", NULL, false},
		{"", NULL, false},
		{"null", NULL, false},
		{"NULL", NULL, false},
		{"a", NULL, false},
		{"//a", NULL, false},
		{"://a", NULL, false},
		{"https:", NULL, false},
		{"https:a", NULL, false},
		{"https:/a", NULL, false},
		{"https//a", NULL, false},
		{"https:///a", NULL, false},
		{"https:\\\\a", NULL, false},
		{"https://a/", NULL, false},
		{" https://a", NULL, false},
		{"https ://a", NULL, false},
		{"https://a https://b", NULL, false},
		{"https://a, https://b", NULL, false},
		{"https://a://b", NULL, false},
		{"https://https://a", NULL, false},
		{"1https://a", NULL, false},
		{"-https://a", NULL, false},
		{"ht_tps://a", NULL, false},
		{"view-source:https://a", NULL, false},
		{"blob:https://a", NULL, false},
		{"a23456789012345678901234567890123://a", NULL, false},
		{"file://", NULL, false},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct origin o;
		char text[ORIGIN_TEXT];
		int err = origin_parse(cases[i].text, &o);

		if (err != (cases[i].spelling ? 0 : ERR_MALFORMED))
			fail_msg("\"%s\": %d", cases[i].text, err);
		if (err)
			continue;
		origin_text(&o, text);
		assert_string_equal(text, cases[i].spelling);
		assert_int_equal(origin_is_web(&o), cases[i].web);
	}
}

TEST(the_longest_origin_fits_its_text)
{
	struct origin o;
	char text[ORIGIN_TEXT];

	assert_int_equal(origin_parse("a234567890123456789012345678901://" NAME_253 ":65535", &o), 0);
	origin_text(&o, text);
	assert_string_equal(text, "a234567890123456789012345678901://" NAME_253 ":65535");
}

TEST(a_certificate_stands_for_its_names)
{
	static const struct {
		const char *host, *name;
		bool stands;
	} cases[] = {
		{"voice.example", "voice.example", true},
		{"voice.example", "*.example", true},
		{"voice.example", "*.voice.example", false},
		{"a.voice.example", "*.example", false},
		{"example", "*.example", false},
		{"avoice.example", "voice.example", false},
		{"voice.example", "a.voice.example", false},
		{"localhost", "*.localhost", false},
		{"voice.example", "*", false},
		{"voice.example", "", false},
		{"voice.example", "v*.example", false},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		if (host_matches(cases[i].host, cases[i].name) != cases[i].stands)
			fail_msg("\"%s\" by \"%s\"", cases[i].host, cases[i].name);
}

TEST(localhost_is_three_hosts)
{
	static const char *const others[] = {"localhost.localdomain", "a.localhost", "127.0.0.2", "0.0.0.0", "[::]",
		"[::ffff:127.0.0.1]", "ip6-localhost"};

	assert_true(host_is_localhost("localhost") && host_is_localhost("127.0.0.1") && host_is_localhost("[::1]"));
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		assert_false(host_is_localhost(others[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_authority_is_a_host_and_perhaps_a_port),
		cmocka_unit_test(an_origin_holds_an_authority),
		cmocka_unit_test(an_origin_has_one_spelling),
		cmocka_unit_test(the_longest_origin_fits_its_text),
		cmocka_unit_test(a_certificate_stands_for_its_names),
		cmocka_unit_test(localhost_is_three_hosts),
	};

	return cmocka_run_group_tests_name("origin", tests, NULL, NULL);
}
