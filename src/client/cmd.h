/* SPDX-License-Identifier: MIT */
/*
 * cmd - what the commands of mynah share: exit status, options of the connection, and text for a terminal.
 */
#pragma once
#include "client/net.h"
#include "client/url.h"

#include <stdio.h>

enum {
	EXIT_REFUSED = 1,     /* the server said no; or something else failed */
	EXIT_USAGE = 2,
	EXIT_UNREACHABLE = 3, /* no answer, or not the certificate that was expected */
	EXIT_LOST = 4,        /* it was open and ended by itself */
};

int cmd_call(int argc, char **argv);
int cmd_load(int argc, char **argv);

/* Where the session goes and whom it trusts. */
struct cmd_target {
	struct url url;
	struct quic_addr addr[URL_ADDRESSES_MAX];
	size_t n_addrs;
	bool insecure, pinned;
	uint8_t sha256[32];
};

/* Parses, or prints one line on stderr and returns EXIT_USAGE. */
int cmd_url(const char *command, const char *text, struct cmd_target *t);
int cmd_sha256(const char *command, const char *text, struct cmd_target *t);
int cmd_number(const char *command, const char *option, const char *text, double min, double max, double *out);
/* Asks for the addresses; EXIT_UNREACHABLE with a line on stderr. */
int cmd_resolve(const char *command, struct cmd_target *t);
void cmd_trust(const struct cmd_target *t, struct net_opts *o);

/* SIGINT and SIGTERM: `stop` is called, and the loop may end while they wait. A second one ends the process the hard way. */
struct cmd_signals {
	uv_signal_t interrupt, terminate;
	void (*stop)(void *ctx);
	void *ctx;
};
void cmd_signals_open(struct cmd_signals *s, uv_loop_t *loop, void (*stop)(void *ctx), void *ctx);
void cmd_signals_close(struct cmd_signals *s);

/* The last line of the terminal at stderr, in place of the one before. */
void cmd_status(const char *text);
void cmd_clear_status(void);

/* Text from peers, without the control characters that a terminal would act on. */
void cmd_print_safe(FILE *f, const char *text);
