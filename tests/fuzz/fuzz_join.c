/* SPDX-License-Identifier: MIT */
/* Any bytes as a path with its query, an origin and an authority, separated by line ends. */
#include "daemon/join.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct config_server cfg;
	struct join j;
	char why[JOIN_ERROR];
	char *text = malloc(size + 1);

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	join_parse(text, "/audio", 16000, &j, why);
	char *origin = strchr(text, '\n'), *authority = origin ? strchr(origin + 1, '\n') : NULL;

	if (authority) {
		*authority = '\0';
		join_origin_ok(origin + 1, authority + 1, &cfg);
	}
	free(text);
	return 0;
}
