/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "audio/pcm.h"
#include "audio/resample.h"
#include "base/err.h"
#include "support/signal.h"
#include "unit/audio/table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint32_t rates[] = {8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000};
#define N_RATES (sizeof rates / sizeof *rates)
#define OUT_MAX 60000

static float in[60000], out[OUT_MAX + 4096], back[OUT_MAX + 4096];

static void add_tone(float *x, size_t n, double hz, double rate_hz, double amplitude)
{
	for (size_t i = 0; i < n; i++)
		x[i] += (float)(amplitude * sin(2 * M_PI * hz * (double)i / rate_hz));
}

static void only_tone(float *x, size_t n, double hz, double rate_hz, double amplitude)
{
	memset(x, 0, n * sizeof *x);
	add_tone(x, n, hz, rate_hz, amplitude);
}

/* In blocks of 20 ms. */
static size_t run(struct resample *r, const float *x, size_t n, float *y)
{
	size_t made = 0, block = resample_in_hz(r) / 50;

	for (size_t at = 0; at < n; at += block) {
		size_t take = n - at < block ? n - at : block;

		made += resample_run(r, x + at, take, y + made, resample_out_max(r, take));
	}
	return made;
}

static size_t convert(uint32_t from, uint32_t to, const float *x, size_t n, float *y)
{
	struct resample *r;

	assert_int_equal(resample_new(table, from, to, &r), 0);
	size_t made = run(r, x, n, y);

	resample_free(r);
	return made;
}

static double lower(uint32_t a, uint32_t b)
{
	return (a < b ? a : b) / 2.0;
}

TEST(every_pair_of_rates_keeps_a_tone_clean)
{
	static const double at[] = {0.05, 0.3, 0.6, 0.75};
	double worst = 300, worst_level = 0;

	for (size_t a = 0; a < N_RATES; a++) {
		for (size_t b = 0; b < N_RATES; b++) {
			for (size_t k = 0; k < 4; k++) {
				double hz = at[k] * lower(rates[a], rates[b]), amplitude;
				size_t n = rates[a] / 5, m;

				only_tone(in, n, hz, rates[a], 0.5);
				m = convert(rates[a], rates[b], in, n, out);
				assert_in_range(m, (uint64_t)n * rates[b] / rates[a] - 1, (uint64_t)n * rates[b] / rates[a] + 2);
				size_t skip = rates[b] / 50;
				double snr = sig_snr(out + skip, m - skip, rates[b], &hz, 1, &amplitude, NULL);

				worst = fmin(worst, snr);
				worst_level = fmax(worst_level, fabs(sig_db(amplitude / 0.5)));
				if (snr < 80)
					print_message("%u -> %u, %.0f Hz: %.1f dB\n", rates[a], rates[b], hz, snr);
			}
		}
	}
	print_message("worst SNR %.1f dB, worst level %.3f dB\n", worst, worst_level);
	assert_true(worst >= 80);
	assert_true(worst_level <= 0.1);
}

TEST(aliases_are_rejected_at_every_pair_of_rates)
{
	static const double at[] = {1.15, 1.3, 1.7};
	double worst = -300;

	for (size_t a = 0; a < N_RATES; a++) {
		for (size_t b = 0; b < N_RATES; b++) {
			for (size_t k = 0; k < 3 && rates[b] < rates[a]; k++) {
				double hz = at[k] * rates[b] / 2.0;
				size_t n = rates[a] / 5, m, skip = rates[b] / 50;

				if (hz >= rates[a] / 2.0)
					continue;
				only_tone(in, n, hz, rates[a], 0.5);
				m = convert(rates[a], rates[b], in, n, out);
				worst = fmax(worst, sig_db(sig_rms(out + skip, m - skip) / 0.5 * M_SQRT2));
			}
			for (size_t k = 0; k < 3 && rates[b] > rates[a]; k++) {
				/* the image of what lies below the old Nyquist frequency */
				double hz = (2 - at[k]) * rates[a] / 2.0;
				size_t n = rates[a] / 5, m, skip = rates[b] / 50;

				only_tone(in, n, hz, rates[a], 0.5);
				m = convert(rates[a], rates[b], in, n, out);
				worst = fmax(worst, -sig_snr(out + skip, m - skip, rates[b], &hz, 1, NULL, NULL));
			}
		}
	}
	print_message("worst alias %.1f dB\n", worst);
	assert_true(worst <= -80);
}

TEST(a_constant_stays_constant)
{
	double worst = 0;

	for (size_t i = 0; i < 10000; i++)
		in[i] = 0.5f;
	for (size_t p = 0; p < N_RATES * N_RATES; p++) {
		uint32_t a = rates[p / N_RATES], b = rates[p % N_RATES];
		size_t m = convert(a, b, in, a / 5, out);

		for (size_t i = b / 50; i < m; i++)
			worst = fmax(worst, fabs((double)out[i] - 0.5));
	}
	print_message("worst ripple %.1f dB\n", sig_db(worst / 0.5));
	assert_true(sig_db(worst / 0.5) < -110);
}

TEST(an_unusual_rate_works)
{
	static const uint32_t odd[] = {8001, 9700, 15999, 37800, 47999};
	double hz = 1000;

	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
		only_tone(in, odd[i] / 5, hz, odd[i], 0.5);
		size_t m = convert(odd[i], 16000, in, odd[i] / 5, out);

		assert_true(sig_snr(out + 400, m - 400, 16000, &hz, 1, NULL, NULL) > 80);
		only_tone(in, 3200, hz, 16000, 0.5);
		m = convert(16000, odd[i], in, 3200, out);
		assert_true(sig_snr(out + 400, m - 400, odd[i], &hz, 1, NULL, NULL) > 80);
	}
}

/* What a participant hears of two tones after client -> mix -> client, 16-bit at each end. */
TEST(a_two_tone_echo_keeps_60_db_at_every_rate)
{
	static uint8_t bytes[2 * OUT_MAX];
	double worst = 300, worst_level = 0;

	for (size_t a = 0; a < N_RATES; a++) {
		double hz[2] = {440, 2500}, amplitude[2];
		size_t n = rates[a] / 2, m, skip = rates[a] / 20;

		memset(in, 0, sizeof in);
		add_tone(in, n, hz[0], rates[a], 0.3);
		add_tone(in, n, hz[1], rates[a], 0.2);
		pcm_from_float(bytes, in, n);
		pcm_to_float(in, bytes, n);
		m = convert(rates[a], 16000, in, n, out);
		m = convert(16000, rates[a], out, m, back);
		pcm_from_float(bytes, back, m);
		pcm_to_float(back, bytes, m);
		worst = fmin(worst, sig_snr(back + skip, m - skip, rates[a], hz, 2, amplitude, NULL));
		worst_level = fmax(worst_level, fabs(sig_db(amplitude[0] / 0.3)));
		worst_level = fmax(worst_level, fabs(sig_db(amplitude[1] / 0.2)));
	}
	print_message("worst echo SNR %.1f dB, level %.3f dB\n", worst, worst_level);
	assert_true(worst > 75);
	assert_true(worst_level < 0.1);
}

/* A packet of a tone in the middle of 100 ms: its envelope tells the delay. */
static void packet(float *x, size_t n, double rate_hz, double hz)
{
	for (size_t i = 0; i < n; i++) {
		double t = (double)i / rate_hz - 0.05;

		x[i] = (float)(exp(-pow(t * 200, 2)) * cos(2 * M_PI * hz * t));
	}
}

TEST(delay_is_what_the_header_says)
{
	static const uint32_t pairs[][2] = {{16000, 48000}, {48000, 16000}, {8000, 16000}, {48000, 48000}, {44100, 16000}};

	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
		struct resample *r;
		uint32_t a = pairs[i][0], b = pairs[i][1];
		double f = lower(a, b) / 40;

		assert_int_equal(resample_new(table, a, b, &r), 0);
		resample_trim_ppm(r, 0);
		packet(in, a / 10, a, f);
		size_t m = run(r, in, a / 10, out);

		packet(back, m, b, f);
		double ms = sig_delay(back, out, m, b / 100) * 1000 / b;

		print_message("%u -> %u: %.3f ms, said %.3f\n", a, b, ms, resample_delay_ms(r));
		assert_true(fabs(ms - resample_delay_ms(r)) < 0.03);
		assert_true(resample_delay_ms(r) <= 2);
		resample_free(r);
	}
}

TEST(equal_rates_pass_bit_for_bit)
{
	uint32_t seed = 1;
	struct resample *r;

	for (size_t i = 0; i < 5000; i++)
		in[i] = sig_noise(&seed);
	assert_int_equal(convert(16000, 16000, in, 5000, out), 5000);
	assert_memory_equal(in, out, 5000 * sizeof *in);
	assert_int_equal(resample_new(table, 16000, 16000, &r), 0);
	assert_true(resample_delay_ms(r) == 0);
	resample_trim_ppm(r, 0); /* ready to be trimmed: the delay of the filter, still bit for bit */
	assert_int_equal(run(r, in, 5000, out), 5000);
	assert_memory_equal(in, out + 16, (5000 - 16) * sizeof *in);
	resample_free(r);
}

TEST(blocks_of_any_size_give_the_same_samples)
{
	uint32_t seed = 7;
	struct resample *r;

	for (size_t i = 0; i < 40000; i++)
		in[i] = sig_noise(&seed);
	for (size_t p = 0; p < N_RATES * N_RATES; p += 5) {
		uint32_t a = rates[p / N_RATES], b = rates[p % N_RATES];
		size_t whole = convert(a, b, in, 8000, out), made = 0;

		assert_int_equal(resample_new(table, a, b, &r), 0);
		for (size_t at = 0; at < 8000;) {
			size_t n = (size_t)(fabs((double)sig_noise(&seed)) * 700);

			n = n < 8000 - at ? n : 8000 - at;
			made += resample_run(r, in + at, n, back + made, resample_out_max(r, n));
			at += n;
		}
		assert_int_equal(made, whole);
		for (size_t i = 0; i < made; i++)
			assert_true(fabsf(out[i] - back[i]) < 1e-6f);
		resample_free(r);
	}
}

TEST(an_hour_in_is_an_hour_out)
{
	struct resample *r;
	size_t made = 0;

	memset(in, 0, sizeof in);
	assert_int_equal(resample_new(table, 11025, 8000, &r), 0);
	for (int i = 0; i < 600; i++)
		made += resample_run(r, in, 11025, out, resample_out_max(r, 11025));
	assert_in_range(made, 600 * 8000 - 1, 600 * 8000 + 1);
	resample_free(r);
}

/* Compared with the sine as it must be when its ratio is trimmed block by block: nothing is added. */
TEST(trimming_the_ratio_makes_no_click)
{
	static const uint32_t from[] = {48000, 16000, 44100};
	static const double trims[] = {5000, -300, -9000 /* clamped */};
	double hz = 1000;

	for (size_t k = 0; k < 3; k++) {
		struct resample *r;
		size_t m = 0, block = from[k] / 50;
		double t, worst = 0;

		only_tone(in, from[k], hz, from[k], 0.5);
		assert_int_equal(resample_new(table, from[k], 16000, &r), 0);
		resample_trim_ppm(r, 0);
		t = -resample_delay_ms(r) / 1000;
		for (size_t i = 0; i < 50; i++) {
			double ppm = fmax(trims[i % 3], -RESAMPLE_TRIM_MAX_PPM);
			size_t n;

			resample_trim_ppm(r, trims[i % 3]);
			n = resample_run(r, in + i * block, block, out + m, OUT_MAX);
			for (size_t s = m; s < m + n; s++, t += (1 + ppm * 1e-6) / 16000)
				worst = fmax(worst, s < 200 ? 0 : fabs(out[s] - 0.5 * sin(2 * M_PI * hz * t)));
			m += n;
		}
		print_message("from %u: error %.1f dB\n", from[k], sig_db(worst / 0.5));
		assert_true(sig_db(worst / 0.5) < -80);
		resample_free(r);
	}
}

TEST(a_trim_of_300_ppm_changes_the_length_by_300_ppm)
{
	struct resample *r;
	size_t m;

	memset(in, 0, sizeof in);
	assert_int_equal(resample_new(table, 16000, 48000, &r), 0);
	resample_trim_ppm(r, 300);
	m = 0;
	for (int i = 0; i < 100; i++)
		m += resample_run(r, in, 16000, out, sizeof out / sizeof *out);
	assert_in_range(m, (size_t)(4800000 / 1.0003) - 1, (size_t)(4800000 / 1.0003) + 2);
	resample_free(r);
}

/* A sine whose source changes rate every 100 ms, fitted as one sine over the whole. */
static double worst_step(uint32_t out_hz, uint32_t a, uint32_t b, double hz)
{
	static float residual[OUT_MAX];
	struct resample *r;
	size_t m = 0;
	double t = 0;

	assert_int_equal(resample_new(table, a, out_hz, &r), 0);
	resample_trim_ppm(r, 0);
	for (int i = 0; i < 8; i++) {
		uint32_t rate_hz = i % 2 ? b : a;
		size_t n = rate_hz / 10;

		if (rate_hz != resample_in_hz(r))
			resample_change_rate(r, rate_hz);
		for (size_t k = 0; k < n; k++)
			in[k] = (float)(0.5 * sin(2 * M_PI * hz * (t + (double)k / rate_hz)));
		t += (double)n / rate_hz;
		m += run(r, in, n, out + m);
	}
	resample_free(r);
	assert_true(fabs((double)m / out_hz - t) < 0.003);
	size_t skip = out_hz / 50;

	sig_snr(out + skip, m - skip, out_hz, &hz, 1, NULL, residual);
	return sig_db(sig_peak(residual, m - skip) / 0.5);
}

TEST(a_change_of_the_source_rate_is_inaudible)
{
	static const double hz[] = {200, 440, 1000, 2700};
	static const uint32_t mixes[] = {8000, 16000, 48000};
	double worst = -300;

	for (size_t k = 0; k < 4; k++) {
		for (size_t m = 0; m < 3; m++) {
			for (size_t p = 0; p < N_RATES * N_RATES; p++) {
				uint32_t a = rates[p / N_RATES], b = rates[p % N_RATES];
				double step = a == b ? -300 : worst_step(mixes[m], a, b, hz[k]);

				if (step > -50)
					print_message("%u <-> %u, mix %u, %.0f Hz: %.1f dB\n", a, b, mixes[m], hz[k], step);
				worst = fmax(worst, step);
			}
		}
	}
	print_message("worst deviation %.1f dB of the tone\n", worst);
	assert_true(worst < -50);
}

TEST(rates_outside_the_range_are_refused)
{
	struct resample *r;

	assert_int_equal(resample_new(table, 7999, 16000, &r), ERR_RANGE);
	assert_int_equal(resample_new(table, 16000, 48001, &r), ERR_RANGE);
	resample_free(NULL);
	resample_table_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_pair_of_rates_keeps_a_tone_clean),
		cmocka_unit_test(aliases_are_rejected_at_every_pair_of_rates),
		cmocka_unit_test(a_constant_stays_constant),
		cmocka_unit_test(an_unusual_rate_works),
		cmocka_unit_test(a_two_tone_echo_keeps_60_db_at_every_rate),
		cmocka_unit_test(delay_is_what_the_header_says),
		cmocka_unit_test(equal_rates_pass_bit_for_bit),
		cmocka_unit_test(blocks_of_any_size_give_the_same_samples),
		cmocka_unit_test(an_hour_in_is_an_hour_out),
		cmocka_unit_test(trimming_the_ratio_makes_no_click),
		cmocka_unit_test(a_trim_of_300_ppm_changes_the_length_by_300_ppm),
		cmocka_unit_test(a_change_of_the_source_rate_is_inaudible),
		cmocka_unit_test(rates_outside_the_range_are_refused),
	};

	return cmocka_run_group_tests(tests, make_table, free_table);
}
