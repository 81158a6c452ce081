/* SPDX-License-Identifier: MIT */
#include "room/path.h"

#include "audio/resample.h"
#include "room/room_private.h"

int path_init(struct path *p, const struct resample_table *t, uint32_t room_rate_hz, const struct path_format *f)
{
	*p = (struct path){.codec = f->format.codec};
	limiter_init(&p->limiter, room_rate_hz);
	int err = codec_encoder_new(p->codec, f->format.rate_hz, f->bitrate_bps, &p->encoder);

	if (!err && room_rate_hz != f->format.rate_hz)
		err = resample_new(t, room_rate_hz, f->format.rate_hz, &p->resample);
	if (err)
		path_fini(p);
	return err;
}

void path_fini(struct path *p)
{
	resample_free(p->resample);
	codec_encoder_free(p->codec, p->encoder);
	p->resample = NULL;
	p->encoder = NULL;
}

void path_copy(struct path *to, const struct path *from)
{
	to->limiter = from->limiter;
	to->ran = from->ran;
	if (to->resample)
		resample_copy(to->resample, from->resample);
	codec_encoder_copy(to->codec, to->encoder, from->encoder);
}

/* The encoder goes on: a codec knows silence. */
static void begin_anew(struct path *p)
{
	limiter_init(&p->limiter, p->limiter.rate_hz);
	if (p->resample)
		resample_reset(p->resample, p->limiter.rate_hz);
}

struct sound path_run(struct path *p, const struct room *r, const float *x, float *out)
{
	if (!path_live(p, r->tick))
		begin_anew(p);
	p->ran = r->tick;
	if (!p->resample)
		return (struct sound){limiter_pass(&p->limiter, x, out, r->n), r->n};
	x = limiter_pass(&p->limiter, x, r->rooms->block, r->n);
	return (struct sound){out, resample_run(p->resample, x, r->n, out, OUT_SAMPLES_MAX)};
}

void path_encode(struct path *p, const struct format *format, struct sound s, uint8_t *out, struct frame *f)
{
	f->format = *format;
	f->payload = out;
	f->len = (uint32_t)p->codec->encode(p->encoder, out, s.x, s.n);
	f->n_samples = (uint32_t)s.n;
}
