// Draws openapi.json for people. Everything of the document is set as text, never as markup.
"use strict";

const METHODS = ["get", "post", "put", "patch", "delete"];

function make(kind, properties = {}, ...children) {
  const node = Object.assign(document.createElement(kind), properties);
  node.append(...children.filter((child) => child != null));
  return node;
}

// The little of Markdown that the document uses: `code`, lists with *, paragraphs.
function prose(text = "") {
  const inline = (line) => line.split("`").map((part, at) => (at % 2 ? make("code", {}, part) : part));
  const blocks = text.trim().split(/\n\n+/).filter(Boolean);
  return blocks.map((block) => {
    const lines = block.split("\n");
    if (!lines[0].startsWith("* ")) return make("p", {}, ...inline(lines.join(" ")));
    return make("ul", {}, ...lines.map((line) => make("li", {}, ...inline(line.replace(/^\* /, "")))));
  });
}

function draw(api) {
  const named = (part) => (part && part.$ref ? part.$ref.slice(2).split("/").reduce((at, name) => at[name.replaceAll("~1", "/").replaceAll("~0", "~")], api) : part);
  // One that is put together of several is shown as the one object that it is.
  const resolve = (part) => {
    const it = named(part);
    if (!it?.allOf) return it;
    const parts = it.allOf.map(resolve);
    const required = parts.flatMap((one) => one.required ?? []);
    return { ...it, type: "object", properties: Object.assign({}, ...parts.map((one) => one.properties)), required, base: Object.assign({}, ...parts.map((one) => one.example)) };
  };
  const nameOf = (schema) => schema.$ref?.split("/").pop();

  function kind(schema) {
    if (!schema) return "";
    if (schema.$ref) return nameOf(schema);
    if (schema.oneOf) return schema.oneOf.map(kind).join(" or ");
    const types = [schema.type ?? "anything"].flat().map((type) => (type === "array" ? `list of ${kind(schema.items)}` : type));
    return types.join(" or ") + (schema.format && !/^int/.test(schema.format) ? ` (${schema.format})` : "");
  }

  function limits(schema) {
    const of = { minLength: "at least %", maxLength: "at most %", minimum: "from %", maximum: "to %", pattern: "%" };
    const unit = (name) => (name.endsWith("Length") ? " characters" : "");
    return Object.keys(of).filter((name) => schema[name] != null && !(name === "minimum" && schema[name] === 0))
      .map((name) => of[name].replace("%", () => schema[name]) + unit(name)).join(", ");
  }

  function example(schema, depth = 0) {
    const it = resolve(schema) ?? {};
    if (it.example !== undefined) return it.example;
    if (it.examples?.length) return it.examples[0];
    if (depth > 5) return null;
    if (it.oneOf) return example(it.oneOf[0], depth + 1);
    if (it.properties) return { ...Object.fromEntries(Object.entries(it.properties).map(([name, inner]) => [name, example(inner, depth + 1)])), ...it.base };
    if ([it.type].flat().includes("array")) return [example(it.items, depth + 1)];
    return { integer: 0, boolean: true, object: {} }[[it.type].flat()[0]] ?? "…";
  }

  function fields(schema, path = []) {
    const it = resolve(schema) ?? {};
    if (it.oneOf) return make("div", {}, ...it.oneOf.filter((one) => one.type !== "null").map((one) => make("details", { open: true }, make("summary", {}, kind(one)), fields(one, path))));
    if ([it.type].flat().includes("array")) return fields(it.items, path);
    const rows = Object.entries(it.properties ?? {}).map(([name, field]) => {
      const whole = { ...resolve(field), ...field };
      const required = it.required?.includes(name) ? "" : ", may be absent";
      const target = field.$ref ? field : (field.items?.$ref ? field.items : field.oneOf?.find((one) => one.$ref));
      const inner = target && !path.includes(nameOf(target)) ? make("details", {}, make("summary", {}, nameOf(target)), fields(target, [...path, nameOf(target)])) : null;
      return make("tr", {}, make("td", {}, make("code", {}, name)), make("td", {}, ...prose(whole.description), make("p", { className: "soft" }, [kind(field) + required, limits(whole)].filter(Boolean).join("; ")), inner));
    });
    return rows.length ? make("table", {}, make("tbody", {}, ...rows)) : make("p", { className: "soft" }, "No fields.");
  }

  const shown = (value) => make("pre", {}, JSON.stringify(value, null, 2));

  function answer(status, response) {
    const it = resolve(response);
    const [type, content] = Object.entries(it.content ?? {})[0] ?? [];
    const problems = Object.values(content?.examples ?? {}).map((one) => shown(resolve(one).value));
    const headers = Object.keys(it.headers ?? {}).join(", ");
    const details = content && make("details", {}, make("summary", {}, `${kind(content.schema)}${headers ? `, with ${headers}` : ""}`),
      make("p", { className: "soft" }, type), ...(problems.length ? problems : [fields(content.schema), shown(example(content.schema))]));
    return make("tr", {}, make("td", {}, make("b", {}, status)), make("td", {}, ...prose(it.description), details));
  }

  function operation(path, method, it) {
    const body = it.requestBody && resolve(it.requestBody);
    const sent = body?.content?.["application/json"]?.schema;
    const credential = (it.security ?? []).map((one) => Object.keys(one)[0]).filter(Boolean);
    const parameters = (it.parameters ?? []).map(resolve).map((one) => make("tr", {}, make("td", {}, make("code", {}, one.name)),
      make("td", {}, ...prose(one.description), make("p", { className: "soft" }, [one.in, kind(one.schema) + (one.required ? "" : ", may be absent"), limits(one.schema ?? {})].filter(Boolean).join("; ")))));
    const codes = Object.entries(it.responses).sort(([a], [b]) => a.localeCompare(b)).map(([status, response]) => answer(status, response));
    return make("article", { id: it.operationId },
      make("h3", {}, it.summary), make("p", { className: "path" }, make("span", { className: "method" }, method.toUpperCase()), path),
      ...prose(it.description),
      make("p", { className: "soft" }, credential.length ? `Credential: Authorization: Bearer, ${credential.join(" or ")}` : "No credential in a header."),
      parameters.length ? make("h4", {}, "Parameters") : null, parameters.length ? make("table", {}, make("tbody", {}, ...parameters)) : null,
      sent ? make("h4", {}, body.required ? "Body" : "Body (may be left out)") : null, sent ? fields(sent) : null, sent ? shown(example(sent)) : null,
      make("h4", {}, "Answers"), make("table", {}, make("tbody", {}, ...codes)));
  }

  const main = make("main", { id: "main" }, make("h1", {}, api.info.title), make("p", { className: "soft" }, `Version ${api.info.version} · `, make("a", { href: "/openapi.json" }, "openapi.json")), ...prose(api.info.description));
  const list = make("div", { id: "list" });
  main.append(make("h2", {}, "Credentials"), make("table", {}, make("tbody", {}, ...Object.entries(api.components.securitySchemes).map(([name, one]) => make("tr", {}, make("td", {}, make("code", {}, name)), make("td", {}, ...prose(one.description)))))));
  for (const tag of api.tags) {
    const found = Object.entries(api.paths).flatMap(([path, item]) => METHODS.filter((method) => item[method]?.tags?.includes(tag.name)).map((method) => [path, method, item[method]]));
    if (!found.length) continue;
    main.append(make("h2", {}, tag.name), ...prose(tag.description), ...found.map((one) => operation(...one)));
    list.append(make("section", {}, make("h2", {}, tag.name), ...found.map(([path, method, it]) => make("a", { href: `#${it.operationId}`, title: `${method.toUpperCase()} ${path}` }, it.summary))));
  }
  document.getElementById("main").replaceWith(main);
  document.getElementById("list").replaceWith(list);
  if (location.hash) document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
}

document.getElementById("find").addEventListener("input", ({ target }) => {
  const words = target.value.toLowerCase().split(/\s+/);
  for (const link of document.querySelectorAll("#list a")) {
    link.hidden = !words.every((word) => `${link.textContent} ${link.title}`.toLowerCase().includes(word));
  }
});

fetch("/openapi.json").then((answer) => answer.json()).then(draw).catch((error) => {
  document.getElementById("main").textContent = `openapi.json could not be shown: ${error.message}`;
});
