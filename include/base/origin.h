/* SPDX-License-Identifier: MIT */
/*
 * origin - hosts as HTTP names them: authorities, "host[:port]" (RFC 3986 3.2, without userinfo), and serialised origins,
 * "scheme://host[:port]" (RFC 6454 6.2). Strict: what a browser would write in another way is refused, so nobody has to
 * guess whom an odd spelling means. Pure functions, any thread, no clock, nothing is allocated.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum { HOST_TEXT = 256, ORIGIN_SCHEME = 32, ORIGIN_TEXT = ORIGIN_SCHEME + HOST_TEXT + 9 };

struct authority {
	/* In one spelling, so that strcmp() compares hosts: names in lower case, IPv6 in brackets as inet_ntop() has it. */
	char host[HOST_TEXT];
	bool is_address;
	uint16_t port; /* 0: none was given */
};

struct origin {
	char scheme[ORIGIN_SCHEME]; /* in lower case */
	struct authority at;        /* port 0: the one that "http" or "https" implies, or none */
};

/* Host: a name of letters, digits, '-' and '_' in labels, any case, without a dot at its end; IPv4 as four decimal numbers
 * without leading zeros, and nothing else that ends in a number; IPv6 in brackets without a zone. Port: 1 to 65535 without
 * leading zeros. ERR_MALFORMED: anything else, also before or behind it. */
int authority_parse(const char *text, struct authority *out);
/* ERR_MALFORMED also for "null", a list of origins, and a slash at the end. */
int origin_parse(const char *text, struct origin *out);
/* Of "http" or "https"? */
bool origin_is_web(const struct origin *o);
/* One spelling for each origin, the one that browsers send. */
void origin_text(const struct origin *o, char out[ORIGIN_TEXT]);

/* Of struct authority.host: "localhost", 127.0.0.1 or [::1]? */
bool host_is_localhost(const char *host);
/* Does a certificate for `name`, in lower case, stand for `host`? A leading "*." stands for exactly one label. */
bool host_matches(const char *host, const char *name);
