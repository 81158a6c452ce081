/* SPDX-License-Identifier: MIT
 *
 * call.js: one call over any transport (transport-webtransport.js says what that is): frames and lines in, events
 * out, and what is known of the people in the room.
 */
import { MynahError } from './errors.js';
import { decodeFrame, FrameOrder, FrameWriter } from './frames.js';
import { askCheck, sessionUrl } from './discover.js';
import { openWebTransport } from './transport-webtransport.js';
import { within } from './within.js';

const CHECK_MS = 3000;
const WELCOME_MS = 3000;
const PING_MS = 2000;
const SILENT_MS = 6000; // three pings
const HISTORY = 6; // statistics over which loss is taken

/* Opens a session. Options: url; certificateHashes (hex; none for a public certificate);
 * check, which serverInfo() names: there the server is asked whether it would refuse before a session is opened;
 * room, name, rate, token; frames ("v1", which it is by default, or "legacy"); signal to give up; timeoutMs (10 s); statsMs (2 s, 0 for none: the server may then take a page in the background for lost);
 * onCall(call), called before the server's first word, for callers that must not miss the welcome.
 * Resolves once the server has said welcome, or, for a server that speaks only audio,
 * three seconds after the session opened. */
export async function connect(options) {
	const { url, certificateHashes, check, signal, frames = 'v1', timeoutMs = 10000 } = options;
	const address = sessionUrl(url, { ...options, frames, refuse: 'bye' });
	if (globalThis.isSecureContext === false)
		throw new MynahError('insecure', 'WebTransport needs https or localhost');
	if (typeof globalThis.WebTransport !== 'function')
		throw new MynahError('unsupported', 'this browser has no WebTransport');
	if (signal?.aborted)
		throw new MynahError('aborted', 'given up');
	let session = null;
	try {
		if (check)
			await refuseEarly(check, address, signal);
		session = await openWebTransport(address, { hashes: certificateHashes, timeoutMs, signal });
		const call = new Call(session, { ...options, frames });
		options.onCall?.(call);
		await call.opened(signal);
		return call;
	} catch (error) {
		session?.close();
		throw asMynahError(error, { opened: session !== null });
	}
}

/* Chromium makes a page wait longer after each session that did not open, and tells no refusal from another failure. */
async function refuseEarly(check, address, signal) {
	const refusal = await within(askCheck(check, address), CHECK_MS, signal).catch((error) => {
		if (error.kind === 'aborted')
			throw error;
		return null; // no answer is no refusal
	});
	if (refusal)
		throw refused(refusal.text, refusal);
}

function refused(text, facts) {
	return new MynahError('refused', text, { ...facts, kind: 'refused' });
}

function asMynahError(error, facts) {
	if (error instanceof MynahError) {
		Object.assign(error.facts, facts);
		return error;
	}
	return new MynahError('failed', error?.message || 'the session did not open', facts);
}

/* Events (detail): audio {rate, samples, and what decodeFrame() reports of v1 frames}; flush {epoch}: frames of older epochs are
 * not to be played any more; participants [..]; speaking, joined, left, message,
 * warning, bye (the server's objects); figures (call.figures changed); closed {kind, text}.
 * Every object that the server sends is also dispatched under its own type. */
export class Call extends EventTarget {
	#session;
	#writer;
	#order = new FrameOrder();
	#loss = new LossHistory();
	#timer = 0;
	#bye = null;
	#ended = null;
	#welcomed;
	#finish;
	#lastPing = 0;
	#pongs = 0;
	#offered = 0; // frames, to the session

	constructor(session, { rate = 16000, statsMs = 2000, frames = 'legacy' } = {}) {
		super();
		this.#session = session;
		this.#writer = new FrameWriter(frames);
		this.rate = rate;
		this.statsMs = statsMs;
		this.frames = frames;
		this.welcome = null; // the server's welcome, once it came
		this.participants = new Map(); // id -> {id, name, muted, speaking, bridge, mode}
		this.counts = { sent: 0, received: 0, unsent: 0, bad: 0, lost: 0, reordered: 0, old: 0 };
		this.figures = {}; // rtt_ms, loss_in, loss_out (0..1), and the server's stats
		this.closed = new Promise((resolve) => (this.#finish = resolve));
		session.receive((bytes) => this.#receive(bytes), (object) => this.#handle(object));
		session.closed.then(({ kind, text, code }) => this.#end(kind, text, code));
	}

	/* Resolves when the call is ready to use; called by connect(). */
	async opened(signal) {
		const welcomed = new Promise((resolve) => (this.#welcomed = resolve));
		await this.#session.openLines(signal);
		this.ping(); // the stream exists for the server from its first byte on
		if (this.statsMs)
			this.#send({ type: 'stats', every_ms: this.statsMs });
		await within(Promise.race([welcomed, this.closed]), WELCOME_MS, signal).catch((error) => {
			if (error.kind !== 'timeout')
				throw error;
		});
		if (this.#ended && isRefusal(this.#ended))
			throw refused(this.#ended.text, { ...this.#ended, status: this.#ended.status ?? this.#ended.code });
		if (this.#ended && this.#bye)
			throw new MynahError('bye', this.#ended.text, this.#ended);
		if (this.#ended)
			throw new MynahError('failed', this.#ended.text || 'closed at once', this.#ended);
		this.#timer = setInterval(() => this.#beat(), PING_MS);
	}

	on(type, listener) {
		const wrapped = (event) => listener(event.detail);
		this.addEventListener(type, wrapped);
		return () => this.removeEventListener(type, wrapped);
	}

	/* Sends samples (Int16Array, or Float32Array of -1..1) at their rate, in as many datagrams
	 * as it takes. Never waits: of frames that the network does not take in time the oldest are dropped and counted. */
	sendAudio(samples, rate = this.rate) {
		if (this.#ended || !samples.length)
			return;
		const frames = this.#writer.write(samples, rate, this.#session.maxFrameBytes, performance.now());
		const ms = (1000 * samples.length) / rate / frames.length;
		for (const frame of frames)
			this.#session.sendFrame(frame, ms);
		this.#offered += frames.length;
		this.#count();
	}

	/* Reports how much of what was received in this epoch has been played; see the protocol. */
	played(epoch, samples) {
		this.#send({ type: 'played', epoch, samples });
	}

	get epoch() {
		return this.#order.epoch;
	}

	message(text, to) {
		this.#send(to === undefined || to === null ? { type: 'message', text } : { type: 'message', text, to });
	}

	mute(muted) {
		this.#send({ type: 'mute', muted: Boolean(muted) });
	}

	/* For everybody in the room: 'active'; 'listening', it hears and says nothing; 'muted', neither. */
	bridge(mode) {
		this.#send({ type: 'bridge', mode });
	}

	/* Measures the round trip; the result is in figures.rtt_ms. */
	ping() {
		this.#lastPing = performance.now();
		this.#send({ type: 'ping', t: this.#lastPing });
	}

	askStats(everyMs = this.statsMs) {
		this.#send({ type: 'stats', every_ms: everyMs });
	}

	nameOf(id) {
		return this.participants.get(id)?.name || (id === undefined || id === null ? '' : `guest ${id}`);
	}

	get me() {
		return this.welcome?.participant;
	}

	/* Sends bye and closes. `closed` then resolves with kind "closed_here". The session gets
	 * a moment for its last line to leave; `now` is for a page that is going away. */
	close(text = '', { now = false } = {}) {
		if (this.#ended)
			return;
		this.#send({ type: 'bye' });
		this.#end('closed_here', text);
		const close = () => this.#session.close(0, text);
		if (now)
			close();
		else
			setTimeout(close, 20);
	}

	/* -- frames -- */

	#count() {
		this.counts.unsent = this.#session.droppedFrames;
		this.counts.sent = this.#offered - this.counts.unsent;
	}

	#receive(bytes) {
		this.counts.received++;
		const frame = decodeFrame(bytes, this.welcome?.rate ?? this.rate);
		if (!frame)
			this.counts.bad++;
		else if (this.#isWanted(frame))
			this.#emit('audio', frame);
	}

	/* A frame of the new epoch ends the old one, and so does the flush line: the first of them counts. */
	#isWanted(frame) {
		if (frame.sequence === undefined)
			return true;
		this.#order.note(frame.sequence);
		this.counts.lost = this.#order.lost;
		this.counts.reordered = this.#order.reordered;
		if (this.#order.enter(frame.epoch))
			this.#emit('flush', { type: 'flush', epoch: frame.epoch });
		if (frame.epoch === this.epoch)
			return true;
		this.counts.old++;
		return false;
	}

	/* -- lines -- */

	#send(object) {
		if (!this.#ended)
			this.#session.sendLine(object);
	}

	#handle(object) {
		if (object.type === 'flush' && !this.#order.enter(object.epoch))
			return;
		const handle = HANDLERS[object.type];
		if (handle)
			handle.call(this, object);
		this.#emit(object.type, object);
		if (['welcome', 'joined', 'left', 'speaking', 'mute', 'bridge'].includes(object.type))
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

	/* Timers of a page in the background may come once a minute, and a client that used to ping and then says nothing
	 * for 15 s is lost. What the server says is not held back. */
	#stats({ type, rtt_ms: serverRtt, ...rest }) {
		this.#count();
		if (performance.now() - this.#lastPing > 2 * PING_MS)
			this.ping();
		this.figures = {
			...this.figures,
			...rest,
			rtt_ms: this.figures.rtt_ms ?? serverRtt,
			...this.#loss.take(this.counts, rest, this.#order.numbered),
		};
		this.#emit('figures', this.figures);
	}

	/* The server ends the call; it closes the session itself, and if not, this side does. */
	#leave(object) {
		this.#bye = object;
		this.#end('bye', object.text || object.reason || '');
		setTimeout(() => this.#session.close(), 500);
	}

	/* QUIC notices a dead path (laptop moved, router restarted) only after its idle timeout;
	 * three pings without an answer are proof enough for a voice. */
	#beat() {
		const silentMs = this.#lastPing - this.#session.receivedAt;
		if (this.#pongs && silentMs > SILENT_MS) {
			this.#end('lost', 'the server has gone silent');
			this.#session.close();
			return;
		}
		this.ping();
	}

	#end(kind, text, code) {
		if (this.#ended)
			return;
		clearInterval(this.#timer);
		this.#ended = { kind, text, code, reason: this.#bye?.reason, status: this.#bye?.status, reconnectMs: this.#bye?.reconnect_ms };
		this.#emit('closed', this.#ended);
		this.#finish(this.#ended);
	}

	#emit(type, detail) {
		this.dispatchEvent(new CustomEvent(type, { detail }));
	}
}

/* A session that was opened to say so: by its bye, or by its code if that came first. */
function isRefusal({ reason, kind, code }) {
	return reason === 'refused' || (kind === 'closed' && code >= 400 && code < 600);
}

/* How the server's objects change what a call knows. */
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
	bridge({ id, mode }) {
		const who = this.participants.get(id);
		if (who && mode) {
			who.mode = mode;
			who.muted = mode !== 'active';
		}
	},
};

/* Loss over the last ten seconds or so. From me: frames that I sent less those that the server
 * counted. To me: the gaps in the sequence, or without one the packets that the server's transport found lost. */
class LossHistory {
	#points = [];

	take(counts, stats, numbered) {
		const now = {
			numbered,
			sentHere: counts.sent,
			got: stats.received_packets ?? 0,
			sent: numbered ? counts.received + counts.lost : stats.sent_packets ?? 0,
			lost: numbered ? counts.lost : stats.lost_packets ?? 0,
		};
		if (this.#points[0]?.numbered !== numbered)
			this.#points.length = 0;
		this.#points.push(now);
		if (this.#points.length > HISTORY)
			this.#points.shift();
		const then = this.#points[0];
		return {
			loss_out: share(now.sentHere - then.sentHere - (now.got - then.got), now.sentHere - then.sentHere),
			loss_in: share(now.lost - then.lost, now.sent - then.sent),
		};
	}
}

/* One stray packet is the two counts being read at different moments, not loss. */
function share(lost, of) {
	return of > 0 && lost > 1 ? Math.min(1, lost / of) : 0;
}
