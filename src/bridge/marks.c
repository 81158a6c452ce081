/* SPDX-License-Identifier: MIT */
#include "bridge/marks.h"

#include "base/err.h"

#include <string.h>

struct head {
	uint64_t at;
	uint16_t len;
};

enum { HEAD = sizeof(uint64_t) + sizeof(uint16_t) };

void marks_init(struct marks *m, size_t max, size_t max_bytes)
{
	*m = (struct marks){.max = max};
	buf_init(&m->buf, max_bytes);
}

void marks_fini(struct marks *m)
{
	buf_fini(&m->buf);
	m->n = 0;
}

int marks_add(struct marks *m, uint64_t at, const void *p, size_t len)
{
	uint8_t mark[HEAD + MARK_MAX + 1];
	uint16_t len16 = (uint16_t)len;

	if (m->n == m->max || len > MARK_MAX)
		return ERR_LIMIT;
	memcpy(mark, &at, sizeof at);
	memcpy(mark + sizeof at, &len16, sizeof len16);
	memcpy(mark + HEAD, p, len);
	mark[HEAD + len] = 0;
	int err = buf_append(&m->buf, mark, HEAD + len + 1);

	m->n += !err;
	return err;
}

static struct head first(const struct marks *m)
{
	struct head h;

	memcpy(&h.at, m->buf.p, sizeof h.at);
	memcpy(&h.len, m->buf.p + sizeof h.at, sizeof h.len);
	return h;
}

const char *marks_due(const struct marks *m, uint64_t played, size_t *len)
{
	if (m->n == 0)
		return NULL;
	struct head h = first(m);

	if (h.at > played)
		return NULL;
	*len = h.len;
	return (const char *)m->buf.p + HEAD;
}

void marks_pop(struct marks *m)
{
	if (m->n == 0)
		return;
	m->n--;
	buf_consume(&m->buf, HEAD + (size_t)first(m).len + 1);
}

void marks_clear(struct marks *m)
{
	m->n = 0;
	buf_consume(&m->buf, m->buf.len);
}
