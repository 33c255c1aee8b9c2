"use strict";
// All of this is convenience: without it, links lead to the same places.

function toolbar(figure) {
  const canvas = figure.querySelector(".canvas"), svg = canvas && canvas.querySelector("svg");
  if (!svg) return;
  const width = svg.width.baseVal.value, height = svg.height.baseVal.value;
  let zoom = 1;
  const show = (wanted, x = canvas.clientWidth / 2, y = 0) => {
    const before = zoom;
    zoom = Math.min(4, Math.max(0.05, wanted));
    const left = (canvas.scrollLeft + x) * zoom / before - x, top = (canvas.scrollTop + y) * zoom / before - y;
    svg.setAttribute("width", width * zoom);
    svg.setAttribute("height", height * zoom);
    canvas.scrollTo(left, top);
  };
  const whole = () => Math.min(canvas.clientWidth / width, canvas.clientHeight / height, 1);
  const tools = document.createElement("span");
  tools.className = "tools";
  for (const [text, told, run] of [["−", "smaller", () => show(zoom / 1.3)], ["+", "larger", () => show(zoom * 1.3)],
    ["1:1", "as large as it is", () => show(1)], ["whole", "the whole drawing", () => show(whole())]]) {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", textContent: text, title: told, onclick: run });
    tools.append(button);
  }
  figure.querySelector("figcaption").append(tools);
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    const box = canvas.getBoundingClientRect();
    show(zoom * Math.exp(-event.deltaY / 300), event.clientX - box.left, event.clientY - box.top);
  }, { passive: false });
  if (width > canvas.clientWidth) canvas.scrollLeft = (width - canvas.clientWidth) / 2;
}

const peek = document.createElement("aside");
peek.className = "peek";
peek.hidden = true;
document.body.append(peek);

function close() {
  peek.hidden = true;
  document.querySelectorAll(".picked").forEach((box) => box.classList.remove("picked"));
}

function open(details) {
  close();
  const head = document.createElement("h3"), link = document.createElement("a"), end = document.createElement("button");
  Object.assign(link, { textContent: details.dataset.layer, href: `#${details.id}` });
  Object.assign(end, { type: "button", textContent: "close", onclick: close });
  link.addEventListener("click", close);
  head.append(link, end);
  peek.replaceChildren(head, details.querySelector(".body").cloneNode(true));
  peek.hidden = false;
  peek.scrollTop = 0;
  for (const box of document.querySelectorAll(`a[href="#${details.id}"] > g`)) box.classList.add("picked");
}

document.querySelectorAll("figure").forEach(toolbar);
document.querySelectorAll(".canvas").forEach((canvas) => canvas.addEventListener("click", (event) => {
  const link = event.target.closest("a");
  const details = link && document.getElementById(link.getAttribute("href").slice(1));
  if (!details) return;
  event.preventDefault();
  open(details);
}));
document.addEventListener("keydown", (event) => { if (event.key === "Escape") close(); });

function reveal() {
  const details = document.getElementById(location.hash.slice(1));
  if (details instanceof HTMLDetailsElement) { details.open = true; details.scrollIntoView(); }
}
addEventListener("hashchange", reveal);
reveal();

const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.getAttribute("href").slice(1), link]));
const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting) {
    links.forEach((link) => link.classList.remove("here"));
    links.get(entry.target.id).classList.add("here");
  }
}, { rootMargin: "-15% 0px -75% 0px" });
document.querySelectorAll("section").forEach((section) => seen.observe(section));
