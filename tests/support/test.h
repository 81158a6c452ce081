/* SPDX-License-Identifier: MIT */
/* test - cmocka with the headers that it wants before it, and the head of a case without a fixture. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* TEST(what_holds) { ... }: a case that shares nothing with the others. */
#define TEST(name) static void name(__attribute__((unused)) void **state)
