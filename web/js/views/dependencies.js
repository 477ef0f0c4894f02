// The dependencies of a customer at a commit: where each comes from, and rings as they are.

import { get, part, places as allPlaces } from "../api.js";
import { diagnostics } from "../diagnostics.js";
import { el, replace } from "../el.js";
import { graph } from "../graph.js";
import { failure } from "../notice.js";
import { table } from "../table.js";

export function dependencies({ node, query, signal }) {
  const place = el("div");
  const choice = el("select", { id: "place" });
  const commit = el("input", { type: "text", id: "commit", placeholder: "its newest commit", value: query.get("revision") ?? "", pattern: "[0-9a-f]{40}", title: "a full commit id, 40 hexadecimal digits", autocomplete: "off", spellcheck: "false" });
  const form = el("form", { class: "tools", onsubmit: (event) => { event.preventDefault(); go(); } },
    el("span", { class: "pair" }, el("label", { for: "place" }, "Customer"), choice),
    el("span", { class: "pair" }, el("label", { for: "commit" }, "Commit"), commit),
    el("button", { type: "submit" }, "Show"));
  choice.addEventListener("change", go);

  function go() {
    const [customer, environment] = choice.value.split("/");
    const parameters = new URLSearchParams({ customer, environment });
    if (commit.value) parameters.set("revision", commit.value.trim());
    const hash = `#/dependencies?${parameters}`;
    if (location.hash === hash) draw(customer, environment, commit.value);
    else location.hash = hash;
  }

  async function draw(customer, environment, revision) {
    replace(place, el("p", { class: "loading" }, "Loading…"));
    let data;
    try {
      data = await get(`/customers/${part(customer)}/graph`, { environment, revision }, signal);
    } catch (error) {
      if (error.name !== "AbortError") replace(place, failure(error, () => draw(customer, environment, revision)));
      return;
    }
    const from = (edge) => `${edge.file}:${edge.line}:${edge.column}`;
    const detail = el("aside", { class: "side", "aria-label": "The service that is looked at" });
    let chosen = null;
    const show = (name) => {
      drawn?.highlight(name);
      const edges = data.graph.edges;
      replace(detail, name
        ? [el("h2", {}, name),
          lines("Needs", edges.filter((edge) => edge.service === name).map((edge) => [edge.depends_on, from(edge)])),
          lines("Needed by", edges.filter((edge) => edge.depends_on === name).map((edge) => [edge.service, from(edge)]))]
        : [el("h2", {}, "Where it comes from"), el("p", { class: "faint" }, "Point at a service, or move to it with the arrow keys, to see which lines of the file make it wait.")]);
    };
    let drawn = null;
    if (data.picture) {
      const places = new Map(data.graph.edges.map((edge) => [`${edge.service} ${edge.depends_on}`, from(edge)]));
      for (const edge of data.picture.edges) edge.title = `${edge.service} needs ${edge.depends_on}: ${places.get(`${edge.service} ${edge.depends_on}`)}`;
      drawn = graph(data.picture, {
        label: "Services by wave. Arrow keys move between them; the table below has the same",
        waveName: (wave) => `wave ${wave}`,
        describe: (name) => name,
        onselect(name, kind) {
          if (kind === "hover") show(name ?? chosen);
          else {
            chosen = name;
            show(name);
          }
        },
      });
      for (const spot of data.picture.services) drawn.set(spot.name, spot.in_ring ? "rejected" : "waiting");
      drawn.node.classList.add("plainly");
    }
    const cycles = data.graph?.cycles ?? [];
    const counts = data.graph && `${data.graph.services.length} services, ${data.graph.edges.length} dependencies, ${data.graph.waves.length} waves. `;
    replace(place,
      el("p", { class: "faint" }, counts, "Read from ", el("code", { class: "break" }, data.file), " at ", el("code", { title: data.revision }, data.revision.slice(0, 8)), data.picture?.critical_path.length > 0 && `. Longest chain: ${data.picture.critical_path.join(" → ")}`),
      cycles.length > 0 && el("section", { class: "why wrong" }, el("h2", {}, cycles.length === 1 ? "A ring" : `${cycles.length} rings`),
        el("ul", {}, cycles.map((cycle) => el("li", {}, [...cycle, cycle[0]].join(" → "))))),
      data.diagnostics.length > 0 && diagnostics(data.diagnostics),
      drawn && el("div", { class: "beside" }, el("div", { class: "canvas" }, drawn.node), detail),
      data.graph && el("h2", {}, "Every dependency, and where it stands"),
      data.graph && table({
        caption: "Dependencies with their place in the file",
        columns: [
          { name: "Service", cell: (edge) => edge.service },
          { name: "Needs", cell: (edge) => edge.depends_on },
          { name: "Line", cell: (edge) => el("code", { title: from(edge) }, `${edge.line}:${edge.column}`) },
        ],
        rows: data.graph.edges,
      }));
    show(null);
    if (drawn) drawn.reveal(drawn.node.parentElement);
  }

  function lines(title, list) {
    return list.length > 0 && el("div", { class: "names" }, el("h3", {}, `${title} (${list.length})`),
      el("ul", {}, list.map(([name, where]) => el("li", {}, name, el("code", { class: "faint", title: where }, where.split("/").at(-1))))));
  }

  return {
    title: "Dependencies",
    async load() {
      replace(node, el("div", { class: "head" }, el("h1", {}, "Dependencies")), form, place);
      const places = await allPlaces(signal);
      replace(choice, places.map((row) => el("option", { value: `${row.customer}/${row.environment}` }, `${row.customer} ${row.environment}`)));
      const wanted = `${query.get("customer")}/${query.get("environment")}`;
      if (places.some((row) => `${row.customer}/${row.environment}` === wanted)) choice.value = wanted;
      form.hidden = places.length === 0;
      if (places.length === 0) replace(place, el("div", { class: "empty" }, "Nothing was deployed yet."));
      else {
        const [customer, environment] = choice.value.split("/");
        await draw(customer, environment, commit.value);
      }
    },
    moved(parts, to) {
      if (parts[0] !== "dependencies" || !to.get("customer")) return false;
      choice.value = `${to.get("customer")}/${to.get("environment")}`;
      commit.value = to.get("revision") ?? "";
      draw(to.get("customer"), to.get("environment"), commit.value);
      return true;
    },
  };
}
