/* SPDX-License-Identifier: MIT */
#include "daemon/listen.h"

#include <string.h>

struct addresses {
	const char *addr[2];
	bool implied_second;
};

static struct addresses addresses_of(const char *host)
{
	if (strcmp(host, "localhost") == 0 || strcmp(host, "127.0.0.1") == 0)
		return (struct addresses){{"127.0.0.1", "::1"}, true};
	if (strcmp(host, "0.0.0.0") == 0)
		return (struct addresses){{host, "::1"}, true};
	if (strcmp(host, "::") == 0)
		return (struct addresses){{host, "0.0.0.0"}, true};
	return (struct addresses){{host, NULL}, false};
}

int listen_all(const char (*hosts)[64], size_t n, listen_bind_fn *bind, void *ctx)
{
	for (size_t i = 0; i < n; i++) {
		struct addresses a = addresses_of(hosts[i]);
		int err = bind(ctx, a.addr[0], false);

		if (!err && a.addr[1])
			err = bind(ctx, a.addr[1], a.implied_second);
		if (err)
			return err;
	}
	return 0;
}

const char *listen_typed_host(const char *host)
{
	static const char *const local[] = {"0.0.0.0", "::", "127.0.0.1", "::1", "localhost"};

	for (size_t i = 0; i < sizeof local / sizeof *local; i++)
		if (strcmp(host, local[i]) == 0)
			return "localhost";
	return host;
}
