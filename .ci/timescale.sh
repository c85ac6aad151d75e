#!/bin/sh
# TimescaleDB, Apache edition, for the storage tests on Debian: PostgreSQL from the system, the extension built from
# Debian's own source package (25 s on 2 cores). Needs root. Does nothing where it is installed already.
# The last line, alone on stdout, is to be evaluated:   eval "$(.ci/timescale.sh)"
set -eu

say() { echo "timescale: $*" >&2; }

bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
installed() { [ -n "$bin" ] && [ -x "$bin/postgres" ] && [ -e "${bin%/bin}/lib/timescaledb.so" ]; }

if ! installed; then
  [ "$(id -u)" = 0 ] || { say "installing needs root; run it as root once"; exit 1; }
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q >&2

  # Debian 13 and later have the extension itself.
  package=$(apt-cache search --names-only '^postgresql-[0-9]+-timescaledb$' | cut -d ' ' -f 1 | sort -V | tail -n 1)
  if [ -n "$package" ]; then
    say "installing $package"
    apt-get install -q -y --no-install-recommends "$package" "${package%-timescaledb}" >&2
  else
    say "building from Debian's source package"
    apt-get install -q -y --no-install-recommends postgresql postgresql-server-dev-all build-essential cmake \
      libkrb5-dev libssl-dev dpkg-dev >&2
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    chmod 755 "$work"

    # The suite that has the source, beside the machine's own suites, as sources only: it can't bring any program.
    # The mirror is the one that the machine already uses.
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' | grep -v security | head -n 1)
    [ -n "$mirror" ] || { say "apt knows no Debian mirror; add one under /etc/apt"; exit 1; }
    keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    echo "deb-src [signed-by=$keyring] $mirror trixie main" >"$work/trixie.list"
    mkdir "$work/lists"
    in_trixie="-o Dir::Etc::SourceList=$work/trixie.list -o Dir::Etc::SourceParts=/dev/null -o Dir::State::Lists=$work/lists"
    # shellcheck disable=SC2086 # several options
    apt-get $in_trixie update -q >&2
    # shellcheck disable=SC2086
    (cd "$work" && apt-get $in_trixie source -q timescaledb >&2)

    bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
    source=$(ls -d "$work"/timescaledb-*/)
    cmake -S "$source" -B "$work/build" -DPG_CONFIG="$bin/pg_config" -DCMAKE_BUILD_TYPE=Release -DAPACHE_ONLY=1 \
      -DREGRESS_CHECKS=OFF -DTAP_CHECKS=OFF -DUSE_TELEMETRY=OFF -DSEND_TELEMETRY_DEFAULT=OFF >&2
    make -C "$work/build" -j "$(nproc)" >&2
    make -C "$work/build" install >&2
  fi
  bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
  installed || { say "the extension is not where PostgreSQL in $bin looks for it"; exit 1; }
fi

say "ready in $bin"
echo "export PARK_TIMESCALE_BIN=$bin"
