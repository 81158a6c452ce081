// SPDX-License-Identifier: MIT
// The protocol half of the page, without a browser. Run: node --test tests/web/
import test from 'node:test';
import assert from 'node:assert/strict';
import {
	backoffMs, Call, connect, decodeFrame, diagnose, encodeFrames, encodeLine, Failures, hexToBytes, isNewerEpoch, LineReader,
	MynahError, serverInfo, sessionUrl,
} from '../../web/mynah.js';
import { FreshQueue } from '../../web/fresh-queue.js';
import { WebTransportSession } from '../../web/transport-webtransport.js';
import { explain, KINDS } from '../../web/explain.js';

const bytes = (text) => new TextEncoder().encode(text);
const soon = (ms = 2) => new Promise((resolve) => setTimeout(resolve, ms));

test('a frame is the rate in hundreds and little-endian samples', () => {
	const [frame] = encodeFrames(Int16Array.of(1, -2, 0x1234), 16000);
	assert.deepEqual([...frame], [160, 0, 1, 0, 0xfe, 0xff, 0x34, 0x12]);
});

test('frames come back as they were sent, at every rate', () => {
	for (const rate of [8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000]) {
		const samples = Int16Array.from({ length: 480 }, (_, i) => 30000 * Math.sin(i));
		assert.deepEqual(decodeFrame(encodeFrames(samples, rate)[0]), { rate, samples });
	}
});

test('a frame too large for a datagram is split evenly and loses nothing', () => {
	const samples = Int16Array.from({ length: 960 }, (_, i) => i);
	const frames = encodeFrames(samples, 48000, 1024);
	assert.equal(frames.length, 2);
	assert.ok(frames.every((f) => f.length <= 1024));
	assert.deepEqual(frames.flatMap((f) => [...decodeFrame(f).samples]), [...samples]);
});

test('no samples make no datagram', () => {
	assert.deepEqual(encodeFrames(new Int16Array(0), 16000), []);
});

test('floats are clipped, not wrapped', () => {
	const { samples } = decodeFrame(encodeFrames(Float32Array.of(2, -2, 0, 0.5), 16000)[0]);
	assert.deepEqual([...samples], [32767, -32768, 0, 16384]);
});

test('frames that hold nothing playable are null', () => {
	for (const bad of [[], [160], [160, 0], [160, 0, 1], [79, 0, 1, 0], [0xff, 0xff, 1, 0]])
		assert.equal(decodeFrame(Uint8Array.from(bad)), null, String(bad));
});

test('an odd byte is left out, rate 0 is the agreed one', () => {
	assert.deepEqual(decodeFrame(Uint8Array.of(0, 0, 5, 0, 9), 24000), { rate: 24000, samples: Int16Array.of(5) });
});

test('rates off the wire format are refused', () => {
	for (const rate of [0, 7999, 48001, NaN, undefined])
		assert.throws(() => encodeFrames(new Int16Array(1), rate), RangeError);
});

/* The bytes of docs/protocol.md. */
const V1_BYTES = [0x10, 0x80, 0, 3, 0xa0, 0, 0x34, 0x12, 0x78, 0x56, 0x34, 0x12, 1, 0, 0xff, 0xff];

test('a v1 frame has epoch, sequence and media time', () => {
	assert.deepEqual(decodeFrame(Uint8Array.from(V1_BYTES)), { rate: 16000, samples: Int16Array.of(1, -1), epoch: 3,
		sequence: 0x1234, time: 0x12345678, begins: true, ends: false });
	for (let length = 0; length < 14; length++)
		assert.equal(decodeFrame(Uint8Array.from(V1_BYTES.slice(0, length))), null, `${length}`);
	for (const [at, value] of [[0, 0x11], [0, 0x50], [1, 0x81], [2, 1], [4, 10]])
		assert.equal(decodeFrame(Uint8Array.from(V1_BYTES.with?.(at, value) ?? V1_BYTES.map((b, i) => (i === at ? value : b)))), null);
});

test('v1 frames count on, piece by piece, and wrap', () => {
	const numbers = { sequence: 65535, time: 2 ** 32 - 240, begins: true };
	const samples = Int16Array.from({ length: 960 }, (_, i) => i);
	const frames = encodeFrames(samples, 48000, 1034, numbers).map((f) => decodeFrame(f));
	assert.deepEqual(frames.map(({ sequence, time, begins, epoch }) => [sequence, time, begins, epoch]),
		[[65535, 2 ** 32 - 240, true, 0], [0, 240, false, 0]]);
	assert.deepEqual(numbers, { sequence: 1, time: 720, begins: false });
	assert.deepEqual(frames.flatMap((f) => [...f.samples]), [...samples]);
	assert.ok(encodeFrames(samples, 48000, 1034, numbers).every((f) => f.length <= 1034));
});

test('epochs wrap', () => {
	assert.deepEqual([[1, 0], [0, 255], [127, 0], [0, 0], [0, 1], [255, 0], [128, 0]].map(([a, b]) => isNewerEpoch(a, b)),
		[true, true, true, false, false, false, false]);
});

test('lines come out whole however the stream is cut', () => {
	const stream = bytes('{"type":"a","t":"käse"}\r\n\n{"type":"b"}\n{"type":"c"');
	for (let size = 1; size < stream.length; size++) {
		const reader = new LineReader();
		const got = [];
		for (let at = 0; at < stream.length; at += size)
			got.push(...reader.push(stream.subarray(at, at + size)));
		assert.deepEqual(got, [{ type: 'a', t: 'käse' }, { type: 'b' }]);
	}
});

test('bad lines are skipped and counted', () => {
	const reader = new LineReader(40);
	const long = JSON.stringify({ type: 'x', text: 'y'.repeat(50) });
	const got = reader.push(bytes(`${long}\n{]\n7\n{"no":"type"}\n{"type":"z"}\n`));
	assert.deepEqual(got, [{ type: 'z' }]);
	assert.equal(reader.skipped, 4);
});

test('a line without end takes no more than its limit', () => {
	const reader = new LineReader(1000);
	for (let i = 0; i < 100; i++)
		reader.push(new Uint8Array(100).fill(65));
	assert.deepEqual(reader.parts, []);
	assert.deepEqual(reader.push(bytes('\n{"type":"after"}\n')), [{ type: 'after' }]);
});

test('the welcome to a room of thousands is heard', () => {
	const participants = Array.from({ length: 5000 }, (_, id) => ({ id, name: 'ä'.repeat(32), muted: false, speaking: false }));
	const [welcome] = new LineReader().push(bytes(JSON.stringify({ type: 'welcome', participants }) + '\n'));
	assert.equal(welcome?.participants.length, 5000);
});

test('lines are written in pieces below a thousand bytes, and refused above the limit', () => {
	const object = { type: 'message', text: 'ä'.repeat(1500) };
	const pieces = encodeLine(object);
	assert.ok(pieces.length > 1 && pieces.every((p) => p.length <= 1000));
	assert.deepEqual(new LineReader().push(Uint8Array.from(pieces.flatMap((p) => [...p]))), [object]);
	assert.throws(() => encodeLine({ type: 'message', text: 'x'.repeat(20000) }), RangeError);
});

test('the session address holds what is known and is encoded', () => {
	assert.equal(sessionUrl('https://h:1/audio', { room: 'a&b c', name: 'Zoë', rate: 16000 }),
		'https://h:1/audio?room=a%26b+c&name=Zo%C3%AB&rate=16000');
	assert.equal(sessionUrl('https://h:1/audio', { frames: 'v1' }), 'https://h:1/audio?frames=v1');
	assert.equal(sessionUrl('https://h:1/audio', { frames: 'legacy' }), 'https://h:1/audio');
	assert.equal(sessionUrl('https://h:1/audio?token=t', { room: '', name: undefined }), 'https://h:1/audio?token=t');
});

test('hexadecimal hashes', () => {
	assert.deepEqual([...hexToBytes('00ff7F')], [0, 255, 127]);
	for (const bad of ['', 'f', 'zz', 'a b'])
		assert.throws(() => hexToBytes(bad), TypeError);
});

test('waiting doubles, is spread, and ends at fifteen seconds', () => {
	assert.equal(backoffMs(0, () => 0), 250);
	assert.equal(backoffMs(0, () => 1), 500);
	assert.equal(backoffMs(3, () => 1), 4000);
	assert.equal(backoffMs(1000, () => 1), 15000);
});

const answers = (table) => async (url) => {
	const [status, body] = table[new URL(url).pathname] ?? [404, null];
	if (status === 0)
		throw new TypeError('Failed to fetch');
	return { ok: status < 400, status, json: async () => body };
};
const well = { '/healthz': [200, {}], '/check': [200, { ok: true }], '/mynah.json': [200, { certificate_hashes: ['aa'] }] };
const base = 'http://localhost:8080/';

test('the address is built when the server does not name it', async () => {
	const fetch = answers({ '/mynah.json': [200, { port: 4433, path: '/audio', certificate_hashes: ['aa'] }] });
	const info = await serverInfo({ base: 'http://[::1]:8080/', fetch });
	assert.deepEqual(info, { url: 'https://[::1]:4433/audio', check: 'http://[::1]:8080/check', certificateHashes: ['aa'], frames: 'legacy', frameMs: 20, sampleRate: 16000, version: '' });
	await assert.rejects(serverInfo({ base, fetch: answers({ '/mynah.json': [0] }) }), { kind: 'gone' });
});

for (const [name, table, error, extra, kind] of [
	['server gone', { '/healthz': [0] }, 'failed', {}, 'gone'],
	['draining', { ...well, '/healthz': [503, {}] }, 'failed', {}, 'restarting'],
	['room full', { ...well, '/check': [200, { ok: false, status: 503, reason: 'room full' }] }, 'failed', {}, 'refused'],
	['renewed certificate', { ...well, '/mynah.json': [200, { certificate_hashes: ['bb'] }] }, 'failed', {}, 'certificate_changed'],
	['certificate', well, 'failed', { tookMs: 40 }, 'certificate'],
	['blocked, slow failure', well, 'failed', { tookMs: 6000 }, 'blocked'],
	['blocked, no answer', well, 'timeout', {}, 'blocked'],
	['opened, then gone', well, 'failed', { opened: true }, 'lost'],
	['old browser', well, 'unsupported', {}, 'unsupported'],
]) {
	test(`diagnosis: ${name}`, async () => {
		const found = await diagnose({ error: new MynahError(error, '', extra), used: ['aa'], base, fetch: answers(table), ...extra });
		assert.equal(found.kind, kind);
		assert.ok(explain(found.kind, found).title);
	});
}

test('the check is asked with what the session asked for', async () => {
	const asked = [];
	const fetch = (url) => asked.push(new URL(url)) && answers(well)(url);
	await diagnose({ error: new MynahError('failed', ''), used: ['aa'], base, fetch, room: 'a&b', name: 'Ann + Bob' });
	const { searchParams } = asked.find((url) => url.pathname === '/check');
	assert.deepEqual(Object.fromEntries(searchParams), { room: 'a&b', name: 'Ann + Bob' });
});

for (const [page, prefix] of [
	['https://example.com/', '/'], ['https://example.com/voice/', '/voice/'], ['https://example.com/voice/?room=tea', '/voice/'],
	['https://example.com/a/b/index.html?room=a/b#c', '/a/b/'],
]) {
	test(`the page asks its own folder: ${page}`, async () => {
		const asked = [];
		const fetch = (url) => {
			const { origin, pathname } = new URL(url);
			asked.push(pathname);
			assert.equal(origin, 'https://example.com');
			return answers(well)(origin + '/' + pathname.slice(prefix.length));
		};
		await serverInfo({ base: page, fetch });
		await diagnose({ error: new MynahError('failed', ''), used: ['aa'], base: page, fetch });
		assert.deepEqual(asked, ['mynah.json', 'healthz', 'check', 'mynah.json'].map((name) => prefix + name));
	});
}

test('every problem has a title, a text and a way on', () => {
	for (const kind of [...KINDS, 'never heard of', 'aborted']) {
		const { title, text, retry } = explain(kind);
		assert.ok(title && text && ['no', 'ask', 'auto'].includes(retry), kind);
		assert.ok(!/undefined|null/.test(title + text), kind);
	}
	assert.match(explain('refused', { status: 503, text: 'room full' }).title, /full/);
	assert.match(explain('refused', { status: 503, text: 'the server is full' }).text, /^The server is full\. Try/);
	assert.doesNotMatch(explain('refused', { status: 503, text: 'the server is full' }).title, /room/);
	assert.match(explain('refused', { status: 404, text: 'there is no such room here' }).title, /no such room/);
});

/* ---- a call over a transport made of streams, no network ---- */

function fakeTransport({ size = 1200 } = {}) {
	const t = { sent: [], wrote: [], attributes: {} };
	let down, control;
	t.closed = new Promise((resolve, reject) => Object.assign(t, { end: resolve, fail: reject }));
	t.datagrams = {
		maxDatagramSize: size,
		incomingHighWaterMark: 1,
		outgoingHighWaterMark: 1,
		outgoingMaxAge: null,
		readable: new ReadableStream({ start: (c) => (down = c) }, { highWaterMark: 1000 }),
		createWritable: () => new WritableStream({ write: async (frame) => {
			await t.blocked;
			t.sent.push(frame);
		} }),
		get writable() {
			throw new TypeError('as in Safari');
		},
	};
	t.createBidirectionalStream = async () => ({
		readable: new ReadableStream({ start: (c) => (control = c) }),
		writable: new WritableStream({ write: (piece) => void t.wrote.push(...piece) }),
	});
	t.close = (info) => {
		t.closedWith = info ?? {};
		t.end(info ?? {});
	};
	t.datagram = (frame) => down.enqueue(frame);
	t.say = (...objects) => control.enqueue(bytes(objects.map((o) => JSON.stringify(o) + '\n').join('')));
	t.heard = () => new LineReader().push(Uint8Array.from(t.wrote));
	return t;
}

const welcome = {
	type: 'welcome', session: 's1', participant: 3, room: 'lobby', private: false, rate: 24000, codec: 'pcm', frame_ms: 20,
	participants: [{ id: 3, name: 'Ann', muted: false, speaking: false }], bridge: null,
};

/* Time stands still, so that a busy machine makes no frame old; the result lets some pass. */
function stopClock(test) {
	const { now } = performance;
	let time = 1000;
	performance.now = () => time;
	test.after(() => (performance.now = now));
	return (ms) => (time += ms);
}

async function until(condition) {
	for (let i = 0; i < 2000 && !condition(); i++)
		await soon(5);
	assert.ok(condition(), String(condition));
}

async function openCall(options) {
	const t = fakeTransport(options);
	const call = new Call(new WebTransportSession(t), { rate: 16000, statsMs: 2000, frames: options?.frames });
	const opened = call.opened();
	await soon();
	t.say(welcome);
	await opened;
	return { t, call };
}

test('a call: welcome, coming and going, speaking, messages', async () => {
	const { t, call } = await openCall();
	const seen = [];
	for (const type of ['joined', 'speaking', 'left', 'message', 'whatever'])
		call.on(type, (object) => seen.push(object.type));
	t.say({ type: 'joined', participant: { id: 4, name: 'Bob', muted: false } }, { type: 'speaking', id: 4, speaking: true },
		{ type: 'mute', id: 3, muted: true }, { type: 'whatever' }, { type: 'message', from: 4, to: null, text: 'hi', time: 1 });
	await soon();
	assert.deepEqual(seen, ['joined', 'speaking', 'whatever', 'message']);
	assert.deepEqual([...call.participants.values()], [
		{ id: 3, name: 'Ann', muted: true, speaking: false }, { id: 4, name: 'Bob', muted: false, speaking: true }]);
	assert.equal(call.nameOf(4), 'Bob');
	t.say({ type: 'left', id: 4, reason: 'closed' }, { type: 'left', id: 99 }, { type: 'speaking', id: 99, speaking: true });
	await soon();
	assert.equal(call.participants.size, 1);
	call.close();
	assert.deepEqual(t.heard().map(({ type }) => type).slice(0, 2), ['ping', 'stats']);
});

test('a call: the bridge may be silenced, and everybody sees it', async () => {
	const { t, call } = await openCall();
	const seen = [];
	call.on('participants', (list) => seen.push(list.find(({ bridge }) => bridge)?.mode));
	t.say({ type: 'joined', participant: { id: 9, name: 'bot', bridge: true, muted: false, mode: 'active' } },
		{ type: 'bridge', id: 9, up: true, mode: 'listening', by: 3, text: '' }, { type: 'bridge', id: 9, up: false, text: 'of an older server' });
	await soon();
	assert.deepEqual(seen, ['active', 'listening', 'listening']);
	assert.equal(call.participants.get(9).muted, true);
	t.say({ type: 'bridge', id: 9, up: true, mode: 'active', by: 3, text: '' });
	call.bridge('muted');
	await soon();
	assert.equal(call.participants.get(9).muted, false);
	assert.deepEqual(t.heard().find(({ type }) => type === 'bridge'), { type: 'bridge', mode: 'muted' });
	call.close();
});

test('a call: the browser’s queues are short, createWritable comes before writable', async () => {
	const { t, call } = await openCall();
	assert.equal(t.datagrams.incomingHighWaterMark, 32);
	assert.equal(t.datagrams.outgoingHighWaterMark, 1);
	assert.equal(t.datagrams.outgoingMaxAge, 120);
	call.close();
});

test('a call: audio both ways, below the path’s datagram size', async (test) => {
	stopClock(test);
	const { t, call } = await openCall({ size: 500 });
	call.sendAudio(new Float32Array(320), 16000);
	await until(() => t.sent.length === 2);
	assert.deepEqual(t.sent.map((f) => f.length), [322, 322]);
	const heard = [];
	call.on('audio', (frame) => heard.push(frame));
	t.datagram(Uint8Array.of(0, 0, 1, 0));
	t.datagram(Uint8Array.of(1));
	t.datagram(Uint8Array.of(80, 0, 2, 0));
	await soon();
	assert.deepEqual(heard, [{ rate: 24000, samples: Int16Array.of(1) }, { rate: 8000, samples: Int16Array.of(2) }]);
	assert.deepEqual([call.counts.received, call.counts.bad], [3, 1]);
	call.close();
});

test('of the frames that wait the oldest go first', () => {
	const queue = new FreshQueue(100);
	for (let i = 0; i < 10; i++)
		queue.push(i, 20, i);
	assert.deepEqual([queue.take(10), queue.take(10), queue.dropped], [5, 6, 5]);
	queue.push(10, 20, 108); // 7 has waited for 101 ms
	assert.deepEqual([queue.take(108), queue.dropped], [8, 6]);
	assert.deepEqual([queue.take(208), queue.take(208), queue.dropped], [10, null, 7]);
	queue.push(11, 500, 300); // longer than all that may wait
	assert.deepEqual([queue.take(300), queue.take(300)], [11, null]);
});

const sample = (frame) => new DataView(frame.buffer, frame.byteOffset).getInt16(2, true);

test('a call: after a jam of the network the newest frames leave, not the oldest', async (test) => {
	stopClock(test);
	const { t, call } = await openCall();
	t.blocked = new Promise((resolve) => (t.unblock = resolve));
	for (let i = 0; i < 100; i++) {
		call.sendAudio(Int16Array.of(i, ...new Int16Array(319)), 16000);
		await soon(0);
	}
	t.unblock();
	t.blocked = false;
	await until(() => t.sent.length && sample(t.sent.at(-1)) === 99);
	const got = t.sent.map(sample);
	assert.ok(got[0] < 2 && got.at(-1) === 99, `${got}`);
	assert.deepEqual(got.slice(-6), [94, 95, 96, 97, 98, 99]);
	assert.ok(got.length <= 8, `${got}`);
	assert.deepEqual([call.counts.sent, call.counts.unsent], [got.length, 100 - got.length]);
	call.close();
});

test('a call: what a busy thread finds waiting is not sent when it is old', async (test) => {
	stopClock(test);
	const { t, call } = await openCall();
	const { port1, port2 } = new MessageChannel(); // as from the microphone
	port2.onmessage = ({ data }) => call.sendAudio(data, 16000);
	for (let i = 0; i < 200; i++)
		port1.postMessage(Int16Array.of(i, ...new Int16Array(319)));
	await until(() => t.sent.length && sample(t.sent.at(-1)) === 199);
	assert.deepEqual(t.sent.map(sample).slice(-6), [194, 195, 196, 197, 198, 199]);
	assert.ok(t.sent.length <= 12, `${t.sent.length}`);
	port2.close();
	call.close();
});

test('a call: round trip and loss from what the server counts', async (test) => {
	stopClock(test);
	const { t, call } = await openCall();
	const stats = { type: 'stats', sent_packets: 100, lost_packets: 0, received_packets: 0, jitter_ms: 4 };
	t.say({ type: 'pong', t: performance.now() - 25 }, stats);
	await soon();
	assert.ok(Math.abs(call.figures.rtt_ms - 25) < 15, `${call.figures.rtt_ms}`);
	for (let i = 0; i < 100; i++) {
		call.sendAudio(new Int16Array(320), 16000);
		await until(() => t.sent.length === i + 1);
	}
	t.say({ ...stats, sent_packets: 200, lost_packets: 10, received_packets: 80 });
	await soon();
	assert.equal(call.figures.loss_in, 0.1);
	assert.equal(call.figures.loss_out, 0.2);
	assert.equal(call.figures.jitter_ms, 4);
	call.close();
});

test('a call: a page in the background, whose timers come once a minute, still says that it is there', async (test) => {
	const pass = stopClock(test);
	const { t, call } = await openCall();
	test.after(() => call.close());
	const pings = () => t.heard().filter(({ type }) => type === 'ping').length;
	const before = pings();
	for (let i = 1; i <= 3; i++) {
		pass(2000);
		t.say({ type: 'stats', sent_packets: 100, lost_packets: 0, received_packets: 0 });
		await soon();
	}
	assert.equal(pings() - before, 1); // and no more than are needed: the timer's come first where it runs
});

const v1 = (sequence, epoch = 0, value = 1) => {
	const frame = Uint8Array.from([0, 0x80, 0, epoch, 160, 0, 0, 0, 0, 0, 0, 0, value, 0]);
	const view = new DataView(frame.buffer);
	view.setUint16(6, sequence, true);
	view.setUint32(8, sequence, true);
	return frame;
};

test('a call: asked for v1, it sends numbers, and time runs on in silence', async (test) => {
	const pass = stopClock(test);
	const { t, call } = await openCall({ frames: 'v1' });
	for (let i = 0; i < 3; i++)
		call.sendAudio(new Int16Array(320), 16000);
	await until(() => t.sent.length === 3);
	pass(300);
	call.sendAudio(new Int16Array(320), 16000);
	await until(() => t.sent.length === 4);
	const frames = t.sent.map((f) => decodeFrame(f));
	assert.deepEqual(frames.map((f) => f.sequence), [0, 1, 2, 3]);
	assert.deepEqual(frames.map((f) => f.begins), [true, false, false, true]);
	assert.deepEqual(frames.slice(0, 3).map((f) => f.time), [0, 320, 640]);
	assert.ok(Math.abs(frames[3].time - 960 - 0.28 * 16000) < 800, `${frames[3].time}`);
	call.close();
});

test('a call: a new epoch ends the old one, by frame or by line, and says so once', async () => {
	const { t, call } = await openCall({ frames: 'v1' });
	const seen = [];
	call.on('audio', ({ sequence, epoch }) => seen.push([sequence, epoch]));
	call.on('flush', ({ epoch }) => seen.push(`flush ${epoch}`));
	t.datagram(v1(0));
	t.datagram(v1(1));
	await soon();
	t.say({ type: 'flush', epoch: 1 }); // before its frames
	await soon();
	t.datagram(v1(2)); // was under way
	t.datagram(v1(3, 1));
	t.datagram(v1(4, 2)); // overtakes the line
	t.datagram(v1(5, 1));
	await soon();
	t.say({ type: 'flush', epoch: 2 });
	await soon();
	assert.deepEqual(seen, [[0, 0], [1, 0], 'flush 1', [3, 1], 'flush 2', [4, 2]]);
	assert.equal(call.counts.old, 2);
	call.played(2, 320);
	await soon();
	assert.deepEqual(t.heard().at(-1), { type: 'played', epoch: 2, samples: 320 });
	call.close();
});

test('a call: loss is what the sequence lacks', async () => {
	const { t, call } = await openCall({ frames: 'v1' });
	const stats = { type: 'stats', sent_packets: 0, lost_packets: 0, received_packets: 0 };
	t.datagram(v1(65530));
	await soon();
	t.say(stats);
	await soon();
	for (let i = 1; i <= 100; i++)
		if (i % 10)
			t.datagram(v1((65530 + (i === 11 ? 12 : i === 12 ? 11 : i)) & 0xffff)); // two of them swapped
	await soon();
	await soon();
	t.say({ ...stats, sent_packets: 200, lost_packets: 99 });
	await soon();
	assert.deepEqual([call.counts.lost, call.counts.reordered], [9, 1]);
	assert.ok(Math.abs(call.figures.loss_in - 0.09) < 0.01, `${call.figures.loss_in}`);
	call.close();
});

/* A browser with servers that refuse some addresses. */
async function withTransport(refuses, body) {
	const opened = [];
	globalThis.WebTransport = class {
		constructor(url) {
			opened.push(url);
			const t = fakeTransport();
			Object.defineProperties(this, Object.getOwnPropertyDescriptors(t));
			this.ready = refuses(url) ? Promise.reject(new Error('refused')) : Promise.resolve();
			this.ready.then(() => setTimeout(() => t.say(welcome), 5), () => t.fail(new Error('refused')));
		}
	};
	try {
		await body(opened);
	} finally {
		delete globalThis.WebTransport;
	}
}

test('connecting: one try, of v1 unless told otherwise, and a refusal asked for as a bye', async () => {
	await withTransport(() => false, async (opened) => {
		const call = await connect({ url: 'https://h:1/audio' });
		assert.deepEqual([opened, call.frames], [['https://h:1/audio?frames=v1&refuse=bye'], 'v1']);
		call.close('', { now: true });
	});
	await withTransport(() => false, async (opened) => {
		const call = await connect({ url: 'https://h:1/audio', frames: 'legacy' });
		assert.deepEqual([opened, call.frames], [['https://h:1/audio?refuse=bye'], 'legacy']);
		call.close('', { now: true });
	});
	await withTransport(() => true, async (opened) => {
		await assert.rejects(connect({ url: 'https://h:1/audio' }), { kind: 'failed' });
		assert.equal(opened.length, 1);
	});
});

test('connecting: the server is asked first, and a refusal opens no session', async () => {
	const check = 'https://h/voice/check';
	const asked = [];
	let answer;
	globalThis.fetch = async (url) => {
		asked.push(url);
		if (!answer)
			throw new TypeError('Failed to fetch');
		return { json: async () => answer };
	};
	try {
		await withTransport(() => false, async (opened) => {
			answer = { ok: false, status: 503, reason: 'the room is full' };
			await assert.rejects(connect({ url: 'https://h:1/audio?token=t', check, room: 'tea' }), { kind: 'refused',
				message: 'the room is full', facts: { status: 503, text: 'the room is full', kind: 'refused', opened: false } });
			assert.deepEqual([opened, asked], [[], [`${check}?token=t&room=tea&frames=v1&refuse=bye`]]);
			for (answer of [{ ok: true }, { error: 'not found' }, null]) // the last: it does not answer
				(await connect({ url: 'https://h:1/audio', check })).close('', { now: true });
			assert.equal(opened.length, 3);
		});
	} finally {
		delete globalThis.fetch;
	}
});

for (const [name, say] of [
	['bye', (t) => t.say({ type: 'bye', reason: 'refused', text: 'the room is full', status: 503 })],
	['code', (t) => t.end({ closeCode: 503, reason: 'the room is full' })],
]) {
	test(`connecting: a session that is refused by its ${name}`, async () => {
		const t = fakeTransport();
		const opened = new Call(new WebTransportSession(t), {}).opened();
		await soon();
		say(t);
		const error = await opened.catch((thrown) => thrown);
		assert.deepEqual([error.kind, error.facts.status, error.message], ['refused', 503, 'the room is full']);
		const found = await diagnose({ error, base, fetch: () => assert.fail('what for?') });
		assert.deepEqual([found.kind, found.status], ['refused', 503]);
		assert.equal(explain(found.kind, found).title, 'The room is full');
		t.close();
	});
}

test('failures: the browser may hold back from the eighth on, for five minutes', async () => {
	const failures = new Failures();
	const failed = new MynahError('failed', ''), minute = 60000;
	for (let i = 0; i < 7; i++)
		failures.note(failed, 0);
	failures.note(new MynahError('refused', ''), 0);
	failures.note(new MynahError('failed', '', { opened: true }), 0);
	assert.equal(failures.heldBack(1, true), false);
	failures.note(new MynahError('timeout', ''), 0);
	assert.equal(failures.heldBack(1, true), true);
	assert.equal(failures.heldBack(1, false), false);
	assert.equal(failures.heldBack(5 * minute, true), false);
	for (const [error, tookMs] of [['timeout', 10000], ['failed', 40]])
		assert.equal((await diagnose({ error: new MynahError(error, ''), tookMs, used: ['aa'], base, fetch: answers(well), heldBack: true })).kind, 'held_back');
});

test('a call: bye ends it with the server’s reason', async () => {
	const { t, call } = await openCall();
	t.say({ type: 'bye', reason: 'shutdown', text: 'back soon', reconnect_ms: 1500 });
	const { kind, reason, text, reconnectMs } = await call.closed;
	assert.deepEqual({ kind, reason, text, reconnectMs }, { kind: 'bye', reason: 'shutdown', text: 'back soon', reconnectMs: 1500 });
});

test('a call: bye instead of a welcome refuses it', async () => {
	const t = fakeTransport();
	const opened = new Call(new WebTransportSession(t), {}).opened();
	await soon();
	t.say({ type: 'bye', reason: 'room_full', text: 'the room is full' });
	await assert.rejects(opened, { kind: 'bye', message: 'the room is full' });
});

test('a call: the transport’s end is told apart', async () => {
	const one = await openCall();
	one.t.end({ closeCode: 0, reason: 'enough' });
	assert.equal((await one.call.closed).kind, 'closed');
	const two = await openCall();
	two.t.fail(new Error('network'));
	assert.equal((await two.call.closed).kind, 'lost');
	const three = await openCall();
	three.call.close('done');
	assert.equal((await three.call.closed).kind, 'closed_here');
	assert.equal(three.t.heard().at(-1).type, 'bye');
});
