/* SPDX-License-Identifier: MIT
 *
 * errors.js: what connect() and serverInfo() reject with.
 */

export class MynahError extends Error {
	/* kind: a word for programs; facts: whatever helps to explain it. */
	constructor(kind, message, facts = {}) {
		super(message);
		this.name = 'MynahError';
		this.kind = kind;
		this.facts = facts;
	}
}
