/* SPDX-License-Identifier: MIT
 *
 * remote.js: connect() as in mynah.js, but the call lives in a worker (call-worker.js). The
 * voice then goes from worklet to worker to network and back without passing the page:
 *
 *	const call = await connectRemote(options);           // options as connect() takes them
 *	call.attachMicrophone(microphone.newPort());          // of audio.js; again after open()
 *	call.attachSpeaker(speaker.newPort());
 *
 * Everything else is as with a Call: on(), message(), mute(), close(), closed, figures. Where
 * workers have no WebTransport, localCall() gives a Call of this thread the same two methods.
 */
import { connect, MynahError } from './mynah.js';

/* Must a call stay in the page? Known after the first try. */
let workerFails = typeof Worker !== 'function';

export async function connectRemote(options) {
	if (!workerFails && typeof globalThis.WebTransport === 'function') {
		try {
			return await RemoteCall.open(options);
		} catch (error) {
			if (!['unsupported', 'no_worker'].includes(error.kind))
				throw error;
			workerFails = true;
		}
	}
	return localCall(await connect(options));
}

function localCall(call) {
	call.attachMicrophone = (port) => (port.onmessage = ({ data }) => call.sendAudio(data));
	call.attachSpeaker = (port) => {
		call.on('audio', (frame) => port.postMessage(frame));
		call.on('flush', ({ epoch }) => port.postMessage({ flush: epoch }));
		port.onmessage = ({ data }) => data.played && call.played(data.played.epoch, data.played.samples);
	};
	return call;
}

export class RemoteCall extends EventTarget {
	#worker;
	#finish;
	#settle = null;

	static open({ signal, ...options }) {
		return new Promise((resolve, reject) => new RemoteCall(options, signal, { resolve, reject }));
	}

	constructor(options, signal, settle) {
		super();
		this.welcome = null;
		this.participants = new Map();
		this.counts = {};
		this.figures = {};
		this.closed = new Promise((resolve) => (this.#finish = resolve));
		this.#settle = settle;
		this.#worker = new Worker(new URL('./call-worker.js', import.meta.url), { type: 'module' });
		this.#worker.onerror = (event) => this.#fail(new MynahError('no_worker', event.message ?? 'the worker did not start'));
		this.#worker.onmessage = ({ data }) => this.#handle(data);
		const abort = () => this.#post({ command: 'abort' });
		if (signal?.aborted)
			abort();
		signal?.addEventListener('abort', abort, { once: true });
		this.closed.then(() => signal?.removeEventListener('abort', abort));
		this.#post({ command: 'open', options });
	}

	on(type, listener) {
		if (type === 'audio')
			this.#post({ command: 'wantAudio' });
		const wrapped = (event) => listener(event.detail);
		this.addEventListener(type, wrapped);
		return () => this.removeEventListener(type, wrapped);
	}

	attachMicrophone(port) {
		this.#worker.postMessage({ command: 'microphone', port }, [port]);
	}

	attachSpeaker(port) {
		this.#worker.postMessage({ command: 'speaker', port }, [port]);
	}

	sendAudio(samples, rate) {
		this.#method('sendAudio', samples, rate);
	}

	message(text, to) {
		this.#method('message', text, to);
	}

	mute(muted) {
		this.#method('mute', muted);
	}

	bridge(mode) {
		this.#method('bridge', mode);
	}

	ping() {
		this.#method('ping');
	}

	askStats(everyMs) {
		this.#method('askStats', everyMs);
	}

	close(text, how) {
		this.#method('close', text, how);
	}

	nameOf(id) {
		return this.participants.get(id)?.name || (id === undefined || id === null ? '' : `guest ${id}`);
	}

	get me() {
		return this.welcome?.participant;
	}

	#post(message) {
		this.#worker.postMessage(message);
	}

	#method(method, ...values) {
		this.#post({ command: 'call', method, values });
	}

	#handle({ failed, type, detail, known }) {
		if (failed)
			return this.#fail(new MynahError(failed.kind, failed.message, failed.facts));
		Object.assign(this, known);
		if (type === 'opened') {
			this.#settle?.resolve(this);
			this.#settle = null;
		}
		this.dispatchEvent(new CustomEvent(type, { detail }));
		if (type === 'closed')
			this.#end(detail);
	}

	#fail(error) {
		const settle = this.#settle;
		this.#settle = null;
		this.#end({ kind: 'lost', text: error.message });
		settle?.reject(error);
	}

	/* The worker outlives the call by the time that its last messages may take. */
	#end(how) {
		this.#finish(how);
		setTimeout(() => this.#worker.terminate(), 1000);
	}
}
