/* SPDX-License-Identifier: MIT */
#include "read_grid.h"

enum {
	WINDOW = 20, /* steps over which packets are counted */
	ENTER = 20,  /* wake-ups among them from which on it is on */
	LEAVE = 10,  /* packets among them below which it is off again */
	BATCH = 32,  /* packets that one reading may find before the next one comes sooner */
	STEPS = 4,   /* between two readings at the most */
};

void read_grid_init(struct read_grid *g, nsec step)
{
	*g = (struct read_grid){.step = step, .at = NSEC_NONE};
}

/* The first point after `at`. */
static nsec point_after(const struct read_grid *g, nsec at)
{
	return (at / g->step + 1) * g->step;
}

static nsec next_reading(const struct read_grid *g, nsec now)
{
	return point_after(g, now + (g->steps - 1) * g->step);
}

/* `n` packets came in a window. */
static void choose_steps(struct read_grid *g, uint64_t n)
{
	g->steps = STEPS;
	while (g->steps > 1 && n * g->steps > BATCH * WINDOW)
		g->steps /= 2;
}

/* True once in a window, with `*n` things in it. */
static bool window_over(struct read_grid *g, nsec now, uint64_t *n)
{
	if (now < g->window_end)
		return false;
	*n = g->n_window;
	g->n_window = 0;
	g->window_end = now + WINDOW * g->step;
	return true;
}

bool read_grid_packet(struct read_grid *g, nsec now)
{
	bool enters;
	uint64_t n;

	if (g->step == 0)
		return false;
	enters = ++g->n_window >= ENTER && now < g->window_end;
	if (enters) {
		g->window_end = 0;
		g->steps = 1;
		g->at = next_reading(g, now);
	}
	window_over(g, now, &n);
	return enters;
}

bool read_grid_read(struct read_grid *g, uint64_t n, bool more, nsec now)
{
	uint64_t in_window = 0;

	g->n_window += n;
	if (window_over(g, now, &in_window)) {
		choose_steps(g, in_window);
		if (in_window < LEAVE) {
			g->at = NSEC_NONE;
			return true;
		}
	}
	g->at = more ? now : next_reading(g, now);
	return false;
}

nsec read_grid_wake_at(const struct read_grid *g, nsec tick, nsec rest)
{
	if (!read_grid_on(g))
		return tick < rest ? tick : rest;
	return tick < g->at ? point_after(g, tick - 1) : g->at;
}
