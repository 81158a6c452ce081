/* SPDX-License-Identifier: MIT */
#include "daemon/admission.h"

#include "base/origin.h"

#include <string.h>

/* --- hosts and origins ------------------------------------------------------------------- */

/* Nobody can make these lead elsewhere: an address is where the browser connects to, and for a name of ours we answer. */
static bool is_ours(const struct admission *a, const struct authority *at)
{
	return at->is_address || (a->certs && certs_have_name(a->certs, at->host));
}

static bool lists(const struct config_server *cfg, const char *origin)
{
	for (size_t i = 0; i < cfg->n_origins; i++)
		if (!strcmp(cfg->origins[i], origin))
			return true;
	return false;
}

static bool is_listed(const struct config_server *cfg, const struct origin *o)
{
	char text[ORIGIN_TEXT];

	origin_text(o, text);
	return lists(cfg, "*") || lists(cfg, text);
}

static bool is_near(const struct admission *a, const struct origin *o, const char *host)
{
	struct authority at;

	if (!origin_is_web(o))
		return false;
	if (host_is_localhost(o->at.host))
		return true;
	return !authority_parse(host, &at) && !strcmp(at.host, o->at.host) && is_ours(a, &at);
}

bool admission_origin_ok(const struct admission *a, const struct http_request *req)
{
	const struct config_server *cfg = &a->cfg->server;
	struct origin o;

	if (!req->origin)
		return true;
	if (!strcmp(req->origin, "null")) /* a sandboxed page, a file */
		return lists(cfg, "*");
	if (origin_parse(req->origin, &o))
		return false;
	return cfg->n_origins ? is_listed(cfg, &o) : is_near(a, &o, req->host);
}

static bool is_configured(const struct config *cfg, const char *host)
{
	struct origin o;

	for (size_t i = 0; i < cfg->http.n_names; i++)
		if (!strcmp(cfg->http.names[i], host))
			return true;
	for (size_t i = 0; i < cfg->server.n_origins; i++)
		if (!origin_parse(cfg->server.origins[i], &o) && !strcmp(o.at.host, host))
			return true;
	return false;
}

bool admission_host_ok(const struct admission *a, const char *host)
{
	struct authority at;

	if (authority_parse(host, &at))
		return false;
	return host_is_localhost(at.host) || is_ours(a, &at) || is_configured(a->cfg, at.host);
}

const char *admission_reader(const struct admission *a, const struct http_request *req)
{
	if (lists(&a->cfg->server, "*"))
		return "*";
	return admission_origin_ok(a, req) ? req->origin : NULL;
}

/* --- the decision ------------------------------------------------------------------------ */

/* What the request alone decides. */
static enum verdict examine(const struct admission *a, const struct http_request *req, struct join *out)
{
	enum verdict v = join_parse(req->query, a->cfg->server.output_sample_rate, out);

	if (v == VERDICT_ADMITTED && !admission_origin_ok(a, req))
		v = VERDICT_BAD_ORIGIN;
	/* A token (req->authorization, or in the query) is to be checked here: 401 without one, and it may narrow `out`. */
	return v;
}

enum verdict admission_enter(const struct admission *a, const struct http_request *req, unsigned here, struct join *out,
	struct holder_key *from, unsigned *shard)
{
	enum verdict v = strcmp(req->path, a->cfg->server.path) ? VERDICT_NO_SUCH_PATH : examine(a, req, out);
	const struct guest g = {out->room, registry_holder(a->registry, req->peer)};

	*from = g.from;
	return v == VERDICT_ADMITTED ? registry_enter(a->registry, &g, here, shard) : v;
}

enum verdict admission_check(const struct admission *a, const struct http_request *req)
{
	struct join asked;
	enum verdict v = examine(a, req, &asked);
	const struct guest g = {asked.room, registry_holder(a->registry, req->peer)};

	return v == VERDICT_ADMITTED ? registry_check(a->registry, &g) : v;
}
