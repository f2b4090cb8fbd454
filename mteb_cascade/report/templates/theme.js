// Theme, measure and scope.
function remember(key, value) { try { localStorage.setItem(key, value); } catch { /* a file may have no storage */ } }
function remembered(key) { try { return localStorage.getItem(key); } catch { return null; } }
function themed() {
  const theme = $("theme").value;
  if (theme) document.documentElement.dataset.theme = theme; else delete document.documentElement.dataset.theme;
  remember("mteb-cascade-theme", theme);
}
function measured() {
  const measure = $("measure").value, scope = $("scope").value;
  for (const part of document.querySelectorAll("[data-measure]"))
    part.hidden = part.dataset.measure !== measure || (part.dataset.scope !== undefined && part.dataset.scope !== scope);
}
$("theme").value = remembered("mteb-cascade-theme") || "";
$("theme").addEventListener("change", themed);
$("measure").addEventListener("change", measured);
$("scope").addEventListener("change", measured);
themed();
measured();
