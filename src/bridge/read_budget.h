/* SPDX-License-Identifier: MIT */
/* read_budget - what a worker of any kind may send in one tick of its room; the rest waits for the next tick. */
#pragma once

/* Bytes. 3 MB/s: a minute of speech comes in two seconds, and a flood delays nobody. */
enum { BRIDGE_READ_PER_TICK = 65536 };
