/* SPDX-License-Identifier: MIT
 *
 * transport-webtransport.js: a session over WebTransport: frames as datagrams, lines on the first bidirectional stream.
 *
 * What a call wants of any transport:
 *	receive(onFrame, onLine)           once: from then on onFrame(bytes) and onLine(object) are called
 *	maxFrameBytes                      of one frame, now
 *	sendFrame(bytes)                   false: dropped, since the network does not keep up
 *	openLines(signal)                  a promise; lines flow from then on
 *	sendLine(object)                   RangeError for one over MAX_LINE_BYTES
 *	receivedAt                         performance.now() of the last sign of life
 *	closed                             resolves with { kind: 'closed' | 'lost', text, code }
 *	close(code, text)
 */
import { MAX_DATAGRAM_BYTES } from './frames.js';
import { encodeLine, LineReader } from './lines.js';
import { within } from './within.js';

const MAX_UNSENT_DATAGRAMS = 12; // 240 ms: older audio is worth nothing
const MAX_UNSENT_LINES = 64;
const OPEN_STREAM_MS = 5000;

export function hexToBytes(hex) {
	if (!/^([0-9a-f]{2})+$/i.test(hex))
		throw new TypeError(`not a hexadecimal hash: ${hex}`);
	return Uint8Array.from(hex.match(/../g), (byte) => parseInt(byte, 16));
}

/* Resolves with an open WebTransportSession. `hashes`: of the certificates that the server may show, in hex; none for
 * a certificate that browsers trust anyway. */
export async function openWebTransport(url, { hashes = [], timeoutMs, signal }) {
	const options = { allowPooling: false, requireUnreliable: true, congestionControl: 'low-latency' };
	if (hashes.length)
		options.serverCertificateHashes = hashes.map((hash) => ({ algorithm: 'sha-256', value: hexToBytes(hash) }));
	const transport = new WebTransport(url, options);
	transport.ready.catch(() => {});
	transport.closed.catch(() => {});
	try {
		await within(transport.ready, timeoutMs, signal);
	} catch (error) {
		closeQuietly(transport);
		throw error;
	}
	return new WebTransportSession(transport);
}

export class WebTransportSession {
	#transport;
	#datagrams;
	#control = null;
	#pieces = []; // of lines, not written yet
	#writing = false;
	#unsent = 0;
	#onLine = null;

	constructor(transport) {
		this.#transport = transport;
		this.receivedAt = performance.now();
		const { datagrams } = transport;
		tuneDatagrams(datagrams);
		this.#datagrams = (datagrams.createWritable?.() ?? datagrams.writable).getWriter();
		this.#datagrams.closed.catch(() => {});
		this.closed = transport.closed.then(
			(info) => ({ kind: 'closed', text: info?.reason || '', code: info?.closeCode }),
			(error) => ({ kind: 'lost', text: error?.message || '' }),
		);
	}

	receive(onFrame, onLine) {
		this.#onLine = onLine;
		this.#read(this.#transport.datagrams, onFrame);
	}

	get maxFrameBytes() {
		return Math.min(this.#transport.datagrams.maxDatagramSize || 1024, MAX_DATAGRAM_BYTES);
	}

	sendFrame(bytes) {
		if (this.#unsent >= MAX_UNSENT_DATAGRAMS)
			return false;
		this.#unsent++;
		this.#datagrams.write(bytes).then(
			() => this.#unsent--,
			() => this.#unsent--,
		);
		return true;
	}

	async openLines(signal) {
		const stream = await within(this.#transport.createBidirectionalStream(), OPEN_STREAM_MS, signal);
		const lines = new LineReader();
		this.#control = stream.writable.getWriter();
		this.#control.closed.catch(() => {});
		this.#read(stream, (bytes) => lines.push(bytes).forEach(this.#onLine));
	}

	sendLine(object) {
		if (!this.#control || this.#pieces.length >= MAX_UNSENT_LINES)
			return;
		this.#pieces.push(...encodeLine(object));
		this.#write();
	}

	close(code, text) {
		closeQuietly(this.#transport, code === undefined ? undefined : { closeCode: code, reason: text });
	}

	async #read(source, handle) {
		try {
			const reader = source.readable.getReader();
			for (;;) {
				const { value, done } = await reader.read();
				if (done)
					return;
				this.receivedAt = performance.now();
				handle(value);
			}
		} catch {
			/* `closed` tells how it ended */
		}
	}

	async #write() {
		if (this.#writing)
			return;
		this.#writing = true;
		try {
			while (this.#pieces.length)
				await this.#control.write(this.#pieces.shift());
		} catch {
			this.#pieces.length = 0;
		}
		this.#writing = false;
	}
}

function closeQuietly(transport, info) {
	try {
		transport.close(info);
	} catch {
		/* it never opened, or is closed already */
	}
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
