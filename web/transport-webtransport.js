/* SPDX-License-Identifier: MIT
 *
 * transport-webtransport.js: a session over WebTransport: frames as datagrams, lines on the first bidirectional stream.
 *
 * What a call wants of any transport:
 *	receive(onFrame, onLine)           once: from then on onFrame(bytes) and onLine(object) are called
 *	maxFrameBytes                      of one frame, now
 *	sendFrame(bytes, ms)               one that is `ms` long; never waits
 *	droppedFrames                      of those, ever: the network, or this thread, did not keep up
 *	openLines(signal)                  a promise; lines flow from then on
 *	sendLine(object)                   RangeError for one over MAX_LINE_BYTES
 *	receivedAt                         performance.now() of the last sign of life
 *	closed                             resolves with { kind: 'closed' | 'lost', text, code }
 *	close(code, text)
 */
import { FreshQueue } from './fresh-queue.js';
import { MAX_DATAGRAM_BYTES } from './frames.js';
import { encodeLine, LineReader } from './lines.js';
import { within } from './within.js';

const MAX_WAIT_MS = 120; // of a frame: older audio is worth nothing
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
	#frames = new FreshQueue(MAX_WAIT_MS);
	#sending = false;
	#nextTurn = new MessageChannel();
	#onLine = null;

	constructor(transport) {
		this.#transport = transport;
		this.receivedAt = performance.now();
		const { datagrams } = transport;
		tuneDatagrams(datagrams);
		this.#datagrams = (datagrams.createWritable?.() ?? datagrams.writable).getWriter();
		this.#datagrams.closed.catch(() => {});
		this.#nextTurn.port2.onmessage = () => this.#send();
		this.closed = transport.closed.then(
			(info) => ({ kind: 'closed', text: info?.reason || '', code: info?.closeCode }),
			(error) => ({ kind: 'lost', text: error?.message || '' }),
		);
		this.closed.then(() => this.#nextTurn.port2.close());
	}

	receive(onFrame, onLine) {
		this.#onLine = onLine;
		this.#read(this.#transport.datagrams, onFrame);
	}

	get maxFrameBytes() {
		return Math.min(this.#transport.datagrams.maxDatagramSize || 1024, MAX_DATAGRAM_BYTES);
	}

	/* It leaves in a turn of its own: when this thread was busy, the frames that have come meanwhile are all in the queue
	 * by then, and the oldest of them out of it. A message, since timers of a page in the background come once a second. */
	sendFrame(bytes, ms) {
		this.#frames.push(bytes, ms, performance.now());
		if (this.#sending)
			return;
		this.#sending = true;
		this.#nextTurn.port1.postMessage(null);
	}

	get droppedFrames() {
		return this.#frames.dropped;
	}

	/* One at a time: what the browser has cannot be taken back. */
	async #send() {
		try {
			for (let frame; (frame = this.#frames.take(performance.now()));)
				await this.#datagrams.write(frame);
		} catch {
			/* `closed` tells how it ended */
		}
		this.#sending = false;
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

/* What comes in: the default queue holds one datagram, and two in one turn of the event loop cost one of them; this holds
 * what the speaker's buffer may use after a turn that took long. What goes out waits in our own queue. Both the old and
 * the new names of the marks, since browsers know one or the other. */
function tuneDatagrams(datagrams) {
	const wanted = {
		incomingHighWaterMark: 32, incomingMaxBufferedDatagrams: 32,
		outgoingHighWaterMark: 1, outgoingMaxBufferedDatagrams: 1,
		outgoingMaxAge: MAX_WAIT_MS,
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
