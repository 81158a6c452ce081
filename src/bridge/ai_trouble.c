/* SPDX-License-Identifier: MIT */
#include "bridge/ai_trouble.h"

#include <string.h>

static bool is_one_of(const char *word, const char *const *list)
{
	for (; *list; list++)
		if (strcmp(word, *list) == 0)
			return true;
	return false;
}

enum ai_trouble ai_trouble_of_error(const char *type, const char *code)
{
	static const char *const refusals[] = {"insufficient_quota", "invalid_api_key", "incorrect_api_key", "authentication_error",
		"permission_denied", "account_deactivated", "billing_hard_limit_reached", "billing_not_active", "model_not_found",
		"beta_api_shape_disabled", "invalid_model", "insufficient_permissions", NULL};
	static const char *const busy[] = {"rate_limit_exceeded", "rate_limit_error", "server_overloaded", "overloaded_error", NULL};

	if (is_one_of(code, refusals) || is_one_of(type, refusals))
		return AI_TROUBLE_REFUSED;
	if (is_one_of(code, busy) || is_one_of(type, busy))
		return AI_TROUBLE_BUSY;
	return strcmp(code, "session_expired") == 0 ? AI_TROUBLE_PLANNED : AI_TROUBLE_PASSING;
}

enum ai_trouble ai_trouble_of_end(const struct websocket_end *end)
{
	switch (end->http_status) {
	case 0:
		return end->err == ERR_TLS ? AI_TROUBLE_REFUSED : AI_TROUBLE_PASSING;
	case 429:
		return strstr(end->body, "insufficient_quota") ? AI_TROUBLE_REFUSED : AI_TROUBLE_BUSY;
	case 408:
		return AI_TROUBLE_PASSING;
	default:
		return end->http_status < 500 ? AI_TROUBLE_REFUSED : AI_TROUBLE_BUSY;
	}
}

const char *ai_trouble_hint(const struct websocket_end *end)
{
	switch (end->http_status) {
	case 401:
	case 403:
		return ": the key is refused";
	case 404:
		return ": no such model or path";
	case 429:
		return ai_trouble_of_end(end) == AI_TROUBLE_REFUSED ? ": the quota is used up" : "";
	default:
		return "";
	}
}
