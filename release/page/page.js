// The page: `tokenizers` is @huggingface/tokenizers (tokenizers.js), DATA what release/playground.py wrote (data.js).
"use strict";

const REPLACEMENT = "\ufffd"; // what decoding a part of a character gives
const LONGEST_CHARACTER = 4; // bytes, so at most as many tokens
const SAMPLES = [
  "Each box has 6 × 9 = 54 pens, so 7 boxes hold 7 times 54. Seven times eight is 56, and so is 8*7.",
  "Six times nine is fifty-four. 六九五十四，六乘九等于五十四。",
  "Not rewritten: 16*9=144, 2.05*4, a 3x4 matrix, 2*3^2, 6*9=55.",
];

const arms = DATA.arms.map((arm) => ({
  ...arm,
  tokenizer: new tokenizers.Tokenizer(arm.tokenizer, arm.config),
}));

const find = (id) => document.getElementById(id);

/** Return a new element with a class, text and children. */
function make(tag, { className = "", text = "", title = "" } = {}, children = []) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (title) element.title = title;
  element.textContent = text;
  element.append(...children);
  return element;
}

/** Return the ids of a text in an arm, as Python's encode(text, add_special_tokens=False) has them. */
function encode(arm, text) {
  return text ? arm.tokenizer.encode(text, { add_special_tokens: false }).ids : [];
}

/** Return the text of ids, as Python's decode(ids, skip_special_tokens=False) has it. */
function decode(arm, ids) {
  const settings = { skip_special_tokens: false, clean_up_tokenization_spaces: false };
  return ids.length ? arm.tokenizer.decode(ids, settings) : ""; // decode([]) throws, as encode("") does
}

/** Return stretches of text with their ids: a character that takes several tokens is one stretch. */
function pieces(arm, ids) {
  const found = [];
  let pending = [];
  ids.forEach((id, place) => {
    pending.push(id);
    const fact = arm.facts[id];
    const next = fact ? [] : ids.slice(place + 1, place + LONGEST_CHARACTER);
    const plain = next.slice(0, next.findIndex((id) => id in arm.facts) >>> 0);
    const text = fact ? fact.text : decode(arm, pending);
    // A character goes on where its parts, read by themselves, give another text than together.
    if (text.includes(REPLACEMENT) && text + decode(arm, plain) !== decode(arm, [...pending, ...plain])) return;
    found.push({ text, ids: pending });
    pending = [];
  });
  return found;
}

const tokenName = (arm, id) => arm.facts[id]?.token ?? arm.tokenizer.id_to_token(id);
const signed = (number) => (number > 0 ? `+${number}` : `−${-number}`);

/** Return in words what an arm needs for a text, beside what the first arm needs. */
function count(ids, first) {
  const share = first.length ? Math.round((100 * (ids.length - first.length)) / first.length) : 0;
  const saved = ids.length - first.length;
  const beside = saved ? `, ${signed(saved)} (${share ? signed(share) : 0}%) to ${arms[0].name}` : "";
  return `${ids.length} tokens${ids === first ? "" : beside || `, as many as ${arms[0].name}`}`;
}

function showTokens() {
  const text = find("text").value;
  const ids = arms.map((arm) => encode(arm, text));
  find("arms").replaceChildren(...arms.map((arm, index) => armCard(arm, ids[index], ids[0])));
  history.replaceState(null, "", `#text=${encodeURIComponent(text.toWellFormed())}`);
}

function armCard(arm, ids, first) {
  const added = ids.filter((id) => id in arm.facts).length;
  const spans = pieces(arm, ids).map((piece, place) => make("span", {
    className: piece.ids[0] in arm.facts ? "fact" : `c${place % 4}`,
    text: piece.text,
    title: piece.ids.map((id) => `${tokenName(arm, id)} (${id})`).join(" "),
  }));
  const card = make("article", {}, [
    make("h3", { text: arm.name }),
    make("p", { text: `The tokenizer ${arm.kind}.` }),
    make("p", { className: "count", text: `${count(ids, first)}; added tokens: ${added}` }),
    make("p", { className: "tokens" }, spans),
    make("p", { className: "ids", text: ids.join(" ") }),
  ]);
  card.dataset.arm = arm.name;
  return card;
}

// ---------------------------------------------------------------- what the experiment found

/** Return the colour of a share (dark blue to yellow, as in the report) and that of the text on it. */
function shade(share) {
  const [low, high] = [[0, 34, 78], [253, 231, 55]];
  const colour = low.map((value, index) => Math.round(value + share * (high[index] - value)));
  return { back: `rgb(${colour.join(",")})`, front: share < 0.5 ? "#fff" : "#111" };
}

function showMaps() {
  const names = Object.keys(DATA.results.heatmaps).filter((name) => DATA.results.heatmaps[name][find("stage").value]);
  find("maps").replaceChildren(...names.map((name) => {
    const rows = DATA.results.heatmaps[name][find("stage").value];
    const head = make("tr", {}, ["×", 1, 2, 3, 4, 5, 6, 7, 8, 9].map((text) => make("th", { text })));
    const lines = rows.map((row, a) => make("tr", {}, [make("th", { text: a + 1 }), ...row.map((share, b) => {
      const cell = make("td", { text: share === null ? "" : Math.round(100 * share), title: `${a + 1} × ${b + 1}` });
      if (share !== null) Object.assign(cell.style, { background: shade(share).back, color: shade(share).front });
      return cell;
    })]));
    return make("article", {}, [make("h3", { text: name }), make("table", {}, [head, ...lines])]);
  }));
}

function showItem() {
  const item = DATA.results.examples[find("item").value];
  find("prompt").textContent = `${item.prompt}\n\nGold answer: ${item.gold}`;
  find("completions").replaceChildren(...Object.entries(item.completions).map(([name, completion]) =>
    make("article", {}, [
      make("h3", { className: completion.correct ? "right" : "wrong", text: name }),
      make("p", { text: completion.correct ? "right" : `wrong: ${completion.error_class}` }),
      make("p", { className: "tokens", text: completion.text }),
      make("p", { className: "ids", text: completion.facts.length ? `added tokens: ${completion.facts.join("  ")}` : "" }),
    ])));
}

function showResults() {
  const { heatmaps, examples, stages, answered, headline } = DATA.results;
  find("headline").textContent = headline;
  find("outcome").hidden = false;
  if (Object.keys(heatmaps).length) {
    find("map").hidden = false;
    find("stage").append(...stages.map((stage) => new Option(stage, stage, false, stage === stages.at(-1))));
    find("stage").addEventListener("change", showMaps);
    showMaps();
  }
  if (examples.length) {
    find("answers").hidden = false;
    find("answered").textContent = `${answered.stage} of seed ${answered.seed}`;
    find("item").append(...examples.map((item, index) => new Option(`${item.task}: ${item.item_id}`, index)));
    find("item").addEventListener("change", showItem);
    showItem();
  }
}

const asked = new URLSearchParams(location.hash.slice(1)).get("text");
find("text").value = asked ?? SAMPLES[0];
find("text").addEventListener("input", showTokens);
find("samples").append(...SAMPLES.map((text) => {
  const button = make("button", { text });
  button.addEventListener("click", () => { find("text").value = text; showTokens(); });
  return button;
}));
find("origin").textContent = DATA.origin;
showTokens();
if (DATA.results) showResults();
