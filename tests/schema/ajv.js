// SPDX-License-Identifier: MIT
// Validates YAML files against the JSON Schema in SCHEMA, by ajv: node ajv.js NODE_MODULES SCHEMA FILE...
// One line a file: "good FILE" or "bad FILE: where: why". The exit status is 1 when any file is bad.
'use strict';
const fs = require('fs');
const path = require('path');
const [modules, schemaPath, ...files] = process.argv.slice(2);
const Ajv = require(path.join(modules, 'ajv/dist/2020')).default;
const YAML = require(path.join(modules, 'yaml'));

const ajv = new Ajv({ allErrors: true, strict: true, allowUnionTypes: true });
const validate = ajv.compile(JSON.parse(fs.readFileSync(schemaPath, 'utf8')));
let bad = 0;
for (const file of files) {
    const value = YAML.parse(fs.readFileSync(file, 'utf8'), { merge: true });
    if (validate(value)) {
        console.log(`good ${file}`);
    } else {
        bad++;
        const reasons = validate.errors.map((error) => `${error.instancePath || '/'}: ${error.message}`);
        console.log(`bad ${file}: ${[...new Set(reasons)].slice(0, 4).join('; ')}`);
    }
}
process.exit(bad > 0 ? 1 : 0);
