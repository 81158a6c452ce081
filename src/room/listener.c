/* SPDX-License-Identifier: MIT */
#include "room/listener.h"

#include "audio/mixer.h"
#include "base/err.h"
#include "room/room_private.h"

#include <string.h>

/* Longer than the limiter needs to recover to within 10^-4. */
enum { OWN_PATH_MS = 2000, EASE_IN_MS = 5 };

int listener_init(struct listener *l, struct room *r, const struct listener_opts *opts, const struct listener_sink *sink,
	void *user)
{
	const struct codec *codec = opts->codec ? opts->codec : &codec_pcm;
	const struct path_format format = {{codec, opts->rate_hz}, opts->bitrate_bps};

	*l = (struct listener){.room = r, .sink = sink, .user = user, .writer.kind = opts->packets};
	if (!codec->rate_ok(opts->rate_hz))
		return ERR_RANGE;
	int err = path_init(&l->path, r->rooms->table, r->rate_hz, &format);

	if (err)
		return err;
	err = output_get(r, &format, &l->output);
	if (err) {
		path_fini(&l->path);
		return err;
	}
	list_append(&l->output->listeners, &l->node);
	return 0;
}

void listener_fini(struct listener *l)
{
	list_remove(&l->node);
	output_release(l->output);
	path_fini(&l->path);
}

/* ---- shared path and own ---- */

void listener_talks(struct listener *l, const float *own)
{
	struct room *r = l->room;

	l->own = own;
	l->talked_at = r->tick;
	if (l->on_own_path)
		return;
	l->on_own_path = true;
	if (path_live(&l->output->path, r->tick))
		path_copy(&l->path, &l->output->path);
	else
		l->path.ran = 0;
}

static struct sound run_own(struct room *r, struct listener *l)
{
	struct rooms *rs = r->rooms;
	const float *x = rs->sum;

	if (l->own && rs->two) { /* most calls have two people: what the one hears is the other */
		x = l->own == rs->contributions ? rs->contributions + r->n : rs->contributions;
	} else if (l->own) {
		mix_minus(rs->block, rs->sum, l->own, r->n);
		x = rs->block;
	}
	rs->stats.mixes++;
	return path_run(&l->path, r, x, rs->resampled);
}

/* Into `out`, which may hold `from`. */
static struct sound cross_fade(float *out, struct sound from, struct sound to)
{
	size_t n = from.n < to.n ? from.n : to.n;

	for (size_t i = 0; i < n; i++)
		out[i] = from.x[i] + (to.x[i] - from.x[i]) * (float)(i + 1) / (float)(n + 1);
	memcpy(out + n, to.x + n, (to.n - n) * sizeof *out);
	return (struct sound){out, to.n};
}

/* A newcomer would hear the others begin in the middle of a wave. */
static struct sound ease_in(float *out, struct sound s, uint32_t rate_hz)
{
	size_t len = rate_hz * EASE_IN_MS / 1000;

	memmove(out, s.x, s.n * sizeof *out);
	for (size_t i = 0; i < len && i < s.n; i++)
		out[i] *= (float)(i + 1) / (float)(len + 1);
	return (struct sound){out, s.n};
}

static struct sound sound_of_tick(struct room *r, struct listener *l)
{
	struct output *o = l->output;

	if (!l->on_own_path)
		return output_sound(r, o);
	bool returns = (r->tick - l->talked_at) * r->rooms->opts.frame_ms > OWN_PATH_MS;

	if (returns && path_live(&l->path, r->tick) && !path_live(&o->path, r->tick))
		path_copy(&o->path, &l->path); /* nobody else listened: it goes on where this one was */
	struct sound s = run_own(r, l);

	if (!returns)
		return s;
	l->on_own_path = false;
	return cross_fade(r->rooms->resampled, s, output_sound(r, o));
}

/* The shared frame, unless something is done for this listener alone. */
static void encode_tick(struct room *r, struct listener *l, struct frame *f)
{
	if (!l->on_own_path && l->frames > 0) {
		*f = *output_frame(r, l->output);
		return;
	}
	const struct format *format = &l->output->key.format;
	struct sound s = sound_of_tick(r, l);

	if (l->frames == 0)
		s = ease_in(r->rooms->resampled, s, format->rate_hz);
	path_encode(&l->path, format, s, r->rooms->own_payload, f);
}

/* ---- sending ---- */

/* Media time runs on in silence; returns whether silence lies before this frame. (A room that was moved to another place of the
 * grid may have two ticks in one frame.) */
static bool pass_silence(struct listener *l, const struct rooms *rs, uint32_t rate_hz)
{
	if (l->next_frame == 0)
		return true;
	if (rs->frame_no < l->next_frame)
		return false;
	l->next_time += (uint32_t)((rs->frame_no - l->next_frame) * rate_hz * rs->opts.frame_ms / 1000);
	return true;
}

static void number_frame(struct listener *l, const struct rooms *rs, struct frame *f)
{
	f->v1.begins = rs->frame_no != l->next_frame && pass_silence(l, rs, f->format.rate_hz);
	f->v1.epoch = l->epoch;
	f->v1.time = l->next_time;
	l->next_time += f->n_samples;
	l->next_frame = rs->frame_no + 1;
	l->sent += f->n_samples;
}

static void send_frame(struct listener *l, struct rooms *rs, const struct frame *f, nsec now)
{
	struct room_packet p;

	p.frame = f;
	p.frame_no = rs->frame_no;
	rs->calling++;
	if (packet_first(&p.packet, &l->writer, f, l->sink->packet_max(l->user))) {
		do
			l->sink->packet(l->user, &p, now);
		while (packet_next(&p.packet));
	} else if (l->sink->dropped) {
		l->sink->dropped(l->user, now);
	}
	rs->calling--;
}

void listener_tick(struct listener *l, struct room *r, unsigned n_sources, nsec now)
{
	bool others = n_sources > (l->own ? 1u : 0u), fed = others || l->ringing;

	l->ringing = others && l->path.resample;
	if (!fed)
		return;
	struct frame f;

	encode_tick(r, l, &f);
	l->frames++;
	f.v1.ends = !others;
	number_frame(l, r->rooms, &f);
	if (!l->is_tap)
		r->rooms->stats.frames_out++;
	if (f.len > 0)
		send_frame(l, r->rooms, &f, now);
}

bool listener_hears(const struct listener *l)
{
	return !l->sink->hears || l->sink->hears(l->user);
}

/* ---- reports ---- */

void listener_report(struct listener *l, const struct room_event *ev, nsec now)
{
	struct rooms *rs = l->room->rooms;

	if (!l->sink->event)
		return;
	rs->calling++;
	l->sink->event(l->user, ev, now);
	rs->calling--;
}

void listener_flush(struct listener *l, const struct room_member *bridge, nsec now)
{
	struct room_event ev = {.kind = ROOM_FLUSH, .member = *bridge, .text = "", .epoch = ++l->epoch};

	l->sent = 0;
	listener_report(l, &ev, now);
}

/* Between two reports the distance stays what it was; a report that all was played is one from silence. */
void listener_played(struct listener *l, uint8_t epoch, uint64_t samples)
{
	if (epoch == l->epoch && samples < l->sent)
		l->playout_lag = l->sent - samples;
}

uint32_t listener_playout_lag_ms(const struct listener *l)
{
	uint64_t ms = 1000 * l->playout_lag / l->output->key.format.rate_hz;

	return ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
}
