#!/bin/sh
# Runs the client of echo_gorilla.go with the packages that Debian installs: `echo_gorilla.sh url lengths`.
set -eu
export GO111MODULE=off GOPATH=/usr/share/gocode GOFLAGS= GOCACHE="${TMPDIR:-/tmp}/enfilade-go-cache"
command -v go >/dev/null
[ -d /usr/share/gocode/src/github.com/gorilla/websocket ]
[ "$1" = "--probe" ] && exit 0
exec go run "$(dirname "$0")/echo_gorilla.go" "$@"
