/* SPDX-License-Identifier: MIT
 *
 * within.js: a promise with a time limit and a signal to give up.
 */
import { MynahError } from './errors.js';

/* The promise, or a MynahError after ms or when the signal says so. */
export function within(promise, ms, signal) {
	return new Promise((resolve, reject) => {
		const timer = setTimeout(() => reject(new MynahError('timeout', `no answer in ${ms} ms`)), ms);
		const abort = () => reject(new MynahError('aborted', 'given up'));
		signal?.addEventListener('abort', abort, { once: true });
		promise.then(resolve, reject).finally(() => {
			clearTimeout(timer);
			signal?.removeEventListener('abort', abort);
		});
	});
}
