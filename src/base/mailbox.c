/* SPDX-License-Identifier: MIT */
#include "base/mailbox.h"

/* A stack that is emptied as a whole, so a new message at the address of an old one does no harm (no ABA problem). */
void mailbox_post(struct mailbox *b, struct mail *m)
{
	m->next = atomic_load_explicit(&b->newest, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&b->newest, &m->next, m, memory_order_release, memory_order_relaxed))
		;
}

struct mail *mailbox_take(struct mailbox *b)
{
	struct mail *m = mailbox_empty(b) ? NULL : atomic_exchange_explicit(&b->newest, NULL, memory_order_acquire);
	struct mail *oldest = NULL;

	while (m) {
		struct mail *next = m->next;

		m->next = oldest;
		oldest = m;
		m = next;
	}
	return oldest;
}
