/* SPDX-License-Identifier: MIT */
/* ai_events - the server events of the dialect: a table from their types to what they mean for the objects of openai. */
#pragma once
#include "bridge/openai.h"

/* Handles one event; unknown types are ignored. Anything may be in it. */
void ai_events_handle(struct openai *a, yyjson_val *event);
