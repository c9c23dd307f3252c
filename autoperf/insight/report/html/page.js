"use strict";
// Only a filter: without it, or with scripts off, everything is on the page all the same.
(() => {
  const find = document.getElementById("find");
  const failed = document.getElementById("failed");
  const traces = [...document.querySelectorAll(".trace")];
  const beside = document.querySelector(".beside");
  const none = document.querySelector(".none");
  const filter = () => {
    const wanted = find.value.trim().toLowerCase();
    let shown = 0;
    for (const trace of traces) {
      const fits = trace.dataset.words.includes(wanted) && (!failed.checked || trace.dataset.failed);
      trace.hidden = !fits;
      shown += fits ? 1 : 0;
    }
    none.hidden = shown > 0;
    if (beside && (wanted || failed.checked)) beside.open = true;
  };
  find.addEventListener("input", filter);
  failed.addEventListener("change", filter);
  document.querySelector("p.filter").hidden = false;
})();
