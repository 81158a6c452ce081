/* SPDX-License-Identifier: MIT
 *
 * explain.js: every way a call can fail, in words for the person in front of the page.
 * Returns { title, text, retry }; retry: "no" (nothing will change by itself), "ask" (the
 * user may change something, then try), "auto" (the page tries again on its own).
 */

const PROBLEMS = {
	/* the page and the browser */
	insecure: (facts) => ({
		title: 'This page needs a secure address',
		text: `Browsers give the microphone and WebTransport only to pages on https:// or on localhost. This one was opened as ${facts.origin ?? 'http'}. Open it on https, or on the server’s own machine as http://localhost.`,
		retry: 'no',
	}),
	unsupported: () => ({
		title: 'This browser has no WebTransport',
		text: 'It works in Chrome and Edge from version 100, Firefox from 125, and Safari from 26.4. Please update the browser or open the page in another one.',
		retry: 'no',
	}),
	audio: (facts) => ({
		title: 'The browser’s audio did not start',
		text: `It said: ${facts.text || 'nothing'}. Closing other programs that use sound, or reloading the page, often helps.`,
		retry: 'ask',
	}),
	/* the microphone */
	denied: () => ({
		title: 'The microphone is not allowed',
		text: 'Allow it in the browser’s address bar (the lock or microphone symbol) and try again. Or join without it: you will hear everyone and can write messages.',
		retry: 'ask',
	}),
	missing: () => ({
		title: 'No microphone was found',
		text: 'Plug one in and try again. Or join without it: you will hear everyone and can write messages.',
		retry: 'ask',
	}),
	busy: () => ({
		title: 'The microphone is in use',
		text: 'Another program holds it, or the system refuses it. Close that program and try again, or join without a microphone.',
		retry: 'ask',
	}),
	unknown: (facts) => ({
		title: 'The microphone did not start',
		text: `The browser said: ${facts.text || 'nothing'}. Try again, or join without a microphone.`,
		retry: 'ask',
	}),
	/* the server */
	gone: () => ({
		title: 'The server does not answer',
		text: 'It may be restarting, or your network is down. The page goes on trying.',
		retry: 'auto',
	}),
	restarting: () => ({
		title: 'The server is restarting',
		text: 'The call goes on as soon as it is back.',
		retry: 'auto',
	}),
	refused: (facts) => ({
		title: /full/i.test(facts.text) ? 'The room is full' : 'The server did not let you in',
		text: refusal(facts),
		retry: 'ask',
	}),
	certificate_changed: () => ({
		title: 'The server has a new certificate',
		text: 'The page has fetched its fingerprint and tries again.',
		retry: 'auto',
	}),
	certificate: (facts) => ({
		title: 'The server’s certificate was refused',
		text: facts.pinned
			? 'The server answers, but the browser did not accept its certificate for the voice connection. Is the clock of this device right? The server’s owner can see the reason in its log.'
			: 'The server answers, but its certificate is not from an authority that browsers know. Its owner can let mynah make its own, which needs no authority.',
		retry: 'ask',
	}),
	blocked: () => ({
		title: 'Voice packets do not get through',
		text: 'The server answers over the web but not over UDP. A firewall, a VPN or a proxy often blocks it: try another network, or ask for UDP to the server’s port to be opened.',
		retry: 'ask',
	}),
	lost: () => ({
		title: 'The connection was lost',
		text: 'The page connects again by itself; the microphone stays ready.',
		retry: 'auto',
	}),
	closed: (facts) => ({
		title: 'The server ended the connection',
		text: facts.text ? `It said: ${facts.text}.` : 'The page connects again by itself.',
		retry: 'auto',
	}),
	bye: (facts) => ({
		title: facts.reason === 'shutdown' ? 'The server is restarting' : facts.reason === 'room_full' ? 'The room is full' : 'The server ended the call',
		text: facts.reason === 'shutdown' ? 'The call goes on as soon as it is back.' : sentence(facts.text) || 'You can connect again at any time.',
		retry: facts.reconnectMs !== undefined || facts.reason === 'shutdown' ? 'auto' : 'ask',
	}),
	failed: (facts) => ({
		title: 'The call could not be opened',
		text: facts.text ? `The browser said: ${facts.text}` : 'The browser did not say why.',
		retry: 'ask',
	}),
};

PROBLEMS.timeout = PROBLEMS.blocked;

function sentence(text) {
	return text ? text[0].toUpperCase() + text.slice(1).replace(/[.!?]?$/, '.') : '';
}

function refusal({ status, text }) {
	if (/full/i.test(text))
		return 'No one else fits in. Try again in a while, or choose another room.';
	const meaning = { 400: 'It did not like the room’s name', 401: 'It asks for a pass', 403: 'This page may not use it',
		404: 'There is no such room', 429: 'Too many attempts in a short time', 503: 'It takes no more calls for now' }[status];
	return [meaning && meaning + '.', sentence(text)].filter(Boolean).join(' ') || 'It gave no reason.';
}

export function explain(kind, facts = {}) {
	return (PROBLEMS[kind] ?? PROBLEMS.failed)({ ...facts, text: facts.text ?? '' });
}

export const KINDS = Object.keys(PROBLEMS);
