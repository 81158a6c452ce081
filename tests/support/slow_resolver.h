/* SPDX-License-Identifier: MIT */
/*
 * slow_resolver - takes the place of getaddrinfo() in a test's program: "there.test" is this machine, "slow.test" too, once
 * slow_resolver_answer() was called; of other names it knows nothing. Numbers are numbers. To be included once.
 */
#pragma once
#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static struct {
	pthread_mutex_t lock;
	pthread_cond_t change;
	bool answers;
	int asked, freed; /* for slow.test; and of all results */
} slow_resolver = {.lock = PTHREAD_MUTEX_INITIALIZER, .change = PTHREAD_COND_INITIALIZER};

/* Until it was asked `asked` times. */
static inline void slow_resolver_wait(int asked)
{
	pthread_mutex_lock(&slow_resolver.lock);
	while (slow_resolver.asked < asked)
		pthread_cond_wait(&slow_resolver.change, &slow_resolver.lock);
	pthread_mutex_unlock(&slow_resolver.lock);
}

static inline void slow_resolver_answer(void)
{
	pthread_mutex_lock(&slow_resolver.lock);
	slow_resolver.answers = true;
	pthread_cond_broadcast(&slow_resolver.change);
	pthread_mutex_unlock(&slow_resolver.lock);
}

/* Until `freed` answers of slow.test were given back. */
static inline void slow_resolver_end(int freed)
{
	pthread_mutex_lock(&slow_resolver.lock);
	while (slow_resolver.freed < freed)
		pthread_cond_wait(&slow_resolver.change, &slow_resolver.lock);
	pthread_mutex_unlock(&slow_resolver.lock);
}

static inline void slow_resolver_think(void)
{
	pthread_mutex_lock(&slow_resolver.lock);
	slow_resolver.asked++;
	pthread_cond_broadcast(&slow_resolver.change);
	while (!slow_resolver.answers)
		pthread_cond_wait(&slow_resolver.change, &slow_resolver.lock);
	pthread_mutex_unlock(&slow_resolver.lock);
}

struct slow_answer {
	struct addrinfo info;
	struct sockaddr_storage addr;
	bool slow;
};

static inline int slow_resolver_parse(const char *node, struct slow_answer *a)
{
	struct sockaddr_in *four = (struct sockaddr_in *)&a->addr;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)&a->addr;

	if (inet_pton(AF_INET, node, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		a->info.ai_addrlen = sizeof *four;
	} else if (inet_pton(AF_INET6, node, &six->sin6_addr) == 1) {
		six->sin6_family = AF_INET6;
		a->info.ai_addrlen = sizeof *six;
	} else {
		return EAI_NONAME;
	}
	four->sin_port = 0;
	a->info.ai_family = a->addr.ss_family;
	a->info.ai_addr = (struct sockaddr *)&a->addr;
	return 0;
}

/* In the place of libc's. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
	struct slow_answer *a = calloc(1, sizeof *a);
	bool known = strcmp(node, "there.test") == 0, slow = strcmp(node, "slow.test") == 0;

	if (!a)
		return EAI_MEMORY;
	if (slow && !(hints->ai_flags & AI_NUMERICHOST)) {
		slow_resolver_think();
		a->slow = true;
	}
	int err = slow_resolver_parse((known || slow) && !(hints->ai_flags & AI_NUMERICHOST) ? "127.0.0.1" : node, a);

	if (err) {
		free(a);
		return err;
	}
	a->info.ai_socktype = hints->ai_socktype;
	((struct sockaddr_in *)&a->addr)->sin_port = htons((uint16_t)atoi(service)); /* in the same place in both kinds */
	*out = &a->info;
	return 0;
}

void freeaddrinfo(struct addrinfo *info)
{
	struct slow_answer *a = (struct slow_answer *)info;
	bool slow = a->slow;

	free(a);
	if (!slow)
		return;
	pthread_mutex_lock(&slow_resolver.lock);
	slow_resolver.freed++;
	pthread_cond_broadcast(&slow_resolver.change);
	pthread_mutex_unlock(&slow_resolver.lock);
}
