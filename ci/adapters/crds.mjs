// Holds custom resources to the schemas of npm's @kubernetes-models. Standard input: {"root": ..., "objects": [...]}.
// Standard output: for each object a list of what is wrong with it, or null where no package has its kind.
//
// The packages carry schemas as compiled validators, which pass unknown fields. But a field that no rule of a schema ever
// reads is unknown to it: so each object is watched while it is validated. What no rule looks into at all is left open.

import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const { root, objects } = JSON.parse(await new Response(process.stdin).text());
const published = join(root, "node_modules", "@kubernetes-models");
const packages = existsSync(published) ? readdirSync(published).sort() : [];
const STEP = "\0";

const isNode = (value) => typeof value === "object" && value !== null;

function watched(node, path, seen) {
  return new Proxy(node, {
    get(target, key) {
      seen.lookedInto.add(path);
      const value = target[key];
      if (!Object.hasOwn(target, key)) return value;
      const inner = path + STEP + String(key);
      seen.read.add(inner);
      return isNode(value) ? watched(value, inner, seen) : value;
    },
    ownKeys(target) {
      seen.lookedInto.add(path);
      return Reflect.ownKeys(target);
    },
  });
}

function unread(node, path, seen) {
  if (!seen.lookedInto.has(path)) return [];
  return Object.keys(node).flatMap((key) => {
    const inner = path + STEP + key;
    if (!seen.read.has(inner)) return [`${inner.slice(1).replaceAll(STEP, ".")}: unknown field`];
    return isNode(node[key]) ? unread(node[key], inner, seen) : [];
  });
}

async function modelOf({ apiVersion, kind }) {
  const files = packages.map((name) => join(published, name, ...apiVersion.split("/"), `${kind}.js`));
  const file = files.find((candidate) => existsSync(candidate));
  return file ? (await import(pathToFileURL(file)))[kind] : null;
}

async function wrong(thing) {
  const Model = await modelOf(thing);
  if (!Model) return null;
  const seen = { lookedInto: new Set(), read: new Set() };
  try {
    Model.prototype.validate.call(watched(thing, "", seen));
  } catch (failure) {
    if (!failure.errors) throw failure;
    return failure.errors.map((error) => `${error.instancePath.slice(1).replaceAll("/", ".")}: ${error.message}`);
  }
  return unread(thing, "", seen);
}

process.stdout.write(JSON.stringify(await Promise.all(objects.map(wrong))));
