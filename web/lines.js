/* SPDX-License-Identifier: MIT
 *
 * lines.js: the control stream as bytes: one JSON object a line, both ways.
 */

export const MAX_LINE_BYTES = 16384; // to the server
const MAX_RECEIVED_LINE_BYTES = 4 << 20; // from it: a welcome names everybody in the room
const MAX_WRITE_BYTES = 1000; // Safari hangs on a stream write of 4 KiB and more

/* Cuts a byte stream into objects. A line that is too long, no JSON, or no object with a
 * type is skipped and counted: one bad line must not end a call. */
export class LineReader {
	constructor(maxBytes = MAX_RECEIVED_LINE_BYTES) {
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
