/* SPDX-License-Identifier: MIT */
/*
 * certs - the certificate the server shows, and the ones whose hashes the page is told.
 * Given by file: read again on reload, a bad file leaves the old one. Else a development
 * certificate of 13 days that renews itself: its successor is made and announced one
 * day before it takes over, so a page that read the hashes in that day knows both. One thread, except for the
 * last three functions, which any thread may call.
 */
#pragma once
#include "base/log.h"
#include "config/config.h"
#include "quic/tls.h"

struct certs;

enum { CERTS_DEV_DAYS = 13, CERTS_RENEW_AFTER_S = 6 * 86400, CERTS_OVERLAP_S = 86400, CERTS_MAX_HASHES = 2 };

/* Called when new connections are to be shown `cert`. Borrowed until return. ERR_* keeps the old. */
typedef int certs_use_fn(void *ctx, const struct quic_cert *cert);

/* Borrows `cfg`. `use` is called for the first certificate before this returns. On error one line went to the log. */
int certs_new(const struct config_server *cfg, certs_use_fn *use, void *ctx, const struct log *log, int64_t wall_s,
	struct certs **out);
void certs_free(struct certs *c);

/* Once a minute or so: renews, and warns when a certificate from a file nears its end. */
void certs_check(struct certs *c, int64_t wall_s);
/* SIGHUP: reads the files again. ERR_*: the old one goes on; the log says why. `status` is one line for who asked: why the old one stays, which
 * is no error where systemd hands out new credentials at the next start only; "" if what is shown now is what the files hold. */
enum { CERTS_STATUS = QUIC_CERT_ERROR + 64 };
int certs_reload(struct certs *c, int64_t wall_s, char status[CERTS_STATUS]);

/* What the page pins: SHA-256 of the current certificate and of the announced one. None for a certificate from
 * a file that no browser would accept by hash. Returns how many. */
size_t certs_hashes(struct certs *c, uint8_t out[CERTS_MAX_HASHES][32]);
/* The one that is shown, until the next check or reload. In the thread of those. */
const struct quic_cert *certs_current(const struct certs *c);
struct quic_cert_info certs_info(struct certs *c);
/* Does the current certificate or the announced one have this name? See quic_cert_has_name(). */
bool certs_have_name(struct certs *c, const char *host);
