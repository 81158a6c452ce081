# shellcheck shell=bash
# Sourced by each findings/NAME.sh, which then says what it needs:
#
#   . "$(dirname "$0")/lib.sh"
#   needs libopus0=1.5.2-2 ws@8.23.0
#
# PACKAGE=VERSION is one of Debian 13; what the tests' tree has not got is fetched with its dependencies and unpacked, never
# installed. NAME@VERSION is one of npm, fetched with this machine's npm.
#
# From `needs` on the script runs where the packages of Debian 13 are (scripts/debian13), in a temp folder of its own that
# is gone afterwards, with $lib, the folder of what scripts share. It measures, compares with `expect` and `between`,
# and ends with `finish`.
#
# Exit status: 0 all is as it was written down, 1 something changed (the lines "CHANGED" say what), 77 the pinned
# version is not to be had or this machine cannot show it, 2 the script itself did not work.
# FINDINGS_ANY_VERSION=1 takes whatever version there is, to see whether a newer one changed.
set -euo pipefail

script=$(cd "$(dirname "$0")" && pwd -P)/${0##*/}
lib=${script%/*}/lib
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/mynah/findings
root= # what was unpacked
deb=() npm=()
changed=0
finished=

skip() { printf 'skipped: %s\n' "$*"; exit 77; }
broken() { printf '%s: %s\n' "${script##*/}" "$*" >&2; exit 2; }

# --- outside: the temp folder, npm, then this script again where the packages are -------

wants_any() { [ -n "${FINDINGS_ANY_VERSION:-}" ]; }

fetch_npm() { # DIR
	local wanted=("${npm[@]}")
	command -v npm >/dev/null || skip "no npm on this machine"
	! wants_any || wanted=("${npm[@]%@*}")
	printf '{"private":true}\n' >"$1/package.json"
	(cd "$1" && npm install --silent --ignore-scripts --no-audit --no-fund --no-package-lock "${wanted[@]}" >npm.log 2>&1) && return
	tail -n 5 "$1/npm.log" >&2
	skip "npm cannot give ${npm[*]}"
}

outside() {
	local dir status=0
	dir=$(mktemp -d "${TMPDIR:-/tmp}/finding.XXXXXX")
	# shellcheck disable=SC2064 # now, not then
	trap "rm -rf '$dir'" EXIT
	[ ${#npm[@]} = 0 ] || fetch_npm "$dir"
	FINDING_DIR=$dir timeout -k 5 600 "${script%/*}/../scripts/debian13" --for test "$script" & # a process group of its own
	# shellcheck disable=SC2064
	trap "kill $!; wait $! || exit 130" INT TERM
	wait $! || status=$?
	exit $status
}

# --- inside -----------------------------------------------------------------------------

at_exit() {
	local status=$?
	if [ -z "$finished" ] && [ $status != 77 ]; then
		printf '%s: did not get to its end (exit status %d)\n' "${script##*/}" $status >&2
		exit 2
	fi
}

has_version() { # NAME VERSION: the tree itself has it
	local there
	there=$(dpkg-query -W -f='${db:Status-Status} ${Version}' "$1" 2>/dev/null) || return 1
	if wants_any; then [[ $there = installed* ]]; else [ "$there" = "installed $2" ]; fi
}

apt_there() { # an index of packages that belongs to us alone, at most a day old
	mkdir -p "$cache/lists/partial" "$cache/archives/partial"
	apt=(apt-get -q -y -o "Dir::State::lists=$cache/lists" -o "Dir::Cache=$cache" -o Debug::NoLocking=1
		-o APT::Sandbox::User=root -o Acquire::Languages=none)
	exec 8>"$cache/lock"
	flock 8
	[ -n "$(find "$cache/updated" -mtime -1 2>/dev/null)" ] || { "${apt[@]}" update >apt.log 2>&1 && touch "$cache/updated"; } ||
		skip "apt cannot be asked: $(tail -n 1 apt.log)"
}

fetch_debs() { # PACKAGE=VERSION...: into $root
	local wanted=("$@") new file
	! wants_any || wanted=("${@%%=*}")
	apt_there
	mkdir -p none/partial # it names only what is not there yet
	"${apt[@]}" -o "Dir::Cache::archives=$FINDING_DIR/none" --no-install-recommends --allow-downgrades --print-uris install "${wanted[@]}" >uris 2>apt.log ||
		skip "not in Debian's archive any more: $* ($(tail -n 1 apt.log))"
	"${apt[@]}" --no-install-recommends --allow-downgrades --download-only install "${wanted[@]}" >apt.log 2>&1 ||
		skip "cannot fetch $*: $(tail -n 1 apt.log)"
	rm -rf "$cache"/new.* # of a run that was stopped
	new=$(mktemp -d "$cache/new.XXXXXX")
	while read -r _ file _; do dpkg-deb -x "$cache/archives/$file" "$new" && rm -f "$cache/archives/$file"; done < <(grep "^'" uris)
	mv -T "$new" "$root"
	flock -u 8
}

unpack() { # PACKAGE=VERSION...: kept in the cache for the next run
	local arch
	arch=$(gcc -print-multiarch)
	root=$cache/$(printf '%s\n' "$(uname -m)" "$@" | sha256sum | cut -c1-12)
	! wants_any || root=$FINDING_DIR/root
	[ -d "$root" ] || fetch_debs "$@"
	export PATH=$root/usr/bin:$PATH C_INCLUDE_PATH=$root/usr/include:$root/usr/include/$arch CPLUS_INCLUDE_PATH=$root/usr/include:$root/usr/include/$arch
	export LIBRARY_PATH=$root/usr/lib/$arch LD_LIBRARY_PATH=$root/usr/lib/$arch:$root/usr/lib/$arch/pulseaudio
}

set_up_debs() {
	local package missing=()
	for package in ${deb[@]+"${deb[@]}"}; do
		has_version "${package%%=*}" "${package#*=}" || missing+=("$package")
	done
	[ ${#missing[@]} = 0 ] || unpack "${missing[@]}"
}

needs() { # PACKAGE=VERSION | NAME@VERSION ...
	local need
	for need; do
		if [[ $need = *=* ]]; then deb+=("$need"); else npm+=("$need"); fi
	done
	[ -n "${FINDING_DIR:-}" ] || outside
	trap at_exit EXIT
	cd "$FINDING_DIR"
	set_up_debs
	export PYTHONPATH=$lib PYTHONDONTWRITEBYTECODE=1
	printf '== %s (%s)\n' "$(basename "$script" .sh)" "$*"
}

# A C program on standard input becomes ./NAME; OPTIONS are gcc's, libraries among them.
compile() { # NAME OPTIONS...
	local name=$1
	shift
	cat >"$name.c"
	gcc -std=gnu17 -O2 -Wall -Wno-unused-function -I"$lib" -o "$name" "$name.c" "$@" || broken "$name.c does not compile"
}

compile_cpp() { # NAME OPTIONS...: the same in C++
	local name=$1
	shift
	cat >"$name.cc"
	g++ -std=c++17 -O2 -w -I"$lib" -o "$name" "$name.cc" "$@" || broken "$name.cc does not compile"
}

# JavaScript on standard input, behind FILES of $lib, becomes a page of the browser; "out" has what it returned.
in_page() { # chromium|firefox FILES...
	local browser=$1
	shift
	{ [ $# = 0 ] || (cd "$lib" && cat "$@"); cat; } >page.js
	python3 "$lib/page.py" "$browser" page.js >out
	[ -z "$(value error)" ] || broken "$browser: $(value error)"
}

# What a program printed as lines "KEY VALUE" into the file "out".
value() { sed -n "s/^$1 //p" "${2:-out}" | head -n 1; }

expect() { # WHAT IS IT, ACTUAL, EXPECTED: the same, or matched by a pattern of the shell
	# shellcheck disable=SC2053 # it is a pattern
	if [[ $2 == $3 ]]; then
		printf '   %s: %s\n' "$1" "$2"
	else
		printf '   CHANGED %s: was %s, is %s\n' "$1" "$3" "$2"
		changed=1
	fi
}

between() { # WHAT IS IT, ACTUAL, LOWEST, HIGHEST
	if awk -v x="$2" -v low="$3" -v high="$4" 'BEGIN { exit !(x ~ /^[-+]?[0-9.]+(e[-+]?[0-9]+)?$/ && x + 0 >= low && x + 0 <= high) }'; then
		printf '   %s: %s\n' "$1" "$2"
	else
		printf '   CHANGED %s: was %s to %s, is %s\n' "$1" "$3" "$4" "$2"
		changed=1
	fi
}

finish() {
	finished=1
	[ $changed = 0 ] || echo "   it does not behave as it was written down"
	exit $changed
}
