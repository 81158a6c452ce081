/* SPDX-License-Identifier: MIT
 *
 * meters.js: the two level meters and the row of figures below the page.
 */

const FLOOR_DB = -60;
const FALL = 0.025; // of the whole scale, a picture: up at once, down slowly
const READ_MS = 500; // fast enough to read

const byId = (id) => document.getElementById(id);
const shown = { in: 0, out: 0 };
const spoken = { in: FLOOR_DB, out: FLOOR_DB };

/* levels(): { in, out } in dBFS; figures(): as app.js collects them, null while there is no call. */
export function startMeters(levels, figures) {
	const draw = () => {
		const now = levels();
		drawMeter('in', now.in);
		drawMeter('out', now.out);
		requestAnimationFrame(draw);
	};
	requestAnimationFrame(draw);
	setInterval(() => {
		speakLevels(levels());
		showFigures(figures());
	}, READ_MS);
}

function drawMeter(id, db) {
	const part = Math.max(0, Math.min(1, 1 - db / FLOOR_DB));
	const next = part > shown[id] ? part : Math.max(part, shown[id] - FALL);
	if (next === shown[id] || (next !== 0 && Math.abs(next - shown[id]) < 0.002))
		return;
	shown[id] = next;
	document.body.style.setProperty(`--level-${id}`, next.toFixed(3));
}

/* For screen readers. */
function speakLevels(levels) {
	for (const id of ['in', 'out']) {
		const db = Math.round(Math.max(FLOOR_DB, levels[id]));
		if (db === spoken[id])
			continue;
		spoken[id] = db;
		byId(id).setAttribute('aria-valuenow', db);
		byId(id).setAttribute('aria-valuetext', db <= FLOOR_DB ? 'silent' : `${db} decibels`);
	}
}

function showFigures(f) {
	if (!f)
		return;
	byId('f-rtt').textContent = milliseconds(f.rtt_ms);
	byId('f-jitter').textContent = milliseconds(f.jitter_ms);
	byId('f-loss').textContent = percent(f.loss);
	byId('f-buffer').textContent = milliseconds(f.buffer_ms);
}

function milliseconds(value) {
	return Number.isFinite(value) ? `${value < 10 ? value.toFixed(1) : Math.round(value)} ms` : '–';
}

function percent(share) {
	return Number.isFinite(share) ? `${(100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %` : '–';
}
