/* SPDX-License-Identifier: MIT */
/*
 * mailbox - messages to one thread from any number of others. Never full, so nothing is ever dropped: each message
 * brings its own memory, a `struct mail` inside whatever is sent. Nobody locks. What one thread
 * sends arrives in that order.
 */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* The sender fills `kind` and must not touch the message after mailbox_post(). */
struct mail {
	struct mail *next;
	unsigned kind; /* what it is part of; sender and reader agree */
};

struct mailbox { /* all zero: empty */
	_Atomic(struct mail *) newest;
};

void mailbox_post(struct mailbox *b, struct mail *m);
/* Reader: all there is, oldest first, linked by `next`; NULL: nothing. They are the reader's from now on. */
struct mail *mailbox_take(struct mailbox *b);
static inline bool mailbox_empty(struct mailbox *b)
{
	return !atomic_load_explicit(&b->newest, memory_order_relaxed);
}
