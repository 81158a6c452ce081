/* SPDX-License-Identifier: MIT */
/*
 * random - the one source of random numbers: the kernel's generator, unpredictable to peers. Any thread; a system call
 * each time, so not for the voice path. Never fails: aborts if the kernel has no generator.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

void random_bytes(void *p, size_t len);

/* 0 .. n - 1, each as likely as the others; `n` > 0. */
uint32_t random_below(uint32_t n);

/* A version 4 UUID (RFC 9562 section 5.4). */
void random_uuid(uint8_t out[16]);
