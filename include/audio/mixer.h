/* SPDX-License-Identifier: MIT */
/*
 * mixer - sum once, take one's own away. Blocks are first added in any order, then every
 * talker hears mix_minus(sum, own) and everyone else the sum. Inputs are rounded to a grid of
 * 2^-20 (32 times finer than a 16-bit step), on which float adds and subtracts exactly while the
 * sum stays below +-16: no trace of one's own voice is left, whoever else talks. Pure functions.
 */
#pragma once
#include <stddef.h>

void mix_clear(float *sum, size_t n);

/* Rounds `x` in place to the grid and adds it. Keep `x` for mix_minus(). */
void mix_add(float *restrict sum, float *restrict x, size_t n);

/* out = sum - own, exactly the sum of the others. `own` as mix_add() left it. */
void mix_minus(float *restrict out, const float *restrict sum, const float *restrict own, size_t n);
