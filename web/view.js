/* SPDX-License-Identifier: MIT
 *
 * view.js: what the page shows, in words. Holds no call and decides nothing: app.js says what there is to show.
 *
 * `facts`, wherever it is asked for: { state, call (or null), devices, bridgeAway (what is said of a worker that is not there) }.
 */
import { explain } from './explain.js';

const MAX_LOGGED = 300;
const growing = new Map(); // who speaks -> the element of the transcript that is not final

export const $ = (id) => document.getElementById(id);

/* As typed. */
export const roomField = () => $('room').value.trim();

function setText(id, text) {
	if ($(id).textContent !== text) // an unchanged live region is not read out again
		$(id).textContent = text;
}

function element(tag, properties) {
	return Object.assign(document.createElement(tag), properties);
}

/* ---- where the page stands ---------------------------------------------------------------- */

export function showState(facts, words) {
	const { state, call } = facts;
	const idle = state === 'idle';
	const hadFocus = document.activeElement;
	document.body.dataset.state = state;
	setText('state', words);
	$('join').hidden = !idle;
	$('controls').hidden = idle;
	$('side').hidden = idle || !(call || state === 'waiting');
	$('figures').hidden = idle;
	$('text').disabled = state !== 'live';
	if (idle && $('controls').contains(hadFocus))
		$('connect').focus();
	if (!idle && hadFocus === $('connect'))
		$('mute').focus();
	showMute(facts);
}

/* Beside the state while the page waits; null: nothing. */
export function showCountdown(seconds) {
	if (seconds === null)
		delete $('state').dataset.left;
	else
		$('state').dataset.left = ` in ${seconds} s`;
}

export function showMute(facts) {
	const { devices } = facts;
	$('mute-label').textContent = !devices.hasMicrophone ? 'Use microphone' : devices.muted ? 'Unmute' : 'Mute';
	document.body.classList.toggle('muted', devices.muted || !devices.hasMicrophone);
	showHeadline(facts);
}

export function showHeadline(facts) {
	const { state, call } = facts;
	const room = roomField();
	const where = call?.welcome?.room || room;
	const [headline, subline] = {
		idle: () => ['Say something.', 'Talk to the people in a room, or to a bird that talks back.'],
		connecting: () => ['One moment …', room ? `Opening the room ${room}.` : 'Opening a room of your own.'],
		waiting: () => ['Hold the line.', ''],
		live: () => (room ? [where, others(call)] : alone(call)),
	}[state]();
	setText('headline', headline);
	setText('subline', (state === 'live' && obstacle(facts)) || subline);
	document.title = state === 'live' && room ? `${where} · mynah` : 'mynah';
}

/* What keeps people from talking with one another, if anything does. */
function obstacle({ devices, bridgeAway }) {
	if (devices.isAsleep)
		return 'Click anywhere: before that, the browser plays no sound.';
	if (!devices.hasMicrophone)
		return 'You only listen. Nobody hears you.';
	if (devices.muted)
		return 'You are muted. Nobody hears you.';
	return bridgeAway;
}

function others(call) {
	const rest = call ? [...call.participants.values()].filter(({ id }) => id !== call.me) : [];
	const n = rest.filter(({ bridge }) => !bridge).length;
	const robot = rest.find(({ bridge }) => bridge);
	if (n === 0 && robot?.muted)
		return silenced(robot);
	if (n === 0)
		return robot ? `You and ${robot.name}.` : 'You are the first one here.';
	return n === 1 ? 'You and one other person.' : `You and ${n} other people.`;
}

/* In a private room there is only the bridge that the server's owner put there. */
function alone(call) {
	const bridge = call?.welcome?.bridge;
	if (call?.welcome && !bridge)
		return ['Just you.', 'Nobody talks back in this private room. Name a room to meet others.'];
	const robot = bridgeOf(call);
	if (robot?.muted)
		return [`Talk to ${robot.name}.`, silenced(robot)];
	if (bridge && bridge !== 'parrot')
		return [`Talk to ${bridge}.`, 'Say something: it answers.'];
	return ['Talk to the parrot.', 'Say something and pause: it repeats what you said.'];
}

export function bridgeOf(call) {
	return call && [...call.participants.values()].find(({ bridge }) => bridge);
}

function silenced({ name, mode }) {
	return mode === 'muted' ? `${name} hears nothing and says nothing.` : `${name} is silenced: it hears you and says nothing.`;
}

export function showVersion(version) {
	setText('version', version ? `mynah ${version}` : '');
}

/* The address of the page is the link for the others who are to come. */
export function showAddress(room) {
	const address = new URL(location.href);
	address.searchParams.delete('room');
	if (room)
		address.searchParams.set('room', room);
	history.replaceState(null, '', address);
	$('invite').hidden = !room;
	$('invite').textContent = 'Copy link';
}

/* ---- people ------------------------------------------------------------------------------- */

export function showPeople(facts) {
	const { call, state } = facts;
	if (!call)
		return;
	const people = [...call.participants.values()];
	const chosen = $('to').value;
	const rest = people.filter(({ id }) => id !== call.me);
	$('side').hidden = false;
	$('people').replaceChildren(...people.map((who) => personItem(who, who.id === call.me, state === 'live')));
	showSilence(bridgeOf(call), state);
	$('to').hidden = rest.length < 2;
	$('to').replaceChildren(new Option('Everyone', ''), ...rest.map(({ id }) => new Option(call.nameOf(id), id)));
	$('to').value = rest.some(({ id }) => String(id) === chosen) ? chosen : '';
	showHeadline(facts);
}

function showSilence(robot, state) {
	$('silence').hidden = !robot?.mode; // an older server has no modes
	$('silence').disabled = state !== 'live';
	if (robot?.mode)
		$('silence').textContent = robot.muted ? `Let ${robot.name} speak` : `Silence ${robot.name}`;
}

function personItem(who, self, live) {
	const item = element('li', { className: 'person' });
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

/* ---- messages ------------------------------------------------------------------------------ */

/* Returns the element of the words. */
export function showMessage(name, text, { time = Date.now(), own = false, whispered = false, to = '' } = {}) {
	const item = element('li', { className: own ? 'own' : '' });
	const words = element('p', { className: 'said', textContent: text });
	const head = element('p', { className: 'from', textContent: name + (to ? ` to ${to}` : whispered ? ' to you' : '') + ' ' });
	const when = new Date(time);
	head.append(element('time', { dateTime: when.toISOString(), textContent: when.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' }) }));
	item.append(head, words);
	addToLog(item);
	return words;
}

/* Each transcript brings all the words so far; they grow in their place until they are final. */
export function showTranscript(call, { id, text, final }) {
	let words = growing.get(id);
	if (!words?.isConnected) {
		words = showMessage(call.nameOf(id), text, { own: id === call.me });
		words.ariaBusy = 'true'; // read out once, when it is whole
		growing.set(id, words);
	} else {
		keepAtEnd(() => (words.textContent = text));
	}
	if (!final)
		return;
	words.ariaBusy = 'false';
	growing.delete(id);
}

export function note(text) {
	addToLog(element('li', { className: 'note', textContent: text }));
}

export function clearMessages() {
	growing.clear();
	$('log').replaceChildren();
}

function addToLog(item) {
	const log = $('log');
	keepAtEnd(() => log.append(item));
	while (log.children.length > MAX_LOGGED)
		log.firstChild.remove();
}

/* A reader who has scrolled up is left there. */
function keepAtEnd(change) {
	const log = $('log');
	const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
	change();
	if (atEnd)
		log.scrollTop = log.scrollHeight;
}

/* ---- problems ------------------------------------------------------------------------------ */

/* `actions`: [[label, function], ...], as buttons. */
export function showProblem(kind, facts, actions) {
	const { title, text, retry } = explain(kind, facts);
	const notice = $('notice');
	const changed = notice.dataset.kind !== kind || notice.hidden;
	notice.dataset.kind = kind;
	notice.classList.toggle('calm', retry === 'auto');
	notice.querySelector('.notice-actions').replaceChildren(...actions.map(([label, action]) => button(label, action)));
	if (changed) { // an unchanged alert is not read out at every attempt
		notice.querySelector('.notice-title').textContent = title;
		notice.querySelector('.notice-text').textContent = text;
		notice.hidden = false;
	}
}

export function hideProblem() {
	$('notice').hidden = true;
	$('notice').dataset.kind = '';
}

function button(text, action) {
	const it = element('button', { type: 'button', className: 'small', textContent: text });
	it.addEventListener('click', action);
	return it;
}
