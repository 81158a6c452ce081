/* SPDX-License-Identifier: MIT */
#include "base/err.h"

const char *err_str(int err)
{
	switch (err) {
	case ERR_OK: return "ok";
	case ERR_MALFORMED: return "malformed";
	case ERR_RANGE: return "out of range";
	case ERR_LIMIT: return "limit reached";
	case ERR_STATE: return "not possible in this state";
	case ERR_NOMEM: return "out of memory";
	case ERR_IO: return "input/output error";
	case ERR_NOTFOUND: return "not found";
	case ERR_EXISTS: return "exists already";
	case ERR_DENIED: return "not allowed";
	case ERR_TLS: return "TLS error";
	case ERR_UNSUPPORTED: return "not supported";
	default: return "unknown error";
	}
}
