/* SPDX-License-Identifier: MIT */
#include "daemon/admission.h"

#include <string.h>
#include <strings.h>

/* --- origins ----------------------------------------------------------------------------- */

/* The host of "host", "host:port" or "[v6]:port", brackets included. */
static size_t host_len(const char *authority)
{
	if (authority[0] == '[') {
		const char *end = strchr(authority, ']');

		return end ? (size_t)(end - authority) + 1 : 0;
	}
	return strcspn(authority, ":/?#");
}

static bool is_localhost(const char *host, size_t len)
{
	static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strlen(names[i]) == len && strncasecmp(names[i], host, len) == 0)
			return true;
	return false;
}

static bool same_host_or_localhost(const char *origin, const char *authority)
{
	const char *host = strstr(origin, "://");

	if (!host)
		return false; /* "null": a sandboxed or opaque page */
	host += 3;
	size_t n = host_len(host), m = host_len(authority);

	if (n == 0 || (host[n] != '\0' && host[n] != ':'))
		return false;
	return is_localhost(host, n) || (n == m && strncasecmp(host, authority, n) == 0);
}

bool admission_origin_ok(const char *origin, const char *host, const struct config_server *cfg)
{
	if (!origin[0])
		return true;
	if (cfg->n_origins == 0)
		return same_host_or_localhost(origin, host);
	for (size_t i = 0; i < cfg->n_origins; i++)
		if (strcmp(cfg->origins[i], "*") == 0 || strcasecmp(cfg->origins[i], origin) == 0)
			return true;
	return false;
}

/* --- the decision ------------------------------------------------------------------------ */

/* What the request alone decides. */
static enum verdict examine(const struct admission *a, const struct http_request *req, struct join *out)
{
	enum verdict v = join_parse(req->query, a->cfg->server.output_sample_rate, out);

	if (v == VERDICT_ADMITTED && !admission_origin_ok(req->origin, req->host, &a->cfg->server))
		v = VERDICT_BAD_ORIGIN;
	/* A token (req->authorization, or in the query) is to be checked here: 401 without one, and it may narrow `out`. */
	return v;
}

enum verdict admission_enter(const struct admission *a, const struct http_request *req, unsigned here, struct join *out,
	unsigned *shard)
{
	enum verdict v = strcmp(req->path, a->cfg->server.path) ? VERDICT_NO_SUCH_PATH : examine(a, req, out);

	return v == VERDICT_ADMITTED ? registry_enter(a->registry, out->room, here, shard) : v;
}

enum verdict admission_check(const struct admission *a, const struct http_request *req)
{
	struct join asked;
	enum verdict v = examine(a, req, &asked);

	return v == VERDICT_ADMITTED ? registry_check(a->registry, asked.room) : v;
}
