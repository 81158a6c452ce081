#!/usr/bin/env bash
# Guess: a TLS 1.3 server with the groups X25519MLKEM768:X25519 prefers the first: a client that offers it gets it.
# Seen: with ":" the key share that the client sent decides, and of two the client's first, or with SSL_OP_CIPHER_SERVER_PREFERENCE the server's.
#       With "/" the list is a demand: the server asks for its first even of a client that sent no share for it, with a second ClientHello, one round trip more. OpenSSL's
#       own default is of that kind.
# mynah: has ":" and the server's preference: ML-KEM where the client sent a share for it, and never a round trip more.
# shellcheck source=findings/lib.sh
. "$(dirname "$0")/lib.sh"
needs openssl=3.5.9-1~deb13u1

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k.pem -out c.pem -days 2 -subj /CN=localhost 2>/dev/null
negotiated() { # SERVER'S GROUPS or "", CLIENT'S, OPTIONS of the server: group, number of ClientHellos
	local port=$((20000 + RANDOM % 10000)) server
	openssl s_server -accept 127.0.0.1:$port -cert c.pem -key k.pem ${1:+-groups "$1"} "${@:3}" -quiet >/dev/null 2>&1 &
	server=$!
	for _ in {1..50}; do
		openssl s_client -connect 127.0.0.1:$port -groups "$2" -msg </dev/null >log 2>&1 && break
		sleep 0.1
	done
	kill $server
	printf '%s, %d hello(s)\n' "$(sed -nE 's/^(Negotiated TLS1.3 group: |Peer Temp Key: )([A-Za-z0-9]+).*/\2/p' log)" "$(grep -c 'ClientHello$' log)"
}
one='X25519:X25519MLKEM768' both='*X25519:*X25519MLKEM768' # client: one share, or one of each
expect "X25519MLKEM768:X25519, client with a share for X25519 only" "$(negotiated X25519MLKEM768:X25519 "$one")" "X25519, 1 hello(s)"
expect "   client with both shares, X25519 first" "$(negotiated X25519MLKEM768:X25519 "$both")" "X25519, 1 hello(s)"
expect "   the same, -serverpref" "$(negotiated X25519MLKEM768:X25519 "$both" -serverpref)" "X25519MLKEM768, 1 hello(s)"
expect "   one share, -serverpref" "$(negotiated X25519MLKEM768:X25519 "$one" -serverpref)" "X25519, 1 hello(s)"
expect "X25519MLKEM768/X25519, one share" "$(negotiated X25519MLKEM768/X25519 "$one")" "X25519MLKEM768, 2 hello(s)"
expect "   both shares" "$(negotiated X25519MLKEM768/X25519 "$both")" "X25519MLKEM768, 1 hello(s)"
expect "OpenSSL's default, one share" "$(negotiated "" "$one")" "X25519MLKEM768, 2 hello(s)"
finish
