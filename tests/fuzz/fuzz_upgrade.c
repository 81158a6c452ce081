/* SPDX-License-Identifier: MIT */
/* Any bytes as the answer to a WebSocket's request: the pieces in which they come must make no difference. */
#include "http/upgrade.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t read_all(struct upgrade *u, const uint8_t *data, size_t size, size_t step)
{
	size_t at = 0;

	assert(upgrade_init(u, "audio.one, audio.two") == 0);
	memset(u->accept, 'x', sizeof u->accept - 1); /* so that a seed can be a good answer */
	while (at < size && u->state == UPGRADE_MORE) {
		size_t n = size - at < step ? size - at : step;
		uint8_t *piece = malloc(n); /* of its own, so that reading past it is seen */

		assert(piece);
		memcpy(piece, data + at, n);
		size_t used = upgrade_feed(u, piece, n);

		free(piece);
		assert(used <= n && (used == n || u->state != UPGRADE_MORE));
		at += used;
	}
	upgrade_finish(u);
	assert(u->state != UPGRADE_MORE);
	assert(u->state != UPGRADE_BAD || u->why);
	assert(u->body_len < sizeof u->body && strlen(u->body) <= u->body_len);
	return at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct upgrade whole, parts;

	if (size == 0)
		return 0;
	size_t n = read_all(&whole, data + 1, size - 1, size), m = read_all(&parts, data + 1, size - 1, 1 + data[0] % 64u);

	/* a header that is too long is noticed between pieces */
	if (whole.n_header > UPGRADE_HEADER_MAX || parts.n_header > UPGRADE_HEADER_MAX)
		return 0;
	assert(whole.state == parts.state);
	if (whole.state == UPGRADE_DONE)
		assert(n == m && !strcmp(whole.value[FIELD_PROTOCOL], parts.value[FIELD_PROTOCOL]));
	if (whole.state == UPGRADE_REFUSED)
		assert(whole.parser.status_code == parts.parser.status_code && !strcmp(whole.body, parts.body) &&
			upgrade_retry_after_s(&whole) == upgrade_retry_after_s(&parts));
	return 0;
}
