/* SPDX-License-Identifier: MIT */
/* tls_context - the OpenSSL side of tls_stream.h. */
#pragma once
#include "http/openssl.h"
#include "http/tls_stream.h"

/* A new connection's state; the caller owns it. `server_name` may be NULL for a server. NULL: no memory, or a bad name. */
SSL *tls_context_ssl(struct tls_context *t, bool server, const char *server_name);
