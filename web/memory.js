/* SPDX-License-Identifier: MIT
 *
 * memory.js: what the page remembers from one visit to the next. Storage may be forbidden; the page then only forgets.
 */
export const memory = {
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
