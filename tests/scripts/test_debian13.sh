#!/usr/bin/env bash
# Where scripts/debian13 takes packages from, for the apt configurations that are found on
# machines; and that it passes on what CMD is owed: input, exit status, signals, spaces.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

passed=0 failed=0
ok() { passed=$((passed + 1)); }
bad() { failed=$((failed + 1)); printf 'FAILED: %s\n' "$*"; }
same() { if [ "$2" = "$3" ]; then ok; else bad "$1"; printf '  wanted: %s\n  got:    %s\n' "$2" "$3"; fi; }

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/apt/sources.list.d" "$tmp/keys"
touch "$tmp/keys/debian-archive-own.gpg"
key=/usr/share/keyrings/debian-archive-keyring.gpg

configure() { # NAME < TEXT: the only file of the configuration
	rm -f "$tmp"/apt/sources.list "$tmp"/apt/sources.list.d/*
	cat >"$tmp/apt/$1"
}
uses() { # NAME EXPECTED-FIRST-LINE [NUMBER-OF-LINES]
	local got
	got=$(env -u MYNAH_IN_TREE -u MYNAH_MIRROR MYNAH_APT_DIR="$tmp/apt" scripts/debian13 --sources 2>&1)
	same "$1" "$2" "$(head -n 1 <<<"$got")"
	[ -z "${3:-}" ] || same "$1: lines" "$3" "$(wc -l <<<"$got")"
}

if [ -r $key ]; then
	configure sources.list <<-END
		# deb http://commented.example/debian bookworm main
		deb http://other.example/linux/debian bookworm stable
		deb http://tools.example bookworm main
		deb http://mirror.example/debian bookworm main non-free
		deb http://mirror.example/debian bookworm-updates main
		deb-src http://source.example/debian bookworm main
		deb http://mirror.example/debian-security bookworm-security main
	END
	uses one_line_format "deb [signed-by=$key] http://mirror.example/debian trixie main" 4

	configure sources.list.d/own.list <<-END
		deb [arch=amd64 signed-by=$tmp/keys/debian-archive-own.gpg check-valid-until=no] https://mirror.example/pub/os/ bullseye main # ours
	END
	uses options_in_brackets \
		"deb [signed-by=$tmp/keys/debian-archive-own.gpg arch=amd64 check-valid-until=no] https://mirror.example/pub/os trixie main" 3

	configure sources.list.d/debian.sources <<-END
		Types: deb deb-src
		# URIs: http://commented.example/debian
		URIs: http://first.example/mirrors/deb
		 http://second.example/debian
		Suites: bookworm bookworm-updates
		Components: main contrib
		Signed-By: $key

		Types: deb
		Enabled: no
		URIs: http://switched-off.example/debian
		Suites: bookworm
		Components: main
		Signed-By: $key

		Types: deb
		URIs: http://first.example/mirrors/security
		Suites: bookworm-security
		Components: main
		Signed-By:
		 -----BEGIN PGP PUBLIC KEY BLOCK-----
		 .
		 -----END PGP PUBLIC KEY BLOCK-----
	END
	uses deb822_format "deb [signed-by=$key] http://second.example/debian trixie main" 4

	printf '# ours\nhttp://listed.example/debian\tpriority:1\nhttp://later.example/debian\n' >"$tmp/mirrors"
	configure sources.list.d/debian.sources <<-END
		Types: deb
		URIs: mirror+file:$tmp/mirrors
		Suites: bookworm bookworm-updates
		Components: main
	END
	uses list_of_mirrors "deb [signed-by=$key] http://listed.example/debian trixie main"

	configure sources.list <<-END
		deb http://archive.example/ubuntu noble main universe
	END
	uses another_distribution "debian13: no Debian archive in /etc/apt/sources.list or sources.list.d."
	same own_mirror "deb [signed-by=$key] http://said.example/debian trixie main" \
		"$(MYNAH_MIRROR=http://said.example/debian scripts/debian13 --sources | head -n 1)"
fi

same standard_input "hello" "$(echo hello | scripts/debian13 cat)"
scripts/debian13 sh -c 'exit 42'
same exit_status 42 $?
scripts/debian13 sleep 60 &
job=$!
sleep 0.5
kill -TERM $job
wait $job
same terminated 143 $?
mkdir "$tmp/with a space"
# shellcheck disable=SC2016
same working_directory "$tmp/with a space|a  b" "$(here=$PWD && cd "$tmp/with a space" && "$here/scripts/debian13" sh -c 'echo "$PWD|$1"' - 'a  b')"
same root_directory / "$(here=$PWD && cd / && "$here/scripts/debian13" pwd)"
scripts/debian13 --for supper true 2>/dev/null
same unknown_purpose 1 $?

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
