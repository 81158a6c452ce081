/* SPDX-License-Identifier: MIT
 *
 * mynah.js: a call to a mynah server, without any page around it. Runs in a window or a
 * worker; touches no audio device (audio.js does). Copies what it is given to send.
 *
 *	import { connect, serverInfo } from './mynah.js';
 *
 *	const info = await serverInfo();                    // address and certificate hashes
 *	const call = await connect({ ...info, room: 'lobby', name: 'Ann' });
 *	call.on('audio', ({ rate, samples }) => play(rate, samples));        // Int16Array
 *	call.on('message', ({ from, text }) => console.log(call.nameOf(from), text));
 *	call.on('participants', (list) => console.log(list.map((p) => p.name)));
 *	call.sendAudio(new Float32Array(320), 16000);       // 20 ms; Int16Array does as well
 *	call.message('hello');
 *	const why = await call.closed;                      // { kind, text, reconnectMs }
 *
 * connect() and serverInfo() reject with a MynahError, whose `kind` says what happened:
 * insecure, unsupported, gone, failed, timeout, bye, aborted. diagnose() finds out why a
 * session failed to open, which browsers never tell.
 */

export const MAX_DATAGRAM_BYTES = 1200;
export const MAX_LINE_BYTES = 16384; // to the server
const MAX_HEARD_LINE_BYTES = 4 << 20; // from it: a welcome names everybody in the room
const MAX_WRITE_BYTES = 1000; // Safari hangs on a stream write of 4 KiB and more
const MAX_UNSENT_DATAGRAMS = 12; // 240 ms: older audio is worth nothing
const MAX_UNSENT_LINES = 64;
const FRAME_HEADER_BYTES = 2;
const V1_HEADER_BYTES = 12;
const V1 = 0x8000;
const V1_BEGINS = 0x10;
const V1_ENDS = 0x20;
const PAUSE_MS = 100; // nothing sent for so much longer than a frame: silence, not a late timer
const RETRY_LEGACY_MS = 2500; // a refusal comes at once

export class MynahError extends Error {
	/* kind: a word for programs; facts: whatever helps to explain it. */
	constructor(kind, message, facts = {}) {
		super(message);
		this.name = 'MynahError';
		this.kind = kind;
		this.facts = facts;
	}
}

/* ---- frames: u16 LE rate/100, then PCM-16 LE mono; v1 frames: twelve bytes before the samples ---- */

/* The header counts hundreds of hertz; these three rates are not whole hundreds. */
const ODD_RATES = new Map([[110, 11025], [220, 22050], [441, 44100]]);

export function rateOfHeader(value) {
	return ODD_RATES.get(value) ?? value * 100;
}

export function headerOfRate(rate) {
	if (!(rate >= 8000 && rate <= 48000))
		throw new RangeError(`a rate between 8000 and 48000 Hz, not ${rate}`);
	return Math.floor(rate / 100);
}

export function toInt16(samples) {
	if (samples instanceof Int16Array)
		return samples;
	const out = new Int16Array(samples.length);
	for (let i = 0; i < samples.length; i++) {
		const x = samples[i];
		out[i] = x >= 1 ? 32767 : x <= -1 ? -32768 : Math.round(x * 32767);
	}
	return out;
}

/* Frames of at most maxBytes each, of nearly equal length. No samples, no frames: an empty
 * datagram upsets some browsers. With `numbers` ({ sequence, time, begins }, of the first; moved on) they are v1 frames. */
export function encodeFrames(samples, rate, maxBytes = MAX_DATAGRAM_BYTES, numbers = null) {
	const header = headerOfRate(rate);
	const pcm = toInt16(samples);
	const head = numbers ? V1_HEADER_BYTES : FRAME_HEADER_BYTES;
	const most = Math.max(1, Math.floor((maxBytes - head) / 2));
	const pieces = Math.ceil(pcm.length / most);
	const frames = [];
	for (let k = 0; k < pieces; k++) {
		const from = Math.floor((pcm.length * k) / pieces);
		const to = Math.floor((pcm.length * (k + 1)) / pieces);
		const view = new DataView(new ArrayBuffer(head + 2 * (to - from)));
		if (numbers)
			writeNumbers(view, header, numbers, to - from);
		else
			view.setUint16(0, header, true);
		for (let i = from; i < to; i++)
			view.setInt16(head + 2 * (i - from), pcm[i], true);
		frames.push(new Uint8Array(view.buffer));
	}
	return frames;
}

function writeNumbers(view, header, numbers, length) {
	view.setUint16(0, V1 | (numbers.begins ? V1_BEGINS : 0), true);
	view.setUint16(4, header, true);
	view.setUint16(6, numbers.sequence, true);
	view.setUint32(8, numbers.time, true);
	numbers.sequence = (numbers.sequence + 1) & 0xffff;
	numbers.time = (numbers.time + length) >>> 0;
	numbers.begins = false;
}

/* { rate, samples: Int16Array }, of a v1 frame also { epoch, sequence, time, begins, ends }; or
 * null when there is nothing to play. A trailing odd byte is left out; rate 0 means the rate that was agreed. */
export function decodeFrame(bytes, agreedRate = 16000) {
	if (bytes.byteLength < FRAME_HEADER_BYTES + 2)
		return null;
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	const first = view.getUint16(0, true);
	const numbers = first & V1 ? readNumbers(view, first) : {};
	const head = first & V1 ? V1_HEADER_BYTES : FRAME_HEADER_BYTES;
	if (!numbers || bytes.byteLength < head + 2)
		return null;
	const rate = rateOfHeader(first & V1 ? view.getUint16(4, true) : first) || agreedRate;
	if (rate < 8000 || rate > 48000)
		return null;
	const samples = new Int16Array((bytes.byteLength - head) >> 1);
	for (let i = 0; i < samples.length; i++)
		samples[i] = view.getInt16(head + 2 * i, true);
	return { rate, samples, ...numbers };
}

/* null: too short, or with a codec, flag or source of a later version. */
function readNumbers(view, first) {
	if (view.byteLength < V1_HEADER_BYTES || (first & ~(V1_BEGINS | V1_ENDS)) !== V1 || view.getUint8(2) !== 0)
		return null;
	return {
		epoch: view.getUint8(3), sequence: view.getUint16(6, true), time: view.getUint32(8, true),
		begins: (first & V1_BEGINS) !== 0, ends: (first & V1_ENDS) !== 0,
	};
}

/* Epochs count modulo 256. */
export function isNewerEpoch(a, b) {
	return ((a - b) & 0xff) > 0 && ((a - b) & 0xff) < 128;
}

/* ---- control lines: one JSON object each ------------------------------------------ */

/* Cuts a byte stream into objects. A line that is too long, no JSON, or no object with a
 * type is skipped and counted: one bad line must not end a call. */
export class LineReader {
	constructor(maxBytes = MAX_HEARD_LINE_BYTES) {
		this.maxBytes = maxBytes;
		this.skipped = 0;
		this.parts = [];
		this.bytes = 0;
		this.overlong = false;
	}

	push(chunk) {
		const objects = [];
		let start = 0;
		for (let end; (end = chunk.indexOf(10, start)) >= 0; start = end + 1) {
			this.#keep(chunk.subarray(start, end));
			const object = this.#line();
			if (object)
				objects.push(object);
		}
		this.#keep(chunk.subarray(start));
		return objects;
	}

	#keep(part) {
		this.bytes += part.length;
		this.overlong ||= this.bytes > this.maxBytes;
		if (this.overlong)
			this.parts = [];
		else if (part.length)
			this.parts.push(part.slice());
	}

	#line() {
		const { parts, bytes, overlong } = this;
		this.parts = [];
		this.bytes = 0;
		this.overlong = false;
		if (overlong)
			return this.#skip();
		const whole = new Uint8Array(bytes);
		let at = 0;
		for (const part of parts) {
			whole.set(part, at);
			at += part.length;
		}
		const text = new TextDecoder().decode(whole).trim();
		if (!text)
			return null;
		try {
			const object = JSON.parse(text);
			return typeof object?.type === 'string' ? object : this.#skip();
		} catch {
			return this.#skip();
		}
	}

	#skip() {
		this.skipped++;
		return null;
	}
}

/* The bytes of one line, in pieces that every browser writes. */
export function encodeLine(object) {
	const line = new TextEncoder().encode(JSON.stringify(object) + '\n');
	if (line.length > MAX_LINE_BYTES)
		throw new RangeError(`a control line of ${line.length} bytes; ${MAX_LINE_BYTES} is the most`);
	const pieces = [];
	for (let at = 0; at < line.length; at += MAX_WRITE_BYTES)
		pieces.push(line.subarray(at, at + MAX_WRITE_BYTES));
	return pieces;
}

/* ---- where the server is ----------------------------------------------------------- */

export function hexToBytes(hex) {
	if (!/^([0-9a-f]{2})+$/i.test(hex))
		throw new TypeError(`not a hexadecimal hash: ${hex}`);
	return Uint8Array.from(hex.match(/../g), (byte) => parseInt(byte, 16));
}

/* The session's address with its query. */
export function sessionUrl(url, { room, name, rate, token, frames } = {}) {
	const full = new URL(url);
	for (const [key, value] of Object.entries({ room, name, rate, token, frames: frames === 'legacy' ? undefined : frames }))
		if (value !== undefined && value !== null && value !== '')
			full.searchParams.set(key, value);
	return full.href;
}

/* Asks the page's server where the voice server is and which certificates it may show:
 * { url, certificateHashes, frames, frameMs, sampleRate, version }. Never from a cache: the
 * hashes change every few days. */
export async function serverInfo({ base = globalThis.location?.href, fetch = globalThis.fetch, signal } = {}) {
	let info;
	try {
		const answer = await fetch(new URL('/mynah.json', base), { cache: 'no-store', signal });
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
		certificateHashes: info.certificate_hashes ?? [],
		frames: info.frames?.includes('v1') ? 'v1' : 'legacy',
		frameMs: info.frame_ms ?? 20,
		sampleRate: info.sample_rate ?? 16000,
		version: info.version ?? '',
	};
}

/* Why a session did not open. Browsers hide it, HTTP does not: asks the page's server.
 * `error` is what connect() threw, `tookMs` how long that took, `used` the hashes it had.
 * Returns { kind, text }; kind: insecure, unsupported, gone, restarting, refused (with
 * status), certificate_changed, lost (it opened, but did not last), certificate, blocked. */
export async function diagnose({ error, tookMs = 0, used = [], room = '', base = globalThis.location?.href, fetch = globalThis.fetch }) {
	if (['insecure', 'unsupported', 'bye', 'aborted', 'gone'].includes(error.kind))
		return { kind: error.kind, text: error.message, ...error.facts };
	const ask = async (path) => {
		const answer = await fetch(new URL(path, base), { cache: 'no-store' });
		return { status: answer.status, body: await answer.json().catch(() => null) };
	};
	try {
		const health = await ask('/healthz');
		if (health.status >= 500)
			return { kind: 'restarting', text: `the server answers ${health.status}` };
		const check = await ask('/check?room=' + encodeURIComponent(room));
		if (check.body?.ok === false)
			return { kind: 'refused', status: check.body.status, text: check.body.reason ?? '' };
		const info = await ask('/mynah.json');
		const now = info.body?.certificate_hashes ?? [];
		if (now.length && !now.some((hash) => used.includes(hash)))
			return { kind: 'certificate_changed', text: 'the server has a new certificate' };
	} catch (failure) {
		return { kind: 'gone', text: failure.message };
	}
	if (error.facts?.opened)
		return { kind: 'lost', text: error.message };
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

/* ---- the call ----------------------------------------------------------------------- */

/* Opens a session. Options: url; certificateHashes (hex; none for a public certificate);
 * room, name, rate, token; frames ("v1" or "legacy"; else v1 is tried first); signal to give up; timeoutMs (10 s); statsMs (2 s, 0 for none);
 * onCall(call), called before the server's first word, for who must not miss the welcome.
 * Resolves once the server has said welcome, or, for a server that speaks only audio,
 * three seconds after the session opened. */
export async function connect(options) {
	const { url, certificateHashes = [], signal, timeoutMs = 10000 } = options;
	if (globalThis.isSecureContext === false)
		throw new MynahError('insecure', 'WebTransport needs https or localhost');
	if (typeof globalThis.WebTransport !== 'function')
		throw new MynahError('unsupported', 'this browser has no WebTransport');
	if (signal?.aborted)
		throw new MynahError('aborted', 'given up');
	if (!options.frames)
		return connectNewestFirst(options);
	const transport = openTransport(sessionUrl(url, options), certificateHashes);
	let opened = false;
	try {
		await within(transport.ready, timeoutMs, signal);
		opened = true;
		const call = new Call(transport, options);
		options.onCall?.(call);
		await call.opened(signal);
		return call;
	} catch (error) {
		closeQuietly(transport);
		throw asMynahError(error, { opened });
	}
}

/* A server that does not know v1 frames refuses at once, and browsers do not tell a refusal from other failures. */
async function connectNewestFirst(options) {
	const began = performance.now();
	try {
		return await connect({ ...options, frames: 'v1' });
	} catch (error) {
		if (error.kind !== 'failed' || error.facts.opened || performance.now() - began > RETRY_LEGACY_MS)
			throw error;
		return connect({ ...options, frames: 'legacy' });
	}
}

function openTransport(url, hashes) {
	const options = { allowPooling: false, requireUnreliable: true, congestionControl: 'low-latency' };
	if (hashes.length)
		options.serverCertificateHashes = hashes.map((hash) => ({ algorithm: 'sha-256', value: hexToBytes(hash) }));
	let transport;
	try {
		transport = new WebTransport(url, options);
	} catch (error) {
		throw asMynahError(error);
	}
	transport.ready.catch(() => {});
	transport.closed.catch(() => {});
	return transport;
}

function asMynahError(error, facts = {}) {
	if (error instanceof MynahError) {
		Object.assign(error.facts, facts);
		return error;
	}
	return new MynahError('failed', error?.message || 'the session did not open', facts);
}

function closeQuietly(transport, info) {
	try {
		transport.close(info);
	} catch {
		/* it never opened, or is closed already */
	}
}

/* The promise, or a MynahError after ms or when the signal says so. */
function within(promise, ms, signal) {
	return new Promise((resolve, reject) => {
		const timer = setTimeout(() => reject(new MynahError('timeout', `no answer in ${ms} ms`)), ms);
		const abort = () => reject(new MynahError('aborted', 'given up'));
		signal?.addEventListener('abort', abort, { once: true });
		promise.then(resolve, reject).finally(() => {
			clearTimeout(timer);
			signal?.removeEventListener('abort', abort);
		});
	});
}

/* Events (detail): audio {rate, samples, and what decodeFrame() says of v1 frames}; flush {epoch}: what came before is
 * not to be played any more; participants [..]; speaking, joined, left, message,
 * warning, bye (the server's objects); figures (call.figures changed); closed {kind, text}.
 * Everything the server says is also sent out under its own type. */
export class Call extends EventTarget {
	#transport;
	#datagrams;
	#control;
	#lines = [];
	#writing = false;
	#unsent = 0;
	#timer = 0;
	#bye = null;
	#ended = null;
	#welcomed;
	#finish;
	#history = [];
	#lastHeard = performance.now();
	#lastPing = 0;
	#pongs = 0;
	#epoch = 0;
	#numbers = null; // of the v1 frame sent next
	#sentAt = -Infinity;
	#sentMs = 0; // of sound, in that moment
	#newest = null; // sequence received

	constructor(transport, { rate = 16000, statsMs = 2000, frames = 'legacy' } = {}) {
		super();
		this.#transport = transport;
		this.rate = rate;
		this.statsMs = statsMs;
		this.frames = frames;
		if (frames === 'v1')
			this.#numbers = { sequence: 0, time: 0, begins: true };
		this.welcome = null; // the server's welcome, once it came
		this.participants = new Map(); // id -> {id, name, muted, speaking, bridge}
		this.counts = { sent: 0, received: 0, unsent: 0, bad: 0, lost: 0, reordered: 0, old: 0 };
		this.figures = {}; // rtt_ms, loss_in, loss_out (0..1), and the server's stats
		this.closed = new Promise((resolve) => (this.#finish = resolve));
		const datagrams = transport.datagrams;
		tuneDatagrams(datagrams);
		this.#datagrams = (datagrams.createWritable?.() ?? datagrams.writable).getWriter();
		this.#datagrams.closed.catch(() => {});
		this.#receive();
		transport.closed.then(
			(info) => this.#end('closed', info?.reason || '', info?.closeCode),
			(error) => this.#end('lost', error?.message || ''),
		);
	}

	/* Resolves when the call is ready to use; called by connect(). */
	async opened(signal) {
		const welcomed = new Promise((resolve) => (this.#welcomed = resolve));
		const stream = await within(this.#transport.createBidirectionalStream(), 5000, signal);
		this.#control = stream.writable.getWriter();
		this.#control.closed.catch(() => {});
		this.#listen(stream.readable);
		this.ping(); // the stream exists for the server from its first byte on
		if (this.statsMs)
			this.#say({ type: 'stats', every_ms: this.statsMs });
		await within(Promise.race([welcomed, this.closed]), 3000, signal).catch((error) => {
			if (error.kind !== 'timeout')
				throw error;
		});
		if (this.#ended && this.#bye)
			throw new MynahError('bye', this.#ended.text, this.#ended);
		if (this.#ended)
			throw new MynahError('failed', this.#ended.text || 'closed at once', this.#ended);
		this.#timer = setInterval(() => this.#beat(), 2000);
	}

	on(type, listener) {
		const wrapped = (event) => listener(event.detail);
		this.addEventListener(type, wrapped);
		return () => this.removeEventListener(type, wrapped);
	}

	/* Sends samples (Int16Array, or Float32Array of -1..1) at their rate, in as many datagrams
	 * as it takes. Never waits: what the network does not take in time is dropped and counted. */
	sendAudio(samples, rate = this.rate) {
		if (this.#ended || !samples.length)
			return;
		const limit = Math.min(this.#transport.datagrams.maxDatagramSize || 1024, MAX_DATAGRAM_BYTES);
		this.#passTime((1000 * samples.length) / rate, rate);
		for (const frame of encodeFrames(samples, rate, limit, this.#numbers))
			this.#sendDatagram(frame);
	}

	/* Says how much of what was received in this epoch has been played; see the protocol. */
	played(epoch, samples) {
		this.#say({ type: 'played', epoch, samples });
	}

	get epoch() {
		return this.#epoch;
	}

	/* Media time runs on while nothing is sent (muted). */
	#passTime(ms, rate) {
		const now = performance.now();
		const silentMs = now - this.#sentAt - this.#sentMs;
		if (this.#numbers && this.#sentMs && silentMs > PAUSE_MS) {
			this.#numbers.time = (this.#numbers.time + Math.round((silentMs * rate) / 1000)) >>> 0;
			this.#numbers.begins = true;
		}
		this.#sentAt = now;
		this.#sentMs = ms;
	}

	message(text, to) {
		this.#say(to === undefined || to === null ? { type: 'message', text } : { type: 'message', text, to });
	}

	mute(muted) {
		this.#say({ type: 'mute', muted: Boolean(muted) });
	}

	/* Measures the round trip; the answer lands in figures.rtt_ms. */
	ping() {
		this.#lastPing = performance.now();
		this.#say({ type: 'ping', t: this.#lastPing });
	}

	askStats(everyMs = this.statsMs) {
		this.#say({ type: 'stats', every_ms: everyMs });
	}

	nameOf(id) {
		return this.participants.get(id)?.name || (id === undefined || id === null ? '' : `guest ${id}`);
	}

	get me() {
		return this.welcome?.participant;
	}

	/* Says good-bye and closes. `closed` then resolves with kind "closed_here". The session gets
	 * a moment for its last line to leave; `now` is for a page that is going away. */
	close(text = '', { now = false } = {}) {
		if (this.#ended)
			return;
		this.#say({ type: 'bye' });
		this.#end('closed_here', text);
		const close = () => closeQuietly(this.#transport, { closeCode: 0, reason: text });
		if (now)
			close();
		else
			setTimeout(close, 20);
	}

	/* -- datagrams -- */

	#sendDatagram(frame) {
		if (this.#unsent >= MAX_UNSENT_DATAGRAMS) {
			this.counts.unsent++;
			return;
		}
		this.#unsent++;
		this.counts.sent++;
		this.#datagrams.write(frame).then(
			() => this.#unsent--,
			() => this.#unsent--,
		);
	}

	async #receive() {
		try {
			const reader = this.#transport.datagrams.readable.getReader();
			for (;;) {
				const { value, done } = await reader.read();
				if (done)
					return;
				this.#lastHeard = performance.now();
				this.counts.received++;
				const frame = decodeFrame(value, this.welcome?.rate ?? this.rate);
				if (!frame)
					this.counts.bad++;
				else if (this.#isWanted(frame))
					this.#emit('audio', frame);
			}
		} catch {
			/* transport.closed tells how it ended */
		}
	}

	/* Whichever comes first, a frame of the new epoch or the line that says so, ends the old one. */
	#isWanted(frame) {
		if (frame.sequence === undefined)
			return true;
		this.#countLoss(frame.sequence);
		if (this.#enter(frame.epoch))
			this.#emit('flush', { type: 'flush', epoch: frame.epoch });
		if (frame.epoch === this.#epoch)
			return true;
		this.counts.old++;
		return false;
	}

	#countLoss(sequence) {
		const ahead = this.#newest === null ? 1 : ((sequence - this.#newest) << 16) >> 16;
		if (ahead > 0) {
			this.counts.lost += ahead - 1;
			this.#newest = sequence;
		} else if (ahead < 0 && this.counts.lost > 0) {
			this.counts.lost--;
			this.counts.reordered++;
		}
	}

	#enter(epoch) {
		if (!isNewerEpoch(epoch, this.#epoch))
			return false;
		this.#epoch = epoch;
		return true;
	}

	/* -- control -- */

	#say(object) {
		if (!this.#control || this.#ended || this.#lines.length >= MAX_UNSENT_LINES)
			return;
		this.#lines.push(...encodeLine(object));
		this.#write();
	}

	async #write() {
		if (this.#writing)
			return;
		this.#writing = true;
		try {
			while (this.#lines.length)
				await this.#control.write(this.#lines.shift());
		} catch {
			this.#lines.length = 0;
		}
		this.#writing = false;
	}

	async #listen(readable) {
		const lines = new LineReader();
		try {
			const reader = readable.getReader();
			for (;;) {
				const { value, done } = await reader.read();
				if (done)
					return;
				this.#lastHeard = performance.now();
				for (const object of lines.push(value))
					this.#hear(object);
			}
		} catch {
			/* transport.closed tells how it ended */
		}
	}

	#hear(object) {
		if (object.type === 'flush' && !this.#enter(object.epoch))
			return;
		const handle = HANDLERS[object.type];
		if (handle)
			handle.call(this, object);
		this.#emit(object.type, object);
		if (['welcome', 'joined', 'left', 'speaking', 'mute'].includes(object.type))
			this.#emit('participants', [...this.participants.values()]);
		if (object.type === 'welcome')
			this.#welcomed();
		if (object.type === 'pong')
			this.#pong(object);
		if (object.type === 'stats')
			this.#stats(object);
		if (object.type === 'bye')
			this.#leave(object);
	}

	#pong({ t }) {
		this.#pongs++;
		if (typeof t === 'number')
			this.figures = { ...this.figures, rtt_ms: Math.max(0, performance.now() - t) };
		this.#emit('figures', this.figures);
	}

	/* Loss is taken over the last ten seconds or so: from me, what I sent less what the server
	 * counted; to me, the gaps in the sequence, or without one what the server's transport found lost. */
	#stats(stats) {
		const numbered = this.#newest !== null;
		const now = { sentHere: this.counts.sent, got: stats.received_packets ?? 0,
			sent: numbered ? this.counts.received + this.counts.lost : stats.sent_packets ?? 0,
			lost: numbered ? this.counts.lost : stats.lost_packets ?? 0, numbered };
		if (this.#history[0]?.numbered !== numbered)
			this.#history.length = 0;
		this.#history.push(now);
		if (this.#history.length > 6)
			this.#history.shift();
		const then = this.#history[0];
		const { type, rtt_ms: serverRtt, ...rest } = stats;
		this.figures = {
			...this.figures,
			...rest,
			rtt_ms: this.figures.rtt_ms ?? serverRtt,
			loss_out: share(now.sentHere - then.sentHere - (now.got - then.got), now.sentHere - then.sentHere),
			loss_in: share(now.lost - then.lost, now.sent - then.sent),
		};
		this.#emit('figures', this.figures);
	}

	/* The server ends the call; it closes the session itself, and if not, this side does. */
	#leave(object) {
		this.#bye = object;
		this.#end('bye', object.text || object.reason || '');
		setTimeout(() => closeQuietly(this.#transport), 500);
	}

	/* Every two seconds. A path that died (laptop moved, router restarted) is only noticed by
	 * QUIC after its idle timeout; three silent pings are proof enough for a voice. */
	#beat() {
		const silentMs = this.#lastPing - this.#lastHeard;
		if (this.#pongs && silentMs > 6000) {
			this.#end('lost', 'the server has gone silent');
			closeQuietly(this.#transport);
			return;
		}
		this.ping();
	}

	#end(kind, text, code) {
		if (this.#ended)
			return;
		clearInterval(this.#timer);
		this.#ended = { kind, text, code, reason: this.#bye?.reason, reconnectMs: this.#bye?.reconnect_ms };
		this.#emit('closed', this.#ended);
		this.#finish(this.#ended);
	}

	#emit(type, detail) {
		this.dispatchEvent(new CustomEvent(type, { detail }));
	}
}

/* How the server's words change what a call knows. */
const HANDLERS = {
	welcome(welcome) {
		this.welcome = welcome;
		this.participants = new Map((welcome.participants ?? []).map((p) => [p.id, { ...p }]));
	},
	joined({ participant }) {
		if (participant)
			this.participants.set(participant.id, { muted: false, speaking: false, ...participant });
	},
	left({ id }) {
		this.participants.delete(id);
	},
	speaking({ id, speaking }) {
		const who = this.participants.get(id);
		if (who)
			who.speaking = speaking;
	},
	mute({ id, muted }) {
		const who = this.participants.get(id);
		if (who)
			who.muted = muted;
	},
};

/* One stray packet is the two counts being read at different moments, not loss. */
function share(lost, of) {
	return of > 0 && lost > 1 ? Math.min(1, lost / of) : 0;
}

/* The default queues hold one datagram: two frames in one turn of the event loop and one is
 * gone. Both the old and the new names of the marks, since browsers know one or the other. */
function tuneDatagrams(datagrams) {
	const wanted = {
		incomingHighWaterMark: 64, incomingMaxBufferedDatagrams: 64,
		outgoingHighWaterMark: 8, outgoingMaxBufferedDatagrams: 8,
		outgoingMaxAge: 200,
	};
	for (const [name, value] of Object.entries(wanted)) {
		try {
			if (name in datagrams)
				datagrams[name] = value;
		} catch {
			/* a browser that will not: it still works, only less well */
		}
	}
}
