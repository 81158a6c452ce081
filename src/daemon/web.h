/* SPDX-License-Identifier: MIT */
/*
 * web - what GET answers, over HTTP/1.1 and over HTTP/3 alike: the page and its files, /healthz,
 * /metrics, /mynah.json, /certificate.sha256, /check. For a host that is not ours (admission_host_ok()) it is /healthz
 * alone, and 421. Any thread.
 */
#pragma once
#include "daemon/certs.h"
#include "daemon/registry.h"
#include "http/files.h"
#include "http/server.h"

#include <stdatomic.h>

struct web {
	const struct config *cfg;
	struct registry *registry;
	struct certs *certs;
	uint16_t port;         /* of the voice, as bound */
	const char *version;
	const atomic_bool *draining;
	atomic_ullong *misdirected; /* counts requests for a host that is not ours */
	/* Do all shards keep up? In main's thread only; NULL elsewhere: not reported. */
	bool (*healthy)(void *ctx);
	/* Answers /metrics, now or later; NULL over HTTP/3, which is open to everybody. */
	void (*metrics)(void *ctx, const struct http_request *req, struct http_response *res);
	void *ctx;
};

/* Fills `res`, which is as http_response_init() leaves it. */
void web_answer(const struct web *w, const struct http_request *req, struct http_response *res);

/* The files of the page, embedded at build time. */
extern const struct http_file web_files[];
extern const size_t web_files_count;
