/* SPDX-License-Identifier: MIT */
#include "daemon/scrape.h"

#include <stdlib.h>
#include <string.h>

struct scrape {
	struct scraper *scraper;
	struct http_deferred *later; /* NULL: scrape_begin() is still running, or could not wait */
	bool begun;
	unsigned missing;
	struct shard_report reports[]; /* one for each shard */
};

static void fail(struct http_response *res)
{
	http_response_text(res, 500, "out of memory\n");
}

static void print(const struct scrape *sc, struct http_response *res)
{
	struct metrics_sources m = {.reports = sc->reports, .n_shards = sc->scraper->n_shards};
	struct buf b;

	sc->scraper->describe(sc->scraper->ctx, &m);
	buf_init(&b, 1 << 20);
	if (metrics_print(&m, &b)) {
		buf_fini(&b);
		fail(res);
		return;
	}
	res->content_type = "text/plain; version=0.0.4; charset=utf-8";
	res->body = res->owned = b.p;
	res->len = b.len;
}

void scrape_report(struct shard_report *r)
{
	struct scrape *sc = r->ctx;
	struct http_response res;

	http_response_init(&res);
	if (--sc->missing > 0 || !sc->begun)
		return;
	if (sc->later && !sc->scraper->ended)
		print(sc, &res);
	if (sc->later)
		http_respond(sc->later, &res);
	free(sc);
}

void scrape_begin(struct scraper *s, const struct http_request *req, struct http_response *res)
{
	struct scrape *sc = calloc(1, sizeof *sc + s->n_shards * sizeof *sc->reports);

	if (!sc) {
		fail(res);
		return;
	}
	sc->scraper = s;
	sc->missing = s->n_shards;
	for (unsigned i = 0; i < s->n_shards; i++) {
		sc->reports[i].ctx = sc;
		shard_report(s->shards[i], &sc->reports[i]);
	}
	if (sc->missing == 0) { /* the only shard is that of this thread */
		print(sc, res);
		free(sc);
		return;
	}
	sc->begun = true;
	sc->later = http_defer(req);
	if (!sc->later)
		fail(res);
}
