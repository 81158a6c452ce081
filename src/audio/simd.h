/* SPDX-License-Identifier: MIT */
/*
 * simd - how loops over samples become wide without intrinsics. Floats may not be reordered without
 * -ffast-math, so sums and products are written in eight lanes of the compiler's own vectors:
 * two 128-bit registers of any x86-64 or arm64, one of AVX. AUDIO_WIDE builds a function for
 * both and chooses when the program is loaded; AUDIO_FMA is for sums of products, whose last
 * bit may differ with it (a compiler for arm64 fuses them anyway).
 */
#pragma once
#include <stddef.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define AUDIO_SANITIZED
#endif
#endif

#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(AUDIO_SANITIZED)
#define AUDIO_WIDE __attribute__((target_clones("default", "avx2")))
#define AUDIO_FMA __attribute__((target_clones("default", "fma")))
#else /* the choice runs before a sanitizer is ready */
#define AUDIO_WIDE
#define AUDIO_FMA
#endif

/* Into every clone of its callers, to be compiled as they are. */
#define AUDIO_INLINE static inline __attribute__((always_inline))

enum { LANES = 8 };

typedef float lanes __attribute__((vector_size(32)));
typedef float lanes_at __attribute__((vector_size(32), aligned(4), may_alias));

AUDIO_INLINE lanes lanes_load(const float *x)
{
	return *(const lanes_at *)x;
}

/* In halves: 0 and 4, 1 and 5 ...; of these 0 and 2, 1 and 3; of these the two. */
AUDIO_INLINE float lanes_sum(lanes v)
{
	v += __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3);
	v += __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5);
	return v[0] + v[1];
}
