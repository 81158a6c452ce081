/* SPDX-License-Identifier: MIT */
/* The filters of the resampler, made once for all cases of a program: cmocka_run_group_tests(tests, make_table, free_table). */
#pragma once
#include "audio/resample.h"

static struct resample_table *table;

static int make_table(void **state)
{
	(void)state;
	return resample_table_new(&table);
}

static int free_table(void **state)
{
	(void)state;
	resample_table_free(table);
	return 0;
}
