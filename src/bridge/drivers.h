/* SPDX-License-Identifier: MIT */
/* drivers - all built-in ones, for the registry. */
#pragma once
#include "bridge/bridge.h"

extern const struct bridge_ops bridge_audiosocket, bridge_echo, bridge_parrot, bridge_openai, bridge_process, bridge_tone, bridge_websocket;
