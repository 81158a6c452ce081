/* SPDX-License-Identifier: MIT */
#include "daemon/web.h"

#include "base/err.h"
#include "base/origin.h"
#include "daemon/admission.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Nothing but our own files, and connections to voice servers anywhere. */
static const char page_csp[] =
	"default-src 'self'; connect-src 'self' https: wss:; img-src 'self' data:; media-src 'self' blob:; "
	"worker-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

/* Hands the buffer over as the body. */
static void answer_buf(struct http_response *res, struct buf *b, int err, const char *type)
{
	if (err) {
		buf_fini(b);
		http_response_text(res, 500, "out of memory\n");
		return;
	}
	res->content_type = type;
	res->body = b->p;
	res->owned = b->p;
	res->len = b->len;
}

static struct buf body_buf(void)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	return b;
}

static struct admission admission_of(const struct web *w)
{
	return (struct admission){w->cfg, w->registry, w->certs};
}

/* With the pages that may connect. */
static void share(const struct web *w, const struct http_request *req, struct http_response *res)
{
	const struct admission a = admission_of(w);

	res->cors = admission_reader(&a, req);
	if (!res->cors || strcmp(res->cors, "*") != 0)
		res->vary = "origin";
}

static void hex(const uint8_t digest[32], char out[65])
{
	for (int i = 0; i < 32; i++)
		snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

static void answer_certificate(const struct web *w, const struct http_request *req, struct http_response *res)
{
	uint8_t hashes[CERTS_MAX_HASHES][32];
	size_t n = certs_hashes(w->certs, hashes);
	struct buf b = body_buf();
	char text[65];
	int err = 0;

	if (n == 0) { /* not to be pinned, but still ours */
		struct quic_cert_info info = certs_info(w->certs);

		memcpy(hashes[n++], info.sha256, 32);
	}
	for (size_t i = 0; i < n && !err; i++) {
		hex(hashes[i], text);
		err = buf_printf(&b, "%s\n", text);
	}
	share(w, req, res);
	answer_buf(res, &b, err, "text/plain; charset=utf-8");
}

static void answer_health(const struct web *w, const struct http_request *req, struct http_response *res)
{
	bool stuck = w->healthy && !w->healthy(w->ctx);
	const char *status = *w->draining ? "draining" : stuck ? "stuck" : "ok";
	struct buf b = body_buf();
	int err = buf_printf(&b, "{\"status\":\"%s\",\"version\":\"%s\",\"sessions\":%u}\n", status, w->version,
		registry_sessions(w->registry));

	(void)req;
	res->cors = "*"; /* so that a page elsewhere can tell why it cannot connect */
	answer_buf(res, &b, err, "application/json");
	if (!err)
		res->status = *w->draining || stuck ? 503 : 200;
}

static void answer_config(const struct web *w, const struct http_request *req, struct http_response *res)
{
	uint8_t hashes[CERTS_MAX_HASHES][32];
	size_t n = certs_hashes(w->certs, hashes);
	struct authority at = {0};
	struct buf b = body_buf();
	char text[65];
	int err = buf_printf(&b, "{\"version\":\"%s\",\"port\":%u,\"path\":\"%s\",", w->version, w->port, w->cfg->server.path);

	authority_parse(req->host, &at); /* web_answer() has seen that it is one */
	if (!err)
		err = buf_printf(&b, "\"url\":\"https://%s:%u%s\",", at.host, w->port, w->cfg->server.path);
	if (!err)
		err = buf_printf(&b, "\"frames\":[\"legacy\",\"v1\"],\"frame_ms\":%u,\"sample_rate\":%u,\"certificate_hashes\":[", w->cfg->rooms.frame_ms,
			w->cfg->server.output_sample_rate);
	for (size_t i = 0; i < n && !err; i++) {
		hex(hashes[i], text);
		err = buf_printf(&b, "%s\"%s\"", i ? "," : "", text);
	}
	if (!err)
		err = buf_printf(&b, "]}\n");
	share(w, req, res);
	answer_buf(res, &b, err, "application/json");
}

static void answer_check(const struct web *w, const struct http_request *req, struct http_response *res)
{
	const struct admission a = admission_of(w);
	enum verdict v = admission_check(&a, req);
	struct buf b = body_buf();
	int err = v == VERDICT_ADMITTED ? buf_printf(&b, "{\"ok\":true}\n")
					: buf_printf(&b, "{\"ok\":false,\"status\":%u,\"reason\":\"%s\"}\n", verdict_status(v),
						  verdict_text(v));

	share(w, req, res);
	answer_buf(res, &b, err, "application/json");
}

static void answer_metrics(const struct web *w, const struct http_request *req, struct http_response *res)
{
	if (w->metrics)
		w->metrics(w->ctx, req, res);
	else
		http_response_text(res, 404, "not here\n");
}

static void answer_from_disk(const struct web *w, const char *path, struct http_response *res)
{
	uint8_t *data;
	size_t len;

	if (http_file_read(w->cfg->http.web_dir, path, 4u << 20, &data, &len)) {
		http_response_text(res, 404, "not found\n");
		return;
	}
	res->body = data;
	res->owned = data;
	res->len = len;
	res->content_type = path[strlen(path) - 1] == '/' ? "text/html; charset=utf-8" : http_content_type(path);
}

static void answer_file(const struct web *w, const struct http_request *req, struct http_response *res)
{
	const char *path = strcmp(req->path, "/") == 0 ? "/index.html" : req->path;

	res->csp = page_csp;
	if (w->cfg->http.web_dir[0]) {
		answer_from_disk(w, path, res);
		return;
	}
	const struct http_file *f = http_file_find(web_files, web_files_count, path);

	if (!f) {
		http_response_text(res, 404, "not found\n");
		return;
	}
	res->body = f->data;
	res->len = f->len;
	res->static_body = true;
	res->content_type = f->content_type;
	res->cache_control = "no-cache"; /* the next version of the daemon brings the next page */
}

/* A page of another name that leads here would else read what only our own may (DNS rebinding). */
static void answer_misdirected(const struct web *w, struct http_response *res)
{
	atomic_fetch_add(w->misdirected, 1);
	http_response_text(res, 421, "this host is not known here: it belongs into [http] names of the configuration\n");
}

typedef void answer_fn(const struct web *w, const struct http_request *req, struct http_response *res);

static const struct route {
	const char *path;
	answer_fn *answer;
} routes[] = {
	{"/healthz", answer_health},
	{"/metrics", answer_metrics},
	{"/mynah.json", answer_config},
	{"/certificate.sha256", answer_certificate},
	{"/check", answer_check},
};

void web_answer(const struct web *w, const struct http_request *req, struct http_response *res)
{
	const struct admission a = admission_of(w);

	if (strcmp(req->path, "/healthz") != 0 && !admission_host_ok(&a, req->host)) {
		answer_misdirected(w, res);
		return;
	}
	for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
		if (strcmp(req->path, routes[i].path) == 0) {
			routes[i].answer(w, req, res);
			return;
		}
	answer_file(w, req, res);
}
