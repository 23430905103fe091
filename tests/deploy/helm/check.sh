#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Renders a chart and has it looked at: check.sh CHART [VALUES.yaml...]; then the rendered configuration, by $SLUICE check.
# Leaves the manifests in rendered.yaml and the files of the ConfigMaps in configs/, in the current folder.
set -euo pipefail
source=$(cd "$(dirname "$0")/../../.." && pwd)
modules=$source/build/npm/helm/node_modules
if [[ ! -d $modules/kubernetes-models ]]; then
    echo "kubernetes-models is not in build/npm/helm; scripts/setup test installs it"
    exit 1
fi
if [[ ! -x render ]]; then
    GO111MODULE=off GOPATH=/usr/share/gocode GOCACHE=$source/build/go-cache go build -o render "$source/tests/deploy/helm/render.go"
fi
./render "$@" >rendered.yaml
rm -rf configs
mkdir configs
CONFIGS=configs node "$source/tests/deploy/helm/validate.mjs" "$modules" "$@" <rendered.yaml

# The secrets that the pods would have.
mkdir -p secrets/{admin,admin-tls,rabbitmq}
(umask 077 && for file in admin/token admin-tls/tls.{crt,key} rabbitmq/password; do echo 0123456789abcdef >"secrets/$file"; done)
if [[ -e configs/sluice.yaml ]]; then
    sed -i "s,/run/secrets,$PWD/secrets,g" configs/*.yaml
    SLUICE_POD=market-sluice-0 POSTGRES_PASSWORD=0123456789abcdef HOOKS_KEY=0123456789abcdef \
        "$SLUICE" check configs/sluice.yaml configs/chart.yaml
fi
