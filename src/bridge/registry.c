/* SPDX-License-Identifier: MIT */
#include "bridge/drivers.h"

#include <stdio.h>
#include <string.h>

static const struct bridge_ops *const drivers[] = {&bridge_audiosocket, &bridge_echo, &bridge_openai, &bridge_parrot, &bridge_process,
	&bridge_tone, &bridge_websocket};

void bridge_opts_default(struct bridge_opts *o)
{
	*o = (struct bridge_opts){
		.name = "parrot",
		.type = "parrot",
		.backlog_ms = 60000,
		.confirm_ms = 250,
		.duck_db = -12,
		.tone_hz = 440,
		.tone_dbfs = -20,
		.pause_ms = 600,
		.max_ms = 15000,
		.session_max_s = 3300,
	};
}

void bridge_tool_default(struct bridge_tool *t)
{
	*t = (struct bridge_tool){.parameters = "{\"type\":\"object\",\"properties\":{}}", .timeout_ms = 5000};
}

const char *bridge_mode_name(enum bridge_mode m)
{
	static const char *const names[] = {[BRIDGE_ACTIVE] = "active", [BRIDGE_LISTENING] = "listening", [BRIDGE_MUTED] = "muted"};

	return names[m];
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

uint32_t bridge_rate(const struct bridge_ops *ops, const struct bridge_opts *opts, uint32_t room_hz)
{
	if (ops->rate)
		return ops->rate(opts, room_hz);
	return opts->rate_hz ? opts->rate_hz : room_hz;
}

bool bridge_faulty(struct bridge_fault *f, const char *key, const char *accepts)
{
	f->key = key;
	snprintf(f->accepts, sizeof f->accepts, "%s", accepts);
	return false;
}
