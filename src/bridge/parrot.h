/* SPDX-License-Identifier: MIT */
/* parrot - the options of a bridge of type "parrot". */
#pragma once
#include <stdint.h>

struct parrot_opts {
	uint32_t pause_ms; /* silence after which it answers, 100..5000. default 600 */
	uint32_t max_ms;   /* longest repetition, 1000..60000: the last of what was said. default 15000 */
};
