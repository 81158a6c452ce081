/* SPDX-License-Identifier: MIT */
#include "bridge/drivers.h"

#include <stdio.h>
#include <string.h>

/* In the order of the reference. */
static const struct bridge_ops *const drivers[] = {&bridge_process, &bridge_audiosocket, &bridge_websocket, &bridge_openai,
	&bridge_tone, &bridge_parrot, &bridge_echo};

void bridge_opts_default(struct bridge_opts *o)
{
	*o = (struct bridge_opts){
		.name = "parrot",
		.type = "parrot",
		.backlog_ms = 60000,
		.confirm_ms = 250,
		.hold_ms = 2000,
		.stall_ms = 30000,
		.duck_db = -12,
	};
}

bool bridge_name_ok(const char *name)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";

	return name[0] != '\0' && strspn(name, good) == strlen(name);
}

const char *bridge_mode_name(enum bridge_mode m)
{
	static const char *const names[] = {[BRIDGE_ACTIVE] = "active", [BRIDGE_LISTENING] = "listening", [BRIDGE_MUTED] = "muted"};

	return names[m];
}

const struct bridge_ops *bridge_at(size_t i)
{
	return i < sizeof drivers / sizeof *drivers ? drivers[i] : NULL;
}

const struct bridge_ops *bridge_find(const char *type)
{
	for (size_t i = 0; i < sizeof drivers / sizeof *drivers; i++)
		if (strcmp(drivers[i]->type, type) == 0)
			return drivers[i];
	return NULL;
}

const char *bridge_types(void)
{
	return "audiosocket, echo, openai, parrot, process, tone, websocket";
}

const struct option_row *bridge_option(const struct bridge_ops *ops, const char *key)
{
	for (size_t i = 0; ops->options && i < ops->options->n_rows; i++)
		if (strcmp(ops->options->rows[i].key, key) == 0)
			return &ops->options->rows[i];
	return NULL;
}

uint32_t bridge_rate(const struct bridge_ops *ops, const struct bridge_opts *opts, uint32_t room_hz)
{
	if (ops->rate)
		return ops->rate(opts, room_hz);
	return opts->rate_hz ? opts->rate_hz : room_hz;
}

bool bridge_needs_tls(const struct bridge_opts *opts)
{
	const struct bridge_ops *ops = opts->ops ? opts->ops : bridge_find(opts->type);

	return ops && ops->needs_tls && ops->needs_tls(opts);
}

bool bridge_faulty(struct bridge_fault *f, const char *key, const char *accepts)
{
	f->key = key;
	snprintf(f->accepts, sizeof f->accepts, "%s", accepts);
	return false;
}
