/* SPDX-License-Identifier: MIT */
#include "bridge/ai_context.h"

#include "bridge/ai_text.h"

#include <string.h>

static const struct ai_profile profiles[] = {
	[BRIDGE_OPENAI] = {.url = "wss://api.openai.com/v1/realtime", .key_env = "OPENAI_API_KEY", .session_max_s = 3480,
		.truncates = true},
	[BRIDGE_AZURE] = {.key_header = "api-key", .key_env = "AZURE_OPENAI_API_KEY", .session_max_s = 1680, .truncates = true},
	[BRIDGE_XAI] = {.url = "wss://api.x.ai/v1/realtime", .key_env = "XAI_API_KEY", .session_max_s = 3480, .top = true},
	[BRIDGE_LOCALAI] = {.url = "ws://127.0.0.1:8080/v1/realtime", .session_max_s = UINT32_MAX, .truncates = true},
	[BRIDGE_SPEACHES] = {.url = "ws://127.0.0.1:8000/v1/realtime", .session_max_s = UINT32_MAX, .flat = true,
		.truncates = true},
	[BRIDGE_GENERIC] = {.session_max_s = UINT32_MAX, .truncates = true},
};

const struct ai_profile *ai_profile(enum bridge_profile p)
{
	return &profiles[p];
}

void ai_report_transcript(const struct ai_context *cx, uint32_t participant, const char *text, bool final)
{
	char bounded[AI_TEXT_MAX];
	size_t n = ai_text_fit(text, sizeof bounded - 1);

	memcpy(bounded, text, n);
	bounded[n] = '\0';
	if (n)
		cx->sink->transcript(cx->sink_ctx, participant, bounded, final);
}
