/* SPDX-License-Identifier: MIT */
#include "bridge/dial.h"

#include "base/err.h"
#include "bridge/key.h"

#include <stdio.h>
#include <string.h>

static int read_key(const struct dial *d, char key[KEY_MAX], char why[DIAL_WHY])
{
	struct bridge_key usual = {0};

	if (d->key->file[0] || d->key->env[0] || !d->usual_env)
		return key_read(d->key, key, why, DIAL_WHY);
	snprintf(usual.env, sizeof usual.env, "%s", d->usual_env);
	int err = key_read(&usual, key, why, DIAL_WHY);

	return err == ERR_NOTFOUND && d->usual_is_optional ? 0 : err;
}

static int connect_with(const struct dial *d, const char *key, uv_loop_t *loop, const struct websocket_events *ev, void *ctx,
	struct websocket **out)
{
	char value[KEY_MAX + 8];
	const struct websocket_header headers[] = {{d->key_header ? d->key_header : "Authorization", value}, {NULL, NULL}};
	struct websocket_opts to = d->to;

	to.headers = *key ? headers : NULL;
	snprintf(value, sizeof value, "%s%s", d->key_header ? "" : "Bearer ", key);
	int err = websocket_connect(loop, &to, ev, ctx, out);

	explicit_bzero(value, sizeof value);
	return err;
}

bool dial_needs_tls(const char *url)
{
	struct websocket_url parsed;

	return websocket_url_parse(url, &parsed) == 0 && parsed.secure;
}

int dial(const struct dial *d, uv_loop_t *loop, const struct websocket_events *ev, void *ctx, struct websocket **out,
	char why[DIAL_WHY])
{
	struct websocket_url url;
	char key[KEY_MAX];

	if (websocket_url_parse(d->to.url, &url)) {
		snprintf(why, DIAL_WHY, "url: no address of a WebSocket");
		return ERR_RANGE;
	}
	if (read_key(d, key, why))
		return ERR_DENIED;
	int err = ERR_DENIED;

	if (*key && !url.secure && !url.loopback) {
		snprintf(why, DIAL_WHY, "a key is sent over wss:// only, or to this machine");
	} else {
		err = connect_with(d, key, loop, ev, ctx, out);
		snprintf(why, DIAL_WHY, "%s", err ? err_str(err) : "");
	}
	key_wipe(key);
	return err;
}
