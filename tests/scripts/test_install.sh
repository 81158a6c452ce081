#!/usr/bin/env bash
# cmake --install puts everything where Debian looks for it, the unit names what was
# installed, and a configuration that is there is not touched.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

passed=0 failed=0
check() { # NAME CMD...
	local name=$1
	shift
	if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); printf 'FAILED: %s\n' "$name"; fi
}

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
install_to() { DESTDIR=$tmp/$1 scripts/debian13 cmake --install build --prefix "$2" >"$tmp/log" 2>&1 || { cat "$tmp/log"; false; }; }

check installs_below_usr install_to a /usr
for file in usr/sbin/mynahd usr/bin/mynah usr/share/man/man8/mynahd.8 usr/share/man/man1/mynah.1 usr/lib/systemd/system/mynahd.service etc/mynah/mynah.toml \
	usr/share/doc/mynah/LICENSE usr/share/doc/mynah/README.md; do
	check "$file" [ -s "$tmp/a/$file" ]
done
check all_documents_with_examples_and_pictures diff -r docs "$tmp/a/usr/share/doc/mynah/docs"
check client_runs scripts/debian13 "$tmp/a/usr/bin/mynah" --version
check binary_runs scripts/debian13 "$tmp/a/usr/sbin/mynahd" --version
check unit_is_the_one_of_the_tree cmp -s packaging/mynahd.service "$tmp/a/usr/lib/systemd/system/mynahd.service"
check configuration_is_good scripts/debian13 "$tmp/a/usr/sbin/mynahd" --check-config "$tmp/a/etc/mynah/mynah.toml"

echo '# mine' >"$tmp/a/etc/mynah/mynah.toml"
check installs_again install_to a /usr
check keeps_a_configuration grep -qx '# mine' "$tmp/a/etc/mynah/mynah.toml"

check installs_below_opt install_to b /opt/mynah
check unit_names_the_place grep -qx 'ExecStart=/opt/mynah/sbin/mynahd -c /opt/mynah/etc/mynah/mynah.toml' \
	"$tmp/b/opt/mynah/lib/systemd/system/mynahd.service"
check configuration_beside_it [ -s "$tmp/b/opt/mynah/etc/mynah/mynah.toml" ]

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
