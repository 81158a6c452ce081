/* SPDX-License-Identifier: MIT */
/*
 * server - the process: the certificate, the HTTP server, and the shards (shard.h), from start to drain. Everything hangs
 * from it; main makes one and calls it in its own thread.
 */
#pragma once
#include "config/config.h"
#include "daemon/certs.h"
#include "daemon/watchdog.h"

#include <uv.h>

struct server;

/* Binds, loads the certificate, listens. `cfg` is borrowed until server_free(). `watchdog_ms`: see watchdog_init(). On error
 * the log says why; nothing is left behind. */
int server_new(uv_loop_t *loop, const struct config *cfg, const char *version, uint64_t watchdog_ms, const struct log *log,
	struct server **out);
/* "url=... page=...": for the ready line. */
const char *server_addresses(const struct server *s);

/* SIGHUP: the certificate is read again; sessions go on. `status` as of certs_reload(). */
void server_reload(struct server *s, char status[CERTS_STATUS]);
/* SIGTERM: sessions are told, then closed, then the loop runs empty. `on_done` is called once, within drain_ms and a
 * second or so. A second call hurries. */
void server_drain(struct server *s, void (*on_done)(void *ctx), void *ctx);
/* To be called every server_look_ms() milliseconds: looks whether every shard still turns, and says what the service manager
 * is to be told. */
enum watchdog_verdict server_look(struct server *s);
uint32_t server_look_ms(const struct server *s);
/* After the loop has run empty. Accepts NULL. */
void server_free(struct server *s);
