"use strict";
// Exact figures are texts here, because numbers are floats: they are grouped and shown, never
// computed with. Sorting and drawing may round. No text of the data is ever read as markup.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = new Map(data.customers.map((one) => [one.id, one]));
  const $ = (id) => document.getElementById(id);
  const PAGE = 50;
  const PRINTED = 2000;

  const grouped = (text) => text.replace(/\B(?=(\d{3})+(?!\d))/g, ",");
  const count = (number) => grouped(String(number));
  const bytes = (text) => `${grouped(text)} ${text === "1" ? "byte" : "bytes"}`;
  const money = (text) => {
    const [whole, part] = text.split(".");
    return data.sign + grouped(whole) + (part ? `.${part}` : "");
  };
  const readable = (text) => {
    const units = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let size = Number(text), unit = 0;
    while (size >= 1024 && unit < units.length - 1) { size /= 1024; unit += 1; }
    if (unit === 0) return bytes(text);
    const [whole, part] = size.toFixed(2).split(".");
    return `${grouped(whole)}.${part} ${units[unit]}`;
  };
  const dayName = (day) => `${data.month}-${String(day).padStart(2, "0")}`;
  const daysOf = (one) => {
    const held = new Map();
    if (one.daily) for (const pair of one.daily.split(",")) {
      const at = pair.indexOf(":");
      held.set(Number(pair.slice(0, at)), pair.slice(at + 1));
    }
    return held;
  };
  const standing = (state) => data.standings[state];
  const said = (one) => standing(one.state).meaning + (one.paused ? ` It waits: ${one.paused}.` : "");

  // --- Making elements ---------------------------------------------------------------------------
  const make = (name, attributes = {}, ...inside) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...inside.filter((each) => each !== null && each !== undefined));
    return element;
  };
  const draw = (name, attributes = {}, ...inside) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...inside);
    return element;
  };
  const pill = (state) => make("span", { class: `pill ${standing(state).tone}` }, standing(state).label);
  const link = (id) => make("a", { href: `#customer=${encodeURIComponent(id)}` }, id);

  const spark = (one) => {
    const held = daysOf(one);
    let largest = 0;
    for (const value of held.values()) largest = Math.max(largest, Number(value));
    let path = "";
    for (const [day, value] of held) {
      const height = largest ? Math.max(1, Number(value) / largest * 22) : 1;
      path += `M${(day - 1) * 10} ${22 - height}h8v${height}h-8z`;
    }
    return draw("svg", { viewBox: `0 0 ${data.days * 10} 22`, preserveAspectRatio: "none", "aria-hidden": "true" },
      draw("path", { d: path }));
  };

  // --- The list ----------------------------------------------------------------------------------
  const tbody = document.querySelector("#list tbody");
  let shown = data.customers, place = 0, sorted = { key: "amount", down: true };
  const filters = {
    all: () => true,
    bad: (one) => standing(one.state).tone === "bad" || Boolean(one.trouble),
    gaps: (one) => Boolean(one.gaps),
    runs: (one) => Boolean(one.runs),
  };
  const keyOf = {
    id: (one) => one.id, state: (one) => standing(one.state).label,
    average: (one) => Number(one.average || -1), peak: (one) => Number(one.peak || -1),
    counted: (one) => one.counted || 0, storage: (one) => Number(one.storage),
    runs: (one) => one.runs || 0, files: (one) => Number(one.files), amount: (one) => Number(one.amount),
  };
  const row = (one) => make("tr", {},
    make("th", { scope: "row" }, link(one.id)),
    make("td", { class: "spark" }, spark(one)),
    make("td", { class: "num hold", title: one.average ? bytes(one.average) : "" }, one.average ? readable(one.average) : ""),
    make("td", { class: "num wide", title: one.peak ? bytes(one.peak) : "" }, one.peak ? readable(one.peak) : ""),
    make("td", { class: "num wide" }, `${one.counted || 0}${one.gaps ? ` of ${(one.counted || 0) + one.gaps.length}` : ""}`),
    make("td", { class: "num paid" }, money(one.storage)),
    make("td", { class: "num wide" }, count(one.runs || 0)),
    make("td", { class: "num paid" }, money(one.files)),
    make("td", { class: "num total" }, money(one.amount)),
    make("td", { class: "state" }, pill(one.state)));
  const show = (from = place, size = PAGE) => {
    place = Math.max(0, Math.min(from, shown.length - 1));
    tbody.replaceChildren(...shown.slice(place, place + size).map(row));
    const last = Math.min(place + size, shown.length);
    $("place").textContent = shown.length ? `${count(place + 1)} to ${count(last)} of ${count(shown.length)}` : "";
    $("found").textContent = shown.length === data.customers.length
      ? `${count(shown.length)} customers` : `${count(shown.length)} of ${count(data.customers.length)} customers`;
    $("before").disabled = place === 0;
    $("after").disabled = last >= shown.length;
    $("pages").hidden = shown.length <= PAGE;
  };
  const choose = () => {
    const wanted = $("search").value.trim().toLowerCase(), fits = filters[$("filter").value];
    const key = keyOf[sorted.key], sign = sorted.down ? -1 : 1;
    shown = data.customers
      .filter((one) => fits(one) && (one.id.toLowerCase().includes(wanted) || standing(one.state).label.includes(wanted)))
      .map((one) => [key(one), one])
      .sort((a, b) => (a[0] < b[0] ? -sign : a[0] > b[0] ? sign : a[1].id < b[1].id ? -1 : 1))
      .map((pair) => pair[1]);
    show(0);
  };
  const heads = document.querySelectorAll("#list th[data-sort]");
  const sortBy = (key, down) => {
    sorted = { key, down };
    for (const head of heads) {
      if (head.dataset.sort === key) head.setAttribute("aria-sort", down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    }
    $("sort").value = key;
    choose();
  };
  const downFirst = (key) => key !== "id" && key !== "state";
  const startList = () => {
    for (const head of heads) {
      const key = head.dataset.sort, button = make("button", { type: "button" }, head.textContent);
      head.dataset.title = head.textContent;
      button.addEventListener("click", () => sortBy(key, sorted.key === key ? !sorted.down : downFirst(key)));
      // Where a row is a card there are no heads to press.
      $("sort").append(make("option", { value: key }, head.textContent.toLowerCase()));
      head.replaceChildren(button);
    }
    $("sort").value = sorted.key;
    $("sort").addEventListener("change", () => sortBy($("sort").value, downFirst($("sort").value)));
    $("tools").hidden = false;
    $("tools").addEventListener("submit", (event) => event.preventDefault());
    $("search").addEventListener("input", choose);
    $("filter").addEventListener("change", choose);
    $("before").addEventListener("click", () => show(place - PAGE));
    $("after").addEventListener("click", () => show(place + PAGE));
    addEventListener("beforeprint", () => show(0, PRINTED));
    addEventListener("afterprint", () => show(0));
    show(0);
  };

  // --- The statement -----------------------------------------------------------------------------
  const step = (what, remark, figure) => make("li", {},
    make("span", {}, what, remark ? make("br") : null, remark ? make("small", {}, remark) : null), make("span", {}, figure));

  const corrected = (each) => step(
    `Corrected (${standing(each.state).label})`, each.said, `${each.bytes.startsWith("-") ? "" : "+"}${bytes(each.bytes)}`);

  const storageSteps = (one) => {
    if (one.average === undefined) return [step("No daily row in this month", one.problem || "", money(one.storage))];
    const divisor = one.calendarDays || one.counted;
    const steps = [
      step("Sum of the daily rows", `${one.counted} day${one.counted === 1 ? "" : "s"} recorded`, bytes(one.sum)),
      step(`Divided by ${divisor} day${divisor === 1 ? "" : "s"}`,
        one.calendarDays ? "all days of the calendar; in whole bytes, a half to the even one" : "in whole bytes, a half to the even one",
        bytes(one.average)),
    ];
    steps.push(...(one.corrections || []).map(corrected));
    if (one.billedBytes !== one.average && !one.corrections) {
      steps.push(step("Of that, billed", one.skipped || one.problem || (one.event && one.event.error) || standing(one.state).meaning, bytes(one.billedBytes)));
    }
    if (data.unitBytes !== "1") {
      steps.push(step(`Divided by ${bytes(data.unitBytes)}`, "1 GiB; a part of one counts as a whole", `${grouped(one.units)} GiB`));
    }
    steps.push(step(`Storage: ${grouped(one.units)} ${data.unitBytes === "1" ? "bytes" : "GiB"} at ${data.sign}${data.storagePrice}`, "", money(one.storage)));
    return steps;
  };
  const fileSteps = (one) => [
    step(`${count(one.runs || 0)} processing run${one.runs === 1 ? "" : "s"}`,
      one.leftOut ? `${count(one.leftOut)} more not billed` : "", one.fileCorrections ? "" : bytes(one.runBytes || "0")),
    ...(one.fileCorrections || []).map(corrected),
    step(`Files: ${grouped(one.runBytes || "0")} bytes at ${data.sign}${data.filePrice}`, "", money(one.files)),
  ];
  const bars = (one) => {
    const held = daysOf(one);
    let largest = 0, most = "0";
    for (const value of held.values()) if (Number(value) > largest) { largest = Number(value); most = value; }
    const groups = [], ticks = [];
    for (let day = 1; day <= data.days; day += 1) {
      const value = held.get(day), absent = (one.gaps || []).includes(day);
      const height = value !== undefined && largest ? Number(value) / largest * 100 : 0;
      groups.push(draw("g", {},
        draw("title", {}, `${dayName(day)}: ${value === undefined ? "no row" : bytes(value)}`),
        draw("rect", { class: "hit", x: (day - 1) * 10, y: 0, width: 10, height: 100 }),
        draw("rect", { class: "bar", x: (day - 1) * 10, y: 100 - height, width: 8, height })));
      ticks.push(make("span", absent ? { class: "gap" } : {}, String(day)));
    }
    return make("figure", { class: "chart" },
      make("p", { class: "axis", "aria-hidden": "true" }, make("span", {}, readable(most)), make("span", {}, "0")),
      draw("svg", { viewBox: `0 0 ${data.days * 10} 100`, preserveAspectRatio: "none", role: "img", "aria-label": "Storage by day; the table below holds the figures" }, ...groups),
      make("p", { class: "ticks", "aria-hidden": "true" }, ...ticks));
  };
  const table = (heads, rows) => make("div", { class: "scroll" }, make("table", { class: "plain" },
    make("thead", {}, make("tr", {}, ...heads.map(([text, kind]) => make("th", { scope: "col", class: kind }, text)))),
    make("tbody", {}, ...rows)));
  const dayTable = (one) => {
    const held = daysOf(one), parts = new Map();
    if (one.parts) [...held.keys()].forEach((day, index) => parts.set(day, one.parts[index]));
    const heads = [["Day", ""], ["Bytes held", "num"]];
    if (data.detailed) heads.push(["Uploaded", "num wide"], ["Produced", "num wide"], ["Files", "num wide"]);
    heads.push(["Remarks", ""]);
    const rows = [];
    const files = (part) => part && part[2] !== null && part[3] !== null ? `${grouped(part[2])} + ${grouped(part[3])}` : "";
    for (let day = 1; day <= data.days; day += 1) {
      const value = held.get(day), absent = (one.gaps || []).includes(day);
      if (value === undefined && !absent) continue;
      const part = parts.get(day), mark = (one.marks || {})[day] || "";
      rows.push(make("tr", absent ? { class: "absent" } : {},
        make("th", { scope: "row", class: "when" }, dayName(day)),
        make("td", { class: "num" }, value === undefined ? "no row" : grouped(value)),
        ...(data.detailed ? [
          make("td", { class: "num wide" }, part && part[0] ? grouped(part[0]) : ""),
          make("td", { class: "num wide" }, part && part[1] ? grouped(part[1]) : ""),
          make("td", { class: "num wide" }, files(part))] : []),
        make("td", {}, absent ? (one.calendarDays ? "counts as nothing held" : "not in the average") : mark)));
    }
    return table(heads, rows);
  };
  const facts = (pairs) => make("dl", { class: "facts" },
    ...pairs.filter(([, value]) => value).flatMap(([term, value]) => [make("dt", {}, term), make("dd", {}, value)]));
  const instant = (text) => text && `${text.slice(0, 10)} ${text.slice(11, 19)} UTC`;
  const stripeSays = (line) => facts([
    ["Meter", line.meter], ["Ledger", bytes(line.ledger)],
    ["Stripe", line.stripe === null ? line.problem || "no answer" : bytes(line.stripe)],
    ["Agreed", line.agrees ? "to the byte" : "no"], ["Invoices", line.invoices.join("; ")], ["Found", line.findings.join("; ")]]);

  const statement = (one) => {
    const event = one.event;
    const parts = [
      make("div", { class: "head" }, make("h2", { id: "statement-title" }, one.id), pill(one.state)),
      make("p", { class: "sum" }, money(one.amount)),
      make("p", { class: "said" }, one.problem || one.skipped || said(one)),
      make("h3", {}, "Why this amount"),
      make("ol", { class: "why" }, ...storageSteps(one)),
      make("h3", {}, "Files processed"),
      make("ol", { class: "why" }, ...fileSteps(one)),
    ];
    if (event) parts.push(make("h3", {}, "The meter event"), facts([
      ["Identifier", make("code", {}, event.identifier)], ["Value", bytes(event.value)], ["Stamped", instant(event.stamped)],
      ["Frozen", instant(event.frozen)], ["Sent", instant(event.sent)], ["Error", event.error],
      ["Notes", one.notes], ["Rows", one.differs ? "give another average now; what was frozen stands" : ""]]));
    if (one.stripe) parts.push(make("h3", {}, "What Stripe says"), ...one.stripe.map(stripeSays));
    parts.push(make("h3", {}, "Storage by day"), bars(one), dayTable(one));
    if (one.runList) {
      parts.push(make("h3", {}, "Runs"), table([["Run", ""], ["When", ""], ["Bytes", "num"], ["State", ""]],
        one.runList.map((run) => make("tr", {}, make("th", { scope: "row" }, make("code", {}, run.id)),
          make("td", {}, instant(run.at)), make("td", { class: "num" }, grouped(run.bytes)),
          make("td", {}, pill(run.state), run.error ? make("br") : null, run.error || null)))));
      const more = (one.runs || 0) + (one.leftOut || 0) - one.runList.length;
      if (more > 0) parts.push(make("p", { class: "hint" }, `And ${count(more)} more: the customer's own report lists them.`));
    }
    $("statement").replaceChildren(...parts);
  };

  // --- Where we are: the address says it, so that a statement can be linked to -------------------
  const wanted = () => {
    const match = /^#customer=(.*)$/.exec(location.hash);
    if (!match) return undefined;
    try { return byId.get(decodeURIComponent(match[1])); } catch { return undefined; }
  };
  const follow = () => {
    const dialog = $("dialog"), one = wanted();
    if (!one) { if (dialog.open) dialog.close(); return; }
    statement(one);
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
  };
  if (data.only !== null) {
    if (byId.has(data.only)) statement(byId.get(data.only));
  } else {
    startList();
    $("close").addEventListener("click", () => $("dialog").close());
    $("dialog").addEventListener("click", (event) => { if (event.target === $("dialog")) $("dialog").close(); });
    $("dialog").addEventListener("close", () => {
      if (location.hash.startsWith("#customer=")) history.replaceState(null, "", location.pathname + location.search);
    });
    addEventListener("hashchange", follow);
    follow();
  }
})();
