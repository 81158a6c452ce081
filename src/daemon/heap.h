/* SPDX-License-Identifier: MIT */
/*
 * heap - gives memory back to the system after many connections have ended. The C library keeps what a flood of handshakes
 * took, most of a hundred kilobytes each, since the heap's end is seldom what is freed first.
 *
 * One thread, that of the loop; the work itself is done beside it, since it takes milliseconds.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

/* A look each ten seconds, after the ten of a handshake's timeout: within thirty of a flood's end. */
enum { HEAP_LOOK_MS = 10000, HEAP_FALL = 32 };

struct heap {
	uint32_t most; /* connections, since memory was given back */
	bool busy;
	uv_work_t work;
};

/* At least HEAP_FALL connections fewer than there were since it last said so? All zero is ready. */
bool heap_has_fallen(struct heap *h, uint32_t conns);
/* Every HEAP_LOOK_MS milliseconds. `h` must stay until the loop has nothing more to do. */
void heap_look(struct heap *h, uv_loop_t *loop, uint32_t conns);
