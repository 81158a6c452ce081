/* SPDX-License-Identifier: MIT */
/* Any bytes as a target, an origin and a host, separated by line ends. */
#include "daemon/admission.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct config_server cfg;
	struct http_request req;
	struct join j;
	char *text = malloc(size + 1);

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	char *origin = strchr(text, '\n'), *host = origin ? strchr(origin + 1, '\n') : NULL;

	if (origin)
		*origin = '\0';
	if (!http_target_parse(text, &req))
		join_parse(req.query, 16000, &j);
	if (host) {
		*host = '\0';
		admission_origin_ok(origin + 1, host + 1, &cfg);
	}
	free(text);
	return 0;
}
