// Put before what a page shall do with WebTransport; `plan` has the address of wt_peer.py and the hash of its certificate.
const certificate = { algorithm: 'sha-256', value: Uint8Array.from(plan.hash.match(/../g), (x) => parseInt(x, 16)) };
const open = (path, options = {}) => new WebTransport(plan.url + path, { serverCertificateHashes: [certificate], ...options });

/** "opened" or "refused", within some seconds, and the session. */
async function attempt(path, options, ms = 10000) {
    const wt = open(path, options);
    wt.closed.catch(() => {});
    return { wt, outcome: await within(ms, wt.ready.then(() => 'opened', () => 'refused')) };
}
