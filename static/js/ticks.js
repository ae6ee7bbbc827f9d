/* Lists with boxes to tick: all at once from the head, a stretch with Shift, how many, and what needs just so many. */

const boxes = (form) => [...form.querySelectorAll("tbody .tick input")];
let last = null;

function tell(form) {
  const all = boxes(form);
  const ticked = all.filter((box) => box.checked).length;
  const head = form.querySelector("[data-tick-all]");
  if (head) {
    head.checked = ticked > 0 && ticked === all.length;
    head.indeterminate = ticked > 0 && ticked < all.length;
  }
  for (const place of form.querySelectorAll("[data-tick-count]")) {
    place.textContent = place.dataset.words.replace("{count}", ticked);
  }
  for (const button of form.querySelectorAll("[data-needs]")) {
    button.disabled = ticked !== Number(button.dataset.needs);
  }
}

document.addEventListener("click", (event) => {
  const box = event.target.closest?.("[data-ticks] .tick input");
  if (!box) return;
  const form = box.form;
  const all = boxes(form);
  if (box.matches("[data-tick-all]")) {
    for (const one of all) one.checked = box.checked;
  } else if (event.shiftKey && last?.form === form) {
    const [from, to] = [all.indexOf(last), all.indexOf(box)].sort((a, b) => a - b);
    for (const one of all.slice(from, to + 1)) one.checked = box.checked;
  }
  if (!box.matches("[data-tick-all]")) last = box;
  tell(form);
});
