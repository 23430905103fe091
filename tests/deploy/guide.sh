#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Runs the blocks of shell commands of a guide, one after the other, in the current folder: guide.sh SLUICE GUIDE
# Ports are replaced by ones that are free, so that guides can be run beside anything else.
set -euo pipefail
ports=(9100 8080 8081 6379)
read -ra free < <(python3 -c '
import socket
sockets = [socket.socket() for _ in range(4)]
for one in sockets:
    one.bind(("127.0.0.1", 0))
print(*[one.getsockname()[1] for one in sockets])')
replace=
for i in "${!ports[@]}"; do
    replace+="s/\\b${ports[i]}\\b/${free[i]}/g;"
done
# What a user need not say: where the endpoint is when it is not at the usual port.
mkdir -p bin
cat >bin/sluice <<END
#!/bin/bash
case \$1 in health | feeds | tasks | top | ctl) set -- "\$1" --admin http://127.0.0.1:${free[1]} "\${@:2}" ;; esac
exec $1 "\$@"
END
chmod +x bin/sluice
export PATH="$PWD/bin:$PATH"
{
    # shellcheck disable=SC2016  # the words are for the shell that runs the guide
    printf 'set -euo pipefail\ntrap '\''kill $(jobs -p) 2>/dev/null || true'\'' EXIT\nPS4="+ "; set -x\n'
    # shellcheck disable=SC2016
    sed -n '/^```sh$/,/^```$/{/^```/!p}' "$2"
} | sed "$replace" >guide
bash guide
echo "the guide is true"
