/* SPDX-License-Identifier: MIT */
#include "daemon/certs.h"

#include "base/err.h"
#include "base/time.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct certs {
	const struct config_server *cfg;
	certs_use_fn *use;
	void *ctx;
	struct log log;
	pthread_mutex_t lock; /* of the two that follow, against those who ask in other threads */
	struct quic_cert now, next; /* next: announced, not yet shown; chain_pem NULL if none */
	int64_t shown_s, announced_s; /* since when `now` is shown and `next` announced (development) */
	bool warned;                /* of the coming end of a file's certificate */
};

static bool from_files(const struct certs *c)
{
	return c->cfg->certificate[0];
}

enum { MAX_NAMES = CONFIG_HOSTS_MAX + 4 };

static int make_dev(const struct certs *c, int64_t wall_s, struct quic_cert *out)
{
	const char *names[MAX_NAMES] = {"localhost", "127.0.0.1", "::1"};
	size_t n = 3;
	char host[256] = "";

	if (gethostname(host, sizeof host - 1) == 0 && host[0] && strcmp(host, "localhost") != 0)
		names[n++] = host;
	for (size_t i = 0; i < c->cfg->n_hosts && n < MAX_NAMES; i++) {
		const char *h = c->cfg->host[i];

		if (strcmp(h, "0.0.0.0") != 0 && strcmp(h, "::") != 0 && strcmp(h, "localhost") != 0)
			names[n++] = h;
	}
	int err = quic_cert_make(names, n, CERTS_DEV_DAYS, wall_s, out);

	if (err)
		log_error(&c->log, "cannot make a development certificate: %s", err_str(err));
	return err;
}

static int load_files(const struct certs *c, int64_t wall_s, struct quic_cert *out, char why[QUIC_CERT_ERROR])
{
	int err = quic_cert_load(c->cfg->certificate, c->cfg->private_key, wall_s, out, why);

	if (err)
		log_error(&c->log, "certificate refused: %s", why);
	return err;
}

/* Shows `cert` from now on; takes it on success. */
static int adopt(struct certs *c, struct quic_cert *cert, int64_t wall_s, char why[QUIC_CERT_ERROR])
{
	char subject[2 * sizeof cert->info.subject];
	int err = c->use(c->ctx, cert);

	if (err) {
		snprintf(why, QUIC_CERT_ERROR, "%s", err_str(err));
		log_error(&c->log, "certificate refused: %s", why);
		return err;
	}
	pthread_mutex_lock(&c->lock);
	quic_cert_free(&c->now);
	c->now = *cert;
	*cert = (struct quic_cert){0}; /* which may be c->next */
	pthread_mutex_unlock(&c->lock);
	c->shown_s = wall_s;
	c->warned = false;
	if (from_files(c) && c->now.info.self_signed && !c->now.info.pinnable)
		log_warn(&c->log, "browsers will refuse this self-signed certificate: %s", c->now.info.unfit);
	if (c->now.info.names_left_out)
		log_warn(&c->log, "the certificate has more names than are kept: list the others in [server] origins and [http] names");
	log_info(&c->log, "certificate subject=%s days_left=%lld pinnable=%s",
		log_quoted(c->now.info.subject, subject, sizeof subject),
		(long long)(c->now.info.not_after_s - wall_s) / 86400, c->now.info.pinnable ? "yes" : "no");
	return 0;
}

int certs_new(const struct config_server *cfg, certs_use_fn *use, void *ctx, const struct log *log, int64_t wall_s,
	struct certs **out)
{
	struct certs *c = calloc(1, sizeof *c);
	struct quic_cert cert = {0};
	char why[QUIC_CERT_ERROR];

	if (!c)
		return ERR_NOMEM;
	c->cfg = cfg;
	c->use = use;
	c->ctx = ctx;
	c->log = *log;
	pthread_mutex_init(&c->lock, NULL);
	int err = from_files(c) ? load_files(c, wall_s, &cert, why) : make_dev(c, wall_s, &cert);

	if (!err)
		err = adopt(c, &cert, wall_s, why);
	if (err) {
		quic_cert_free(&cert);
		certs_free(c);
		return err;
	}
	*out = c;
	return 0;
}

void certs_free(struct certs *c)
{
	if (!c)
		return;
	quic_cert_free(&c->now);
	quic_cert_free(&c->next);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static void check_file(struct certs *c, int64_t wall_s)
{
	int64_t left_s = c->now.info.not_after_s - wall_s;
	int64_t life_s = c->now.info.not_after_s - c->now.info.not_before_s;

	if (left_s < life_s / 4 && left_s < 14 * 86400 && !c->warned) {
		log_warn(&c->log, "certificate ends soon hours_left=%lld: renew it and send SIGHUP", (long long)left_s / 3600);
		c->warned = true;
	}
}

/* Takes `next`. */
static void announce(struct certs *c, struct quic_cert *next)
{
	pthread_mutex_lock(&c->lock);
	quic_cert_free(&c->next);
	c->next = *next;
	pthread_mutex_unlock(&c->lock);
}

/* A clock that was set, or a machine that slept. */
static bool is_stale(const struct certs *c, int64_t wall_s)
{
	return wall_s < c->now.info.not_before_s || wall_s >= c->now.info.not_after_s;
}

void certs_check(struct certs *c, int64_t wall_s)
{
	if (from_files(c)) {
		check_file(c, wall_s);
		return;
	}
	bool stale = is_stale(c, wall_s);

	if (stale) /* and what was announced may be no better */
		announce(c, &(struct quic_cert){0});
	if (!c->next.chain_pem && (stale || wall_s - c->shown_s >= CERTS_RENEW_AFTER_S)) {
		struct quic_cert next = {0};

		if (make_dev(c, wall_s, &next))
			return;
		announce(c, &next);
		c->announced_s = wall_s;
	}
	if (c->next.chain_pem && (stale || wall_s - c->announced_s >= CERTS_OVERLAP_S))
		adopt(c, &c->next, wall_s, (char[QUIC_CERT_ERROR]){0});
}

/* systemd copies credentials into the service's own folder when it starts, and what is renewed elsewhere stays there. */
static bool is_old_credential(const struct certs *c, const struct quic_cert *cert)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY"), *path = c->cfg->certificate;
	size_t n = dir ? strlen(dir) : 0;

	return n && !strncmp(path, dir, n) && path[n] == '/' && !memcmp(cert->info.sha256, c->now.info.sha256, sizeof cert->info.sha256);
}

int certs_reload(struct certs *c, int64_t wall_s, char status[CERTS_STATUS])
{
	struct quic_cert cert = {0};
	char why[QUIC_CERT_ERROR] = "";

	status[0] = '\0';
	if (!from_files(c)) {
		log_info(&c->log, "reload: the development certificate renews itself");
		certs_check(c, wall_s); /* it does so by the minute; who set the clock need not wait */
		if (!is_stale(c, wall_s))
			return 0;
		snprintf(status, CERTS_STATUS, "the development certificate is not valid now, and no other could be made");
		return ERR_TLS;
	}
	int err = load_files(c, wall_s, &cert, why);

	if (!err && is_old_credential(c, &cert)) {
		snprintf(status, CERTS_STATUS, "the old certificate stays: a new credential takes a restart");
		log_warn(&c->log, "reload: %s", status);
	} else if (!err) {
		err = adopt(c, &cert, wall_s, why);
	}
	if (err) {
		snprintf(status, CERTS_STATUS, "reload failed, the old certificate stays: %s", why);
		log_warn(&c->log, "reload failed; the old certificate stays in use");
	}
	quic_cert_free(&cert);
	return err;
}

const struct quic_cert *certs_current(const struct certs *c)
{
	return &c->now;
}

size_t certs_hashes(struct certs *c, uint8_t out[CERTS_MAX_HASHES][32])
{
	size_t n = 0;

	pthread_mutex_lock(&c->lock);
	if (c->now.info.pinnable)
		memcpy(out[n++], c->now.info.sha256, 32);
	if (c->next.chain_pem)
		memcpy(out[n++], c->next.info.sha256, 32);
	pthread_mutex_unlock(&c->lock);
	return n;
}

struct quic_cert_info certs_info(struct certs *c)
{
	pthread_mutex_lock(&c->lock);
	struct quic_cert_info info = c->now.info;

	pthread_mutex_unlock(&c->lock);
	return info;
}

bool certs_have_name(struct certs *c, const char *host)
{
	pthread_mutex_lock(&c->lock);
	bool have = quic_cert_has_name(&c->now.info, host) || quic_cert_has_name(&c->next.info, host);

	pthread_mutex_unlock(&c->lock);
	return have;
}
