/* Small helps while typing: an address made from a name, until it is edited by hand. */
"use strict";

for (const slug of document.querySelectorAll("[data-slug-of]")) {
  const source = slug.form.elements[slug.dataset.slugOf];
  let isOwn = Boolean(slug.value);
  slug.addEventListener("input", () => { isOwn = Boolean(slug.value); });
  const follow = () => {
    if (isOwn) return;
    slug.value = source.value.normalize("NFKD").toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 40);
  };
  source.addEventListener("input", follow);
  follow(); // what was typed, or kept by the browser, before this script was there
}
