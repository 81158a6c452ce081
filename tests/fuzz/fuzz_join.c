/* SPDX-License-Identifier: MIT */
/* Any bytes as a target, an origin and a host, separated by line ends. */
#include "daemon/admission.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct config cfg;
	const struct admission a = {.cfg = &cfg};
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
		req = (struct http_request){.origin = origin + 1, .host = host + 1};
		admission_origin_ok(&a, &req);
		admission_host_ok(&a, host + 1);
	}
	free(text);
	return 0;
}
