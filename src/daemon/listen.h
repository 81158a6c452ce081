/* SPDX-License-Identifier: MIT */
/*
 * listen - from the hosts of the configuration to the addresses that they stand for. Pure functions.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

/* Binds one numeric address; an `implied` one may be missing on this machine (0 then). */
typedef int listen_bind_fn(void *ctx, const char *addr, bool implied);

/* Binds every address that `hosts` stand for. "localhost" and the wildcards are reached over 127.0.0.1 and ::1, since browsers
 * try ::1 first. Ends with the first error and returns it. */
int listen_all(const char (*hosts)[64], size_t n, listen_bind_fn *bind, void *ctx);
/* The host as a person would type it: localhost for a wildcard and for loopback. */
const char *listen_typed_host(const char *host);
