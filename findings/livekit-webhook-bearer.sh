#!/usr/bin/env bash
# Guess: the Authorization header of a LiveKit webhook is "Bearer" and the token, and the hash in it is hexadecimal or base64url like all else
#       in a JWT.
# Seen: the SDK's receiver takes the bare token and refuses "Bearer"; the hash of the body is plain base64.
# mynah: sends no webhooks yet; in this form they will carry the bare token.
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs livekit-server-sdk@2.19.2

cat >measure.mjs <<'JS'
import crypto from 'node:crypto';
import { AccessToken, WebhookReceiver } from 'livekit-server-sdk';
const body = '{"event":"room_started"}';
for (const encoding of ['base64', 'base64url', 'hex']) {
    const token = new AccessToken('key', 'secret');
    token.sha256 = crypto.createHash('sha256').update(body).digest(encoding);
    const jwt = await token.toJwt();
    for (const [name, header] of [['bare', jwt], ['bearer', 'Bearer ' + jwt]]) {
        const answer = await new WebhookReceiver('key', 'secret').receive(body, header).then((event) => event.event, () => 'refused');
        console.log(name + '_' + encoding, answer);
    }
}
JS
node measure.mjs >out
expect "bare token, hash in base64" "$(value bare_base64)" room_started
expect "\"Bearer \" before it" "$(value bearer_base64)" refused
expect "hash in base64url" "$(value bare_base64url)" refused
expect "hash in hexadecimal" "$(value bare_hex)" refused
finish
