/* SPDX-License-Identifier: MIT */
#include "client/media.h"

#include "audio/jitter.h"
#include "audio/pcm.h"
#include "audio/resample.h"
#include "base/err.h"
#include "client/epoch.h"

#include <math.h>
#include <stdlib.h>

enum {
	PLAYOUT_MAX_MS = 500,
	LEVEL_FRAMES = 1000 / MEDIA_FRAME_MS,
	FLUSH_FADE_MS = 5,
};

/* The level of the last whole second. */
struct meter {
	double sum; /* of squares, in this second */
	size_t n;
	unsigned frames;
	double dbfs;
};

struct media {
	struct media_opts opts;
	struct media_out out;
	struct media_stats stats;
	struct resample_table *table;
	struct jitter *jitter;
	struct packet_writer writer;
	struct epoch epoch;
	uint64_t grid;
	bool talking;    /* at the last grid point */
	uint64_t played; /* samples of this epoch, as media_played() said last */
	struct meter sent, heard;
	float fade_tail[MEDIA_SAMPLES_MAX]; /* the end of what was flushed, ... */
	size_t n_tail;                      /* ... to be played next */
};

int media_new(const struct media_opts *opts, const struct media_out *out, struct media **m)
{
	const struct jitter_opts jo = {.rate_hz = opts->play_rate_hz, .tick_ms = MEDIA_FRAME_MS, .max_delay_ms = PLAYOUT_MAX_MS};
	struct media *n = calloc(1, sizeof *n);

	if (!n)
		return ERR_NOMEM;
	n->opts = *opts;
	n->out = *out;
	n->writer.kind = opts->kind;
	n->sent.dbfs = n->heard.dbfs = -100;
	int err = audio_rate_ok(opts->send_rate_hz) ? resample_table_new(&n->table) : ERR_RANGE;

	if (!err)
		err = jitter_new(&jo, n->table, &n->jitter);
	if (err) {
		media_free(n);
		return err;
	}
	*m = n;
	return 0;
}

void media_free(struct media *m)
{
	if (!m)
		return;
	jitter_free(m->jitter);
	resample_table_free(m->table);
	free(m);
}

static void measure(struct meter *m, const int16_t *pcm, size_t n, size_t frame)
{
	for (size_t i = 0; i < n; i++)
		m->sum += (double)pcm[i] * pcm[i];
	m->n += frame;
	if (++m->frames < LEVEL_FRAMES)
		return;
	m->dbfs = m->sum > 0 ? 10 * log10(m->sum / (double)m->n / (32768.0 * 32768)) : -100;
	m->sum = 0;
	m->n = m->frames = 0;
}

/* --- the grid ----------------------------------------------------------------------------------- */

/* Media time at grid point k, in samples. */
static uint64_t time_at(uint32_t rate_hz, uint64_t k)
{
	return k * rate_hz / (1000 / MEDIA_FRAME_MS);
}

static size_t samples_at(uint32_t rate_hz, uint64_t k)
{
	return (size_t)(time_at(rate_hz, k + 1) - time_at(rate_hz, k));
}

size_t media_samples_to_send(const struct media *m)
{
	return samples_at(m->opts.send_rate_hz, m->grid);
}

size_t media_samples_to_play(const struct media *m)
{
	return samples_at(m->opts.play_rate_hz, m->grid);
}

void media_advance(struct media *m)
{
	m->grid++;
}

uint64_t media_grid(const struct media *m)
{
	return m->grid;
}

/* --- sending ------------------------------------------------------------------------------------ */

static void send_frame(struct media *m, const int16_t *pcm, size_t n, bool ends, nsec now)
{
	float x[MEDIA_SAMPLES_MAX];
	uint8_t payload[2 * MEDIA_SAMPLES_MAX];
	struct frame f = {
		.format = {&codec_pcm, m->opts.send_rate_hz},
		.payload = payload,
		.n_samples = (uint32_t)n,
		.v1 = {.begins = !m->talking, .ends = ends, .time = (uint32_t)time_at(m->opts.send_rate_hz, m->grid)},
	};
	struct packet p;

	pcm_from_i16(x, pcm, n);
	f.len = (uint32_t)f.format.codec->encode(NULL, payload, x, n);
	for (bool more = packet_first(&p, &m->writer, &f, m->out.packet_max(m->out.ctx)); more; more = packet_next(&p))
		m->stats.packets_sent += m->out.packet(m->out.ctx, &p, now);
	m->stats.samples_sent += n;
}

void media_send(struct media *m, const int16_t *pcm, size_t n, bool quiet, nsec now)
{
	size_t whole = media_samples_to_send(m);

	measure(&m->sent, pcm, n, whole);
	if (n > 0 && !quiet)
		send_frame(m, pcm, n, n < whole, now);
	m->talking = n == whole && !quiet;
}

/* --- receiving ---------------------------------------------------------------------------------- */

/* Its next grid point's worth of sound ends softly, on top of whatever is played then. */
static void fade_out(struct media *m, nsec now)
{
	size_t fade = m->opts.play_rate_hz * FLUSH_FADE_MS / 1000;

	jitter_get(m->jitter, m->fade_tail, media_samples_to_play(m), now);
	for (size_t i = 0; i < fade; i++)
		m->fade_tail[i] *= 1 - (float)(i + 1) / (float)fade;
	m->n_tail = fade;
}

/* Drops the sound that waits to be played, except for a short fade. */
static void drop(struct media *m, nsec now)
{
	m->stats.flushes++;
	m->played = 0;
	if (jitter_active(m->jitter))
		fade_out(m, now);
	jitter_clear(m->jitter); /* and the numbers: frames that a flush took are not missing */
}

void media_flush(struct media *m, uint8_t epoch, nsec now)
{
	if (epoch_enter(&m->epoch, epoch))
		drop(m, now);
}

void media_receive(struct media *m, const uint8_t *p, size_t len, nsec now)
{
	struct frame f;
	enum frame_fault fault = packet_parse(p, len, m->opts.play_rate_hz, &f);

	if (fault != FRAME_OK && fault != FRAME_ODD) {
		m->stats.bad_frames++;
		return;
	}
	if (f.is_v1)
		media_flush(m, f.v1.epoch, now);
	if (f.is_v1 && !epoch_count(&m->epoch, &f))
		return;
	m->stats.frames_received++;
	jitter_put(m->jitter, &f, now);
}

void media_play(struct media *m, int16_t *pcm, nsec now)
{
	float x[MEDIA_SAMPLES_MAX];
	size_t n = media_samples_to_play(m);

	if (jitter_get(m->jitter, x, n, now) == JITTER_CONCEALED)
		m->stats.concealed++;
	for (size_t i = 0; i < n && i < m->n_tail; i++)
		x[i] += m->fade_tail[i];
	m->n_tail = 0;
	pcm_to_i16(pcm, x, n);
	measure(&m->heard, pcm, n, n);
}

bool media_played(struct media *m, uint8_t *epoch, uint64_t *samples)
{
	uint64_t waiting = (uint64_t)(jitter_depth_ms(m->jitter) * m->epoch.rate_hz / 1000);

	if (!m->epoch.any || m->epoch.samples < waiting + m->played + 1)
		return false;
	m->played = m->epoch.samples - waiting;
	*epoch = m->epoch.now;
	*samples = m->played;
	return true;
}

void media_stats(const struct media *m, struct media_stats *out)
{
	struct jitter_stats j;

	jitter_stats(m->jitter, &j);
	*out = m->stats;
	out->buffer_ms = j.depth_ms;
	out->jitter_ms = j.jitter_ms;
	out->frames_lost = j.order.n_lost;
	out->sent_dbfs = m->sent.dbfs;
	out->played_dbfs = m->heard.dbfs;
}
