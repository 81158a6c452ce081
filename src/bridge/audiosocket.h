/* SPDX-License-Identifier: MIT */
/* audiosocket - the options of a bridge of type "audiosocket". */
#pragma once
#include "bridge/bridge.h"

struct audiosocket_opts {
	char address[BRIDGE_ARG_MAX]; /* "tcp://host:port", "tcp://[::1]:port" or "unix:/path" */
};
