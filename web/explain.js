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
		...refusal(facts),
		retry: 'ask',
	}),
	certificate_changed: () => ({
		title: 'The server has a new certificate',
		text: 'The page has fetched its fingerprint and tries again.',
		retry: 'auto',
	}),
	certificate: (facts) => ({
		title: 'The voice connection was refused',
		text: 'The server answers, but this browser and the server’s voice port refused each other. ' + (facts.pinned
			? 'Is the clock of this device right?'
			: 'The server’s certificate may be from an authority that the browser does not know.')
			+ ` Or the server takes no calls from pages of ${facts.origin ?? 'this address'}. Its log says which.`,
		retry: 'ask',
	}),
	blocked: () => ({
		title: 'Voice packets do not get through',
		text: 'The server answers over the web but not over UDP. A firewall, a VPN or a proxy often blocks it: try another network, or ask for UDP to the server’s port to be opened.',
		retry: 'ask',
	}),
	held_back: () => ({
		title: 'The browser holds new connections back',
		text: 'Several failed, and after each one this browser waits longer before the next, for some minutes. Reload the page to begin anew. If that fails as well, a firewall, a VPN or a proxy may block UDP: try another network.',
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

/* What a refusal means: the words of the server where it has better ones. */
function refusal({ status, text }) {
	if (/room.*full/i.test(text))
		return { title: 'The room is full', text: 'No one else fits in. Try again in a while, or choose another room.' };
	const [title, meaning] = {
		400: ['The server did not understand', sentence(text)],
		401: ['The server asks for a pass', sentence(text)],
		403: ['This page may not use the server', sentence(text)],
		404: ['There is no such room', 'Is its name spelt as it was given to you?'],
		429: ['Too many calls from your network', 'The server is filling up, and keeps room for people elsewhere. Try again in a while.'],
		503: ['The server takes no more calls for now', `${sentence(text)} Try again in a while.`.trim()],
	}[status] ?? ['The server did not let you in', sentence(text)];
	return { title, text: meaning || 'It gave no reason.' };
}

export function explain(kind, facts = {}) {
	return (PROBLEMS[kind] ?? PROBLEMS.failed)({ ...facts, text: facts.text ?? '' });
}

export const KINDS = Object.keys(PROBLEMS);
