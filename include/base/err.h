/* SPDX-License-Identifier: MIT */
/*
 * err - the one list of error codes. Functions that can fail return 0 or one of these;
 * codes of other libraries are translated where they enter.
 */
#pragma once

enum err {
	ERR_OK = 0,
	ERR_MALFORMED = -1, /* the peer or a file broke its format */
	ERR_RANGE = -2,     /* a value outside what is documented */
	ERR_LIMIT = -3,     /* a bound named in the options is reached */
	ERR_STATE = -4,     /* not possible now (closed, draining, not yet open) */
	ERR_NOMEM = -5,     /* memory was refused */
	ERR_IO = -6,        /* the operating system refused; errno has the reason */
	ERR_NOTFOUND = -7,  /* no such thing */
	ERR_EXISTS = -8,    /* there is one already */
	ERR_DENIED = -9,    /* not allowed */
	ERR_TLS = -10,      /* certificate, key or handshake */
	ERR_UNSUPPORTED = -11, /* known, but not implemented */
};

/* A short lower-case phrase for an ERR_* code; never NULL. */
const char *err_str(int err);
