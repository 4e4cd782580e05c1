// The page of menuconfig --web: no file of anybody else, nothing that is fetched from elsewhere.
#pragma once

#include <string_view>

namespace ax::menuconfig {

inline constexpr std::string_view kWebPage = R"html(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>AxVisor configuration</title>
<style>
  body { font: 15px/1.45 system-ui, sans-serif; margin: 0; color: #1d2430; background: #f6f7f9; }
  header { position: sticky; top: 0; background: #1d2f4b; color: #fff; padding: .6em 1em; display: flex; gap: .6em; flex-wrap: wrap; align-items: center; }
  header button, header input { font: inherit; padding: .25em .7em; }
  nav button { border: 0; background: #34496b; color: #fff; border-radius: 4px; }
  nav button[aria-current=true] { background: #fff; color: #1d2f4b; }
  main { max-width: 68em; margin: 0 auto; padding: 1em; }
  h2 { font-size: 1em; margin: 1.4em 0 .3em; border-bottom: 1px solid #c8ced8; }
  .row { display: grid; grid-template-columns: 14em 1fr auto; gap: .2em 1em; padding: .35em .4em; align-items: start; }
  .row:hover, .row:focus-within { background: #fff; }
  .row label { font-family: ui-monospace, monospace; }
  .row.unset label { color: #68717f; }
  .row input[type=text], .row textarea, .row select { width: 100%; box-sizing: border-box; font: 14px ui-monospace, monospace; }
  details { grid-column: 1 / 4; color: #4a5260; }
  details pre { white-space: pre-wrap; font: inherit; margin: .2em 0 .2em 1em; }
  #message { color: #b00020; min-height: 1.4em; font-weight: 600; }
  .note { color: #68717f; }
  ul.options { list-style: none; margin: 0; padding: 0; }
</style>
</head>
<body>
<header><strong>AxVisor</strong><nav id="files"></nav>
  <input id="search" type="search" placeholder="search" aria-label="search">
  <button id="undo">Undo</button><button id="redo">Redo</button>
  <button id="save">Save</button><button id="backup">Save, keep a backup</button><button id="finish">Done</button></header>
<main><p id="message" role="status"></p><p id="path"></p><div id="rows"></div><h2>Changes</h2><pre id="changes"></pre></main>
<script>
"use strict";
const token = new URLSearchParams(location.search).get("token");
const $ = id => document.getElementById(id);
let state = null, current = 0;

async function call(action, body) {
  const options = { headers: { "X-Token": token } };
  if (body) { options.method = "POST"; options.body = JSON.stringify(body); }
  const response = await fetch("/api/" + action, options);
  if (!response.ok) { $("message").textContent = await response.text(); return; }
  state = await response.json();
  draw();
}
const change = (action, row, more) => call(action, Object.assign({ file: current, path: row.path }, more));

function element(tag, properties, ...children) {
  const e = Object.assign(document.createElement(tag), properties);
  e.append(...children);
  return e;
}

function options(row) {
  const list = element("ul", { className: "options" });
  for (const o of row.options) {
    const box = element("input", { type: "checkbox", checked: o.selected, disabled: o.forbidden !== "" });
    box.onchange = () => change("toggle", row, { value: o.value });
    const note = [o.note, o.forbidden].filter(t => t).join(", ");
    list.append(element("li", {}, element("label", { title: o.doc }, box, " " + o.value + " "),
                        element("span", { className: "note" }, (note ? "(" + note + ") " : "") + o.doc)));
  }
  return list;
}

function input(row) {
  if (row.type === "list" && row.options.length) return options(row);
  if (row.type === "list") {
    const area = element("textarea", { value: row.items.join("\n"), rows: Math.max(2, row.items.length) });
    area.onchange = () => change("items", row, { items: area.value.split("\n").filter(line => line.trim()) });
    return area;
  }
  if (row.options.length && !row.open) {
    const select = element("select", {});
    if (!row.set) select.append(element("option", { value: "", selected: true }, row.shown));
    for (const o of row.options) {
      select.append(element("option", { value: o.value, selected: row.set && o.selected, disabled: o.forbidden !== "", title: o.doc },
                            o.value + (o.note ? " (" + o.note + ")" : "")));
    }
    select.onchange = () => change("set", row, { value: select.value });
    return select;
  }
  const field = element("input", { type: "text", value: row.value, placeholder: row.shown });
  field.onchange = () => change("set", row, { value: field.value });
  return field;
}

function draw() {
  const words = $("search").value.toLowerCase().split(" ").filter(w => w);
  const fits = (f, r) => words.every(w => (f.title + r.help + r.shown).toLowerCase().includes(w));
  $("files").replaceChildren(...state.files.map((f, i) => {
    const b = element("button", {}, f.title + (f.changed ? " *" : "") + (words.length ? " (" + f.rows.filter(r => fits(f, r)).length + ")" : ""));
    b.setAttribute("aria-current", i === current);
    b.onclick = () => { current = i; draw(); };
    return b;
  }));
  const file = state.files[current];
  $("path").textContent = file.path + (file.exists ? "" : " (does not exist yet)");
  $("message").textContent = [state.error, ...file.problems].filter(t => t).join(" - ");
  const rows = [];
  let section = null;
  for (const row of file.rows) {
    if (!fits(file, row)) continue;
    if (row.section !== section) {
      section = row.section;
      rows.push(element("h2", {}, (section ? "[" + section + "] " : "") + row.section_doc));
    }
    const field = input(row);
    field.id = "value-" + row.path;
    const reset = element("button", { disabled: !row.set, title: "take it out of the file" }, "default");
    reset.onclick = () => change("unset", row);
    rows.push(element("div", { className: "row" + (row.set ? "" : " unset"), id: "row-" + row.path },
                      element("label", { htmlFor: field.id }, row.name), field, reset,
                      element("details", {}, element("summary", {}, "help"), element("pre", {}, row.help))));
  }
  $("rows").replaceChildren(...rows);
  $("changes").textContent = state.files.filter(f => f.changed).map(f => f.path + "\n" + f.changes.map(
      c => "  " + c.path + ": " + (c.before || "(absent)") + " -> " + (c.after || "(absent)")).join("\n")).join("\n") || "none";
  $("undo").disabled = !state.undo;
  $("redo").disabled = !state.redo;
  $("save").disabled = $("backup").disabled = !state.files.some(f => f.changed);
  document.body.dataset.ready = "yes";
}

$("search").oninput = draw;
for (const action of ["undo", "redo"]) $(action).onclick = () => call(action, {});
$("save").onclick = () => call("save", { backup: false });
$("backup").onclick = () => call("save", { backup: true });
$("finish").onclick = async () => {
  if (state.files.some(f => f.changed) && !confirm("There are changes that are not saved. Leave them?")) return;
  await call("finish", {});
  document.body.textContent = "You can close this page.";
};
call("state");
</script>
</body>
</html>
)html";

}  // namespace ax::menuconfig
