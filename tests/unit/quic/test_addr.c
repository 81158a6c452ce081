/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "quic/addr.h"

#include "base/err.h"

#include <string.h>

TEST(addresses_round_trip_as_text)
{
	static const struct {
		const char *host, *text;
	} cases[] = {
		{"127.0.0.1", "127.0.0.1:4433"}, {"0.0.0.0", "0.0.0.0:4433"}, {"::", "[::]:4433"}, {"[::1]", "[::1]:4433"},
		{"2001:db8::17", "[2001:db8::17]:4433"}, {"::ffff:10.0.0.1", "[::ffff:10.0.0.1]:4433"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct quic_addr a;
		char text[QUIC_ADDR_TEXT];

		assert_int_equal(quic_addr_parse(cases[i].host, 4433, &a), 0);
		assert_string_equal(quic_addr_format(&a, text), cases[i].text);
		assert_int_equal(quic_addr_port(&a), 4433);
	}
}

TEST(a_host_name_is_malformed)
{
	static const char *const cases[] = {"", "localhost", "1.2.3", "1.2.3.4.5", "256.1.1.1", "[127.0.0.1]", "[::1", "::1]",
		"[]", "1.2.3.4 ", ":::",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
	struct quic_addr a;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_int_equal(quic_addr_parse(cases[i], 1, &a), ERR_MALFORMED);
}

TEST(an_unset_address_has_text_and_no_port)
{
	struct quic_addr a = {.len = 0}, b = {.len = 0};
	char text[QUIC_ADDR_TEXT];
	uint8_t key[16];

	assert_string_equal(quic_addr_format(&a, text), "-");
	assert_int_equal(quic_addr_port(&a), 0);
	assert_int_equal(quic_addr_limit_key(&a, key), 0);
	assert_true(quic_addr_equal(&a, &b));
	quic_addr_parse("127.0.0.1", 1, &b);
	assert_false(quic_addr_equal(&a, &b));
}

static bool equal(const char *h1, uint16_t p1, const char *h2, uint16_t p2)
{
	struct quic_addr a, b;

	assert_int_equal(quic_addr_parse(h1, p1, &a), 0);
	assert_int_equal(quic_addr_parse(h2, p2, &b), 0);
	return quic_addr_equal(&a, &b);
}

TEST(equality_is_host_and_port)
{
	assert_true(equal("10.0.0.1", 1, "10.0.0.1", 1));
	assert_false(equal("10.0.0.1", 1, "10.0.0.1", 2));
	assert_false(equal("10.0.0.1", 1, "10.0.0.2", 1));
	assert_true(equal("::1", 1, "[::1]", 1));
	assert_false(equal("::1", 1, "::2", 1));
	assert_false(equal("::ffff:10.0.0.1", 1, "10.0.0.1", 1));
}

TEST(limits_count_ipv4_addresses_and_ipv6_networks)
{
	uint8_t k1[16], k2[16];
	struct quic_addr a, b;

	quic_addr_parse("192.0.2.7", 1, &a);
	quic_addr_parse("::ffff:192.0.2.7", 9, &b);
	assert_int_equal(quic_addr_limit_key(&a, k1), 4);
	assert_int_equal(quic_addr_limit_key(&b, k2), 4);
	assert_memory_equal(k1, k2, 4);
	quic_addr_parse("2001:db8:1:2::1", 1, &a);
	quic_addr_parse("2001:db8:1:2:ffff::9", 2, &b);
	assert_int_equal(quic_addr_limit_key(&a, k1), 8);
	assert_int_equal(quic_addr_limit_key(&b, k2), 8);
	assert_memory_equal(k1, k2, 8);
	quic_addr_parse("2001:db8:1:3::1", 1, &b);
	quic_addr_limit_key(&b, k2);
	assert_memory_not_equal(k1, k2, 8);
}

static bool is_in(const char *net, const char *host)
{
	struct quic_net n;
	struct quic_addr a;

	assert_int_equal(quic_net_parse(net, &n), 0);
	assert_int_equal(quic_addr_parse(host, 1, &a), 0);
	return quic_net_has(&n, &a.sa);
}

TEST(networks_have_addresses_that_begin_as_they_do)
{
	static const struct {
		const char *net, *in, *out;
	} cases[] = {
		{"192.0.2.7", "192.0.2.7", "192.0.2.6"},
		{"192.0.2.0/24", "192.0.2.255", "192.0.3.0"},
		{"10.0.0.0/8", "10.255.1.2", "11.0.0.0"},
		{"10.128.0.0/9", "10.128.0.0", "10.127.255.255"},
		{"192.0.2.128/31", "192.0.2.129", "192.0.2.130"},
		{"0.0.0.0/0", "203.0.113.9", "2001:db8::1"},
		{"10.0.0.0/8", "::ffff:10.1.2.3", "::10.1.2.3"},
		{"2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"},
		{"[2001:db8::1]", "2001:db8::1", "2001:db8::2"},
		{"::/0", "2001:db8::1", "192.0.2.1"},
		{"2001:db8::8000/113", "2001:db8::ffff", "2001:db8::7fff"},
		{"::1", "::1", "127.0.0.1"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_true(is_in(cases[i].net, cases[i].in));
		assert_false(is_in(cases[i].net, cases[i].out));
	}
}

TEST(a_network_that_is_not_one_is_malformed)
{
	static const char *const bad[] = {"", "/", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/08",
		"10.0.0.0/8 ", " 10.0.0.0/8", "10.0.0.0/8/8", "10.0.0.1/8", "10.0.0/8", "10.0.0.0/256", "10.0.0.0/1000", "::/129",
		"2001:db8::1/64", "2001:db8::/x", "localhost", "::ffff:10.0.0.0/104",
		"1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111"};
	struct quic_net n;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(quic_net_parse(bad[i], &n), ERR_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_round_trip_as_text),
		cmocka_unit_test(a_host_name_is_malformed),
		cmocka_unit_test(an_unset_address_has_text_and_no_port),
		cmocka_unit_test(equality_is_host_and_port),
		cmocka_unit_test(limits_count_ipv4_addresses_and_ipv6_networks),
		cmocka_unit_test(networks_have_addresses_that_begin_as_they_do),
		cmocka_unit_test(a_network_that_is_not_one_is_malformed),
	};

	return cmocka_run_group_tests_name("addr", tests, NULL, NULL);
}
