"use strict";

// Ratings stay in this browser until they are saved: the page is a file, and nobody is asked for it.
const run = document.body.dataset.run;
const key = `editing-bench ${run}`;
const boxes = [...document.querySelectorAll(".rating")];
const ratings = JSON.parse(localStorage.getItem(key) || "{}");

function showRated() {
  const values = Object.values(ratings);
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const said = values.length ? `, mean ${mean.toFixed(2)}` : "";
  document.getElementById("rated").textContent = `${values.length} of ${boxes.length} rated${said}`;
}

for (const box of boxes) {
  const name = box.dataset.case;
  for (const input of box.querySelectorAll("input")) {
    input.checked = Number(input.value) === ratings[name];
    input.addEventListener("change", () => {
      ratings[name] = Number(input.value);
      localStorage.setItem(key, JSON.stringify(ratings));
      showRated();
    });
  }
}

document.getElementById("export").addEventListener("click", () => {
  const text = JSON.stringify({ run, ratings }, null, 2);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = `${run}-ratings.json`;
  link.click();
  URL.revokeObjectURL(link.href);
});

document.getElementById("shown").addEventListener("change", (event) => {
  const wanted = event.target.value;
  for (const article of document.querySelectorAll(".case")) {
    const fits = wanted === "!failed" ? article.dataset.state === "failed" : article.dataset.kind === wanted;
    article.hidden = Boolean(wanted) && !fits;
  }
});

const large = document.getElementById("large");
for (const image of document.querySelectorAll("figure img")) {
  image.addEventListener("click", () => {
    large.firstElementChild.src = image.src;
    large.firstElementChild.alt = image.alt;
    large.showModal();
  });
}
large.addEventListener("click", () => large.close());

showRated();
