#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What keys of the configuration do that no other test sees, by `sluice run` against a simulated exchange.
#   keys.sh CASE    ($SLUICE the program, $SOURCE the project's folder); prints "fine"
set -euo pipefail
cd "$(mktemp -d)"
pids=()
finish() {
    local status=$?
    ((${#pids[@]} == 0)) || kill "${pids[@]}" 2>/dev/null || true
    wait || true
    ((status == 0)) || tail -n 40 log ./*.seen 2>/dev/null || true
    rm -rf "$PWD"
}
trap finish EXIT

free_port() {
    python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# until_true COMMAND...: for half a minute.
until_true() {
    local _
    for _ in {1..300}; do
        if "$@"; then return 0; fi
        sleep 0.1
    done
    printf 'never: %s\n' "$*"
    return 1
}

is_open() {
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

instruments=4
[[ $1 != a_message_* ]] || instruments=300
exchange=$(free_port)
admin=$(free_port)
"$SLUICE" exchange --venue okx --venue binance --venue coinbase --instruments "$instruments" --rate 300 --port "$exchange" >/dev/null 2>&1 &
pids+=($!)
until_true is_open "$exchange"

# witness NAME: a server between the program and the exchange, whose log is NAME.seen; its port is $witness.
witness() {
    witness=$(free_port)
    python3 "$SOURCE/tests/peers/rest_witness.py" "$witness" "http://127.0.0.1:$exchange" "$1.seen" &
    pids+=($!)
    until_true is_open "$witness"
}

# config REST_PORT STREAM_PORT: what all have; the rest is on standard input.
config() {
    {
        cat <<END
venues:
  okx: { stream: "ws://127.0.0.1:$2/okx", rest: "http://127.0.0.1:$1/okx", local_addresses: [127.0.0.2, 127.0.0.3] }
  coinbase: { stream: "ws://127.0.0.1:$2/coinbase", rest: "http://127.0.0.1:$1/coinbase" }
  binance: { stream: "ws://127.0.0.1:$2/binance", rest: "http://127.0.0.1:$1/binance" }
sinks: { file: { kind: file, path: "$PWD/out", flush: 20ms } }
END
        cat
    } >c.yaml
}

run() {
    "$SLUICE" run --quiet c.yaml >log 2>&1 &
    program=$!
    pids+=("$program")
}

seen() { # seen COUNT PATTERN FILE
    [[ -e $3 ]] && (($(grep -cE "$2" "$3") >= $1))
}

feed_has() { # feed_has MEMBER VALUE
    curl -s "http://127.0.0.1:$admin/api/feeds" | grep -q "\"$1\":$2[,}]"
}

case_connections_are_split() {
    config "$exchange" "$exchange" <<END
services: { okx: { kind: stream, venue: okx, instruments: ["*"], channels: [trades], sinks: [file], connections: { max_streams: 1 } } }
admin: { listen: "127.0.0.1:$admin" }
END
    run
    until_true feed_has connections 4
}

# The venue says what all was subscribed to: with 300 names it says more than that. Without the bound all is well.
case_a_message_that_is_too_large_ends_the_connection() {
    config "$exchange" "$exchange" <<END
services: { books: { kind: stream, venue: coinbase, instruments: ["*"], channels: [trades], sinks: [file], connections: { max_message: 4KiB } } }
admin: { listen: "127.0.0.1:$admin" }
END
    run
    until_true seen 2 'SL_EMSGSIZE' log
    sed -i 's/max_message: 4KiB/max_message: 1MiB/' c.yaml
    kill -HUP "$program"
    until_true seen 100 '"trade"' out-00000001.ndjson
}

offers_nothing() { # the last two handshakes
    [[ -e mute.seen ]] && (($(tail -n 20 mute.seen | grep -c '^GET') >= 2)) && ! tail -n 20 mute.seen | grep -q Extensions
}

# Nobody answers: it tries again soon, and offers what it is told to.
case_a_connection_has_its_time_and_its_offer() {
    mute=$(free_port)
    python3 "$SOURCE/tests/peers/mute.py" "$mute" mute.seen &
    pids+=($!)
    until_true is_open "$mute"
    config "$exchange" "$mute" <<END
services: { okx: { kind: stream, venue: okx, instruments: ["*"], channels: [trades], sinks: [file], connections: { connect_timeout: 100ms, compression: true, max_streams: 1 } } }
retry: { default: { initial: 10ms, max: 10ms } }
admin: { enabled: false }
END
    run
    until_true seen 8 '^GET /okx' mute.seen
    seen 2 'from 127.0.0.2' mute.seen
    seen 2 'from 127.0.0.3' mute.seen
    seen 1 'Sec-WebSocket-Extensions: permessage-deflate' mute.seen
    seen 1 'SL_ETIMEDOUT' log
    sed -i 's/compression: true/compression: false/' c.yaml
    rm mute.seen
    kill -HUP "$program"
    until_true offers_nothing
}

# Both want all they can get of one limit: who goes first gets nearly all. And whatever is sent along.
case_requests_have_priority_and_headers() {
    witness rest
    config "$witness" "$exchange" <<END
services:
  first: { kind: poll, venue: binance, channel: ticker, instruments: ["*"], bulk: never, interval: 0, priority: high, sinks: [file] }
  last: { kind: poll, venue: binance, channel: book, depth: 5, instruments: ["*"], interval: 0, priority: low, headers: { X-Key: "a secret of ours" }, sinks: [file] }
limits: { binance-rest: { rates: [{ rate: 10/1s, burst: 1, cost: call }] } }
admin: { enabled: false }
END
    run
    until_true seen 50 'ticker' rest.seen
    if seen 10 'depth' rest.seen || seen 1 'X-Key' <(grep ticker rest.seen); then return 1; fi
    sed -i '/^  first/d' c.yaml
    kill -HUP "$program"
    until_true seen 10 '/binance/.*depth.*"X-Key": "a secret of ours"' rest.seen
    if grep 'a secret of ours' log; then return 1; fi
}

case_books_are_asked_for_and_verified_by_so_many_levels() {
    witness rest
    config "$witness" "$exchange" <<END
services: { books: { kind: book, venue: binance, instruments: ["BTC-*"], snapshot_depth: 50, verify: 10s, sinks: [file] } }
admin: { enabled: false }
END
    run
    until_true seen 2 'depth.*limit=50' rest.seen
    if seen 1 'depth.*limit=[0-46-9]' rest.seen; then return 1; fi
}

case_the_endpoint_has_no_page_and_few_places() {
    config "$exchange" "$exchange" <<END
services: { okx: { kind: stream, venue: okx, instruments: ["*"], channels: [trades], sinks: [file] } }
admin: { listen: "127.0.0.1:$admin", dashboard: false, max_connections: 1 }
END
    run
    until_true is_open "$admin"
    [[ $(curl -s -o page -w '%{http_code}' "http://127.0.0.1:$admin/") == 404 ]]
    until_true feed_has connections 1
    exec 3<>"/dev/tcp/127.0.0.1/$admin" # the one place
    sleep 0.3
    if curl -sf --max-time 5 -o second "http://127.0.0.1:$admin/livez"; then return 1; fi
    exec 3>&-
    until_true curl -sf -o live "http://127.0.0.1:$admin/livez"
}

# certificate NAME SERIAL: signed by our authority, for 127.0.0.1.
certificate() {
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -keyout "$1.key" -out "$1.csr" 2>/dev/null
    openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -set_serial "$2" -days 2 -out "$1.crt" \
        -extfile <(printf 'subjectAltName=IP:127.0.0.1') 2>/dev/null
}

shows() { # shows SERIAL: the endpoint's certificate
    openssl s_client -connect "127.0.0.1:$admin" </dev/null 2>/dev/null | openssl x509 -noout -serial 2>/dev/null |
        grep -q "=$1\$"
}

warns() { # the files are looked at when somebody comes
    shows 11 && seen 1 'a renewed certificate cannot be used' log
}

case_the_endpoint_speaks_tls_and_takes_renewed_certificates() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=ours -keyout ca.key -out ca.crt 2>/dev/null
    certificate first 17
    certificate second 18
    certificate client 19
    cp first.crt tls.crt
    cp first.key tls.key
    config "$exchange" "$exchange" <<END
services: { okx: { kind: stream, venue: okx, instruments: ["*"], channels: [trades], sinks: [file] } }
admin: { listen: "127.0.0.1:$admin", tls: { certificate: "$PWD/tls.crt", key: "$PWD/tls.key" } }
END
    run
    until_true curl -sf --cacert ca.crt -o live "https://127.0.0.1:$admin/livez"
    if curl -sf --max-time 5 -o plain "http://127.0.0.1:$admin/livez"; then return 1; fi
    ("$SLUICE" feeds --admin "https://127.0.0.1:$admin" 2>&1 || true) | grep "certificate of '127.0.0.1'" # whose authority nobody knows
    shows 11                                                                         # 17, in hexadecimal
    cp second.crt tls.crt # the key comes a moment later
    until_true warns
    cp second.key tls.key
    until_true shows 12
    seen 1 'a renewed certificate is used from now on' log
    kill "$program"
    wait "$program" || true
    sed -i "s,tls.key\" },tls.key\"\, client_ca: \"$PWD/ca.crt\" }," c.yaml
    run
    until_true curl -sf --cacert ca.crt --cert client.crt --key client.key -o live "https://127.0.0.1:$admin/livez"
    if curl -sf --cacert ca.crt -o live "https://127.0.0.1:$admin/livez"; then return 1; fi
}

"case_$1"
printf 'fine\n'
