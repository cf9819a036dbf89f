"use strict";
(() => {
  const typing = (event) => /^(input|textarea|select)$/i.test(event.target.tagName) || event.ctrlKey || event.metaKey || event.altKey;
  const table = document.getElementById("targets");

  const value = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.v === undefined ? cell.textContent.toLowerCase() : cell.dataset.v === "" ? NaN : Number(cell.dataset.v);
  };

  const ordered = (rows, column, down) => {
    const sign = down ? -1 : 1;
    const compare = (a, b) => typeof a === "string" ? sign * a.localeCompare(b, "en", { numeric: true })
      : Number.isNaN(a) ? (Number.isNaN(b) ? 0 : 1) : Number.isNaN(b) ? -1 : sign * (a - b); // what is not known comes last
    return rows.map((row) => [value(row, column), row]).sort((a, b) => compare(a[0], b[0])).map((pair) => pair[1]);
  };

  const mark = (head, down) => down === undefined ? head.removeAttribute("aria-sort")
    : head.setAttribute("aria-sort", down ? "descending" : "ascending");

  for (const list of document.querySelectorAll("table.sortable")) { // lists of sources: a third press gives the order back
    const rows = [...list.tBodies[0].rows];
    const heads = [...list.tHead.rows[0].cells];
    let [at, down] = [-1, true];
    heads.forEach((head, column) => head.firstElementChild.addEventListener("click", () => {
      const first = head.dataset.key !== "name";
      [at, down] = at !== column ? [column, first] : down === first ? [column, !first] : [-1, first];
      list.tBodies[0].append(...(at < 0 ? rows : ordered(rows, at, down)));
      heads.forEach((other, n) => mark(other, n === at ? down : undefined));
    }));
  }

  if (!table) { // the page of a target: j and k go to its neighbours, u goes up
    const ways = { j: "a[rel=next]", k: "a[rel=prev]", u: "a.up" };
    document.addEventListener("keydown", (event) => {
      const link = !typing(event) && ways[event.key] && document.querySelector(ways[event.key]);
      if (link) link.click();
    });
    return;
  }

  const body = table.tBodies[0];
  const rows = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  const box = document.getElementById("filter");
  const chips = [...document.querySelectorAll("[data-flag]")];
  const gallery = document.getElementById("gallery");
  const shown = document.getElementById("shown");
  const columns = new Map(heads.filter((h) => h.dataset.key).map((h) => [h.dataset.key, heads.indexOf(h)]));
  let state = {};

  // The state lives in the address, as in #sort=-snr&q=a907&flags=few-counts&view=gallery, so that it can be shared.
  const read = () => {
    const found = new URLSearchParams(location.hash.slice(1));
    const sort = found.get("sort") || "";
    const key = sort.replace(/^-/, "");
    return {
      key: columns.has(key) ? key : "",
      down: sort.startsWith("-"),
      q: found.get("q") || "",
      flags: (found.get("flags") || "").split(",").filter(Boolean),
      gallery: found.get("view") === "gallery",
    };
  };

  const write = () => {
    const words = new URLSearchParams();
    if (state.key) words.set("sort", (state.down ? "-" : "") + state.key);
    if (state.q) words.set("q", state.q);
    if (state.flags.length) words.set("flags", state.flags.join(","));
    if (state.gallery) words.set("view", "gallery");
    const hash = words.toString();
    if (hash !== location.hash.slice(1)) {
      try { history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search); } catch { location.hash = hash; }
    }
  };

  const order = () => state.key ? ordered(rows, columns.get(state.key), state.down) : rows;

  const show = () => {
    body.append(...order());
    const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const row of rows) {
      const flags = (row.dataset.f || "").split(" ");
      row.hidden = !(words.every((w) => row.dataset.q.includes(w)) && state.flags.every((f) => flags.includes(f)));
      count += row.hidden ? 0 : 1;
    }
    const all = `${rows.length} row${rows.length === 1 ? "" : "s"}`;
    shown.textContent = count === rows.length ? all : `${count} of ${all}`;
    for (const head of heads) {
      mark(head, state.key && head.dataset.key === state.key ? state.down : undefined);
    }
    for (const chip of chips) chip.setAttribute("aria-pressed", String(state.flags.includes(chip.dataset.flag)));
    table.classList.toggle("gallery", state.gallery);
    gallery.setAttribute("aria-pressed", String(state.gallery));
    if (box.value !== state.q) box.value = state.q;
  };

  const change = (changes) => { state = { ...state, ...changes }; show(); write(); };

  for (const head of heads) {
    const key = head.dataset.key;
    if (key) head.firstElementChild.addEventListener("click", () => {
      const first = !["name", "band"].includes(key); // numbers start with the largest
      change(state.key !== key ? { key, down: first } : state.down === first ? { down: !first } : { key: "", down: false });
    });
  }
  for (const chip of chips) chip.addEventListener("click", () => {
    const flag = chip.dataset.flag;
    change({ flags: state.flags.includes(flag) ? state.flags.filter((f) => f !== flag) : [...state.flags, flag] });
  });
  gallery.addEventListener("click", () => change({ gallery: !state.gallery }));
  box.addEventListener("input", () => change({ q: box.value }));
  window.addEventListener("hashchange", () => { state = read(); show(); });

  const step = (by) => { // j and k go from target to target
    const links = rows.length ? [...body.querySelectorAll("tr:not([hidden]) th a")] : [];
    const at = links.indexOf(document.activeElement);
    const next = links[at < 0 ? (by > 0 ? 0 : links.length - 1) : Math.min(links.length - 1, Math.max(0, at + by))];
    if (next) next.focus();
  };
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && event.target === box) { change({ q: "" }); box.blur(); return; }
    if (typing(event)) return;
    if (event.key === "/") { event.preventDefault(); box.focus(); box.select(); }
    if (event.key === "j") step(1);
    if (event.key === "k") step(-1);
  });

  state = read();
  show();
})();
