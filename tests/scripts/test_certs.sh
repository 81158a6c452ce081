#!/usr/bin/env bash
# certs/make-dev-cert makes what browsers accept by hash, and nothing else.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

passed=0 failed=0
check() { # NAME CMD...
	local name=$1
	shift
	if "$@" >/dev/null 2>&1; then passed=$((passed + 1)); else failed=$((failed + 1)); printf 'FAILED: %s\n' "$name"; fi
}

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
make() { certs/make-dev-cert --out "$tmp" "$@"; }
shows() { openssl x509 -in "$tmp/cert.pem" -noout -text | grep -qE "$1"; }
lives_at_most() { ! openssl x509 -in "$tmp/cert.pem" -noout -checkend $(($1 * 86400)); }

said=$(make voice.test 192.0.2.7 ::1)
check p256 shows 'NIST CURVE: P-256'
check names shows 'DNS:voice.test, IP Address:192.0.2.7, IP Address:0:0:0:0:0:0:0:1'
check lives_14_days_at_most lives_at_most 14
check lives_12_days_at_least openssl x509 -in "$tmp/cert.pem" -noout -checkend $((12 * 86400))
check key_fits test "$(openssl pkey -in "$tmp/key.pem" -pubout)" = "$(openssl x509 -in "$tmp/cert.pem" -noout -pubkey)"
check key_is_private test "$(stat -c %a "$tmp/key.pem")" = 600
check prints_the_hash grep -q "^sha256: *$(openssl x509 -in "$tmp/cert.pem" -outform DER | sha256sum | cut -d' ' -f1)$" <<<"$said"
before=$(cat "$tmp/cert.pem")
make --days 15
check refuses_15_days test $? = 1
check leaves_the_old_one test "$before" = "$(cat "$tmp/cert.pem")"

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
