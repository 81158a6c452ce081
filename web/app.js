/* SPDX-License-Identifier: MIT
 *
 * app.js: the page. Joins a room, keeps the call alive, and hands what happens to view.js.
 *
 *	idle -> connecting -> live -> waiting -> connecting ...
 *	  ^---------+----------+--------+  (leave, or a problem that trying again cannot mend)
 *
 * Address parameters: room, name, rate (Hz sent, 16000), autoconnect=1, listen=1 (no
 * microphone), loopback=0 (play directly, see audio.js), processing=0 (send the microphone
 * as it is, with no echo cancelling, noise suppression or gain control).
 *
 * For tests and the curious, window.mynah: { call, state, problem, figures(), recordHeard(seconds) }.
 */
import { serverInfo, diagnose, backoffMs, headerOfRate, rateOfHeader, Failures, MynahError } from './mynah.js';
import { connectRemote } from './remote.js';
import { openAudio, listMicrophones } from './audio.js';
import { Devices } from './devices.js';
import { explain } from './explain.js';
import { memory } from './memory.js';
import { startMeters } from './meters.js';
import * as view from './view.js';

const { $, note, roomField } = view;
const parameters = new URLSearchParams(location.search);
const rate = rateParameter();

const page = {
	state: 'idle',
	call: null,
	problem: null, // kind of the last problem shown
	room: '', // whose messages are shown
	bridgeAway: '', // what is said of a worker that is not there
	abort: null, // of the running attempt
	hurry: null, // ends the wait before the next attempt
	wakeLock: null,
};

const failures = new Failures();

const devices = new Devices({
	rate,
	loopback: parameters.get('loopback') !== '0',
	processing: parameters.get('processing') !== '0',
	onchange: onDevices,
	onopened: showMicrophones,
	onlost: forgetMicrophone,
	onproblem: showProblem,
	onnote: note,
});

function rateParameter() {
	const wanted = Number(parameters.get('rate'));
	return wanted >= 8000 && wanted <= 48000 ? rateOfHeader(headerOfRate(wanted)) : 16000;
}

const facts = () => ({ state: page.state, call: page.call, devices, bridgeAway: page.bridgeAway });

/* ---- joining and staying --------------------------------------------------------------- */

async function join({ listenOnly = false } = {}) {
	if (page.state !== 'idle')
		return;
	hideProblem();
	forgetMessages();
	setState('connecting', 'Connecting');
	page.abort = new AbortController();
	const { signal } = page.abort;
	try {
		await openSound(signal);
		const ready = signal.aborted || listenOnly || (await openMicrophone());
		if (!ready && !signal.aborted)
			return setIdle();
		if (!signal.aborted)
			await stay(signal);
	} catch (error) {
		if (signal.aborted)
			return;
		showProblem(error instanceof MynahError ? error.kind : devices.speaker ? 'failed' : 'audio', { text: error.message, ...error.facts });
	}
	if (!signal.aborted)
		leave();
}

/* Connects, again and again as long as that makes sense. */
async function stay(signal) {
	for (let attempt = 0; !signal.aborted; attempt++) {
		const outcome = await once(signal, () => (attempt = 0));
		if (signal.aborted || outcome.kind === 'closed_here')
			return;
		if (!isWorthARetry(outcome))
			return showProblem(outcome.kind, outcome);
		const waitMs = outcome.kind === 'certificate_changed' && attempt === 0 ? 0
			: outcome.reconnectMs !== undefined ? outcome.reconnectMs * (1 + Math.random() / 2) : backoffMs(attempt);
		await wait(waitMs, outcome, signal);
	}
}

function isWorthARetry(outcome) {
	const { retry } = explain(outcome.kind, { origin: location.origin, ...outcome });
	return retry === 'auto' || (outcome.wasLive && retry === 'ask' && outcome.kind === 'blocked');
}

/* One session from start to end: { kind, text, ... , wasLive }. */
async function once(signal, onLive) {
	const started = performance.now();
	const room = roomField(), name = shortName($('name').value);
	let info = null;
	try {
		setState('connecting', 'Connecting');
		info = await serverInfo({ signal });
		view.showVersion(info.version);
		const call = await connectRemote({ ...info, room, name, rate, signal });
		onLive();
		return { ...(await live(call, signal)), wasLive: true };
	} catch (error) {
		if (!(error instanceof MynahError))
			throw error;
		failures.note(error);
		return diagnose({ error, tookMs: performance.now() - started, used: info?.certificateHashes, room, name, heldBack: failures.heldBack() });
	}
}

async function live(call, signal) {
	const close = () => call.close();
	signal.addEventListener('abort', close, { once: true });
	page.call = call;
	devices.attach(call);
	follow(call);
	hideProblem();
	view.showAddress(roomField());
	setLive();
	view.showPeople(facts());
	keepAwake();
	const ended = await call.closed;
	signal.removeEventListener('abort', close);
	if (signal.aborted)
		return ended; // the page may be in another call by now
	setState('waiting', 'Disconnected');
	view.showPeople(facts());
	page.call = null;
	devices.detach();
	return ended;
}

/* Shows what happens in the room. */
function follow(call) {
	let people = new Map(call.participants);
	page.bridgeAway = '';
	showBridge(call, view.bridgeOf(call) ?? {});
	call.on('participants', () => {
		for (const [id, who] of people)
			if (!call.participants.has(id))
				note(`${who.name || 'A guest'} left`);
		people = new Map(call.participants);
		view.showPeople(facts());
	});
	call.on('joined', ({ participant }) => participant && note(`${participant.name || 'A guest'} came in`));
	call.on('message', ({ from, to, text, time }) => from !== call.me
		&& view.showMessage(call.nameOf(from), text, { time, whispered: to !== undefined && to !== null }));
	call.on('warning', ({ text }) => text && note(text));
	call.on('bridge', (change) => showBridge(call, change));
	call.on('transcript', (words) => view.showTranscript(call, words));
}

/* The mode that somebody has given the bridge, and whether its worker is there; one that fails again and again is reported once. */
function showBridge(call, { id, up, left, text, mode, by }) {
	const name = call.nameOf(id);
	const away = up ? '' : left ? `${name} has left. It comes back when somebody joins.` : `${name} does not answer at the moment.`;
	if (by)
		note(modeNote(by === call.me ? 'You have' : `${call.nameOf(by)} has`, name, mode));
	if (by || up === undefined || away === page.bridgeAway)
		return;
	page.bridgeAway = away;
	note(up ? `${name} is back` : left ? `${name} has left` : `${name} has failed${text ? `: ${text}` : ''}`);
	view.showHeadline(facts());
}

function modeNote(who, name, mode) {
	return mode === 'active' ? `${who} let ${name} speak again` : mode === 'muted' ? `${who} muted ${name}` : `${who} silenced ${name}`;
}

async function wait(ms, outcome, signal) {
	setState('waiting', 'Reconnecting');
	showProblem(outcome.kind, outcome);
	const until = performance.now() + ms;
	await new Promise((resolve) => {
		const tick = () => {
			const left = Math.ceil((until - performance.now()) / 1000);
			if (left <= 0 || signal.aborted)
				return end();
			view.showCountdown(left);
		};
		const timer = setInterval(tick, 250);
		const end = () => {
			clearInterval(timer);
			signal.removeEventListener('abort', end);
			view.showCountdown(null);
			resolve();
		};
		page.hurry = end;
		signal.addEventListener('abort', end, { once: true });
		tick();
	});
}

function leave() {
	page.abort?.abort();
	devices.close();
	page.wakeLock?.release().catch(() => {});
	page.call = page.wakeLock = null;
	setIdle();
}

function setState(state, words) {
	page.state = state;
	view.showState(facts(), words);
}

function setLive() {
	setState('live', devices.isAsleep ? 'Click anywhere to hear the others' : devices.hasMicrophone ? 'Connected' : 'Connected, listening only');
}

function setIdle() {
	setState('idle', 'Not connected');
}

function showProblem(kind, more = {}) {
	const all = { origin: location.origin, ...more };
	const { retry } = explain(kind, all);
	const actions = [];
	page.problem = kind;
	if (['denied', 'missing', 'busy', 'unknown'].includes(kind))
		actions.push(['Only listen', page.call ? hideProblem : () => join({ listenOnly: true })]);
	if (kind === 'held_back')
		actions.push(['Reload the page', () => location.reload()]);
	else if (retry === 'ask')
		actions.push(['Try again', page.call ? useMicrophone : () => join()]);
	if (retry === 'auto')
		actions.push(['Try now', () => page.hurry?.()]);
	view.showProblem(kind, all, actions);
}

function hideProblem() {
	page.problem = null;
	view.hideProblem();
}

/* ---- devices ---------------------------------------------------------------------------- */

async function openSound(signal) {
	if (globalThis.isSecureContext === false)
		throw new MynahError('insecure', '', { origin: location.origin });
	if (typeof globalThis.WebTransport !== 'function')
		throw new MynahError('unsupported', '');
	if (devices.context)
		return;
	const context = await openAudioPatiently(signal);
	if (signal.aborted)
		context?.close(); // left meanwhile
	else
		devices.openSound(context, { headphones: $('headphones').checked });
}

/* Its worklets come from the server, which may be gone since the page was loaded, or back
 * between the two questions; what fails twice while it answers is something else. */
async function openAudioPatiently(signal) {
	for (let attempt = 0, answered = 0; !signal.aborted; attempt++) {
		try {
			return await openAudio();
		} catch (error) {
			const gone = await serverInfo({ signal }).then(() => false, ({ kind }) => kind === 'gone');
			if (!gone && ++answered === 2)
				throw error;
			if (!gone)
				continue;
		}
		await wait(backoffMs(attempt), { kind: 'gone' }, signal);
	}
	return null;
}

function openMicrophone() {
	return devices.openMicrophone({
		deviceId: $('microphone').value || memory.get('microphone'),
		headphones: $('headphones').checked,
	});
}

/* In mid-call, for somebody who joined without one or whose microphone was refused. */
async function useMicrophone() {
	if (!(await openMicrophone()))
		return;
	hideProblem();
	devices.tellMute();
	onDevices();
}

/* A microphone or the sound itself has come or gone. */
function onDevices() {
	if (page.state === 'live')
		setLive();
	else
		view.showMute(facts());
}

/* It was unplugged: the next one is the system's choice. */
function forgetMicrophone() {
	$('microphone').value = '';
	memory.set('microphone', '');
}

async function showMicrophones() {
	const list = await listMicrophones().catch(() => []);
	const chosen = devices.microphone?.deviceId ?? memory.get('microphone');
	const options = list.map(({ id, label }, i) => new Option(label || `Microphone ${i + 1}`, id));
	$('microphone').replaceChildren(new Option('The system’s choice', ''), ...options);
	$('microphone').value = options.some(({ value }) => value === chosen) ? chosen : '';
}

async function keepAwake() {
	if (page.state === 'live' && document.visibilityState === 'visible')
		page.wakeLock = await navigator.wakeLock?.request('screen').catch(() => null);
}

/* ---- what the user does ------------------------------------------------------------------ */

/* As much of it as the protocol takes: 64 bytes. */
function shortName(text) {
	let name = text.replace(/\p{Cc}/gu, '').trim();
	while (new TextEncoder().encode(name).length > 64)
		name = [...name].slice(0, -1).join('');
	return name.trim();
}

/* Messages of one room are not for the people of another. */
function forgetMessages() {
	const room = roomField();
	if (room && room === page.room)
		return;
	page.room = room;
	view.clearMessages();
}

/* Only the room: a name or a setting in the address is one's own. */
async function invite() {
	const link = new URL(location.pathname, location.href);
	link.searchParams.set('room', page.room);
	try {
		await navigator.clipboard.writeText(link.href);
		$('invite').textContent = 'Copied';
	} catch {
		note(`The link to this room: ${link.href}`);
	}
}

function toggleMute() {
	if (!devices.hasMicrophone)
		return useMicrophone();
	devices.mute(!devices.muted);
	view.showMute(facts());
}

function send(event) {
	event.preventDefault();
	const text = $('text').value.trim();
	if (!text || !page.call)
		return;
	const to = $('to').value;
	page.call.message(text, to ? Number(to) : undefined);
	view.showMessage('You', text, { own: true, to: to && page.call.nameOf(Number(to)) });
	$('text').value = '';
}

/* A person who takes over from the AI silences it for everybody; it goes on hearing. */
function silence() {
	const robot = view.bridgeOf(page.call);
	if (robot)
		page.call.bridge(robot.muted ? 'active' : 'listening');
}

function onKey(event) {
	const { target, key } = event;
	if (page.state === 'idle' || event.repeat || event.ctrlKey || event.metaKey || event.altKey)
		return;
	if (target.closest('input, select, textarea, [contenteditable]'))
		return;
	if (key.toLowerCase() === 'm' || (key === ' ' && !target.closest('button, .log'))) {
		event.preventDefault();
		toggleMute();
	}
}

/* ---- figures ------------------------------------------------------------------------------- */

/* The latest of everything that is measured. */
function figures() {
	const { call } = page;
	const { speaker, context } = devices;
	const server = call?.figures ?? {};
	const player = speaker?.figures ?? {};
	return {
		state: page.state,
		problem: page.problem,
		rtt_ms: server.rtt_ms,
		jitter_ms: server.jitter_ms, // of my frames, at the server
		loss: Math.max(server.loss_in ?? NaN, server.loss_out ?? NaN),
		loss_in: server.loss_in,
		loss_out: server.loss_out,
		server_buffer_ms: server.buffer_ms,
		buffer_ms: player.buffer_ms,
		target_ms: player.target_ms,
		trim_ppm: player.trim_ppm,
		underruns: player.underruns,
		pauses: player.pauses,
		seams: player.seams,
		cut_samples: player.cut,
		played_samples: player.played,
		frames_in: player.frames,
		rate_in: player.rate,
		rate_out: rate,
		level_in_dbfs: devices.levelIn,
		level_out_dbfs: devices.levelOut,
		muted: devices.muted,
		microphone: devices.hasMicrophone,
		route: speaker?.route,
		context_rate: context?.sampleRate,
		context_state: context?.state,
		sent: call?.counts.sent,
		received: call?.counts.received,
		unsent: call?.counts.unsent,
		participants: call ? [...call.participants.values()] : [],
	};
}

/* ---- start ------------------------------------------------------------------------------------ */

function fillForm() {
	$('room').value = parameters.get('room') ?? memory.get('room');
	$('name').value = parameters.get('name') ?? memory.get('name');
	$('headphones').checked = memory.get('headphones') === 'yes';
}

function listen() {
	$('join').addEventListener('submit', (event) => {
		event.preventDefault();
		memory.set('room', roomField());
		memory.set('name', $('name').value.trim());
		join({ listenOnly: parameters.get('listen') === '1' });
	});
	$('leave').addEventListener('click', () => {
		hideProblem();
		leave();
	});
	$('mute').addEventListener('click', toggleMute);
	$('silence').addEventListener('click', silence);
	$('invite').addEventListener('click', invite);
	$('write').addEventListener('submit', send);
	$('microphone').addEventListener('change', () => {
		memory.set('microphone', $('microphone').value);
		if (page.call)
			useMicrophone();
	});
	$('headphones').addEventListener('change', () => {
		memory.set('headphones', $('headphones').checked ? 'yes' : 'no');
		devices.chooseRoute($('headphones').checked);
		if (devices.hasMicrophone)
			useMicrophone(); // echo cancelling is chosen when a microphone is opened
	});
	document.addEventListener('keydown', onKey);
	document.addEventListener('visibilitychange', keepAwake);
	navigator.mediaDevices?.addEventListener?.('devicechange', showMicrophones);
	addEventListener('online', () => page.hurry?.());
	addEventListener('pagehide', () => page.call?.close('', { now: true }));
	startMeters(() => ({ in: devices.levelIn, out: devices.levelOut }), () => (page.state === 'idle' ? null : figures()));
}

window.mynah = {
	get call() {
		return page.call;
	},
	get state() {
		return page.state;
	},
	get problem() {
		return page.problem;
	},
	figures,
	/* Resolves with { samples: Float32Array, rate }: exactly what the playback worklet gave out. */
	recordHeard: (seconds) => devices.speaker.record(seconds),
};

fillForm();
listen();
setIdle();
showMicrophones();
if (globalThis.isSecureContext === false)
	showProblem('insecure');
else if (typeof globalThis.WebTransport !== 'function')
	showProblem('unsupported');
else if (parameters.get('autoconnect') === '1')
	join({ listenOnly: parameters.get('listen') === '1' });
serverInfo().then(({ version }) => view.showVersion(version)).catch(() => {});
