"use strict";
(() => {
  const NARROW = 600; // px, below which figures are stacked
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const tools = [["toImage", "zoom2d", "pan2d", "resetScale2d"]]; // the default ones can upload a plot
  const config = { responsive: true, displaylogo: false, modeBarButtons: tools };
  const isNarrow = () => window.innerWidth < NARROW;
  const curves = read("curves");
  const panel = document.getElementById("network");
  const status = document.getElementById("status");
  const buttons = [...document.querySelectorAll("#front button")];
  let pinned = null;
  let shown = null;

  const axes = (layout, letter) => Object.keys(layout).filter((key) => key.startsWith(`${letter}axis`)).sort();

  /* Stack panels that stand side by side; returns the height they need, or null. */
  function stack(layout) {
    const columns = axes(layout, "x");
    const rows = axes(layout, "y");
    if (columns.length < 2 || columns.length !== rows.length || layout.annotations?.length) return null;
    columns.forEach((key, i) => {
      const top = 1 - i / columns.length;
      layout[key].domain = [0, 1];
      Object.assign(layout[rows[i]], { domain: [top - 0.66 / columns.length, top], showticklabels: true });
    });
    return 270 * columns.length + 60;
  }

  /* Give the panels the width of the screen: what stood beside them goes below. */
  function narrow(place, { data, layout }) {
    const height = stack(layout) ?? layout.height ?? place.clientHeight;
    const legends = Object.keys(layout).filter((key) => key.startsWith("legend"));
    const bars = data.map((trace) => trace.marker?.colorbar).filter(Boolean);
    const bottom = bars.length ? 120 : 70;
    layout.margin = { ...layout.margin, l: 58, r: 12, b: bottom };
    if (layout.title?.font) layout.title.font.size = 15;
    if (layout.title?.subtitle?.font) layout.title.subtitle.font.size = 10;
    const area = height - layout.margin.t - bottom;
    for (const bar of bars) {
      Object.assign(bar, { orientation: "h", y: -62 / area, yanchor: "top", x: 0.5, thickness: 10, len: 0.9 });
      bar.title = { ...bar.title, side: "top" };
    }
    legends.forEach((key, i) => {
      if (bars.length) return;
      layout[key] = { ...layout[key], orientation: "h", x: 0, xanchor: "left", y: -(60 + 95 * i) / area, yanchor: "top" };
    });
    return height;
  }

  function draw(place) {
    if (place.dataset.drawn) return;
    place.dataset.drawn = "yes";
    const figure = read(`figure-${place.dataset.figure}`);
    const height = isNarrow() ? narrow(place, figure) : figure.layout.height;
    if (height) place.style.height = `${height}px`;
    const title = figure.layout.title?.text;
    if (title) place.setAttribute("aria-label", title);
    place.setAttribute("role", "figure");
    Plotly.newPlot(place, figure.data, figure.layout, config);
    if (place.id === "front-plot") listen(place);
  }

  function listen(place) {
    const number = (event) => event.points[0]?.customdata;
    place.on("plotly_hover", (event) => show(number(event)));
    place.on("plotly_unhover", () => pinned !== null && show(pinned));
    place.on("plotly_click", (event) => pin(number(event)));
  }

  function drawCurve(number) {
    const place = panel.querySelector(".curve");
    if (!window.Plotly) return; // again once it is there
    const data = curves.data[number];
    if (!data) {
      place.textContent = "This trial records no learning curve.";
      return;
    }
    const figure = structuredClone({ data, layout: { ...curves.layout, showlegend: false } });
    place.classList.add("drawn");
    figure.layout.margin.t = 40;
    if (isNarrow()) place.style.height = `${narrow(place, figure)}px`;
    Plotly.newPlot(place, figure.data, figure.layout, config);
  }

  function show(number) {
    if (number === undefined || number === null || number === shown) return;
    const source = document.getElementById(`network-${number}`);
    if (!source) {
      status.className = "hint";
      status.textContent = `Trial ${number} is not among the networks of the front that this page draws.`;
      return;
    }
    shown = number;
    const old = panel.querySelector(".curve.drawn");
    if (old) Plotly.purge(old);
    panel.replaceChildren(source.content.cloneNode(true));
    status.className = "spoken";
    status.textContent = `Trial ${number} is shown.`;
    drawCurve(number);
    for (const button of buttons) {
      const row = button.closest("tr");
      if (Number(button.dataset.trial) === number) row.setAttribute("aria-current", "true");
      else row.removeAttribute("aria-current");
    }
  }

  function pin(number) {
    show(number);
    if (shown !== number) return;
    pinned = number;
    for (const button of buttons) {
      const chosen = Number(button.dataset.trial) === number;
      button.setAttribute("aria-pressed", String(chosen));
      if (chosen) reveal(button.closest("tr"));
    }
    history.replaceState(null, "", `#trial-${number}`);
  }

  /* Scroll the table, not the page. */
  function reveal(row) {
    const frame = row.closest(".scroll");
    const [top, height] = [row.offsetTop, frame.clientHeight];
    if (top < frame.scrollTop + 40 || top > frame.scrollTop + height - 40) frame.scrollTop = top - height / 2;
  }

  buttons.forEach((button, i) => {
    const number = Number(button.dataset.trial);
    button.addEventListener("focus", () => show(number));
    button.addEventListener("click", () => pin(number));
    button.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      buttons[i + step]?.focus();
    });
  });

  /* A click anywhere in a row is one on its button; text can still be marked. */
  document.querySelector("#front tbody")?.addEventListener("click", (event) => {
    if (event.target.closest("button") || String(getSelection())) return;
    const button = event.target.closest("tr")?.querySelector("button");
    button?.focus({ preventScroll: true });
    button?.click();
  });

  /* Plotly's text lies inert in the page: to parse it takes longer than to show all the rest. */
  function start() {
    if (window.Plotly) return;
    const script = document.createElement("script");
    script.textContent = document.getElementById("plotly").textContent;
    document.head.append(script); // runs at once
    places.forEach((place) => observer.observe(place));
    const front = document.getElementById("front-plot");
    if (front) draw(front);
    if (shown !== null) setTimeout(() => drawCurve(shown));
  }

  const places = [...document.querySelectorAll(".plot")];
  const observer = new IntersectionObserver(
    (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => draw(entry.target)),
    { rootMargin: "300px" },
  );
  window.addEventListener("beforeprint", () => {
    start();
    places.forEach(draw);
  });

  if (buttons.length) {
    const wanted = Number(location.hash.replace("#trial-", "") || NaN);
    const known = buttons.map((button) => Number(button.dataset.trial));
    if (known.includes(wanted)) pin(wanted);
    else show(known[0]);
  }
  if (places.length) requestAnimationFrame(() => setTimeout(start)); // after the first picture
  const seconds = Number(document.documentElement.dataset.refresh);
  if (seconds > 0) setTimeout(() => location.reload(), seconds * 1000);
})();
