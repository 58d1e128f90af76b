/** The languages that code is coloured in; 7 kB for all, with the tokenizer. */
import bash from "@speed-highlight/core/languages/bash.js";
import c from "@speed-highlight/core/languages/c.js";
import css from "@speed-highlight/core/languages/css.js";
import diff from "@speed-highlight/core/languages/diff.js";
import docker from "@speed-highlight/core/languages/docker.js";
import go from "@speed-highlight/core/languages/go.js";
import html from "@speed-highlight/core/languages/html.js";
import ini from "@speed-highlight/core/languages/ini.js";
import java from "@speed-highlight/core/languages/java.js";
import js from "@speed-highlight/core/languages/js.js";
import json from "@speed-highlight/core/languages/json.js";
import lua from "@speed-highlight/core/languages/lua.js";
import make from "@speed-highlight/core/languages/make.js";
import md from "@speed-highlight/core/languages/md.js";
import py from "@speed-highlight/core/languages/py.js";
import regex from "@speed-highlight/core/languages/regex.js";
import rs from "@speed-highlight/core/languages/rs.js";
import sql from "@speed-highlight/core/languages/sql.js";
import toml from "@speed-highlight/core/languages/toml.js";
import ts from "@speed-highlight/core/languages/ts.js";
import xml from "@speed-highlight/core/languages/xml.js";
import yaml from "@speed-highlight/core/languages/yaml.js";
import type { ShjLanguageData } from "@speed-highlight/core/tokenize";

/** By the names that they have for one another. */
// Its own declarations do not hold with exactOptionalPropertyTypes.
const grammars: Record<string, unknown> = {
  bash,
  c,
  css,
  diff,
  docker,
  go,
  html,
  ini,
  java,
  js,
  json,
  lua,
  make,
  md,
  py,
  regex,
  rs,
  sql,
  toml,
  ts,
  xml,
  yaml,
};

export const languages = grammars as Record<string, ShjLanguageData>;

const ALIASES: Record<string, string> = {
  "c#": "java",
  "c++": "c",
  cc: "c",
  cfg: "ini",
  console: "bash",
  cpp: "c",
  csharp: "java",
  cs: "java",
  cxx: "c",
  dockerfile: "docker",
  golang: "go",
  h: "c",
  hpp: "c",
  htm: "html",
  ipython: "py",
  ipython3: "py",
  java: "java",
  javascript: "js",
  jsonc: "json",
  jsx: "js",
  kotlin: "java",
  kt: "java",
  makefile: "make",
  markdown: "md",
  mjs: "js",
  patch: "diff",
  py3: "py",
  pycon: "py",
  python: "py",
  python3: "py",
  rust: "rs",
  sh: "bash",
  shell: "bash",
  svg: "xml",
  tsx: "ts",
  typescript: "ts",
  yml: "yaml",
  zsh: "bash",
};

/** The grammar for the name that a fence gives. */
export function grammarOf(name: string): ShjLanguageData | undefined {
  const own = Object.hasOwn(ALIASES, name) ? ALIASES[name] : name;
  return own !== undefined && Object.hasOwn(languages, own) ? languages[own] : undefined;
}
