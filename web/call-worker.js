/* SPDX-License-Identifier: MIT
 *
 * One call in a thread of its own, so that a busy page neither delays nor drops a frame:
 *
 *	capture worklet --port--> this worker --WebTransport--> server
 *	playback worklet <-port-- this worker <-WebTransport--- server
 *
 * remote.js is the page's half and says what the messages are.
 */
import { connect, MynahError } from './mynah.js';

const COUNT_MS = 500; // how fresh the page's counts are

let call = null;
let speaker = null;
let audioWanted = false;
const abort = new AbortController();

const commands = {
	open: async ({ options }) => {
		try {
			call = await connect({ ...options, signal: abort.signal, onCall });
			report('opened', null);
			setInterval(() => report('counted', null), COUNT_MS);
		} catch (error) {
			const known = error instanceof MynahError;
			postMessage({ failed: { kind: known ? error.kind : 'failed', message: error.message, facts: known ? error.facts : {} } });
		}
	},
	abort: () => abort.abort(),
	microphone: ({ port }) => {
		port.onmessage = ({ data }) => call?.sendAudio(data);
	},
	speaker: ({ port }) => {
		speaker = port;
		port.onmessage = ({ data }) => data.played && call?.played(data.played.epoch, data.played.samples);
	},
	wantAudio: () => {
		audioWanted = true;
	},
	call: ({ method, values }) => {
		try {
			call?.[method](...values);
		} catch (error) { // a line too long, a rate that cannot be: not the end of the call
			report('warning', { type: 'warning', code: 'refused_here', text: error.message });
		}
	},
};

/* Every event of the call, from the first on, with what the call knows by then. */
function onCall(opening) {
	const dispatch = opening.dispatchEvent.bind(opening);
	call = opening;
	opening.dispatchEvent = (event) => {
		if (event.type === 'audio') {
			speaker?.postMessage(event.detail);
			if (audioWanted)
				report('audio', event.detail);
		} else {
			if (event.type === 'flush')
				speaker?.postMessage({ flush: event.detail.epoch });
			report(event.type, event.detail);
		}
		return dispatch(event);
	};
}

function report(type, detail) {
	const { welcome, figures, counts, participants } = call;
	postMessage({ type, detail, known: { welcome, figures, counts, participants } });
}

onmessage = ({ data }) => commands[data.command]?.(data);
