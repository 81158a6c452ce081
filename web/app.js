/* SPDX-License-Identifier: MIT
 *
 * app.js: the page. Joins a room, keeps the call alive, and says in words what happens.
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
import { serverInfo, diagnose, backoffMs, headerOfRate, rateOfHeader, MynahError } from './mynah.js';
import { connectRemote } from './remote.js';
import { openAudio, listMicrophones, microphoneProblem, Microphone, Speaker, needsLoopback } from './audio.js';
import { explain } from './explain.js';

const parameters = new URLSearchParams(location.search);
const $ = (id) => document.getElementById(id);
const METER_FLOOR_DB = -60;
const MAX_LOGGED = 300;

/* Storage may be forbidden; the page then only forgets. */
const memory = {
	get(key) {
		try {
			return localStorage.getItem('mynah.' + key) ?? '';
		} catch {
			return '';
		}
	},
	set(key, value) {
		try {
			localStorage.setItem('mynah.' + key, value);
		} catch {
			/* forgotten, then */
		}
	},
};

const page = {
	state: 'idle',
	call: null,
	problem: null, // kind of the last problem shown
	context: null,
	microphone: null,
	speaker: null,
	muted: false,
	abort: null, // of the running attempt
	hurry: null, // ends the wait before the next attempt
	wakeLock: null,
	levelIn: -100,
	levelOut: -100,
	rate: rateParameter(),
	room: '', // whose messages are shown
	bridgeDown: '', // the name of a worker that has failed
	growing: new Map(), // who speaks -> his transcript that is not final
};

function rateParameter() {
	const rate = Number(parameters.get('rate'));
	return rate >= 8000 && rate <= 48000 ? rateOfHeader(headerOfRate(rate)) : 16000;
}

/* ---- joining and staying --------------------------------------------------------------- */

async function join({ listenOnly = false } = {}) {
	if (page.state !== 'idle')
		return;
	hideNotice();
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
		showProblem(error instanceof MynahError ? error.kind : page.speaker ? 'failed' : 'audio', { text: error.message, ...error.facts });
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
		const problem = explain(outcome.kind, { origin: location.origin, ...outcome });
		const again = problem.retry === 'auto' || (outcome.wasLive && problem.retry === 'ask' && outcome.kind === 'blocked');
		if (!again)
			return showProblem(outcome.kind, outcome);
		const waitMs = outcome.kind === 'certificate_changed' && attempt === 0 ? 0
			: outcome.reconnectMs !== undefined ? outcome.reconnectMs * (1 + Math.random() / 2) : backoffMs(attempt);
		await wait(waitMs, outcome, signal);
	}
}

/* One session from start to end: { kind, text, ... , wasLive }. */
async function once(signal, onLive) {
	const started = performance.now();
	const room = $('room').value.trim();
	let info = null;
	try {
		setState('connecting', 'Connecting');
		info = await serverInfo({ signal });
		showVersion(info.version);
		const call = await connectRemote({ ...info, room, name: shortName($('name').value), rate: page.rate, signal });
		onLive();
		return { ...(await live(call, signal)), wasLive: true };
	} catch (error) {
		if (!(error instanceof MynahError))
			throw error;
		return diagnose({ error, tookMs: performance.now() - started, used: info?.certificateHashes, room });
	}
}

async function live(call, signal) {
	page.call = call;
	const close = () => call.close();
	signal.addEventListener('abort', close, { once: true });
	call.attachSpeaker(page.speaker.newPort());
	if (page.microphone?.isOpen)
		call.attachMicrophone(page.microphone.newPort());
	call.on('participants', showPeople);
	call.on('joined', ({ participant }) => participant && note(`${participant.name || 'A guest'} came in`));
	call.on('message', ({ from, to, text, time }) => from !== call.me && showMessage(call.nameOf(from), text, { time, whispered: to !== undefined && to !== null }));
	call.on('warning', ({ text }) => text && note(text));
	call.on('bridge', ({ id, mode, by }) => by && note(bridgeNews(call, id, mode, by)));
	let people = new Map(call.participants);
	call.on('participants', () => {
		for (const [id, who] of people)
			if (!call.participants.has(id))
				note(`${who.name || 'A guest'} left`);
		people = new Map(call.participants);
	});
	page.bridgeDown = '';
	tellBridge(call, bridgeOf(call) ?? {});
	call.on('bridge', (news) => tellBridge(call, news));
	call.on('transcript', (words) => showTranscript(call, words));
	call.mute(page.muted || !page.microphone?.isOpen);
	hideNotice();
	showAddress($('room').value.trim());
	setLive();
	showPeople([...call.participants.values()]);
	keepAwake();
	const ended = await call.closed;
	signal.removeEventListener('abort', close);
	if (signal.aborted)
		return ended; // the page may be in another call by now
	setState('waiting', 'Disconnected');
	showPeople([...call.participants.values()]);
	page.call = null;
	page.speaker.reset();
	page.levelOut = -100;
	return ended;
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
			$('state').dataset.left = ` in ${left} s`;
		};
		const timer = setInterval(tick, 250);
		const end = () => {
			clearInterval(timer);
			signal.removeEventListener('abort', end);
			delete $('state').dataset.left;
			resolve();
		};
		page.hurry = end;
		signal.addEventListener('abort', end, { once: true });
		tick();
	});
}

function leave() {
	page.abort?.abort();
	page.microphone?.close();
	page.speaker?.close();
	page.context?.close().catch(() => {});
	page.wakeLock?.release().catch(() => {});
	Object.assign(page, { call: null, microphone: null, speaker: null, context: null, wakeLock: null, levelIn: -100, levelOut: -100 });
	setIdle();
}

function setLive() {
	const asleep = page.context?.state !== 'running';
	setState('live', asleep ? 'Click anywhere to hear the others' : page.microphone?.isOpen ? 'Connected' : 'Connected, listening only');
}

function setIdle() {
	setState('idle', 'Not connected');
}

/* ---- devices ---------------------------------------------------------------------------- */

async function openSound(signal) {
	if (globalThis.isSecureContext === false)
		throw new MynahError('insecure', '', { origin: location.origin });
	if (typeof globalThis.WebTransport !== 'function')
		throw new MynahError('unsupported', '');
	if (page.context)
		return;
	const context = await openAudioPatiently(signal);
	if (signal.aborted)
		return context?.close(); // left meanwhile
	page.context = context;
	page.speaker = new Speaker(page.context);
	page.speaker.onlevel = ({ rms }) => (page.levelOut = rms);
	page.context.onstatechange = wakeSound;
	wakeSound();
	chooseRoute();
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

/* Browsers keep a page silent until the user has done something in it. */
function wakeSound() {
	const { context } = page;
	if (page.state === 'live')
		setLive();
	if (!context || context.state === 'running' || context.state === 'closed')
		return;
	const resume = () => context.state !== 'closed' && context.resume().catch(() => {});
	resume();
	for (const type of ['pointerdown', 'keydown'])
		document.addEventListener(type, resume, { once: true });
}

async function openMicrophone() {
	page.microphone ??= new Microphone(page.context, { rate: page.rate, frameMs: 20 });
	const { microphone } = page;
	microphone.onlevel = ({ rms }) => (page.levelIn = rms);
	microphone.onended = lostMicrophone;
	microphone.muted = page.muted;
	try {
		await microphone.open({
			deviceId: $('microphone').value || memory.get('microphone'),
			echoCancelling: !$('headphones').checked,
			processing: parameters.get('processing') !== '0',
		});
	} catch (error) {
		const kind = microphoneProblem(error);
		if (kind !== 'closed') // he left meanwhile, or chose another one
			showProblem(kind, { text: error.message, origin: location.origin });
		return false;
	}
	page.call?.attachMicrophone(microphone.newPort());
	await showMicrophones();
	return true;
}

/* Unplugged in mid-call: whatever the system offers next, or listening only. */
async function lostMicrophone() {
	page.levelIn = -100;
	$('microphone').value = '';
	memory.set('microphone', '');
	if (page.microphone && (await openMicrophone()))
		note('The microphone was unplugged; another one took over');
	else
		page.call?.mute(true);
	showMute();
}

async function showMicrophones() {
	const list = await listMicrophones().catch(() => []);
	const chosen = page.microphone?.deviceId ?? memory.get('microphone');
	const options = list.map(({ id, label }, i) => new Option(label || `Microphone ${i + 1}`, id));
	$('microphone').replaceChildren(new Option('The system’s choice', ''), ...options);
	$('microphone').value = options.some(({ value }) => value === chosen) ? chosen : '';
}

function chooseRoute() {
	const wanted = !$('headphones').checked && needsLoopback() && parameters.get('loopback') !== '0';
	page.speaker?.setRoute(wanted ? 'loopback' : 'direct');
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

/* What was said in one room is not for those of another. */
function forgetMessages() {
	const room = $('room').value.trim();
	if (room && room === page.room)
		return;
	page.room = room;
	page.growing.clear();
	$('log').replaceChildren();
}

/* The address is what one gives to those who are to come as well. */
function showAddress(room) {
	const address = new URL(location.href);
	address.searchParams.delete('room');
	if (room)
		address.searchParams.set('room', room);
	history.replaceState(null, '', address);
	$('invite').hidden = !room;
	$('invite').textContent = 'Copy link';
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

/* In mid-call, for one who joined without one or whose one was refused. */
async function useMicrophone() {
	if (!(await openMicrophone()))
		return;
	hideNotice();
	page.call?.mute(page.muted);
	if (page.state === 'live')
		setLive();
	showMute();
}

function toggleMute() {
	if (!page.microphone?.isOpen)
		return useMicrophone();
	page.muted = !page.muted;
	page.microphone.muted = page.muted;
	page.call?.mute(page.muted);
	showMute();
}

function send(event) {
	event.preventDefault();
	const text = $('text').value.trim();
	if (!text || !page.call)
		return;
	const to = $('to').value;
	page.call.message(text, to ? Number(to) : undefined);
	showMessage('You', text, { own: true, to: to && page.call.nameOf(Number(to)) });
	$('text').value = '';
}

/* Who takes over from the AI silences it for everybody; it goes on hearing. */
function silence() {
	const robot = bridgeOf(page.call);
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

/* ---- showing ------------------------------------------------------------------------------ */

function setState(state, words) {
	page.state = state;
	document.body.dataset.state = state;
	if ($('state').textContent !== words)
		$('state').textContent = words;
	const idle = state === 'idle';
	const hadFocus = document.activeElement;
	$('join').hidden = !idle;
	$('controls').hidden = idle;
	$('side').hidden = idle || !(page.call || state === 'waiting');
	$('figures').hidden = idle;
	$('text').disabled = state !== 'live';
	if (idle && $('controls').contains(hadFocus))
		$('connect').focus();
	if (!idle && hadFocus === $('connect'))
		$('mute').focus();
	showMute();
}

function showHeadline() {
	const room = $('room').value.trim();
	const where = page.call?.welcome?.room || room;
	const names = {
		idle: ['Say something.', 'Talk to the people in a room, or to a bird that talks back.'],
		connecting: ['One moment …', room ? `Opening the room ${room}.` : 'Opening a room of your own.'],
		waiting: ['Hold the line.', ''],
		live: room ? [where, others()] : alone(),
	};
	const [headline, subline] = names[page.state];
	const words = { headline, subline: (page.state === 'live' && obstacle()) || subline };
	for (const [id, text] of Object.entries(words))
		if ($(id).textContent !== text)
			$(id).textContent = text;
	document.title = page.state === 'live' && room ? `${where} · mynah` : 'mynah';
}

/* What keeps people from talking with one another, if anything does. */
function obstacle() {
	if (page.context?.state !== 'running')
		return 'Click anywhere: before that, the browser plays no sound.';
	if (!page.microphone?.isOpen)
		return 'You only listen. Nobody hears you.';
	if (page.muted)
		return 'You are muted. Nobody hears you.';
	return page.bridgeDown && `${page.bridgeDown} does not answer at the moment.`;
}

function others() {
	const { call } = page;
	const rest = call ? [...call.participants.values()].filter(({ id }) => id !== call.me) : [];
	const n = rest.filter(({ bridge }) => !bridge).length;
	const robot = rest.find(({ bridge }) => bridge);
	if (n === 0 && robot?.muted)
		return silenced(robot);
	if (n === 0)
		return robot ? `You and ${robot.name}.` : 'You are the first one here.';
	return n === 1 ? 'You and one other person.' : `You and ${n} other people.`;
}

/* In a private room there is whoever the server's owner put there. */
function alone() {
	const bridge = page.call?.welcome?.bridge;
	if (page.call?.welcome && !bridge)
		return ['Just you.', 'Nobody talks back in this private room. Name a room to meet others.'];
	const robot = bridgeOf(page.call);
	if (robot?.muted)
		return [`Talk to ${robot.name}.`, silenced(robot)];
	if (bridge && bridge !== 'parrot')
		return [`Talk to ${bridge}.`, 'Say something: it answers.'];
	return ['Talk to the parrot.', 'Say something and pause: it repeats what you said.'];
}

function bridgeOf(call) {
	return call && [...call.participants.values()].find(({ bridge }) => bridge);
}

function silenced({ name, mode }) {
	return mode === 'muted' ? `${name} hears nothing and says nothing.` : `${name} is silenced: it hears you and says nothing.`;
}

function bridgeNews(call, id, mode, by) {
	const who = by === call.me ? 'You have' : `${call.nameOf(by)} has`;
	const name = call.nameOf(id);
	return mode === 'active' ? `${who} let ${name} speak again` : mode === 'muted' ? `${who} muted ${name}` : `${who} silenced ${name}`;
}

function showSilence(robot) {
	$('silence').hidden = !robot?.mode; // an older server has no modes
	$('silence').disabled = page.state !== 'live';
	if (robot?.mode)
		$('silence').textContent = robot.muted ? `Let ${robot.name} speak` : `Silence ${robot.name}`;
}

function showMute() {
	const able = Boolean(page.microphone?.isOpen);
	$('mute-label').textContent = !able ? 'Use microphone' : page.muted ? 'Unmute' : 'Mute';
	document.body.classList.toggle('muted', page.muted || !able);
	showHeadline();
}

function showPeople(people) {
	const { call } = page;
	if (!call)
		return;
	$('side').hidden = false;
	$('people').replaceChildren(...people.map((who) => personItem(who, who.id === call.me)));
	const chosen = $('to').value;
	const rest = people.filter(({ id }) => id !== call.me);
	showSilence(bridgeOf(call));
	$('to').hidden = rest.length < 2;
	$('to').replaceChildren(new Option('Everyone', ''), ...rest.map(({ id }) => new Option(call.nameOf(id), id)));
	$('to').value = rest.some(({ id }) => String(id) === chosen) ? chosen : '';
	showHeadline();
}

function personItem(who, self) {
	const item = element('li', { className: 'person' });
	const live = page.state === 'live';
	item.classList.toggle('speaking', live && Boolean(who.speaking) && !who.muted);
	item.classList.toggle('is-muted', Boolean(who.muted));
	const name = who.name || `guest ${who.id}`;
	const doing = who.mode === 'listening' ? 'only listens' : who.muted ? 'muted' : live && who.speaking ? 'speaking' : '';
	const robot = name === 'parrot' ? 'bird' : 'AI';
	item.append(
		who.bridge ? element('img', { className: 'face', src: 'icon.svg', alt: '' })
			: element('span', { className: 'face', textContent: [...name][0].toUpperCase(), ariaHidden: 'true' }),
		element('span', { className: 'who', textContent: name }),
		element('span', { className: 'tag', textContent: self ? 'you' : who.bridge ? robot : '' }),
		element('span', { className: 'doing', textContent: doing }),
	);
	return item;
}

function showMessage(name, text, { time = Date.now(), own = false, whispered = false, to = '' } = {}) {
	const item = element('li', { className: own ? 'own' : '' });
	const said = element('p', { className: 'said', textContent: text });
	const head = element('p', { className: 'from', textContent: name + (to ? ` to ${to}` : whispered ? ' to you' : '') + ' ' });
	const when = new Date(time);
	head.append(element('time', { dateTime: when.toISOString(), textContent: when.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' }) }));
	item.append(head, said);
	addToLog(item);
	return said;
}

/* Each brings all the words so far; they grow in their place until they are final. */
function showTranscript(call, { id, text, final }) {
	let said = page.growing.get(id);
	if (!said?.isConnected) {
		said = showMessage(call.nameOf(id), text, { own: id === call.me });
		said.ariaBusy = 'true'; // read out once, when it is whole
		page.growing.set(id, said);
	} else {
		keepAtEnd(() => (said.textContent = text));
	}
	if (!final)
		return;
	said.ariaBusy = 'false';
	page.growing.delete(id);
}

/* A worker that fails again and again is told of once. */
function tellBridge(call, { id, up, text, by }) {
	const name = call.nameOf(id);
	const down = up ? '' : name;
	if (by || up === undefined || down === page.bridgeDown)
		return;
	page.bridgeDown = down;
	note(up ? `${name} is back` : `${name} has failed${text ? `: ${text}` : ''}`);
	showHeadline();
}

function note(text) {
	addToLog(element('li', { className: 'note', textContent: text }));
}

function addToLog(item) {
	const log = $('log');
	keepAtEnd(() => log.append(item));
	while (log.children.length > MAX_LOGGED)
		log.firstChild.remove();
}

/* Whoever reads further up is left there. */
function keepAtEnd(change) {
	const log = $('log');
	const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
	change();
	if (atEnd)
		log.scrollTop = log.scrollHeight;
}

function showProblem(kind, facts = {}) {
	const { title, text, retry } = explain(kind, { origin: location.origin, ...facts });
	page.problem = kind;
	const notice = $('notice');
	const changed = notice.dataset.kind !== kind || notice.hidden;
	notice.dataset.kind = kind;
	notice.classList.toggle('calm', retry === 'auto');
	const actions = [];
	if (['denied', 'missing', 'busy', 'unknown'].includes(kind))
		actions.push(button('Only listen', page.call ? hideNotice : () => join({ listenOnly: true })));
	if (retry === 'ask')
		actions.push(button('Try again', page.call ? useMicrophone : () => join()));
	if (retry === 'auto')
		actions.push(button('Try now', () => page.hurry?.()));
	notice.querySelector('.notice-actions').replaceChildren(...actions);
	if (changed) { // an unchanged alert is not read out at every attempt
		notice.querySelector('.notice-title').textContent = title;
		notice.querySelector('.notice-text').textContent = text;
		notice.hidden = false;
	}
}

function hideNotice() {
	$('notice').hidden = true;
	$('notice').dataset.kind = '';
	page.problem = null;
}

function button(text, action) {
	const it = element('button', { type: 'button', className: 'small', textContent: text });
	it.addEventListener('click', action);
	return it;
}

function element(tag, properties) {
	return Object.assign(document.createElement(tag), properties);
}

function showVersion(version) {
	$('version').textContent = version ? `mynah ${version}` : '';
}

/* ---- meters and figures --------------------------------------------------------------------- */

const shown = { in: 0, out: 0 };
const spoken = { in: -60, out: -60 };

function drawMeters() {
	const live = page.state !== 'idle';
	drawMeter('in', live ? page.levelIn : -100);
	drawMeter('out', live ? page.levelOut : -100);
	requestAnimationFrame(drawMeters);
}

function drawMeter(id, db) {
	const part = Math.max(0, Math.min(1, 1 - db / METER_FLOOR_DB));
	const next = part > shown[id] ? part : Math.max(part, shown[id] - 0.025); // quick up, slow down
	if (Math.abs(next - shown[id]) < 0.002 && next !== 0)
		return;
	if (next === shown[id])
		return;
	shown[id] = next;
	document.body.style.setProperty(`--level-${id}`, next.toFixed(3));
}

/* Numbers change twice a second, fast enough to read. */
function showFigures() {
	for (const id of ['in', 'out']) {
		const db = Math.round(Math.max(METER_FLOOR_DB, id === 'in' ? page.levelIn : page.levelOut));
		if (db === spoken[id])
			continue;
		spoken[id] = db;
		$(id).setAttribute('aria-valuenow', db);
		$(id).setAttribute('aria-valuetext', db <= METER_FLOOR_DB ? 'silent' : `${db} decibels`);
	}
	if (page.state === 'idle')
		return;
	const f = figures();
	const ms = (value) => (Number.isFinite(value) ? `${value < 10 ? value.toFixed(1) : Math.round(value)} ms` : '–');
	$('f-rtt').textContent = ms(f.rtt_ms);
	$('f-jitter').textContent = ms(f.jitter_ms);
	$('f-loss').textContent = Number.isFinite(f.loss) ? `${(100 * f.loss).toFixed(f.loss > 0 && f.loss < 0.1 ? 1 : 0)} %` : '–';
	$('f-buffer').textContent = ms(f.buffer_ms);
}

/* The latest of everything that is measured. */
function figures() {
	const { call, speaker, context } = page;
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
		rate_out: page.rate,
		level_in_dbfs: page.levelIn,
		level_out_dbfs: page.levelOut,
		muted: page.muted,
		microphone: Boolean(page.microphone?.isOpen),
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
		memory.set('room', $('room').value.trim());
		memory.set('name', $('name').value.trim());
		join({ listenOnly: parameters.get('listen') === '1' });
	});
	$('leave').addEventListener('click', () => {
		hideNotice();
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
		chooseRoute();
		if (page.microphone?.isOpen)
			useMicrophone(); // echo cancelling is chosen when a microphone is opened
	});
	document.addEventListener('keydown', onKey);
	document.addEventListener('visibilitychange', keepAwake);
	navigator.mediaDevices?.addEventListener?.('devicechange', showMicrophones);
	addEventListener('online', () => page.hurry?.());
	addEventListener('pagehide', () => page.call?.close('', { now: true }));
	setInterval(showFigures, 500);
	requestAnimationFrame(drawMeters);
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
	recordHeard: (seconds) => page.speaker.record(seconds),
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
serverInfo().then(({ version }) => showVersion(version)).catch(() => {});
