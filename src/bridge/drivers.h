/* SPDX-License-Identifier: MIT */
/* drivers - the built-in ones, for the registry. */
#pragma once
#include "bridge/bridge.h"

extern const struct bridge_ops bridge_echo, bridge_tone, bridge_parrot;
