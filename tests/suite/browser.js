// What is looked for on a page, in the page itself: `defects()` gives a sentence for each thing that is wrong, the name of the
// check first. tests/suite/browser.rs runs it at several widths, in light and in dark, and plants a defect for each check.
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const shown = (el) => el.checkVisibility({ visibilityProperty: true, opacityProperty: true }) && el.getClientRects().length > 0;
  const called = (el) => `<${el.tagName.toLowerCase()}${el.id ? "#" + el.id : ""}> ${(el.textContent || "").trim().slice(0, 40)}`;
  const named = (el) => {
    const by = (el.getAttribute("aria-labelledby") || "").split(/\s+/).filter(Boolean).map((id) => document.getElementById(id));
    return (by.map((other) => (other ? other.textContent : "")).join(" ") || el.getAttribute("aria-label") || "").trim();
  };

  // --- width -----------------------------------------------------------------------------------------------------------
  // Nothing is wider than the window, unless within something that scrolls by itself.
  function width(say) {
    const root = document.scrollingElement;
    if (root.scrollWidth > innerWidth) say(`the page is ${root.scrollWidth} wide in a window of ${innerWidth}`);
    const scrolls = (el) => el && el !== document.body && el !== root && (/auto|scroll/.test(getComputedStyle(el).overflowX) || scrolls(el.parentElement));
    const out = (el) => ((box) => box.right > innerWidth + 1 || box.left < -1)(el.getBoundingClientRect());
    for (const el of all("body *")) {
      if (el.ownerSVGElement || !shown(el) || el.matches(".skip") || !out(el) || out(el.parentElement) || scrolls(el.parentElement)) continue;
      say(`${called(el)} is ${el.getBoundingClientRect().width} wide and reaches out of the window`);
    }
  }

  // --- folded ----------------------------------------------------------------------------------------------------------
  // On paper nothing stays behind a summary.
  function folded(say) {
    for (const details of all("details")) {
      const hidden = all(":scope > :not(summary)", details).find((el) => !shown(el));
      if (hidden) say(`${called(hidden)} stays folded`);
    }
  }

  // --- frame -----------------------------------------------------------------------------------------------------------
  function frame(say) {
    if (!document.documentElement.lang) say("no language");
    if (!document.title.trim()) say("no title");
    if (all("main").length !== 1) say("not one main landmark");
    if (!all("nav").every(named)) say("navigation without a name");
    const first = document.querySelector("a[href], button, summary, [tabindex='0']");
    const target = first && first.matches(".skip") && document.querySelector(first.getAttribute("href"));
    if (!target || target.tagName !== "MAIN") say("the first link does not skip to the content");
    for (const link of all("a[href^='#']")) {
      if (!document.getElementById(link.getAttribute("href").slice(1))) say(`${called(link)} leads nowhere`);
    }
    const ids = all("[id]").map((el) => el.id);
    ids.filter((id, k) => ids.indexOf(id) !== k).forEach((id) => say(`id ${id} twice`));
  }

  function headings(say) {
    let before = 0;
    for (const heading of all("h1, h2, h3, h4, h5, h6")) {
      const level = Number(heading.tagName[1]);
      if (level > before + 1) say(`${called(heading)} after a heading of level ${before}`);
      if (level === 1 && before > 0) say(`${called(heading)} is a second heading of level 1`);
      if (!heading.textContent.trim()) say("an empty heading");
      before = level;
    }
  }

  function tables(say) {
    for (const table of all("table")) {
      const name = table.caption ? table.caption.textContent.trim() : "";
      if (!name) say(`${called(table)} has no caption`);
      if (!table.tHead || all("th", table.tHead).length === 0) say(`table ${name} has no heads`);
      all("th", table).filter((th) => !/^(col|row|colgroup|rowgroup)$/.test(th.getAttribute("scope"))).forEach((th) => say(`table ${name}: ${called(th)} has no scope`));
      const wide = (row) => [...row.cells].reduce((sum, cell) => sum + cell.colSpan, 0);
      for (const row of table.rows) {
        if (wide(row) !== wide(table.rows[0])) say(`table ${name}: a line of ${wide(row)} cells under ${wide(table.rows[0])} heads`);
        if (!row.querySelector("th")) say(`table ${name}: a line without a heading`);
      }
    }
  }

  // --- figures ---------------------------------------------------------------------------------------------------------
  // Fields of a line of comma-separated values.
  const fields = (line) => [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^",]*))(?=,|$)/g)].map((m) => (m[1] === undefined ? m[2] : m[1].replaceAll('""', '"')));
  const saved = (link) => decodeURIComponent(link.getAttribute("href").replace(/^[^,]*,/, ""));

  const drawing = (figure) => all("svg", figure).find((svg) => !svg.closest(".key"));

  function figures(say) {
    for (const figure of all("figure")) {
      const tell = (what) => say(`figure ${figure.id}: ${what}`);
      if (!named(figure)) tell("no name");
      const svg = drawing(figure);
      if (!svg || svg.getAttribute("role") !== "img" || !svg.querySelector(":scope > title")?.textContent.trim()) tell("its drawing has no name");
      const caption = figure.querySelector("figcaption")?.firstChild;
      if (caption?.nodeType !== Node.TEXT_NODE || !caption.textContent.trim()) tell("no caption");
      const link = (kind) => all("a[download]", figure).find((a) => a.download.endsWith("." + kind));
      const [picture, data] = [link("svg"), link("csv")];
      for (const [kind, a] of [["SVG", picture], ["CSV", data]]) {
        if (!a) tell(`no ${kind} to save`);
        else if (!named(a).includes(kind)) tell(`the link to its ${kind} has no name that says so`);
      }
      if (picture) drawn(saved(picture), tell);
      if (data) numbers(saved(data), tell);
    }
  }

  // A drawing that stands alone: well-formed, of a known size, with a name and colours of its own.
  function drawn(text, tell) {
    const parsed = new DOMParser().parseFromString(text, "image/svg+xml");
    if (parsed.querySelector("parsererror")) return tell("its SVG is not well-formed");
    const root = parsed.documentElement;
    if (!root.getAttribute("viewBox") || !root.getAttribute("width")) tell("its SVG has no size");
    if (!parsed.querySelector("title")) tell("its SVG has no name");
    if (/var\(|currentColor|class=|href=/.test(text)) tell("its SVG needs something from outside");
  }

  // A head with a unit for every column of numbers, or a column `unit` for those without; and lines of as many fields.
  function numbers(text, tell) {
    const lines = text.trimEnd().split("\n").map(fields);
    const [head, ...rest] = lines;
    if (rest.length === 0) tell("its CSV has no line");
    rest.filter((line) => line.length !== head.length).forEach((line) => tell(`its CSV has a line of ${line.length} fields under ${head.length}`));
    head.forEach((name, k) => {
      const values = rest.map((line) => line[k]).filter((value) => value !== "" && value !== undefined);
      const numeric = values.length > 0 && values.every((value) => Number.isFinite(Number(value)));
      if (numeric && !/\[.+\]$/.test(name) && !head.includes("unit")) tell(`column ${name} of its CSV has no unit`);
    });
    if (/NaN|inf\b/.test(text)) tell("its CSV has what is no number");
  }

  // --- texts of drawings -----------------------------------------------------------------------------------------------
  // The corners of a text on the screen, without the room above and below its letters.
  function corners(text) {
    const box = text.getBBox();
    const matrix = text.getScreenCTM();
    const room = 0.18 * box.height;
    const at = (x, y) => ({ x: matrix.a * x + matrix.c * y + matrix.e, y: matrix.b * x + matrix.d * y + matrix.f });
    const [left, right, top, bottom] = [box.x, box.x + box.width, box.y + room, box.y + box.height - room];
    return [at(left, top), at(right, top), at(right, bottom), at(left, bottom)];
  }

  // Do two quadrilaterals meet? There is a line between them along a side of one, or they do.
  function meet(a, b) {
    for (const of of [a, b]) {
      for (let k = 0; k < 4; k++) {
        const [p, q] = [of[k], of[(k + 1) % 4]];
        const along = (c) => c.map((r) => (r.x - p.x) * (q.y - p.y) - (r.y - p.y) * (q.x - p.x));
        const [u, v] = [along(a), along(b)];
        const slack = 0.5 * Math.hypot(q.x - p.x, q.y - p.y);
        if (Math.max(...u) <= Math.min(...v) + slack || Math.max(...v) <= Math.min(...u) + slack) return false;
      }
    }
    return true;
  }

  function lettering(root, tell) {
    const frame = root.getBoundingClientRect();
    const texts = all("text", root).filter((text) => text.textContent.trim() && text.getBBox().width > 0);
    const quads = texts.map(corners);
    quads.forEach((quad, k) => {
      const out = quad.some((c) => c.x < frame.left - 1 || c.x > frame.right + 1 || c.y < frame.top - 1 || c.y > frame.bottom + 1);
      if (out) tell(`'${texts[k].textContent}' leaves the drawing`);
      for (let j = 0; j < k; j++) {
        if (meet(quad, quads[j])) tell(`'${texts[k].textContent}' lies on '${texts[j].textContent}'`);
      }
    });
  }

  function letters(say) {
    // Signs of a key are as large as they were drawn, beside their words.
    for (const sign of all(".key svg").filter(shown)) {
      const wide = sign.getBoundingClientRect().width;
      if (Math.abs(wide - Number(sign.getAttribute("width"))) > 1) say(`the sign of '${sign.parentElement.textContent}' is ${wide} wide`);
    }
    const bench = document.createElement("div");
    bench.style.cssText = "position:absolute;left:0;top:0";
    document.body.append(bench);
    for (const figure of all("figure")) {
      const svg = drawing(figure);
      if (svg && shown(svg)) lettering(svg, (what) => say(`figure ${figure.id}: ${what}`));
      const link = all("a[download$='.svg']", figure)[0];
      const alone = link && new DOMParser().parseFromString(saved(link), "image/svg+xml").documentElement;
      if (!alone || alone.tagName !== "svg") continue;
      bench.replaceChildren(document.importNode(alone, true));
      lettering(bench.firstChild, (what) => say(`figure ${figure.id}, saved: ${what}`));
    }
    bench.remove();
  }

  // --- contrast --------------------------------------------------------------------------------------------------------
  const OPAQUE = [255, 255, 255, 1];
  function colour(css) {
    const n = (css.match(/-?[\d.]+(e-?\d+)?/g) || []).map(Number);
    if (css.startsWith("rgb")) return [n[0], n[1], n[2], n[3] ?? 1];
    if (css.startsWith("color(srgb")) return [255 * n[0], 255 * n[1], 255 * n[2], n[3] ?? 1];
    return [0, 0, 0, 0];
  }
  const over = (top, below, alpha = 1) => {
    const a = top[3] * alpha;
    return [0, 1, 2].map((k) => a * top[k] + (1 - a) * below[k]).concat(1);
  };
  const luminance = (c) => {
    const part = (x) => (x / 255 <= 0.04045 ? x / 255 / 12.92 : ((x / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * part(c[0]) + 0.7152 * part(c[1]) + 0.0722 * part(c[2]);
  };
  const ratio = (a, b) => {
    const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p);
    return (x + 0.05) / (y + 0.05);
  };
  function ground(el) {
    const below = el.parentElement ? ground(el.parentElement) : OPAQUE;
    return over(colour(getComputedStyle(el).backgroundColor), below);
  }
  // What lies behind a text of a drawing: the page, and rectangles that were drawn before and hold its middle.
  function behind(text, svg) {
    const box = text.getBoundingClientRect();
    const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
    return all("rect", svg)
      .filter((rect) => rect.compareDocumentPosition(text) & Node.DOCUMENT_POSITION_FOLLOWING)
      .filter((rect) => ((r) => r.left <= x && x <= r.right && r.top <= y && y <= r.bottom)(rect.getBoundingClientRect()))
      .reduce((below, rect) => over(colour(getComputedStyle(rect).fill), below, Number(getComputedStyle(rect).fillOpacity)), ground(svg.parentElement));
  }

  function contrast(say) {
    const seen = new Set();
    const weigh = (el, ink, paper) => {
      const found = ratio(over(ink, paper), paper);
      if (found < 4.5 && !seen.has(`${ink} ${paper}`)) say(`${called(el)} has a contrast of ${found.toFixed(2)}`);
      if (found < 4.5) seen.add(`${ink} ${paper}`);
    };
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const el = walker.currentNode.parentElement;
      if (!walker.currentNode.textContent.trim() || el.ownerSVGElement || !shown(el)) continue;
      weigh(el, colour(getComputedStyle(el).color), ground(el));
    }
    for (const svg of all("figure svg").filter((svg) => !svg.ownerSVGElement && shown(svg))) {
      for (const text of all("text", svg).filter((text) => text.textContent.trim())) {
        const style = getComputedStyle(text);
        const ink = colour(style.fill);
        weigh(text, [ink[0], ink[1], ink[2], ink[3] * Number(style.fillOpacity)], behind(text, svg));
      }
    }
  }

  // --- keyboard --------------------------------------------------------------------------------------------------------
  // After `watch()` the Tab key is pressed as often as `watch` said; `keyboard` then tells what it did not reach, and where one
  // does not see where one is.
  const reached = new Map();
  const interactive = () => all("a[href], button, input, select, textarea, summary, [tabindex='0']").filter((el) => shown(el));
  function watch() {
    reached.clear();
    document.activeElement?.blur();
    getSelection().removeAllRanges();
    document.addEventListener("focusin", ({ target }) => {
      const style = getComputedStyle(target);
      const width = style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth);
      const box = target.getBoundingClientRect();
      const inside = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
      reached.set(target, { width, ratio: ratio(over(colour(style.outlineColor), ground(target.parentElement)), ground(target.parentElement)), inside });
    });
    return interactive().length;
  }
  function keyboard(say) {
    for (const el of interactive()) {
      const found = reached.get(el);
      if (!found) say(`${called(el)} is not reached`);
      else if (found.width < 2 || found.ratio < 3) say(`${called(el)}: its focus is an outline of ${found.width}, contrast ${found.ratio.toFixed(1)}`);
      else if (!found.inside) say(`${called(el)} is out of sight when reached`);
    }
    // Who scrolls must be able to scroll by keyboard.
    for (const el of all("body *").filter((el) => !el.ownerSVGElement && shown(el))) {
      if (el.scrollWidth > el.clientWidth + 1 && /auto|scroll/.test(getComputedStyle(el).overflowX) && el.tabIndex < 0) say(`${called(el)} scrolls and cannot be reached`);
    }
  }

  const checks = { width, folded, frame, headings, tables, figures, letters, contrast, keyboard };
  const defects = (...names) => {
    const found = [];
    for (const name of names) checks[name]((what) => found.push(`${name}: ${what}`));
    return found;
  };
  const contents = () => Object.fromEntries(all("figure").map((f) => [f.id, Object.fromEntries(all("a[download]", f).map((a) => [a.download.split(".").pop(), saved(a)]))]));
  globalThis.report = { watch, defects, contents };
})();
