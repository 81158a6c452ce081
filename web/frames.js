/* SPDX-License-Identifier: MIT
 *
 * frames.js: the audio of one datagram as bytes. Legacy: u16 LE rate/100, then PCM-16 LE mono. v1: twelve
 * bytes before the samples (docs/protocol.md). No network, no clock.
 */

export const MAX_DATAGRAM_BYTES = 1200;
const FRAME_HEADER_BYTES = 2;
const V1_HEADER_BYTES = 12;
const V1 = 0x8000;
const V1_BEGINS = 0x10;
const V1_ENDS = 0x20;
const PAUSE_MS = 100; // nothing sent for this much longer than a frame: silence, not a late timer

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

/* Turns samples into frames of one kind and keeps their numbers. Media time runs on while nothing is sent (muted). */
export class FrameWriter {
	#numbers; // of the v1 frame sent next; null: legacy frames
	#sentAt = -Infinity;
	#sentMs = 0; // of sound, at that moment

	constructor(kind) {
		this.#numbers = kind === 'v1' ? { sequence: 0, time: 0, begins: true } : null;
	}

	write(samples, rate, maxBytes, nowMs) {
		this.#passTime((1000 * samples.length) / rate, rate, nowMs);
		return encodeFrames(samples, rate, maxBytes, this.#numbers);
	}

	#passTime(ms, rate, nowMs) {
		const silentMs = nowMs - this.#sentAt - this.#sentMs;
		if (this.#numbers && this.#sentMs && silentMs > PAUSE_MS) {
			this.#numbers.time = (this.#numbers.time + Math.round((silentMs * rate) / 1000)) >>> 0;
			this.#numbers.begins = true;
		}
		this.#sentAt = nowMs;
		this.#sentMs = ms;
	}
}

/* Reads the numbers of received v1 frames: what was lost, and which frames are of an epoch that a flush has ended. */
export class FrameOrder {
	#newest = null; // sequence received
	epoch = 0;
	lost = 0;
	reordered = 0;

	get numbered() {
		return this.#newest !== null;
	}

	/* A frame with a gap before it counts the gap as lost; a late one takes its place back. */
	note(sequence) {
		const ahead = this.#newest === null ? 1 : ((sequence - this.#newest) << 16) >> 16;
		if (ahead > 0) {
			this.lost += ahead - 1;
			this.#newest = sequence;
		} else if (ahead < 0 && this.lost > 0) {
			this.lost--;
			this.reordered++;
		}
	}

	/* True if this epoch is new: everything of the one before is to be dropped. */
	enter(epoch) {
		if (!isNewerEpoch(epoch, this.epoch))
			return false;
		this.epoch = epoch;
		return true;
	}
}
