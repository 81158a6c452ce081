/* SPDX-License-Identifier: MIT */
#include "client/cmd.h"

#include "base/hex.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

int cmd_url(const char *command, const char *text, struct cmd_target *t)
{
	char why[URL_ERROR];

	if (url_parse(text, &t->url, why) == 0)
		return 0;
	fprintf(stderr, "mynah %s: %s: %s\n", command, text, why);
	return EXIT_USAGE;
}

/* As /certificate.sha256 prints it, or with colons as openssl does. */
int cmd_sha256(const char *command, const char *text, struct cmd_target *t)
{
	size_t n = 0;
	const char *p = text;

	while (n < sizeof t->sha256 && hex_digit(p[0]) >= 0 && hex_digit(p[1]) >= 0) {
		t->sha256[n++] = (uint8_t)(hex_digit(p[0]) << 4 | hex_digit(p[1]));
		p += 2;
		if (*p == ':' && n < sizeof t->sha256)
			p++;
	}
	t->pinned = n == sizeof t->sha256 && !*p;
	if (t->pinned)
		return 0;
	fprintf(stderr, "mynah %s: --cert-sha256 takes 64 hexadecimal digits\n", command);
	return EXIT_USAGE;
}

int cmd_number(const char *command, const char *option, const char *text, double min, double max, double *out)
{
	char *end;
	double v = strtod(text, &end);

	if (end != text && !*end && v >= min && v <= max) {
		*out = v;
		return 0;
	}
	fprintf(stderr, "mynah %s: %s takes a number from %g to %g\n", command, option, min, max);
	return EXIT_USAGE;
}

int cmd_resolve(const char *command, struct cmd_target *t)
{
	char why[URL_ERROR];

	if (url_resolve(&t->url, t->addr, &t->n_addrs, why) == 0)
		return 0;
	fprintf(stderr, "mynah %s: %s\n", command, why);
	return EXIT_UNREACHABLE;
}

void cmd_trust(const struct cmd_target *t, struct net_opts *o)
{
	o->insecure = t->insecure && !t->pinned; /* "and no other" */
	o->sha256 = t->pinned ? t->sha256 : NULL;
}

static void on_signal(uv_signal_t *h, int signum)
{
	struct cmd_signals *s = h->data;

	(void)signum;
	uv_signal_stop(h);
	s->stop(s->ctx);
}

static void open_signal(struct cmd_signals *s, uv_loop_t *loop, uv_signal_t *h, int signum)
{
	uv_signal_init(loop, h);
	h->data = s;
	uv_signal_start(h, on_signal, signum);
	uv_unref((uv_handle_t *)h);
}

void cmd_signals_open(struct cmd_signals *s, uv_loop_t *loop, void (*stop)(void *ctx), void *ctx)
{
	s->stop = stop;
	s->ctx = ctx;
	open_signal(s, loop, &s->interrupt, SIGINT);
	open_signal(s, loop, &s->terminate, SIGTERM);
}

void cmd_signals_close(struct cmd_signals *s)
{
	uv_close((uv_handle_t *)&s->interrupt, NULL);
	uv_close((uv_handle_t *)&s->terminate, NULL);
}

void cmd_clear_status(void)
{
	fputs("\r\033[K", stderr);
}

/* Cut to the width: a line that wraps cannot be wiped again. */
void cmd_status(const char *text)
{
	struct winsize w;
	int columns = ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 1 ? w.ws_col - 1 : 79;

	cmd_clear_status();
	fprintf(stderr, "%.*s", columns, text);
	fflush(stderr);
}

void cmd_print_safe(FILE *f, const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		if (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0) { /* C1 controls in UTF-8 */
			fputc('?', f);
			p++;
		} else {
			fputc(*p < ' ' || *p == 0x7f ? '?' : *p, f);
		}
	}
}
