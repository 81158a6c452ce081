/* SPDX-License-Identifier: MIT */
/*
 * mailbox - messages to one thread from any number of others. Never full, so no message is dropped: the memory of each
 * is a `struct mail` inside the object that is sent. No locks. Messages of one thread arrive in the order in which it
 * sent them.
 */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* The sender fills `kind` and must not touch the message after mailbox_post(). */
struct mail {
	struct mail *next;
	unsigned kind; /* which object it is part of; sender and reader agree */
};

struct mailbox { /* all zero: empty */
	_Atomic(struct mail *) newest;
};

void mailbox_post(struct mailbox *b, struct mail *m);
/* Reader: takes all messages, oldest first, linked by `next`; NULL: none. The reader owns them from now on. */
struct mail *mailbox_take(struct mailbox *b);
static inline bool mailbox_empty(struct mailbox *b)
{
	return !atomic_load_explicit(&b->newest, memory_order_relaxed);
}
