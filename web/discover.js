/* SPDX-License-Identifier: MIT
 *
 * discover.js: where the server is, and why a session with it did not open. Asks the page's own server over HTTP, at
 * paths relative to the page: a proxy may serve it under any prefix.
 */
import { MynahError } from './errors.js';

/* The session's address with its query. */
export function sessionUrl(url, { room, name, rate, token, frames, refuse } = {}) {
	const full = new URL(url);
	for (const [key, value] of Object.entries({ room, name, rate, token, frames: frames === 'legacy' ? undefined : frames, refuse }))
		if (value !== undefined && value !== null && value !== '')
			full.searchParams.set(key, value);
	return full.href;
}

/* Asks the server of the page at `base` where the voice server is and which certificates it may show:
 * { url, check, certificateHashes, frames, frameMs, sampleRate, version }. Never from a cache: the
 * hashes change every few days. */
export async function serverInfo({ base = globalThis.location?.href, fetch = globalThis.fetch, signal } = {}) {
	let info;
	try {
		const answer = await fetch(new URL('mynah.json', base), { cache: 'no-store', signal });
		if (!answer.ok)
			throw new Error(`status ${answer.status}`);
		info = await answer.json();
	} catch (error) {
		if (signal?.aborted)
			throw new MynahError('aborted', 'given up');
		throw new MynahError('gone', `no answer from the server: ${error.message}`);
	}
	const host = new URL(base).hostname;
	return {
		url: info.url ?? `https://${host}:${info.port ?? 4433}${info.path ?? '/audio'}`,
		check: new URL('check', base).href,
		certificateHashes: info.certificate_hashes ?? [],
		frames: info.frames?.includes('v1') ? 'v1' : 'legacy',
		frameMs: info.frame_ms ?? 20,
		sampleRate: info.sample_rate ?? 16000,
		version: info.version ?? '',
	};
}

/* Asks whether a session at `address` would be refused now: { status, text }, or null. A server that does not answer, or
 * knows no such question, does not refuse. */
export async function askCheck(check, address, fetch = globalThis.fetch) {
	try {
		const answer = await fetch(check + new URL(address).search, { cache: 'no-store' });
		const { ok, status, reason } = await answer.json();
		return ok === false ? { status, text: reason ?? '' } : null;
	} catch {
		return null;
	}
}

const FAILURES_COUNT_MS = 5 * 60 * 1000;
const HELD_BACK_FROM = 8; // failures, after which it is 2.5 s

/* Sessions of this page that failed to open. Chromium waits 10 ms * 2^n before the next one, to whatever server, after n of
 * them within five minutes. */
export class Failures {
	#at = [];

	/* `error` is what connect() threw. */
	note(error, now = performance.now()) {
		if (['failed', 'timeout'].includes(error.kind) && !error.facts.opened)
			this.#at.push(now);
	}

	/* May the browser be what takes long? */
	heldBack(now = performance.now(), isChromium = globalThis.navigator?.userAgentData?.brands?.some(({ brand }) => brand === 'Chromium')) {
		this.#at = this.#at.filter((at) => now - at < FAILURES_COUNT_MS);
		return Boolean(isChromium) && this.#at.length >= HELD_BACK_FROM;
	}
}

/* Why a session did not open. Browsers hide it, HTTP does not: asks the page's server.
 * `error` is what connect() threw, `tookMs` how long that took, `used` the hashes it had,
 * `room` and `name` what was asked for, `heldBack` what Failures says.
 * Returns { kind, text }; kind: insecure, unsupported, gone, restarting, refused (with
 * status), certificate_changed, lost (it opened, but did not last), held_back, certificate, blocked. */
export async function diagnose({ error, tookMs = 0, used = [], room = '', name = '', heldBack = false, base = globalThis.location?.href, fetch = globalThis.fetch }) {
	if (['insecure', 'unsupported', 'refused', 'bye', 'aborted', 'gone'].includes(error.kind))
		return { kind: error.kind, text: error.message, ...error.facts };
	const ask = async (path) => {
		const answer = await fetch(new URL(path, base), { cache: 'no-store' });
		return { status: answer.status, body: await answer.json().catch(() => null) };
	};
	try {
		const health = await ask('healthz');
		if (health.status >= 500)
			return { kind: 'restarting', text: `the server answers ${health.status}` };
		const check = await ask('check?' + new URLSearchParams({ room, name }));
		if (check.body?.ok === false)
			return { kind: 'refused', status: check.body.status, text: check.body.reason ?? '' };
		const info = await ask('mynah.json');
		const now = info.body?.certificate_hashes ?? [];
		if (now.length && !now.some((hash) => used.includes(hash)))
			return { kind: 'certificate_changed', text: 'the server has a new certificate' };
	} catch (failure) {
		return { kind: 'gone', text: failure.message };
	}
	if (error.facts?.opened)
		return { kind: 'lost', text: error.message };
	if (heldBack)
		return { kind: 'held_back', text: 'too many sessions failed to open' };
	/* A refused certificate ends the handshake at once; blocked UDP leaves it waiting. */
	if (error.kind === 'timeout' || tookMs > 2500)
		return { kind: 'blocked', text: 'no answer over UDP' };
	return { kind: 'certificate', text: 'the handshake was refused at once', pinned: used.length > 0 };
}

/* Milliseconds to wait before attempt n (from 0): doubling from half a second to fifteen,
 * each spread over its upper half so that a restarted server is not met by everyone. */
export function backoffMs(attempt, random = Math.random) {
	const full = Math.min(15000, 500 * 2 ** Math.min(attempt, 10));
	return full / 2 + (full / 2) * random();
}
