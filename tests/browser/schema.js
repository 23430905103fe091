// SPDX-License-Identifier: MIT
// Whether answers of the admin endpoint are as its schema says; as much of JSON Schema as that uses.
"use strict";

function typeOf(value) {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  return Number.isInteger(value) ? "integer" : typeof value;
}

// What is wrong, as a list of texts.
function problems(root, schema, value, where) {
  if (schema.$ref !== undefined) return problems(root, root.$defs[schema.$ref.replace("#/$defs/", "")], value, where);
  const wrong = [];
  const type = typeOf(value);
  const allowed = schema.type === undefined ? null : [].concat(schema.type);
  if (allowed !== null && !allowed.includes(type) && !(type === "integer" && allowed.includes("number"))) wrong.push(`${where} is ${type}, not ${allowed}`);
  if (schema.enum !== undefined && !schema.enum.includes(value)) wrong.push(`${where} is ${JSON.stringify(value)}, not one of ${schema.enum}`);
  if (schema.const !== undefined && schema.const !== value) wrong.push(`${where} is not ${schema.const}`);
  if (schema.minimum !== undefined && value < schema.minimum) wrong.push(`${where} is below ${schema.minimum}`);
  if (type === "object") {
    for (const name of schema.required || []) if (!(name in value)) wrong.push(`${where}.${name} is missing`);
    for (const [name, inner] of Object.entries(value)) {
      const known = (schema.properties || {})[name];
      if (known !== undefined) wrong.push(...problems(root, known, inner, `${where}.${name}`));
    }
  }
  if (type === "array" && schema.items !== undefined) value.forEach((inner, i) => wrong.push(...problems(root, schema.items, inner, `${where}[${i}]`)));
  return wrong;
}

module.exports = { problems };
