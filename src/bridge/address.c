/* SPDX-License-Identifier: MIT */
#include "bridge/address.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

static int parse_path(const char *path, struct worker_address *out)
{
	size_t len = strlen(path);

	if (path[0] != '/' || len >= sizeof out->path)
		return ERR_MALFORMED;
	memcpy(out->path, path, len + 1);
	out->local = true;
	return 0;
}

static int parse_port(const char *text, struct worker_address *out)
{
	size_t n = strspn(text, "0123456789");

	if (n == 0 || n >= sizeof out->port || text[n])
		return ERR_MALFORMED;
	unsigned long port = strtoul(text, NULL, 10);

	memcpy(out->port, text, n + 1);
	return port > 0 && port <= 65535 ? 0 : ERR_MALFORMED;
}

/* Letters are enough of a check: what is no name does not resolve. */
static int parse_host(const char *text, struct worker_address *out)
{
	static const char name[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
	static const char number[] = "0123456789abcdefABCDEF:.";
	bool brackets = text[0] == '[';
	const char *host = text + brackets;
	size_t n = strspn(host, brackets ? number : name);
	const char *rest = host + n;

	if (n == 0 || n >= sizeof out->host || (brackets && *rest++ != ']') || *rest != ':')
		return ERR_MALFORMED;
	memcpy(out->host, host, n);
	out->host[n] = '\0';
	return parse_port(rest + 1, out);
}

int address_parse(const char *text, struct worker_address *out)
{
	*out = (struct worker_address){0};
	if (strncmp(text, "unix:", 5) == 0)
		return parse_path(text + 5, out);
	if (strncmp(text, "tcp://", 6) == 0)
		return parse_host(text + 6, out);
	return ERR_MALFORMED;
}
