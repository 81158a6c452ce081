/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "audio/packet.h"
#include "support/frames.h"

#include <stdlib.h>
#include <string.h>

/* ---- reading ---- */

static const struct {
	const char *what;
	uint8_t bytes[8];
	size_t len;
	enum frame_fault fault;
	uint32_t rate_hz;
	size_t n_samples;
} cases[] = {
	{"nothing", {0}, 0, FRAME_SHORT, 0, 0},
	{"one byte", {160}, 1, FRAME_SHORT, 0, 0},
	{"a header alone", {160, 0}, 2, FRAME_EMPTY, 0, 0},
	{"half a sample", {160, 0, 1}, 3, FRAME_EMPTY, 0, 0},
	{"one sample", {160, 0, 1, 2}, 4, FRAME_OK, 16000, 1},
	{"an odd byte", {160, 0, 1, 2, 3}, 5, FRAME_ODD, 16000, 1},
	{"the default rate", {0, 0, 1, 2}, 4, FRAME_OK, 24000, 1},
	{"11025", {110, 0, 1, 2}, 4, FRAME_OK, 11025, 1},
	{"22050", {220, 0, 1, 2}, 4, FRAME_OK, 22050, 1},
	{"44100", {441 & 255, 441 >> 8, 1, 2}, 4, FRAME_OK, 44100, 1},
	{"lowest", {80, 0, 1, 2, 3, 4}, 6, FRAME_OK, 8000, 2},
	{"highest", {480 & 255, 480 >> 8, 1, 2}, 4, FRAME_OK, 48000, 1},
	{"too low", {79, 0, 1, 2}, 4, FRAME_BAD_RATE, 0, 0},
	{"too high", {481 & 255, 481 >> 8, 1, 2}, 4, FRAME_BAD_RATE, 0, 0},
	{"a bad rate without samples", {79, 0}, 2, FRAME_BAD_RATE, 0, 0},
	{"the highest field that is not v1", {255, 127, 1, 2}, 4, FRAME_BAD_RATE, 0, 0},
	{"v1, truncated", {0, 128, 1, 2}, 4, FRAME_SHORT, 0, 0},
	{"v1 with Opus", {1, 128}, 2, FRAME_UNSUPPORTED, 0, 0},
};

TEST(every_kind_of_packet_gets_its_name)
{
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct frame f = {.format.rate_hz = 7, .n_samples = 7};
		enum frame_fault fault = packet_parse(cases[i].bytes, cases[i].len, 24000, &f);

		if (fault != cases[i].fault)
			print_message("%s\n", cases[i].what);
		assert_int_equal(fault, cases[i].fault);
		if (fault == FRAME_OK || fault == FRAME_ODD) {
			assert_ptr_equal(f.format.codec, &codec_pcm);
			assert_int_equal(f.format.rate_hz, cases[i].rate_hz);
			assert_int_equal(f.n_samples, cases[i].n_samples);
			assert_int_equal(f.len, 2 * cases[i].n_samples);
			assert_ptr_equal(f.payload, cases[i].bytes + 2);
			assert_false(f.is_v1);
		} else {
			assert_int_equal(f.format.rate_hz, 7);
			assert_int_equal(f.n_samples, 7);
		}
	}
	assert_int_equal(packet_parse(NULL, 0, 16000, NULL), FRAME_SHORT);
}

/* Every field at its own place; the bytes are those of docs/protocol.md. */
static const uint8_t v1_bytes[] = {0x30, 0x80, 0, 3, 160, 0, 0x34, 0x12, 0x78, 0x56, 0x34, 0x12, 1, 0, 255, 255};

TEST(v1_is_read_and_written)
{
	struct packet_writer w = {.kind = PACKET_V1, .next_seq = 0x1234};
	struct packet p;
	struct frame f = {0};

	assert_int_equal(packet_parse(v1_bytes, sizeof v1_bytes, 48000, &f), FRAME_OK);
	assert_true(f.is_v1 && f.v1.begins && f.v1.ends);
	assert_int_equal(f.v1.epoch, 3);
	assert_int_equal(f.format.rate_hz, 16000);
	assert_int_equal(f.v1.seq, 0x1234);
	assert_int_equal(f.v1.time, 0x12345678);
	assert_int_equal(f.n_samples, 2);
	assert_ptr_equal(f.payload, v1_bytes + 12);
	assert_true(packet_first(&p, &w, &f, 100));
	assert_int_equal(p.head_len, 12);
	assert_memory_equal(p.head, v1_bytes, 12);
	assert_ptr_equal(p.body, f.payload);
	assert_int_equal(p.body_len, 4);
	assert_false(packet_next(&p));
	w.next_seq = 65535;
	f.v1 = (struct frame_v1){.seq = 9, .time = UINT32_MAX};
	f.format.rate_hz = 11025;
	assert_true(packet_first(&p, &w, &f, 100));
	assert_memory_equal(p.head, ((uint8_t[]){0, 128, 0, 0, 110, 0, 255, 255, 255, 255, 255, 255}), 12);
	assert_int_equal(w.next_seq, 0);
}

TEST(every_truncation_of_v1_has_its_name)
{
	struct frame f = {.format.rate_hz = 7};

	for (size_t len = 0; len < sizeof v1_bytes; len++) {
		uint8_t *p = malloc(len ? len : 1); /* so that a read beyond it is seen */
		enum frame_fault want = len < 12 ? FRAME_SHORT : len < 14 ? FRAME_EMPTY : len % 2 ? FRAME_ODD : FRAME_OK;

		memcpy(p, v1_bytes, len);
		assert_int_equal(packet_parse(p, len, 48000, &f), want);
		free(p);
	}
}

TEST(v1_of_a_later_version_is_unsupported)
{
	for (int bit = 0; bit < 15; bit++) {
		uint8_t b[16] = {0, 128, 0, 0, 160, 0};
		struct frame f = {0};

		b[bit / 8] |= (uint8_t)(1 << bit % 8);
		assert_int_equal(packet_parse(b, sizeof b, 48000, &f), bit == 4 || bit == 5 ? FRAME_OK : FRAME_UNSUPPORTED);
	}
	uint8_t b[16] = {0, 128, 1, 0, 160, 0}; /* a separate feed: reserved */
	struct frame f = {0};

	assert_int_equal(packet_parse(b, sizeof b, 48000, &f), FRAME_UNSUPPORTED);
	b[2] = 0;
	b[4] = 79;
	assert_int_equal(packet_parse(b, sizeof b, 48000, &f), FRAME_BAD_RATE);
	b[4] = 0;
	assert_int_equal(packet_parse(b, sizeof b, 48000, &f), FRAME_OK);
	assert_int_equal(f.format.rate_hz, 48000);
}

TEST(a_default_rate_that_is_not_allowed_is_a_bad_rate)
{
	static const uint8_t b[] = {0, 0, 1, 2};
	struct frame f;

	assert_int_equal(packet_parse(b, 4, 96000, &f), FRAME_BAD_RATE);
}

TEST(faults_have_names_for_metrics)
{
	for (int i = 0; i < FRAME_N_FAULTS; i++)
		assert_int_equal(strspn(frame_fault_name((enum frame_fault)i), "abcdefghijklmnopqrstuvwxyz_"),
				 strlen(frame_fault_name((enum frame_fault)i)));
	assert_string_equal(frame_fault_name(FRAME_BAD_RATE), "bad_rate");
	assert_string_equal(frame_fault_name(FRAME_N_FAULTS), "unknown");
}

/* ---- writing ---- */

#define N_MAX 2000

/* What arrives of one frame. */
struct arrival {
	struct frame frames[N_MAX];
	size_t n;
	uint8_t bytes[2 * N_MAX]; /* all payloads, one after another */
	size_t len;
};

static void receive(struct arrival *a, const struct packet *p, size_t max_bytes)
{
	static uint8_t datagram[2 * N_MAX + PACKET_V1_HEAD];
	struct frame *f = &a->frames[a->n++];

	assert_true(p->head_len + p->body_len <= max_bytes);
	assert_true(p->body_len > 0);
	memcpy(datagram, p->head, p->head_len);
	memcpy(datagram + p->head_len, p->body, p->body_len);
	assert_int_equal(packet_parse(datagram, p->head_len + p->body_len, 16000, f), FRAME_OK);
	memcpy(a->bytes + a->len, f->payload, f->len);
	a->len += f->len;
}

static bool send_frame(struct arrival *a, struct packet_writer *w, const struct frame *f, size_t max_bytes)
{
	struct packet p;

	a->n = a->len = 0;
	if (!packet_first(&p, w, f, max_bytes))
		return false;
	do
		receive(a, &p, max_bytes);
	while (packet_next(&p));
	assert_false(packet_next(&p));
	return true;
}

static struct arrival arrived;
static uint8_t sound[2 * N_MAX];

static int fill_sound(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof sound; i++)
		sound[i] = (uint8_t)(i * 37 + i / 256);
	return 0;
}

TEST(packets_are_read_as_they_were_written)
{
	static const uint32_t rates[] = {8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000};

	for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
		struct frame f = {PCM_FRAME(rates[i], sound + i, 6)};

		for (int kind = PACKET_LEGACY; kind <= PACKET_V1; kind++) {
			struct packet_writer w = {.kind = (enum packet_kind)kind};

			assert_true(send_frame(&arrived, &w, &f, 100));
			assert_int_equal(arrived.n, 1);
			assert_int_equal(arrived.frames[0].format.rate_hz, rates[i]);
			assert_int_equal(arrived.frames[0].is_v1, kind == PACKET_V1);
			assert_int_equal(arrived.len, 12);
			assert_memory_equal(arrived.bytes, sound + i, 12);
		}
		assert_int_equal(packet_rate(rates[i]), rates[i]);
	}
	assert_int_equal(packet_rate(8099), 8000);
	assert_int_equal(packet_rate(47999), 47900);
}

TEST(a_frame_is_cut_into_the_fewest_equal_packets)
{
	static const struct {
		enum packet_kind kind;
		uint32_t n;
		size_t max_bytes, n_packets;
	} cuts[] = {
		{PACKET_LEGACY, 960, 1170, 2}, {PACKET_LEGACY, 584, 1170, 1}, {PACKET_LEGACY, 585, 1170, 2},
		{PACKET_LEGACY, 3, 4, 3}, {PACKET_LEGACY, 3, 5, 3}, {PACKET_LEGACY, 1, 4, 1},
		{PACKET_V1, 960, 1170, 2}, {PACKET_V1, 579, 1170, 1}, {PACKET_V1, 580, 1170, 2},
		{PACKET_V1, 3, 14, 3}, {PACKET_V1, 3, 15, 3}, {PACKET_V1, 320, 652, 1}, {PACKET_V1, 320, 651, 2},
	};

	for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
		struct packet_writer w = {.kind = cuts[i].kind};
		struct frame f = {PCM_FRAME(16000, sound, cuts[i].n)};

		assert_true(send_frame(&arrived, &w, &f, cuts[i].max_bytes));
		assert_int_equal(arrived.n, cuts[i].n_packets);
	}
}

TEST(pieces_differ_by_one_sample_and_add_up)
{
	for (int kind = PACKET_LEGACY; kind <= PACKET_V1; kind++)
		for (uint32_t n = 1; n < N_MAX; n += 7) {
			struct packet_writer w = {.kind = (enum packet_kind)kind};
			struct frame f = {PCM_FRAME(16000, sound, n)};

			assert_true(send_frame(&arrived, &w, &f, 333));
			for (size_t i = 0; i < arrived.n; i++)
				assert_in_range(arrived.frames[i].n_samples, n / arrived.n, n / arrived.n + 1);
			assert_int_equal(arrived.len, 2 * n);
			assert_memory_equal(arrived.bytes, sound, 2 * n);
		}
}

TEST(the_first_piece_begins_the_last_ends_and_each_has_its_own_number_and_time)
{
	struct packet_writer w = {.kind = PACKET_V1, .next_seq = 65534};
	struct frame f = {PCM_FRAME(48000, sound, 961), .v1 = {.epoch = 255, .begins = true, .ends = true, .time = UINT32_MAX - 300}};
	uint32_t time = f.v1.time;

	for (int round = 0; round < 2; round++) {
		assert_true(send_frame(&arrived, &w, &f, 700));
		assert_int_equal(arrived.n, 3);
		for (size_t i = 0; i < 3; i++) {
			const struct frame *g = &arrived.frames[i];

			assert_int_equal(g->v1.epoch, 255);
			assert_int_equal(g->v1.begins, f.v1.begins && i == 0);
			assert_int_equal(g->v1.ends, f.v1.ends && i == 2);
			assert_int_equal(g->v1.seq, (uint16_t)(65534 + 3 * round + (int)i));
			assert_int_equal(g->v1.time, time);
			time += g->n_samples;
		}
		f.v1 = (struct frame_v1){.epoch = 255, .time = time};
	}
	assert_int_equal(arrived.frames[0].n_samples, 321);
	assert_int_equal(arrived.frames[2].n_samples, 320);
}

TEST(a_frame_that_does_not_fit_uses_one_number)
{
	struct packet_writer w = {.kind = PACKET_V1, .next_seq = 7};
	struct frame f = {PCM_FRAME(16000, sound, 320)};
	struct packet p;

	for (size_t max = 0; max < 14; max++)
		assert_false(packet_first(&p, &w, &f, max));
	assert_int_equal(w.next_seq, 21);
	assert_true(packet_first(&p, &w, &f, 14));
	assert_int_equal(p.body_len, 2);
	f.len = f.n_samples = 0;
	assert_false(packet_first(&p, &w, &f, 1000));
	w.kind = PACKET_LEGACY;
	f.len = 2, f.n_samples = 1;
	for (size_t max = 0; max < 4; max++)
		assert_false(packet_first(&p, &w, &f, max));
	assert_true(packet_first(&p, &w, &f, 4));
}

TEST(a_payload_of_one_piece_is_sent_whole_or_not_at_all)
{
	static const struct codec whole = {.id = 5, .name = "whole"};
	struct packet_writer w = {.kind = PACKET_V1};
	struct frame f = {.format = {&whole, 48000}, .payload = sound, .len = 61, .n_samples = 960};
	struct packet p;

	assert_false(packet_first(&p, &w, &f, 72));
	assert_true(packet_first(&p, &w, &f, 73));
	assert_memory_equal(p.head, ((uint8_t[]){5, 128, 0, 0, 480 & 255, 480 >> 8, 1, 0, 0, 0, 0, 0}), 12);
	assert_ptr_equal(p.body, sound);
	assert_int_equal(p.body_len, 61);
	assert_false(packet_next(&p));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_of_packet_gets_its_name),
		cmocka_unit_test(v1_is_read_and_written),
		cmocka_unit_test(every_truncation_of_v1_has_its_name),
		cmocka_unit_test(v1_of_a_later_version_is_unsupported),
		cmocka_unit_test(a_default_rate_that_is_not_allowed_is_a_bad_rate),
		cmocka_unit_test(faults_have_names_for_metrics),
		cmocka_unit_test(packets_are_read_as_they_were_written),
		cmocka_unit_test(a_frame_is_cut_into_the_fewest_equal_packets),
		cmocka_unit_test(pieces_differ_by_one_sample_and_add_up),
		cmocka_unit_test(the_first_piece_begins_the_last_ends_and_each_has_its_own_number_and_time),
		cmocka_unit_test(a_frame_that_does_not_fit_uses_one_number),
		cmocka_unit_test(a_payload_of_one_piece_is_sent_whole_or_not_at_all),
	};

	return cmocka_run_group_tests(tests, fill_sound, NULL);
}
