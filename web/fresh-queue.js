/* SPDX-License-Identifier: MIT
 *
 * fresh-queue.js: frames that wait for the network, of which the oldest go first. Browsers' own queues keep what is
 * oldest, so that after a jam one hears what was said long ago while the newest is lost.
 */

export class FreshQueue {
	#frames = []; // { bytes, ms, at }
	#ms = 0; // of sound in it
	dropped = 0; // frames, ever

	/* Holds `mostMs` of sound, none of it longer than that. */
	constructor(mostMs) {
		this.mostMs = mostMs;
	}

	/* One frame of `ms` of sound. The newest is always taken. */
	push(bytes, ms, now) {
		this.#frames.push({ bytes, ms, at: now });
		this.#ms += ms;
		while (this.#ms > this.mostMs && this.#frames.length > 1)
			this.#drop();
	}

	/* The oldest that is still fresh, or null. */
	take(now) {
		while (this.#frames.length && now - this.#frames[0].at > this.mostMs)
			this.#drop();
		return this.#shift()?.bytes ?? null;
	}

	#drop() {
		this.#shift();
		this.dropped++;
	}

	#shift() {
		const frame = this.#frames.shift();
		this.#ms = this.#frames.length ? this.#ms - frame.ms : 0;
		return frame;
	}
}
