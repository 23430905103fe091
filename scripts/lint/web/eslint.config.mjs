// SPDX-License-Identifier: MIT
// ESLint's own recommendations and a few rules more. The scripts of the dashboard share one page: scripts/lint/javascript hands
// them over as the one script that they are.
import js from "@eslint/js";
import globals from "globals";

const rules = {
  ...js.configs.recommended.rules,
  eqeqeq: "error",
  "no-unused-vars": ["error", { args: "none", caughtErrors: "none" }],
  "no-var": "error",
  "prefer-const": "error",
};
const node = globals.node;
const page = { ...globals.browser, uPlot: "readonly" };

export default [
  { files: ["**/*.js"], languageOptions: { sourceType: "commonjs", globals: node }, rules },
  { files: ["**/*.mjs"], languageOptions: { sourceType: "module", globals: node }, rules },
  { files: ["**/page.js"], languageOptions: { sourceType: "script", globals: page }, rules },
  { files: ["**/tests/browser/*.js"], languageOptions: { globals: { ...node, ...page } } }, // it runs code in the page
];
