// SPDX-License-Identifier: MIT
// Whether rendered manifests are what Kubernetes takes: node validate.mjs NODE_MODULES CHART VALUES.yaml... <MANIFESTS
// The values must fit the chart's schema, each object its kind's (of kubernetes-models), without a key that the kind has not;
// and what the objects say of each other must be there. Prints a line a problem, then what was seen.
// With CONFIGS in the environment the files of the ConfigMaps are written into that folder.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const [modules, chart, ...valueFiles] = process.argv.slice(2);
const require = createRequire(path.join(modules, 'x.js'));
const YAML = require('yaml');
const Ajv = require('ajv').default;

const problems = [];
const need = (good, text) => good || problems.push(text);

// ---- values ----

function overlay(into, over) {
    for (const [key, value] of Object.entries(over)) {
        const both = [into[key], value].every((one) => one && typeof one === 'object' && !Array.isArray(one));
        into[key] = both ? overlay(into[key], value) : value;
    }
    return into;
}
const read = (file) => YAML.parse(fs.readFileSync(file, 'utf8')) || {};
const values = [path.join(chart, 'values.yaml'), ...valueFiles].map(read).reduce(overlay, {});
const schema = JSON.parse(fs.readFileSync(path.join(chart, 'values.schema.json'), 'utf8'));
const fits = new Ajv({ allErrors: true, strict: true, strictRequired: false }).compile(schema);
need(fits(values), `values: ${(fits.errors || []).map((error) => `${error.instancePath} ${error.message}`).join('; ')}`);
for (const key of Object.keys(read(path.join(chart, 'values.yaml')))) {
    need(key in schema.properties, `values.schema.json does not know ${key}`);
}

// ---- each object ----

const packages = { 'monitoring.coreos.com/v1': '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1' };
const objects = YAML.parseAllDocuments(fs.readFileSync(0, 'utf8')).map((document) => {
    document.errors.forEach((error) => problems.push(error.message));
    return document.toJS();
}).filter(Boolean);

// Validators read every key that a kind has: a key that none of them reads is one that Kubernetes does not know.
function watched(value, where, unread) {
    if (value === null || typeof value !== 'object') {
        return value;
    }
    const copy = Array.isArray(value) ? [] : {};
    for (const [key, inner] of Object.entries(value)) {
        const name = `${where}.${key}`;
        const seen = watched(inner, name, unread);
        if (!Array.isArray(value)) {
            unread.add(name);
        }
        Object.defineProperty(copy, key, { enumerable: true, get: () => (unread.delete(name), seen) });
    }
    return copy;
}

for (const object of objects) {
    const name = `${object.kind} ${object.metadata && object.metadata.name}`;
    const folder = packages[object.apiVersion] || `kubernetes-models/${object.apiVersion}`;
    const unread = new Set();
    try {
        const model = path.join(modules, folder, `${object.kind}.js`);
        const [, schema] = fs.readFileSync(model, 'utf8').match(/validate\s*\}\s*from\s*"([^"]+)"/);
        const { validate } = await import(pathToFileURL(path.join(path.dirname(model), schema)));
        validate(watched(object, '', unread));
        (validate.errors || []).forEach((error) => problems.push(`${name}: ${error.instancePath} ${JSON.stringify(error.params)}`));
        need(unread.size === 0, `${name}: Kubernetes does not know ${[...unread].join(', ')}`);
    } catch (error) {
        problems.push(`${name}: ${error.message}`);
    }
    const { labels = {}, name: given } = object.metadata || {};
    need(labels['app.kubernetes.io/instance'] === 'market' && labels['helm.sh/chart'], `${name}: labels are missing`);
    need(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(given) && given.length <= 63, `${name}: a bad name`);
    for (const [file, text] of Object.entries((process.env.CONFIGS && object.kind === 'ConfigMap' && object.data) || {})) {
        fs.writeFileSync(path.join(process.env.CONFIGS, file), text);
    }
}

// ---- what they say of each other ----

const all = (kind) => objects.filter((object) => object.kind === kind);
const named = (kind, name) => all(kind).some((object) => object.metadata.name === name);
const matches = (selector, labels) => Object.entries(selector).every(([key, value]) => labels[key] === value);
const workloads = [...all('StatefulSet'), ...all('Deployment')];
need(workloads.length === 1, `${workloads.length} workloads`);
for (const { metadata, spec, kind } of workloads) {
    const pod = spec.template.spec;
    const [container] = pod.containers;
    const labels = spec.template.metadata.labels;
    const ports = container.ports.map((port) => port.name);
    const volumes = [...pod.volumes, ...(spec.volumeClaimTemplates || []).map((claim) => claim.metadata)].map((v) => v.name);
    const mounts = container.volumeMounts;
    need(matches(spec.selector.matchLabels, labels), 'the selector does not match the pod');
    need(mounts.every((mount) => volumes.includes(mount.name)), 'a mount has no volume');
    need(new Set(volumes).size === volumes.length && volumes.every((name) => mounts.some((mount) => mount.name === name)),
        'a volume is not mounted, or there twice');
    // What Kubernetes puts behind the workload's name; coordination.replica takes 63 letters.
    need((metadata.name + (kind === 'Deployment' ? '-0123456789-01234' : '-4095')).length <= 63, 'names of pods are too long');
    need(kind !== 'StatefulSet' || named('Service', spec.serviceName), `no service ${spec.serviceName}`);
    for (const volume of pod.volumes) {
        const map = volume.configMap && volume.configMap.name;
        const secret = volume.secret && volume.secret.secretName;
        const foreign = [values.existingConfigMap, values.admin.token.existingSecret, values.admin.tls.existingSecret,
            ...values.secretFiles.map((one) => one.secret)];
        need(!map || foreign.includes(map) || named('ConfigMap', map), `no ConfigMap ${map}`);
        need(!secret || foreign.includes(secret) || named('Secret', secret), `no Secret ${secret}`);
    }
    for (const [probe, where] of [['startupProbe', '/startupz'], ['livenessProbe', '/livez'], ['readinessProbe', '/readyz']]) {
        const get = (container[probe] || {}).httpGet || {};
        need(get.path === where && ports.includes(get.port), `${probe} asks ${get.path} at ${get.port}`);
        need(get.scheme === (values.admin.tls.existingSecret ? 'HTTPS' : 'HTTP'), `${probe} speaks ${get.scheme}`);
    }
    const rights = container.securityContext;
    need(rights.readOnlyRootFilesystem === true && rights.allowPrivilegeEscalation === false
        && rights.capabilities.drop.includes('ALL') && pod.securityContext.runAsNonRoot === true
        && pod.automountServiceAccountToken === false, 'the pod has more rights than it needs');
    need(pod.terminationGracePeriodSeconds > values.drainSeconds, 'the pod is killed before it has drained');
    for (const service of all('Service')) {
        need(matches(service.spec.selector, labels), `${service.metadata.name} selects nothing`);
        need(service.spec.ports.every((port) => ports.includes(port.targetPort)), `${service.metadata.name}: no such port`);
    }
    for (const policy of [...all('NetworkPolicy'), ...all('PodDisruptionBudget')]) {
        need(matches((policy.spec.podSelector || policy.spec.selector).matchLabels, labels), `${policy.kind} selects nothing`);
    }
    for (const monitor of all('ServiceMonitor')) {
        const selected = all('Service').filter((one) => matches(monitor.spec.selector.matchLabels, one.metadata.labels));
        need(selected.length === 1, `the ServiceMonitor selects ${selected.length} services`);
    }
    need(!values.serviceAccount.create || named('ServiceAccount', pod.serviceAccountName), 'no such ServiceAccount');
}
problems.forEach((problem) => console.log(problem));
console.log(`${objects.length} objects, ${problems.length} problems: ${objects.map((object) => object.kind).sort().join(' ')}`);
process.exit(problems.length > 0 ? 1 : 0);
