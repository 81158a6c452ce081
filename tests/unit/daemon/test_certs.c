/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "base/err.h"
#include "base/origin.h"
#include "daemon/certs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NOW = 1800000000, MINUTE = 60, DAY = 86400 };

/* What the server would show, and what was logged. */
struct stage {
	struct config_server cfg;
	struct log_out out;
	struct log log;
	char lines[4096];
	char dir[64];
	uint8_t shown[32];
	int n_shown, refuse; /* `refuse`: what the server answers to a certificate */
	struct certs *certs;
	char status[CERTS_STATUS]; /* of the last reload */
};

static void keep_line(void *ctx, enum log_level level, const char *line)
{
	struct stage *s = ctx;
	size_t len = strlen(s->lines);

	(void)level;
	snprintf(s->lines + len, sizeof s->lines - len, "%s\n", line);
}

static int show(void *ctx, const struct quic_cert *cert)
{
	struct stage *s = ctx;

	if (s->refuse)
		return s->refuse;
	memcpy(s->shown, cert->info.sha256, sizeof s->shown);
	s->n_shown++;
	return 0;
}

static bool said(struct stage *s, const char *text)
{
	bool found = strstr(s->lines, text);

	s->lines[0] = '\0';
	return found;
}

static int open_stage(void **state)
{
	struct stage *s = calloc(1, sizeof *s);

	assert_non_null(s);
	strcpy(s->dir, "/tmp/mynah-certs-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	strcpy(s->cfg.host[0], "192.0.2.1");
	s->cfg.n_hosts = 1;
	s->out = (struct log_out){.level = LOG_INFO, .journal = true, .hook = keep_line, .hook_ctx = s};
	s->log.out = &s->out;
	*state = s;
	return 0;
}

static int close_stage(void **state)
{
	struct stage *s = *state;

	certs_free(s->certs);
	unlink(s->cfg.certificate);
	unlink(s->cfg.private_key);
	rmdir(s->dir);
	free(s);
	return 0;
}

static int begin(struct stage *s, int64_t at)
{
	return certs_new(&s->cfg, show, s, &s->log, at, &s->certs);
}

static int reload(struct stage *s, int64_t at)
{
	memset(s->status, 'x', sizeof s->status);
	return certs_reload(s->certs, at, s->status);
}

static size_t hashes(const struct stage *s, uint8_t out[CERTS_MAX_HASHES][32])
{
	size_t n = certs_hashes(s->certs, out);

	if (n)
		assert_memory_equal(out[0], s->shown, 32); /* what is shown is always first */
	return n;
}

/* --- development certificates ------------------------------------------------------------- */

static void the_next_is_announced_a_day_before_it_is_shown(void **state)
{
	struct stage *s = *state;
	uint8_t seen[CERTS_MAX_HASHES][32], coming[32], h[CERTS_MAX_HASHES][32];
	int64_t announced = 0, at = NOW;
	int changes = 0;

	assert_int_equal(begin(s, at), 0);
	assert_int_equal(hashes(s, h), 1);
	assert_true(certs_info(s->certs).pinnable);
	for (; at < NOW + 60 * DAY; at += 10 * MINUTE) {
		size_t n_before = hashes(s, seen);

		certs_check(s->certs, at);
		size_t n = hashes(s, h);

		assert_true(certs_info(s->certs).not_before_s <= at && at + DAY < certs_info(s->certs).not_after_s);
		if (n_before == 1 && n == 2) {
			announced = at;
			memcpy(coming, h[1], 32);
		}
		if (memcmp(seen[0], h[0], 32) == 0)
			continue;
		changes++; /* who read the hashes in the last day knows the one that is shown now */
		assert_memory_equal(h[0], coming, 32);
		assert_true(at - announced >= CERTS_OVERLAP_S);
		assert_int_equal(n, 1);
	}
	assert_int_equal(changes, 8); /* each is shown for seven days */
	assert_int_equal(s->n_shown, 1 + changes);
}

static void a_machine_that_slept_still_announces_first(void **state)
{
	struct stage *s = *state;
	uint8_t first[CERTS_MAX_HASHES][32], h[CERTS_MAX_HASHES][32];

	assert_int_equal(begin(s, NOW), 0);
	hashes(s, first);
	certs_check(s->certs, NOW + 9 * DAY);
	assert_int_equal(hashes(s, h), 2);
	assert_memory_equal(h[0], first[0], 32);
	certs_check(s->certs, NOW + 9 * DAY + CERTS_OVERLAP_S - 1);
	assert_int_equal(s->n_shown, 1);
	certs_check(s->certs, NOW + 9 * DAY + CERTS_OVERLAP_S);
	assert_int_equal(s->n_shown, 2);
}

static void a_clock_that_was_set_brings_a_valid_one_at_once(void **state)
{
	static const int64_t jumps[] = {NOW + 20 * DAY, NOW - 2 * DAY, NOW + 365 * DAY, NOW - 3 * 365 * DAY};
	struct stage *s = *state;
	uint8_t h[CERTS_MAX_HASHES][32];

	assert_int_equal(begin(s, NOW), 0);
	certs_check(s->certs, NOW + CERTS_RENEW_AFTER_S); /* one is announced already */
	assert_int_equal(hashes(s, h), 2);
	for (size_t i = 0; i < sizeof jumps / sizeof *jumps; i++) {
		certs_check(s->certs, jumps[i]);
		assert_int_equal(s->n_shown, 2 + (int)i);
		assert_int_equal(hashes(s, h), 1);
		assert_true(certs_info(s->certs).not_before_s < jumps[i] && jumps[i] < certs_info(s->certs).not_after_s);
		certs_check(s->certs, jumps[i] + MINUTE);
		assert_int_equal(s->n_shown, 2 + (int)i);
	}
}

/* Made on a machine of another name, which may have changed since. */
static void names_of_the_announced_one_count(void **state)
{
	struct stage *s = *state;
	char host[256] = "";
	struct authority a;

	assert_int_equal(begin(s, NOW), 0);
	assert_true(certs_have_name(s->certs, "localhost"));
	assert_false(certs_have_name(s->certs, "192.0.2.1"));
	strcpy(s->cfg.host[0], "voice.example.com"); /* which no configuration can say; it stands for a new name */
	certs_check(s->certs, NOW + CERTS_RENEW_AFTER_S);
	assert_true(certs_have_name(s->certs, "voice.example.com"));
	assert_true(certs_have_name(s->certs, "localhost"));
	assert_false(certs_have_name(s->certs, "example.com"));
	assert_int_equal(gethostname(host, sizeof host - 1), 0);
	if (!authority_parse(host, &a) && !a.is_address)
		assert_true(certs_have_name(s->certs, a.host));
}

static void a_reload_leaves_it_alone(void **state)
{
	struct stage *s = *state;

	assert_int_equal(begin(s, NOW), 0);
	assert_int_equal(reload(s, NOW + DAY), 0);
	assert_int_equal(s->n_shown, 1);
	assert_string_equal(s->status, "");
	assert_true(said(s, "renews itself"));
}

static void a_reload_after_the_clock_was_set_brings_a_valid_one(void **state)
{
	struct stage *s = *state;

	assert_int_equal(begin(s, NOW), 0);
	assert_int_equal(reload(s, NOW - 400 * DAY), 0);
	assert_int_equal(s->n_shown, 2);
	assert_string_equal(s->status, "");
	assert_true(certs_info(s->certs).not_before_s <= NOW - 400 * DAY);
	s->refuse = ERR_TLS;
	assert_int_equal(reload(s, NOW), ERR_TLS);
	assert_non_null(strstr(s->status, "not valid now"));
}

static void a_certificate_that_the_server_refuses_ends_the_start(void **state)
{
	struct stage *s = *state;

	s->refuse = ERR_TLS;
	assert_int_equal(begin(s, NOW), ERR_TLS);
	assert_null(s->certs);
	assert_true(said(s, "certificate refused"));
}

/* --- files ----------------------------------------------------------------------------------- */

static void write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void write_files_for(struct stage *s, const char *name, int days, int64_t at)
{
	struct quic_cert c;

	snprintf(s->cfg.certificate, sizeof s->cfg.certificate, "%s/cert.pem", s->dir);
	snprintf(s->cfg.private_key, sizeof s->cfg.private_key, "%s/key.pem", s->dir);
	assert_int_equal(quic_cert_make(&name, 1, days, at, &c), 0);
	write_text(s->cfg.certificate, c.chain_pem);
	write_text(s->cfg.private_key, c.key_pem);
	quic_cert_free(&c);
}

static void write_files(struct stage *s, int days, int64_t at)
{
	write_files_for(s, "voice.example.com", days, at);
}

static void a_reload_changes_the_names(void **state)
{
	struct stage *s = *state;

	write_files(s, 10, NOW);
	assert_int_equal(begin(s, NOW), 0);
	assert_true(certs_have_name(s->certs, "voice.example.com"));
	assert_false(certs_have_name(s->certs, "localhost"));
	write_files_for(s, "*.example.org", 10, NOW);
	assert_int_equal(reload(s, NOW), 0);
	assert_true(certs_have_name(s->certs, "voice.example.org"));
	assert_false(certs_have_name(s->certs, "voice.example.com"));
	write_files_for(s, "voice.example.com", 10, NOW - 30 * DAY); /* has ended: the other one stays */
	assert_int_equal(reload(s, NOW), ERR_TLS);
	assert_true(certs_have_name(s->certs, "voice.example.org"));
}

static void files_are_read_again(void **state)
{
	struct stage *s = *state;
	uint8_t first[32], h[CERTS_MAX_HASHES][32];

	write_files(s, 10, NOW);
	assert_int_equal(begin(s, NOW), 0);
	memcpy(first, s->shown, 32);
	assert_int_equal(hashes(s, h), 1);
	write_files(s, 10, NOW + DAY);
	assert_int_equal(reload(s, NOW + DAY), 0);
	assert_string_equal(s->status, "");
	assert_int_equal(s->n_shown, 2);
	assert_memory_not_equal(s->shown, first, 32);
	assert_int_equal(hashes(s, h), 1);
	assert_int_equal(certs_info(s->certs).not_after_s, NOW + DAY - 3600 + 10 * DAY);
}

static void bad_files_leave_the_old_one(void **state)
{
	struct stage *s = *state;
	char kept[CONFIG_TEXT_MAX];
	uint8_t h[CERTS_MAX_HASHES][32];

	write_files(s, 10, NOW);
	assert_int_equal(begin(s, NOW), 0);
	said(s, "");

	write_text(s->cfg.certificate, "no certificate\n");
	assert_int_equal(reload(s, NOW), ERR_MALFORMED);
	assert_true(said(s, "cert.pem: is not PEM"));
	assert_non_null(strstr(s->status, "reload failed, the old certificate stays: /tmp/mynah-certs-"));
	assert_non_null(strstr(s->status, "/cert.pem: is not PEM"));
	write_files(s, 10, NOW - 30 * DAY);
	assert_int_equal(reload(s, NOW), ERR_TLS);
	assert_true(said(s, "expired"));
	write_files(s, 10, NOW + 30 * DAY);
	assert_int_equal(reload(s, NOW), ERR_TLS);
	assert_true(said(s, "the old certificate stays"));
	write_files(s, 10, NOW);
	snprintf(kept, sizeof kept, "%s/kept.pem", s->dir);
	rename(s->cfg.private_key, kept);
	write_files(s, 10, NOW);
	rename(kept, s->cfg.private_key); /* the key of another */
	assert_int_equal(reload(s, NOW), ERR_TLS);
	assert_true(said(s, "key.pem"));
	unlink(s->cfg.private_key);
	assert_int_equal(reload(s, NOW), ERR_NOTFOUND);
	s->refuse = ERR_NOMEM; /* good files, but the server cannot use them */
	write_files(s, 10, NOW);
	assert_int_equal(reload(s, NOW), ERR_NOMEM);
	assert_string_equal(s->status, "reload failed, the old certificate stays: out of memory");

	assert_int_equal(s->n_shown, 1);
	assert_int_equal(hashes(s, h), 1); /* of the old one */
	s->refuse = 0;
	assert_int_equal(reload(s, NOW), 0);
	assert_int_equal(s->n_shown, 2);
}

static void a_credential_is_renewed_by_a_restart(void **state)
{
	struct stage *s = *state;

	setenv("CREDENTIALS_DIRECTORY", s->dir, 1);
	write_files(s, 10, NOW);
	assert_int_equal(begin(s, NOW), 0);
	said(s, "");
	assert_int_equal(reload(s, NOW + DAY), 0);
	assert_string_equal(s->status, "the old certificate stays: a new credential takes a restart");
	assert_true(said(s, "reload: the old certificate stays"));
	assert_int_equal(s->n_shown, 1);
	write_files(s, 10, NOW + DAY); /* a systemd that hands them over at a reload as well */
	assert_int_equal(reload(s, NOW + DAY), 0);
	assert_string_equal(s->status, "");
	assert_int_equal(s->n_shown, 2);
	unsetenv("CREDENTIALS_DIRECTORY");
}

static void bad_files_end_the_start_with_one_line(void **state)
{
	struct stage *s = *state;

	write_files(s, 10, NOW - 30 * DAY);
	assert_int_equal(begin(s, NOW), ERR_TLS);
	assert_null(s->certs);
	assert_ptr_equal(strchr(s->lines, '\n'), s->lines + strlen(s->lines) - 1);
	assert_true(said(s, "expired"));
}

static void a_long_lived_certificate_is_not_pinned_and_its_end_is_reported_once(void **state)
{
	struct stage *s = *state;
	uint8_t h[CERTS_MAX_HASHES][32];

	write_files(s, 90, NOW);
	assert_int_equal(begin(s, NOW), 0);
	assert_int_equal(hashes(s, h), 0);
	assert_true(said(s, "browsers will refuse this self-signed certificate"));
	certs_check(s->certs, NOW + 70 * DAY);
	assert_false(said(s, "ends soon"));
	certs_check(s->certs, NOW + 77 * DAY);
	assert_true(said(s, "ends soon"));
	certs_check(s->certs, NOW + 78 * DAY);
	assert_false(said(s, "ends soon"));
	assert_int_equal(s->n_shown, 1); /* renewing it is not the daemon's business */
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, open_stage, close_stage)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(the_next_is_announced_a_day_before_it_is_shown),
		CASE(a_machine_that_slept_still_announces_first),
		CASE(a_clock_that_was_set_brings_a_valid_one_at_once),
		CASE(names_of_the_announced_one_count),
		CASE(a_reload_leaves_it_alone),
		CASE(a_reload_after_the_clock_was_set_brings_a_valid_one),
		CASE(a_certificate_that_the_server_refuses_ends_the_start),
		CASE(a_reload_changes_the_names),
		CASE(files_are_read_again),
		CASE(bad_files_leave_the_old_one),
		CASE(a_credential_is_renewed_by_a_restart),
		CASE(bad_files_end_the_start_with_one_line),
		CASE(a_long_lived_certificate_is_not_pinned_and_its_end_is_reported_once),
	};

	return cmocka_run_group_tests_name("certs", tests, NULL, NULL);
}
