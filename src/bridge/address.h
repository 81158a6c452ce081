/* SPDX-License-Identifier: MIT */
/* address - where a worker listens: "tcp://host:port", "tcp://[::1]:port" or "unix:/path". Pure. */
#pragma once
#include <stdbool.h>

enum { ADDRESS_HOST_MAX = 254, ADDRESS_PATH_MAX = 108 /* sun_path, with the NUL */ };

struct worker_address {
	bool local;                  /* a Unix socket */
	char host[ADDRESS_HOST_MAX]; /* a name or a number, without brackets */
	char port[6];
	char path[ADDRESS_PATH_MAX];
};

/* ERR_MALFORMED. */
int address_parse(const char *text, struct worker_address *out);
